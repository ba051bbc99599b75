"""The routes below /api/apps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final

from litestar import Request, Router, delete, get, post, put
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Response
from msgspec import Meta, Struct

from runstead.capabilities.apps.assets import asset_name
from runstead.capabilities.apps.errors import AppNotFoundError
from runstead.capabilities.apps.management_paths import SOURCE_BYTES_MAX, id_of
from runstead.capabilities.apps.model import App, Registered, Uploaded
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.sources import MAIN_NAMES, MainName
from runstead.capabilities.apps.uploads import Form, pieces
from runstead.kernel.errors import BadRequestError
from runstead.platform.http import actor_of, guard
from runstead.platform.identity import Resource, allow, require

Tag = Annotated[str, Meta(min_length=1, max_length=64)]
#: What a source is written in, by its type.
_MAINS: Final = {
    "text/typescript": "app.ts",
    "application/typescript": "app.ts",
    "application/x-typescript": "app.ts",
    "text/tsx": "app.tsx",
    "text/jsx": "app.jsx",
}
#: Of a number in a path: what the column holds.
_VERSION_MAX = 2**31


class Privilege(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an app may serve public routes."""

    privileged: bool


class Ownership(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose an app is."""

    owner: Annotated[
        str, Meta(pattern=r"^(user|group):[A-Za-z0-9-]{1,64}$", description="user:ID or group:ID")
    ]


class Rollback(Struct, frozen=True, forbid_unknown_fields=True):
    """Which version is to serve again."""

    version: Annotated[int, Meta(ge=1, lt=_VERSION_MAX)]


class SourceOperation(Operation):
    """The body is a program, as it is."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.STRING)
        self.request_body = RequestBody(
            required=True,
            content={
                kind: OpenAPIMediaType(schema=schema) for kind in ("text/javascript", "text/typescript")
            },
        )


def routes(service: AppsService) -> Router:
    """Everything that one may do with apps."""
    return Router(path="/api/apps", route_handlers=[*_changing(service), *_reading(service)], tags=["apps"])


def _changing(service: AppsService) -> list[Any]:
    @put(
        "/{app_id:str}",
        guards=[guard("apps.write", each=True)],
        summary="Put a new version into service",
        opt={"body_max_bytes": SOURCE_BYTES_MAX},
        operation_class=SourceOperation,
        status_code=200,
    )
    async def put_app(
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        privileged: FromQuery[bool | None] = None,
        message: Annotated[str, QueryParameter(max_length=1000)] = "",
        main: FromQuery[MainName | None] = None,
        tag: Annotated[list[Tag] | None, QueryParameter(max_items=10)] = None,
    ) -> Response[dict[str, Any]]:
        actor = actor_of(request.scope)
        if privileged is not None:
            require(actor, "apps.privilege")
        await insist(service, request, app_id, "apps.write")
        upload = await uploaded(request, main, tag)
        if not upload.source:
            app = await service.get(id_of(app_id))
            if privileged is not None:
                app = await service.set_privileged(app.id, privileged)
            return Response({**app.as_json(), "warning": "no source was sent, so there is no new version"})
        done = await service.put(
            id_of(app_id),
            upload,
            author=str(actor),
            message=message,
            privileged=privileged,
            expected=_expected(request),
        )
        body = {
            **done.app.as_json(),
            "version": done.version.as_json(),
            **done.registered.as_json(),
        }
        if done.registered.routes and not done.app.privileged:
            body["warning"] = "restricted: its routes are served once an administrator marks it privileged"
        return Response(body, status_code=201 if done.version.number == 1 else 200)

    @delete(
        "/{app_id:str}",
        guards=[guard("apps.write", each=True)],
        summary="Remove an app with all its versions",
        status_code=204,
    )
    async def delete_app(request: Request[Any, Any, Any], app_id: FromPath[str]) -> None:
        await insist(service, request, app_id, "apps.write")
        await service.delete(id_of(app_id))

    @put(
        "/{app_id:str}/privileged",
        guards=[guard("apps.privilege")],
        summary="Let it serve public routes, or not",
        status_code=200,
    )
    async def set_privileged(app_id: FromPath[str], data: JSONBody[Privilege]) -> dict[str, Any]:
        return (await service.set_privileged(id_of(app_id), data.privileged)).as_json()

    @put(
        "/{app_id:str}/owner",
        guards=[guard("apps.write", each=True)],
        summary="Give it to somebody else, or to a group",
        status_code=200,
    )
    async def set_owner(
        request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[Ownership]
    ) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.write")
        return (await service.set_owner(id_of(app_id), data.owner.rstrip("\n"))).as_json()

    @post(
        "/{app_id:str}/rollback",
        guards=[guard("apps.write", each=True)],
        summary="Serve an earlier version again, as a new one",
        status_code=200,
    )
    async def roll_back(
        request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[Rollback]
    ) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.write")
        done = await service.rollback(id_of(app_id), data.version, author=str(actor_of(request.scope)))
        return {**done.app.as_json(), "version": done.version.as_json()}

    @post(
        "/{app_id:str}/check",
        guards=[guard("apps.write", each=True)],
        summary="What a source (default: the newest version) would register; nothing of it stays",
        opt={"body_max_bytes": SOURCE_BYTES_MAX},
        operation_class=SourceOperation,
        status_code=200,
    )
    async def check_app(
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        main: FromQuery[MainName | None] = None,
    ) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.write")
        upload = await uploaded(request, main, None)
        if not upload.source:
            app = await service.get(id_of(app_id))
            version = await service.version(app.id, app.newest)
            upload = Uploaded(source=version.source, main=version.main)
        registered = await service.check(id_of(app_id), upload)
        return {"ok": True, **registered.as_json()}

    return [put_app, delete_app, set_privileged, set_owner, roll_back, check_app]


def _reading(service: AppsService) -> list[Any]:
    @get("/", guards=[guard("apps.read", each=True)], summary="All apps")
    async def list_apps(request: Request[Any, Any, Any]) -> dict[str, Any]:
        actor = actor_of(request.scope)
        seen = [app for app in await service.list() if allow(actor, "apps.read", _resource(app)).allowed]
        return {"apps": [app.as_json() for app in seen]}

    @get(
        "/{app_id:str}",
        guards=[guard("apps.read", each=True)],
        summary="One app with the source of its newest version",
    )
    async def get_app(request: Request[Any, Any, Any], app_id: FromPath[str]) -> Response[dict[str, Any]]:
        await insist(service, request, app_id, "apps.read")
        app = await service.get(id_of(app_id))
        version = await service.version(app.id, app.newest)
        body = {**app.as_json(), "version": version.as_json(), "source": version.source}
        return Response(body, headers={"ETag": f'"{app.newest}"'})

    @get(
        "/{app_id:str}/versions",
        guards=[guard("apps.read", each=True)],
        summary="Its versions, the newest first",
    )
    async def list_versions(request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        return {"versions": [version.as_json() for version in await service.versions(id_of(app_id))]}

    @get(
        "/{app_id:str}/versions/{number:int}",
        guards=[guard("apps.read", each=True)],
        summary="One version with its source",
    )
    async def get_version(
        request: Request[Any, Any, Any], app_id: FromPath[str], number: FromPath[int]
    ) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        if not 0 < number < _VERSION_MAX:
            raise AppNotFoundError
        version = await service.version(id_of(app_id), number)
        return {**version.as_json(), "source": version.source}

    @get(
        "/{app_id:str}/diff",
        guards=[guard("apps.read", each=True)],
        summary="What changed between two versions, as a unified diff",
    )
    async def get_diff(
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        before: Annotated[int, QueryParameter(name="from", ge=1, lt=_VERSION_MAX)],
        after: Annotated[int, QueryParameter(name="to", ge=1, lt=_VERSION_MAX)],
    ) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        text = await service.diff((await service.get(id_of(app_id))).id, before, after)
        return {"from": before, "to": after, "diff": text}

    @get(
        "/{app_id:str}/routes",
        guards=[guard("apps.read", each=True)],
        summary="What it registered, and whether that is served",
    )
    async def get_routes(request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        serving = await service.routes_of(id_of(app_id))
        if serving is None:
            return {"served": False, **Registered().as_json()}
        return {"served": serving.privileged, **serving.registered.as_json()}

    return [list_apps, get_app, list_versions, get_version, get_diff, get_routes]


async def insist(service: AppsService, request: Request[Any, Any, Any], app_id: str, action: str) -> None:
    """Refuse whoever may not do this to this app; who makes a new one becomes its owner, and needs ``apps.create``.

    Nobody learns from the refusal whether there is such an app.
    """
    actor, known = actor_of(request.scope), await service.find(id_of(app_id))
    if known is None and action == "apps.write" and request.method != "DELETE":
        require(actor, "apps.create")
        return
    require(actor, action, Resource("app", id_of(app_id), known.owner if known else ""))


def _resource(app: App) -> Resource:
    return Resource("app", app.id, app.owner)


def _expected(request: Request[Any, Any, Any]) -> int | None:
    """The version that ``If-Match`` (RFC 9110, 13.1.1) says is the newest."""
    given = request.headers.get("if-match", "").strip().removeprefix("W/").strip('"')
    if given in ("", "*"):
        return None
    if not given.isdecimal() or int(given) >= _VERSION_MAX:
        raise BadRequestError("If-Match holds the number of a version", details={"field": "If-Match"})
    return int(given)


async def uploaded(request: Request[Any, Any, Any], main: str | None, tags: Sequence[str] | None) -> Uploaded:
    """What was sent: one source, or a form of files. An empty source: nothing, which means what is there."""
    kind = request.headers.get("content-type", "")
    body = await request.body()
    if kind.lower().startswith("multipart/form-data"):
        return await asyncio.to_thread(_from_form, kind, body, main, tuple(tags or ()))
    try:
        source = body.decode()
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the source is not UTF-8 (byte {error.start})") from error
    name = main or _MAINS.get(kind.partition(";")[0].strip().lower(), "app.js")
    return Uploaded(source=source, main=name, tags=tuple(tags or ()))


def _from_form(kind: str, body: bytes, main: str | None, tags: Sequence[str]) -> Uploaded:
    form = Form(kind)
    try:
        form.feed(body)
        form.feed(b"")
        files = {asset_name(one.name or one.field): b"".join(pieces(one)) for one in form.uploads}
    finally:
        form.close()
    files |= {asset_name(name): text.encode() for name, text in form.fields.items()}
    found = main or next((name for name in MAIN_NAMES if name in files), "")
    if found not in files or found not in MAIN_NAMES:
        raise BadRequestError(f"one of the files has to be the source: {', '.join(MAIN_NAMES)}")
    try:
        source = files.pop(found).decode()
    except UnicodeDecodeError as error:
        raise BadRequestError(f"{found} is not UTF-8 (byte {error.start})") from error
    return Uploaded(source=source, main=found, files=files, tags=tags)

"""The files of apps below /api/apps."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import MediaType, Request, Router, delete, get, put
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath, QueryParameter
from litestar.response import Response

from runstead.capabilities.apps.assets.store import ASSET_BYTES_MAX, asset_name
from runstead.capabilities.apps.http import insist
from runstead.capabilities.apps.management_paths import id_of
from runstead.capabilities.apps.service import AppsService
from runstead.kernel.errors import NotFoundError, UnprocessableError
from runstead.platform.http import actor_of, guard


class FileOperation(Operation):
    """The body is a file, as it is."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        self.request_body = RequestBody(
            required=True, content={"application/octet-stream": OpenAPIMediaType(schema=schema)}
        )


def file_routes(service: AppsService) -> Router:
    """What one may do with files."""
    assets = service.assets

    @get("/{app_id:str}/assets", guards=[guard("apps.read", each=True)], summary="The files of an app")
    async def list_files(request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        app = await service.get(id_of(app_id))
        return {"assets": [one.as_json() for one in await assets.list(app.id)]}

    @get(
        "/{app_id:str}/assets/{name:path}",
        guards=[guard("apps.read", each=True)],
        summary="A file, or its versions",
        media_type=MediaType.TEXT,
    )
    async def get_file(
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        name: FromPath[str],
        versions: Annotated[bool, QueryParameter(description="Its versions instead of its content.")] = False,
    ) -> Response[Any]:
        await insist(service, request, app_id, "apps.read")
        app = await service.get(id_of(app_id))
        known = name.strip("/")
        if versions:
            found = await assets.versions(app.id, known)
            if not found:
                raise NotFoundError
            return Response({"versions": [one.as_json() for one in found]}, media_type=MediaType.JSON)
        asset = await assets.find(app.id, known)
        if asset is None:
            raise NotFoundError
        # Never shown as a page of ours: who may write an app's files may not act as who looks at them.
        headers = {"ETag": f'"{asset.digest[:32]}"', "Content-Disposition": "attachment"}
        return Response(await assets.content(app.id, asset.digest), media_type=asset.mime, headers=headers)

    @put(
        "/{app_id:str}/assets/{name:path}",
        guards=[guard("apps.assets", each=True)],
        summary="Put a new version of a file",
        opt={"body_max_bytes": ASSET_BYTES_MAX},
        operation_class=FileOperation,
        status_code=200,
    )
    async def put_file(
        request: Request[Any, Any, Any], app_id: FromPath[str], name: FromPath[str]
    ) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.assets")
        app = await service.get(id_of(app_id))
        try:
            asset_name(name)
        except UnprocessableError as error:
            # There is no such place.
            raise NotFoundError(error.message) from error
        kind = request.headers.get("content-type", "")
        mime = "" if kind.startswith("application/octet-stream") else kind
        kept = await assets.put(
            app.id, name, await request.body(), mime=mime, author=str(actor_of(request.scope))
        )
        return kept.as_json()

    @delete(
        "/{app_id:str}/assets/{name:path}",
        guards=[guard("apps.assets", each=True)],
        summary="Remove a file; its versions stay",
        status_code=204,
    )
    async def delete_file(
        request: Request[Any, Any, Any], app_id: FromPath[str], name: FromPath[str]
    ) -> None:
        await insist(service, request, app_id, "apps.assets")
        app = await service.get(id_of(app_id))
        if not await assets.remove(app.id, name.strip("/"), author=str(actor_of(request.scope))):
            raise NotFoundError

    return Router(
        path="/api/apps", route_handlers=[list_files, get_file, put_file, delete_file], tags=["apps"]
    )

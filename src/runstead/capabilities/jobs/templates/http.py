"""The routes below /api/templates."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from runstead.capabilities.jobs.access import found
from runstead.capabilities.jobs.ports import Secrets
from runstead.capabilities.jobs.secrets import permit
from runstead.capabilities.jobs.templates.model import Definition, Name, Template, schema_of
from runstead.capabilities.jobs.templates.service import Templates
from runstead.kernel.clock import rfc3339
from runstead.kernel.limits import MIB
from runstead.platform.http import actor_of, guard
from runstead.platform.identity import Resource, allow

_AnyRequest = Request[Any, Any, Any]
#: Files come in base64 within the body.
RUN_BYTES_MAX = 24 * MIB
_REFUSED = {
    409: ResponseSpec(
        None, description="There is one of that name, or its parts do not fit; the details name the field."
    ),
    422: ResponseSpec(None, description="The command is not one that may be run."),
}


class NewTemplate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A template and its name."""

    name: Name
    definition: Definition


class RunTemplate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a run is given."""

    params: Annotated[dict[str, Any], Meta(max_length=50)] = {}


class TemplateView(Struct, kw_only=True):
    """A template, and the JSON Schema of what a run has to be given."""

    name: str
    definition: Definition
    schema: dict[str, Any]
    owner: str
    created_at: str
    updated_at: str


class TemplateList(Struct):
    """Templates by name."""

    templates: list[TemplateView]


def template_routes(templates: Templates, *, secrets: Secrets | None) -> Router:
    """The router."""

    @get("/", summary="Templates", guards=[guard("templates.read", each=True)])
    async def list_templates(request: _AnyRequest) -> TemplateList:
        actor = actor_of(request.scope)
        shown = [
            one for one in await templates.all() if allow(actor, "templates.read", _resource(one)).allowed
        ]
        return TemplateList([_view(one) for one in shown])

    @get("/{template:str}", summary="One template", guards=[guard("templates.read", each=True)])
    async def get_template(request: _AnyRequest, template: FromPath[str]) -> TemplateView:
        return _view(await _permitted(templates, request, template, "templates.read"))

    @post(
        "/",
        summary="Make a template",
        guards=[guard("jobs.start"), guard("templates.create")],
        responses=_REFUSED,
    )
    async def create_template(request: _AnyRequest, data: JSONBody[NewTemplate]) -> Response[TemplateView]:
        actor = actor_of(request.scope)
        await permit(actor, data.definition.env, secrets)
        made = await templates.create(data.name, data.definition, owner=str(actor))
        return Response(_view(made), status_code=201, headers={"Location": f"/api/templates/{made.name}"})

    @put(
        "/{template:str}",
        summary="Another definition",
        guards=[guard("templates.write", each=True)],
        responses=_REFUSED,
    )
    async def replace_template(
        request: _AnyRequest, template: FromPath[str], data: JSONBody[Definition]
    ) -> TemplateView:
        await _permitted(templates, request, template, "templates.write")
        actor = actor_of(request.scope)
        await permit(actor, data.env, secrets)
        return _view(await templates.replace(template, data, by=str(actor)))

    @delete("/{template:str}", summary="Remove a template", guards=[guard("templates.write", each=True)])
    async def delete_template(request: _AnyRequest, template: FromPath[str]) -> None:
        await _permitted(templates, request, template, "templates.write")
        await templates.delete(template)

    @post(
        "/{template:str}/run",
        summary="Start a job from a template",
        guards=[guard("templates.run", each=True)],
        opt={"body_max_bytes": RUN_BYTES_MAX},
        responses=_REFUSED,
    )
    async def run_template(
        request: _AnyRequest, template: FromPath[str], data: JSONBody[RunTemplate | None] = None
    ) -> Response[dict[str, Any]]:
        await _permitted(templates, request, template, "templates.run")
        params = data.params if data is not None else {}
        job = await templates.run(template, params, owner=str(actor_of(request.scope)))
        return Response(job.as_json(), status_code=201, headers={"Location": f"/api/scripts/{job.id}"})

    handlers = [
        list_templates,
        get_template,
        create_template,
        replace_template,
        delete_template,
        run_template,
    ]
    return Router(path="/api/templates", route_handlers=handlers, tags=["jobs"])


async def _permitted(templates: Templates, request: _AnyRequest, name: str, action: str) -> Template:
    return await found(request, action, templates.get(name), _resource)


def _resource(one: Template) -> Resource:
    return Resource("template", one.name, one.owner)


def _view(one: Template) -> TemplateView:
    return TemplateView(
        name=one.name,
        definition=one.definition,
        schema=schema_of(one.definition),
        owner=one.owner,
        created_at=rfc3339(one.created_at),
        updated_at=rfc3339(one.updated_at),
    )

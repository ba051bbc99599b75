"""Every operation of the API description, with a value for each of its parameters: what attacks start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
from tests.acceptance.house import House

_ID: Final = "0192f0c1-7b1a-7000-8000-000000000000"
METHODS: Final = ("get", "put", "post", "delete", "patch")
#: Bodies of operations whose fields are texts; attacks replace one text at a time.
BODIES: Final[Mapping[str, dict[str, Any]]] = {
    "POST /auth/login": {"name": "ada", "password": "x"},
    "POST /auth/join": {"link": "x", "name": "ada", "password": "x"},
    "POST /auth/setup": {"link": "x", "name": "ada", "password": "x"},
    "POST /auth/reset": {"link": "x", "password": "x"},
    "POST /auth/passkey": {"state": "x", "credential": {"id": "x"}},
    "POST /api/users": {"name": "x", "mail": "x@example.org"},
    "POST /api/groups": {"name": "x"},
    "POST /api/grants": {"subject": "user:1", "permission": "apps.read", "resource": "app:x"},
    "POST /api/links": {"mail": "x@example.org"},
    "POST /api/limits/addresses": {"kind": "allow", "network": "203.0.113.9", "reason": "x"},
    "POST /editor/api/secrets": {"id": "x", "value": "x", "description": "x"},
    "PUT /editor/api/secrets/{secret_id}": {"value": "x", "description": "x"},
    "POST /admin/projects": {"slug": "x", "name": "x"},
    "POST /api/scripts": {"command": "true", "label": "x"},
    "POST /wordcount": {"params": {"text": "x"}},
    "POST /api/endpoints/{name}/try": {"params": {"text": "x"}},
}


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def parameters(self, place: str) -> list[str]:
        return [one["name"] for one in self.described.get("parameters", ()) if one["in"] == place]


def every(world: House) -> list[Operation]:
    return [
        Operation(method, path, item[method])
        for path, item in sorted(world.paths.items())
        for method in METHODS
        if method in item
    ]


@dataclass(frozen=True)
class Attempt:
    """A request in which one text is hostile."""

    operation: Operation
    where: str
    method: str
    url: str
    query: Mapping[str, str]
    body: Any

    async def send(self, client: httpx.AsyncClient) -> httpx.Response:
        options: dict[str, Any] = {"json": self.body} if self.body is not None else {}
        return await client.request(self.method.upper(), self.url, params=self.query, **options)

    def __str__(self) -> str:
        return f"{self.operation.name} {self.where}"


def attempts(world: House, text: str) -> Iterator[Attempt]:
    """One for each parameter and each text of a body."""
    for operation in every(world):
        names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
        values = {name: world.values.get(name, _ID) for name in names}
        good, body = _filled(operation.path, values), BODIES.get(operation.name)
        for name in names:
            url = _filled(operation.path, values | {name: text})
            yield Attempt(operation, f"path {name}", operation.method, url, {}, body)
        for name in operation.parameters("query"):
            yield Attempt(operation, f"query {name}", operation.method, good, {name: text}, body)
        for where, changed in _with_text(body, text):
            yield Attempt(operation, f"body {where}", operation.method, good, {}, changed)


def _filled(path: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return path


def _with_text(body: Any, text: str) -> Iterator[tuple[str, Any]]:
    if isinstance(body, dict):
        for key, value in body.items():
            if isinstance(value, str):
                yield key, {**body, key: text}
            for where, changed in _with_text(value, text):
                yield f"{key}.{where}", {**body, key: changed}

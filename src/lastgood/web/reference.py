"""The API's reference page, made from the same OpenAPI description that ``/docs/openapi.json`` gives to programs.

The one rule: nothing is written here by hand that the routes say themselves, and nothing is fetched from elsewhere.
Follows OpenAPI 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.openapi import OpenAPIConfig

from lastgood import __version__
from lastgood.web.render import Json, page

_METHODS = ("get", "post", "patch", "put", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A parameter or field: its name, its type in words, whether it must be given, and what it means."""

    name: str
    kind: str
    required: bool
    place: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path. ``body`` and ``answer`` name shapes, None where there is none."""

    method: str
    path: str
    summary: str
    group: str
    rows: tuple[Row, ...]
    body: str | None
    answer: str | None
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    name: str
    meaning: str
    rows: tuple[Row, ...]
    values: tuple[str, ...]


@get("/docs", include_in_schema=False)
async def reference_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    schema = request.app.state.description()
    groups: dict[str, list[Operation]] = {}
    for operation in operations(schema):
        groups.setdefault(operation.group, []).append(operation)
    return page(request, "reference.html", groups=groups, shapes=shapes(schema))


@get("/docs/openapi.json", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> Response[Any]:
    return Json(request.app.state.description())


@lru_cache(maxsize=1)
def describe(routes: tuple[Any, ...]) -> dict[str, Any]:
    """The OpenAPI description of these routes, made once, by an application that answers nobody."""
    config = OpenAPIConfig(
        title="lastgood",
        version=__version__,
        description="Hosts, sources, repositories, runs and alerts of one hub.",
    )
    return Litestar(list(routes), openapi_config=config, logging_config=None).openapi_schema.to_schema()


def operations(schema: dict[str, Any]) -> list[Operation]:
    return [
        _operation(path, method, item[method])
        for path, item in sorted(schema["paths"].items())
        for method in _METHODS
        if method in item
    ]


def shapes(schema: dict[str, Any]) -> list[Shape]:
    """Every named shape that requests or answers are made of."""
    named = schema.get("components", {}).get("schemas", {})
    return [_shape(name, said) for name, said in sorted(named.items())]


def _operation(path: str, method: str, said: dict[str, Any]) -> Operation:
    status, answer = next((code, shown) for code, shown in sorted(said["responses"].items()) if code.startswith("2"))
    rows = [
        Row(
            name=parameter["name"],
            kind=words(parameter.get("schema", {})),
            required=parameter.get("required", False),
            place=parameter["in"],
            meaning=parameter.get("description", ""),
        )
        for parameter in said.get("parameters", ())
    ]
    return Operation(
        method=method.upper(),
        path=path,
        summary=said.get("summary", ""),
        group=(said.get("tags") or ["other"])[0],
        rows=tuple(rows),
        body=_content(said.get("requestBody", {})),
        answer=_content(answer),
        status=status,
    )


def _content(said: dict[str, Any]) -> str | None:
    content = said.get("content", {}).get("application/json")
    return None if content is None else words(content.get("schema", {}))


def _shape(name: str, said: dict[str, Any]) -> Shape:
    required = set(said.get("required", ()))
    rows = [
        Row(
            name=field,
            kind=words(kind),
            required=field in required,
            place="body",
            meaning=kind.get("description", ""),
        )
        for field, kind in said.get("properties", {}).items()
    ]
    values = tuple(str(value) for value in said.get("enum", ()))
    # Of an enumeration's docstring the first clause is for readers of the API, the rest for readers of the code.
    meaning = said.get("description", "").partition(";")[0].rstrip(".")
    return Shape(name=name, meaning=meaning, rows=tuple(rows), values=values)


def words(kind: dict[str, Any]) -> str:
    """A type as a person reads it: ``text or null``, ``list of SourceReading``."""
    if "$ref" in kind:
        return str(kind["$ref"]).rpartition("/")[2]
    if "oneOf" in kind or "anyOf" in kind:
        return " or ".join(dict.fromkeys(words(member) for member in kind.get("oneOf") or kind["anyOf"]))
    said = kind.get("type")
    if isinstance(said, list):
        return " or ".join(words(kind | {"type": one}) for one in said)
    if said == "array":
        return f"list of {words(kind.get('items', {}))}"
    if said == "string":
        return {"date-time": "moment"}.get(kind.get("format", ""), "text")
    return {"boolean": "true or false", "object": "map"}.get(str(said), str(said or "anything"))


ROUTES = (reference_page, openapi)

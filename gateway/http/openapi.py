"""GET /openapi.json: the interface as OpenAPI 3.1, made from the list of routes and their pydantic models."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from events.cloudevents import BATCH
from gateway.http.models import ProblemOut
from gateway.http.params import parameter_names
from gateway.http.route import JSON, Call, Route, answer
from gateway.problems import MEDIA_TYPE
from gateway.tokens import SCOPES

VERSION: Final = "1"
"""Of the interface: the `v1` in its paths."""

TIMES: Final = "Integers of the format `unix-time-us` are times: microseconds since 1970 (UTC). Events have RFC 3339."

_PARAMETER = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^}]*\})*))?\}")


async def openapi(call: Call) -> web.Response:
    """The document, made once."""
    from gateway.http.routes import ROUTES

    return answer(_encoded(ROUTES))


@cache
def _encoded(routes: tuple[Route, ...]) -> bytes:
    return msgspec.json.encode(document(routes))


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    models = {model for route in routes for model in (route.body, route.answer) if model} | {ProblemOut}
    order = sorted(models, key=lambda model: model.__name__)
    references, definitions = models_json_schema(
        [(model, "serialization") for model in order], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[type[BaseModel], dict[str, Any]] = {model: references[model, "serialization"] for model in order}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Thespis",
            "version": VERSION,
            "description": "Publish events, speak to actors, query projections, follow the log. " + TIMES,
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Scopes: " + "; ".join(f"`{name}`: {meaning}" for name, meaning in SCOPES.items()),
                }
            },
            "responses": {
                "Problem": {
                    "description": "What is wrong, and the way out (RFC 9457)",
                    "content": {MEDIA_TYPE: {"schema": schemas[ProblemOut]}},
                }
            },
        },
    }


def _operation(route: Route, schemas: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schemas[route.answer]} if route.answer else {}
    status = "202" if route.path.endswith("/rebuild") else "200"
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {
            status: {"description": "Done", "content": {route.produces: content}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if route.answer and route.answer.__name__ == "ReadyOut":
        operation["responses"]["503"] = {"description": "Not ready", "content": {JSON: content}}
    if route.scope:
        operation["security"] = [{"token": [route.scope]}, {}]
        operation["description"] = f"Needs the scope `{route.scope}`; on a tokenless loopback door everybody has it."
    if route.body is not None:
        schema = schemas[route.body]
        operation["requestBody"] = {
            "required": True,
            "content": {media: {"schema": _body_schema(media, schema)} for media in route.consumes},
        }
    return operation


def _body_schema(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    if media == BATCH:
        return {"type": "array", "items": schema}
    if media == "*/*":
        return {"description": "the data of a CloudEvent in binary mode, its attributes in ce- headers"}
    return schema


def _operation_id(route: Route) -> str:
    words = [word for word in re.split(r"[^a-z0-9]+", _PARAMETER.sub("", route.path)) if word not in ("", "v1", "json")]
    names = [name for name, _ in _PARAMETER.findall(route.path)]
    return "_".join([route.method.lower(), *words, *(["by", *names] if names else [])])


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, pattern in _PARAMETER.findall(route.path):
        schema: dict[str, Any] = {"type": "string"}
        if pattern and pattern != ".+":
            schema["pattern"] = f"^{pattern}$"
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    properties: dict[str, Any] = route.query.model_json_schema(mode="validation").get("properties", {})
    for name in parameter_names(route.query):
        schema = {key: value for key, value in properties[name].items() if key not in ("title", "description")}
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": False, "schema": schema}
        if meaning := properties[name].get("description"):
            parameter["description"] = meaning
        found.append(parameter)
    for name, meaning in route.headers:
        schema = {"type": "string"}
        found.append({"name": name, "in": "header", "required": False, "schema": schema, "description": meaning})
    return found

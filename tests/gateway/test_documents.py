"""What the door says about itself is true: OpenAPI, the error table, the README, the settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from events import errors
from events.errors import InvalidSetting, ThespisError
from gateway import problems
from gateway.http.models import ActorRow
from gateway.http.openapi import document
from gateway.http.route import Route
from gateway.http.routes import ROUTES
from gateway.problems import PROBLEMS, exit_code, problem, row
from gateway.settings import Settings, from_environment, names
from gateway.tokens import SCOPES
from tests.gateway.site import Site, event

README = Path(__file__).parents[2] / "gateway" / "http" / "README.md"


def plain(path: str) -> str:
    """A route's path without regular expressions."""
    return re.sub(r"\{(\w+)(:[^}]*)?\}", r"{\1}", path)


def everything(error: type[ThespisError]) -> set[type[ThespisError]]:
    return {error}.union(*(everything(sub) for sub in error.__subclasses__()))


OTHER_UNITS = {
    ("ActorOut", "at"), ("ActorRow", "forked_at"), ("RunOut", "at"),  # versions
    ("AgentModelOut", "created"), ("CompletionOut", "created"),  # seconds, as OpenAI's protocol has it
}  # fmt: skip
TIMES = re.compile(r"at|.*_at|since|.*_since|until|.*_until|began|ended|created")


def test_every_time_of_an_answer_says_its_unit() -> None:
    schemas = document(ROUTES)["components"]["schemas"]
    found: set[tuple[str, str]] = set()
    for name, schema in schemas.items():
        for field, about in schema.get("properties", {}).items():
            forms = [about, *about.get("anyOf", [])]
            if TIMES.fullmatch(field) and any(form.get("type") == "integer" for form in forms):
                found.add((name, field))
                timed = any(form.get("format") == "unix-time-us" for form in forms)
                assert timed != ((name, field) in OTHER_UNITS), f"{name}.{field}"
    assert found > OTHER_UNITS
    assert ("ActorRow", "last_at") in found


def test_every_error_of_the_tree_is_in_the_table() -> None:
    ours = {e for e in everything(ThespisError) if e.__module__ in (errors.__name__, problems.__name__)}
    assert ours == set(PROBLEMS)


def test_every_error_has_a_code_of_its_own_a_status_and_a_way_out() -> None:
    codes: dict[str, type[ThespisError]] = {}
    for error, found in PROBLEMS.items():
        assert 400 <= found.status <= 599
        assert 0 < found.exit < 128
        assert found.title
        assert found.advice
        if error is not problems.Declined:
            assert codes.setdefault(error.code, error) is error
        assert exit_code(error.code) == row(error).exit


def test_a_problem_document_has_the_members_of_the_rfc_and_ours() -> None:
    document = problem(errors.Busy("full", hint="wait", retry_after=2.0))
    assert document.keys() == {"type", "title", "status", "detail", "code", "hint", "retry_after"}
    assert problem(errors.NotFound("x"))["hint"], "the table gives advice where the error has none"
    hidden = problem(RuntimeError("secret"), incident="i-1")
    assert (hidden["code"], hidden["status"], "secret" in str(hidden)) == ("internal", 500, False)


def test_the_document_is_proper_openapi() -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document(ROUTES))


def test_every_schema_and_reference_of_the_document_holds() -> None:
    made = document(ROUTES)

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target: Any = made
                for step in node["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
            if isinstance(node.get("schema"), dict):
                Draft202012Validator.check_schema(node["schema"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(made)
    for schema in made["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_route_is_in_the_document_with_an_operation_of_its_own() -> None:
    made = document(ROUTES)
    operations = {(m.upper(), p): op for p, ops in made["paths"].items() for m, op in ops.items()}
    assert set(operations) == {(route.method, plain(route.path)) for route in ROUTES}
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for route in ROUTES:
        operation = operations[route.method, plain(route.path)]
        declared = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", plain(route.path)))
        assert bool(operation.get("security")) == bool(route.scope)
        assert not route.scope or route.scope in SCOPES


def test_the_readme_has_a_line_for_every_route_and_none_besides() -> None:
    lines = re.findall(r"^\| `(\w+) ([^`]+)` \| `?([^|`]*)`? \|", README.read_text(), re.MULTILINE)
    assert [(m, p, s.strip()) for m, p, s in lines] == [(r.method, plain(r.path), r.scope or "none") for r in ROUTES]


def test_the_readme_has_a_line_for_every_setting_and_none_besides() -> None:
    lines = re.findall(r"^\| `(THESPIS_\w+)` \| `?([^|`]*)`? \| ([^|]+) \|$", README.read_text(), re.MULTILINE)
    defaults = {f"THESPIS_{name.upper()}": getattr(Settings(), name) for name in Settings.__slots__}
    assert {name: meaning for name, _, meaning in lines} == names()
    assert {name: default for name, default, _ in lines} == {name: str(value) for name, value in defaults.items()}


async def test_what_is_served_is_what_the_document_says(site: Site) -> None:
    made = await site.get("/openapi.json")
    assert made == document(ROUTES)
    await site.publish(event("a"))
    await site.ask("counter/one", {"amount": 1})
    head = await site.store.head()

    def check(path: str, body: Any, method: str = "get", status: str = "200") -> None:
        content = made["paths"][path][method]["responses"][status]["content"]
        schema = {**content["application/json"]["schema"], "components": made["components"]}
        Draft202012Validator(schema).validate(body)

    check("/v1/events", await site.get("/v1/events"))
    check("/v1/events/{position}", await site.get("/v1/events/1"))
    actors = await site.get(f"/v1/actors?wait={head}")
    check("/v1/actors", actors)
    assert {name for row in actors["actors"] for name in row} == set(ActorRow.model_fields)
    check("/v1/actors/{kind}/{id}", await site.get("/v1/actors/counter/one"))
    check("/v1/projections", await site.get("/v1/projections"))
    check("/v1/projections/{name}", await site.get(f"/v1/projections/events?wait={head}"))
    check("/v1/lineage/{event_id}", await site.get("/v1/lineage/a"))
    check("/healthz", await site.get("/healthz"))
    check("/readyz", await site.get("/readyz"))
    check("/v1/actors/{kind}/{id}/ask", (await site.ask("counter/one", {"amount": 1}))[1], "post")
    check("/v1/events", (await site.publish(event("b")))[1], "post")
    _, _, body = await site.call("POST", "/v1/projections/events/rebuild")
    check("/v1/projections/{name}/rebuild", body, "post", "202")
    _, _, body = await site.call("GET", "/nowhere")
    Draft202012Validator({**made["components"]["schemas"]["ProblemOut"], "components": made["components"]}).validate(
        body
    )


def test_routes_are_values() -> None:
    assert all(isinstance(route, Route) for route in ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_settings_come_from_the_environment_and_the_command_line_wins() -> None:
    found = from_environment({"THESPIS_PORT": "1", "THESPIS_REQUIRE_TOKEN": "yes", "THESPIS_URL": "x", "HOME": "/"})
    assert (found.port, found.require_token) == (1, True)
    assert from_environment({"THESPIS_PORT": "1"}, port=2, host=None).port == 2


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("THESPIS_PROT", "1", "THESPIS_PORT"),
        ("THESPIS_PORT", "many", "THESPIS_PORT"),
        ("THESPIS_PORT", "-1", "THESPIS_PORT"),
        ("THESPIS_RATE", "nan", "THESPIS_RATE"),
        ("THESPIS_REQUIRE_TOKEN", "perhaps", "THESPIS_REQUIRE_TOKEN"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        from_environment({name: value})
    assert says in refused.value.message + refused.value.hint

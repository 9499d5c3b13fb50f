"""Hints say what to do where they are read: commands in the terminal, routes over HTTP."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.errors import NotFound, Parked
from gateway.cli.http import problem_error
from gateway.cli.tree import PATHS
from gateway.http.routes import ROUTES
from gateway.problems import problem
from gateway.ways import WAYS, in_terminal, over_http

ROOT = Path(__file__).parents[2]
PLACES = [re.compile(f"{r.method} {re.sub(r'{[^}]*}', '[^ ]+', r.path)}") for r in ROUTES]
ROUTE = re.compile(r"(?:(?:GET|POST|PUT|DELETE) )?/v1/[^\s`]*")


def text(node: ast.expr) -> str:
    """What a hint says, with x for what is put into it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
    if isinstance(node, ast.IfExp):
        return f"{text(node.body)} {text(node.orelse)}"
    return ""


def hints() -> Iterator[tuple[str, str]]:
    """(where, text) of every hint in the source, and of every advice in the table of errors."""
    for package in ("events", "actors", "projections", "infra", "gateway"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                found: list[ast.expr] = []
                if isinstance(node, ast.Call):
                    found = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
                    found += node.args if isinstance(node.func, ast.Name) and node.func.id == "Row" else []
                elif isinstance(node, ast.Assign) and any("hint" in ast.unparse(t).lower() for t in node.targets):
                    found = [node.value]
                for value in found:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text(value)


def is_command(words: str) -> bool:
    parts = words.removeprefix("thespis ").split()
    return any(" ".join(parts[:n]) in PATHS for n in range(1, len(parts) + 1))


@pytest.mark.parametrize(("command", "route"), WAYS)
def test_a_way_leads_somewhere_on_both_sides(command: str, route: str) -> None:
    if command.startswith("thespis "):
        assert is_command(command)
        path = route.partition("?")[0].replace("ADDRESS", "kind/id")
        assert any(place.fullmatch(path) for place in PLACES)
    assert over_http(f"see `{command}`") == f"see `{route}`"
    assert in_terminal(f"see `{route}`") == f"see `{command}`"


def test_hints_name_routes_and_commands_so_that_they_can_be_told_in_the_other_way() -> None:
    seen = 0
    for where, said in hints():
        for words in re.findall(r"`(thespis [^`]+)`", said):
            assert is_command(words), f"{where}: there is no command {words!r}"
            seen += 1
        assert not ROUTE.search(re.sub("`[^`]*`", "", said)), f"{where}: a route stands without backticks: {said!r}"
        for words in re.findall(r"`((?:GET|POST|PUT|DELETE) [^`]+)`", said):
            assert in_terminal(f"`{words}`") != f"`{words}`", f"{where}: {words!r} has no line in gateway/ways.py"
            seen += 1
    assert seen > 30


def test_values_are_written_as_the_other_side_writes_them() -> None:
    assert over_http("`thespis actors resume run/7:2`") == "`POST /v1/actors/run/7:2/resume`"
    assert over_http("`thespis runs show 'a b'`") == "`thespis runs show 'a b'`", "what is not understood stays"
    assert (
        in_terminal("`GET /v1/runs/a%20b` and `GET /v1/nothing`") == "`thespis runs show 'a b'` and `GET /v1/nothing`"
    )
    assert over_http("`thespis log verify` proves it") == "`thespis log verify` proves it", "there is no route for it"


def test_a_problem_is_told_in_the_words_of_the_place_it_is_read_in() -> None:
    import msgspec

    missing = NotFound("no projection x", hint="`thespis projections list` names them")
    document = problem(missing)
    assert document["hint"] == "`GET /v1/projections` names them"
    assert problem_error(404, msgspec.json.encode(document)).hint == missing.hint
    parked = problem(Parked("account/ada is parked"))
    assert "`POST /v1/actors/ADDRESS/resume`" in parked["hint"]

from __future__ import annotations

import msgspec
import pytest

from actors.workflows.tasks import Catalogue, Task
from tests.workflows.broken_definitions import BROKEN, Row
from tests.workflows.broken_steps import BROKEN_STEPS
from tests.workflows.definitions import problems


@pytest.mark.parametrize(("text", "expected"), [*BROKEN, *BROKEN_STEPS])
def test_everything_that_is_wrong_is_told_at_once_where_it_is_and_how_to_go_on(text: str, expected: list[Row]) -> None:
    found = problems(text)
    assert [(p.line, p.column, p.pointer) for p in found] == [row[:3] for row in expected]
    for problem, (_, _, _, message, hint) in zip(found, expected, strict=True):
        assert problem.message.startswith(message)
        assert problem.hint.startswith(hint)
        assert bool(problem.hint) == bool(hint)


class Wanted(msgspec.Struct):
    path: str
    size: int = 0


def test_what_a_task_cannot_take_is_told_before_the_run() -> None:
    def read_file(wanted: object) -> None:
        """Reads."""

    tasks = Catalogue([Task("files.read", read_file, input=Wanted, version=2)])
    text = """\
name: w
steps:
  a: {task: files.raed}
  b: {task: files.read@1, with: {path: x}}
  c: {task: files.read, with: {paht: x, size: "3"}}
  d: {task: files.read, with: {path: "${ run.id }", size: "${ 3 }"}}
  e: {task: files.read, with: [1]}
  f: {task: files.read, with: "${ {'path': 'x'} }", undo: {task: files.read, with: {size: 1}}}
"""
    assert [(p.line, p.pointer, p.message, p.hint) for p in problems(text, tasks)] == [
        (3, "/steps/a/task", "no task 'files.raed' here", "did you mean files.read?"),
        (4, "/steps/b/task", "no task 'files.read@1' here", "there is files.read@2"),
        (5, "/steps/c/with", "files.read@2 needs path", ""),
        (5, "/steps/c/with/paht", "files.read@2 takes no 'paht'", "did you mean path?"),
        (5, "/steps/c/with/size", "'3' is not of type 'integer'", ""),
        (7, "/steps/e/with", "files.read@2 takes a map", ""),
        (8, "/steps/f/undo/with", "files.read@2 needs path", ""),
    ]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("{$ref: '#/$defs/x'}", "there is no '#/$defs/x' in this schema"),
        ("{$ref: '#'}", "refers to itself without end"),
        ("{pattern: '['}", "is no regular expression"),
        ("{patternProperties: {'(': true}}", "is no regular expression"),
        ("{$ref: 'file:///etc/passwd'}", "a schema cannot refer to"),
    ],
)
def test_schemas_that_nothing_can_be_checked_against_are_refused(schema: str, said: str) -> None:
    found = problems(f"name: w\ninputs: {{a: {schema}}}\nsteps: {{a: {{task: t}}}}")
    assert len(found) == 1
    assert said in found[0].message

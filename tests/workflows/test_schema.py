from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from actors.workflows.definition import json_schema, read
from tests.workflows.definitions import EVERYTHING, compiled, definitions

SCHEMA = json_schema()
VALIDATOR: Any = Draft202012Validator(SCHEMA)


def test_the_schema_is_one_of_2020_12() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


def test_its_examples_and_the_definition_that_uses_everything_are_valid() -> None:
    for example in SCHEMA["examples"]:
        VALIDATOR.validate(example)
    VALIDATOR.validate(read(EVERYTHING).value)


def test_its_example_is_a_definition() -> None:
    from actors.workflows.definition.writing import dump

    assert compiled(dump(SCHEMA["examples"][0])).plan.name == "digest"


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_valid_definitions_are_valid_by_the_schema(value: dict[str, Any]) -> None:
    VALIDATOR.validate(value)


@pytest.mark.parametrize(
    "text",
    [
        "steps: {}",
        "name: Bad Name",
        "name: w\nstpes: {}",
        "name: w\nsteps: {a: {task: t, nedds: [b]}}",
        "name: w\nsteps: {a: {task: t, value: 1}}",
        "name: w\nsteps: {a: {description: nothing to do}}",
        "name: w\nsteps: {a: {task: t, priority: 12}}",
        "name: w\nsteps: {a: {task: t, retry: {attempts: 0}}}",
        "name: w\nsteps: {a: {task: t, retry: soon}}",
        "name: w\nsteps: {a: {task: t, trigger: sometimes}}",
        "name: w\nsteps: {a: {task: t, map: {over: [], tolerate: 10}, optional: yes}}",
        "name: w\nsteps: {a: {value: 1, loop: {until: x}}}",
        "name: w\nschedule: {zone: UTC}",
        "name: w\ninputs: {a: strng}",
        "name: w\npolicy: sometimes",
        "name: w\nassets: {a: {make: {}}}",
    ],
)
def test_broken_definitions_fail_by_the_schema(text: str) -> None:
    assert not VALIDATOR.is_valid(read(text).value)


@pytest.mark.parametrize(
    "step",
    [
        "{task: t, retry: 3}", "{task: t, timeout: 5s}", "{task: t, needs: a}", "{task: t, needs: [a]}", "{wait: 5m}",
        "{wait: {event: X, match: event.ok}}", "{approve: hello}", "{map: [1, 2], value: 1}", "{task: t, limits: db}",
        "{task: t, produces: a}", "{task: t, produces: [a, {asset: b}]}", "{task: t, undo: u}", "{value: null}",
        "{task: t, when: true}", "{task: t, x-note: 1}", "{steps: {b: {task: t}}, policy: continue}",
        "{steps: {b: {task: t}}, policy: {k_of_n: 1}}", "{switch: [{then: b}]}",
        "{task: t, catch: {on: lost, output: 1}}",
    ],
)  # fmt: skip
def test_short_forms_are_valid(step: str) -> None:
    VALIDATOR.validate(read(f"name: w\nschedule: 0 7 * * *\nsteps: {{x: {step}}}").value)


def test_every_field_is_described() -> None:
    for name, model in {"": SCHEMA, **SCHEMA["$defs"]}.items():
        whole = model["anyOf"][0] if "anyOf" in model else model
        assert model.get("description"), name
        for field, said in whole["properties"].items():
            assert said.get("description"), f"{name}.{field}"

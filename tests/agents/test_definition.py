"""Files of agents: everything that is wrong at once, what is right as a definition, instructions as text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from actors.agents.definition.compile import CompiledAgent, Known, compile_agent
from actors.agents.definition.document import read_agent
from actors.agents.definition.instructions import CannotRender, render
from actors.agents.definition.plan import Variable, decode_definition, encode_definition, hash_of
from actors.agents.definition.schema import json_schema
from actors.agents.variables import visible_values
from actors.workflows.definition import DefinitionInvalid, Problem
from events.models import ToolSpec
from tests.agents.broken_agents import BROKEN, Row, agent

TOOLS = {name: ToolSpec(name, name, {"type": "object"}) for name in ("files.read", "files.search", "files.write")}
KNOWN = Known(TOOLS, ["scripted"], ["mistral"], ["encoding", "secrets"], rates=lambda _model: ("0.1", "0.3"))

EVERYTHING = """\
---
name: librarian
description: Answers.
model: [mistral:small, scripted:files]
fallbacks: scripted:echo
temperature: 0.5
top_p: 0.9
max_tokens: 500
tools: [files.read, 'files.w*']
agents: [ben]
guardrails:
  inbound: encoding
  prompt: []
  output: [{rule: secrets, mode: redact, options: {least: 0.9}}]
  tool-call: secrets
  tool-result: [encoding, secrets]
  outbound: secrets
limits:
  steps: 3
  tool_calls: 4
  timeout: 1m30s
  stuck_after: 20s
  stuck_turns: 2
  waiting: 5
  at_once: 6
  queue: 7
  reasks: 1
  context: 8000
  sections: {variables: 100, summary: 200, history: 300, message: 400, results: 500}
output: {type: object, properties: {answer: {type: string}}}
variables:
  tone: {type: string, default: plain, merge: first, description: how}
  tenant.plan: {type: {enum: [free, pro]}, default: free}
  api_key: {secret: true}
  anything: {}
double_texting: merge
roles: [reader]
budgets: {tenant: 100, agent: {usd: "5.50", period: day}, conversation: 0.1, cause: $2}
summary: {by: model, above: 900}
estimate: 0.01
stream: false
files: [notes, docs/more]
metadata: {owner: ada}
x-anything: goes
---

You are {{ tone }}{% if tenant.plan == 'pro' %}, and thorough{% endif %}.
{{ anything | default('') }}
"""


def compiled(text: str, known: Known | None = KNOWN) -> CompiledAgent:
    return compile_agent(read_agent(text, "ada.agent.md"), known)


def problems(text: str | bytes, known: Known = KNOWN) -> list[Problem]:
    with pytest.raises(DefinitionInvalid) as caught:
        compile_agent(read_agent(text, "ada.agent.md"), known)
    return caught.value.problems


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_everything_that_is_wrong_is_told_at_once_where_it_is_and_how_to_go_on(text: str, expected: list[Row]) -> None:
    found = problems(text)
    assert [(p.line, p.column, p.pointer) for p in found] == [row[:3] for row in expected]
    for problem, (_, _, _, message, hint) in zip(found, expected, strict=True):
        assert problem.message.startswith(message)
        assert problem.hint.startswith(hint)
        assert bool(problem.hint) == bool(hint)


def test_bytes_that_are_no_utf8_and_files_that_are_too_large_are_told() -> None:
    assert problems(b"---\nname: a\n\xff: 1\n---\n")[0].message == "this is not UTF-8"
    assert problems("---\nname: a\n---\n" + "x" * 1_000_001)[0].message.endswith("1000000 are allowed")
    assert problems(agent("x-a: 1", "y" * 100_001))[0].message.endswith("100000 are allowed")


def test_a_definition_has_all_that_the_file_says() -> None:
    made = compiled(EVERYTHING)
    found = made.definition
    assert made.hash == hash_of(found)
    assert decode_definition(encode_definition(found)) == found
    assert (found.models, found.scripted) == (["scripted:files", "scripted:echo"], True)
    assert found.tools == ["files.read", "files.w*"]
    assert [spec.name for spec in found.tool_specs] == ["files.read", "files.write"]
    assert {edge: [(r.rule, r.mode) for r in rules] for edge, rules in found.guards.items()} == {
        "inbound": [("encoding", "block")],
        "output": [("secrets", "redact")],
        "tool-call": [("secrets", "block")],
        "tool-result": [("encoding", "block"), ("secrets", "block")],
        "outbound": [("secrets", "block")],
    }
    limits = found.limits
    assert (limits.max_steps, limits.max_tool_calls, limits.turn_timeout, limits.stuck_after) == (3, 4, 90.0, 20.0)
    assert (limits.waiting, limits.at_once, limits.queue, limits.reasks, limits.stuck_turns) == (5, 6, 7, 1, 2)
    assert (limits.context_tokens, limits.compact_above, limits.sections["results"]) == (8000, 900, 500)
    budgets = found.budgets
    assert (budgets.tenant, budgets.agent, budgets.conversation, budgets.cause) == ("100", "5.50", "0.1", "2")
    assert budgets.periods == {"agent": "day"}
    assert found.visible == ["anything", "tenant.plan", "tone"]
    assert found.variables["tone"] == Variable({"type": "string"}, "plain", False, "first")
    assert found.variables["api_key"].secret
    assert (found.output_schema or {})["type"] == "object"
    assert (found.double_texting, found.summary, found.estimate, found.stream) == ("merge", "model", "0.01", False)
    assert (found.files, found.agents, found.roles) == (["notes", "docs/more"], ["ben"], ["reader"])
    assert found.rates == {"scripted:files": ("0.1", "0.3"), "scripted:echo": ("0.1", "0.3")}
    assert found.instructions.startswith("You are {{ tone }}")


def test_the_hash_does_not_depend_on_the_order_of_maps_and_does_on_everything_else() -> None:
    one = compiled(agent("variables: {a: {default: 1}, b: {default: 2}}\nlimits: {steps: 3, reasks: 1}"))
    same = compiled(agent("limits: {reasks: 1, steps: 3}\nvariables: {b: {default: 2}, a: {default: 1}}"))
    other = compiled(agent("limits: {reasks: 1, steps: 4}\nvariables: {b: {default: 2}, a: {default: 1}}"))
    assert one.hash == same.hash != other.hash
    assert compiled(agent("x-note: a")).hash != compiled(agent("x-note: a", "Be rude.\n")).hash


def test_without_anything_known_names_are_taken_as_they_are() -> None:
    found = compiled("---\nname: ada\nmodel: other:x\ntools: [a, b.*]\nguardrails: {inbound: mine}\n---\nx\n", None)
    assert (found.definition.models, found.definition.scripted) == (["other:x"], False)


def test_lines_may_end_as_on_windows() -> None:
    assert compiled(agent("x-a: 1").replace("\n", "\r\n")).definition.name == "ada"


# -- the schema


VALIDATOR: Any = Draft202012Validator(json_schema())


def test_the_schema_is_one_of_2020_12_and_its_example_and_the_file_with_everything_fit() -> None:
    Draft202012Validator.check_schema(json_schema())
    for example in json_schema()["examples"]:
        VALIDATOR.validate(example)
        front = json.dumps(example)
        known = Known(TOOLS, ["scripted"], ["mistral"])
        assert compiled(f"---\n{front}\n---\nBe kind.\n", known).definition.name == "librarian"
    VALIDATOR.validate(read_agent(EVERYTHING).front.value)


@pytest.mark.parametrize(
    "front",
    [
        "tolos: x", "temperature: hot", "limits: {steps: 0}", "double_texting: ignore", "stream: 1",
        "guardrails: {inbund: x}", "tools: ['a b']", "budgets: {agent: {period: day}}", "variables: {'a b': string}",
        "output: objct", "summary: {by: hand}",
    ],
)  # fmt: skip
def test_broken_definitions_fail_by_the_schema(front: str) -> None:
    assert not VALIDATOR.is_valid(read_agent(agent(front)).front.value)


# -- instructions


def test_instructions_are_rendered_with_the_visible_variables_and_their_defaults() -> None:
    definition = compiled(EVERYTHING).definition
    values = visible_values(definition, {"tenant": {"plan": "pro", "tone": "loud"}, "conversation": {"tone": "warm"}})
    assert values == {"tone": "warm", "tenant.plan": "pro"}
    assert render(definition.instructions, values) == "You are warm, and thorough.\n\n"
    assert render(definition.instructions, visible_values(definition, {})) == "You are plain.\n\n"


def test_a_text_without_marks_is_what_it_is() -> None:
    assert render("100 % {sure}\n", {}) == "100 % {sure}\n"


@pytest.mark.parametrize(
    "text",
    [
        "{{ missing }}", "{{ a.__class__ }}", "{{ ''.__class__.__mro__ }}", "{{ a.upper() }}", "{{ 'a' * 1000000 }}",
        "{{ 2 ** 100000 }}", "{{ '%9999999d' % 1 }}", "{{ range(9) }}", "{{ cycler('a') }}", "{{ lipsum() }}",
        "{{ a | attr('x') }}", "{{ a | random }}", "{% include 'x' %}", "{% macro m() %}{% endmacro %}", "{{ a + 1 }}",
        "{% for x in a %}{% for y in a %}{% for z in a %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ [a] | map('attr', 'x') | list }}",
    ],
)  # fmt: skip
def test_nothing_else_can_be_done_in_them(text: str) -> None:
    with pytest.raises(CannotRender):
        render(text, {"a": "x"})


def test_instructions_do_not_grow_without_end() -> None:
    with pytest.raises(CannotRender, match="longer than"):
        render(
            "{% for x in a %}{% for y in a %}{{ b }}{% endfor %}{% endfor %}", {"a": list(range(600)), "b": "y" * 10}
        )


@given(st.dictionaries(st.sampled_from(["a", "b", "tenant.c"]), st.text() | st.integers() | st.lists(st.text())))
def test_the_same_variables_give_the_same_text(variables: dict[str, Any]) -> None:
    text = "{{ a | default('-') }} {{ b | default([]) | tojson }} {{ tenant.c | default('') }}"
    if "tenant.c" not in variables:
        text = text.replace("{{ tenant.c | default('') }}", "")
    assert render(text, variables) == render(text, dict(reversed(variables.items())))

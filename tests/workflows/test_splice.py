from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.workflows.definition import (
    CannotEdit,
    DefinitionInvalid,
    Document,
    compile_workflow,
    put,
    read,
    remove,
    rename_key,
    rename_step,
)
from tests.workflows.definitions import CEL, EVERYTHING
from tests.workflows.test_yaml import KEYS, VALUES
from tests.workflows.yaml_texts import written

TEXT = """\
# What it is
name: w   # a name

steps:
  # the first
  a: {task: t, needs: []}   # one line
  b:
    task: "t"    # quoted
    needs:
    - a
    with:
      x: 'it''s'   # kept
      y: |
        two
        lines

  # the last
  c: {value: "${ steps.b.output + steps['a'].output }"}
outputs: {r: "${ steps.b.output }"}  # end
"""


def _edited(pointer: str, value: Any, **where: Any) -> str:
    return put(read(TEXT), pointer, value, **where).text


@pytest.mark.parametrize(
    ("pointer", "value", "old", "new"),
    [
        ("/name", "other", "name: w   # a name", "name: other   # a name"),
        ("/steps/b/with/x", 3, "x: 'it''s'   # kept", "x: 3   # kept"),
        ("/steps/b/task", {"a": [1]}, 'task: "t"    # quoted', "task: {a: [1]}    # quoted"),
        ("/steps/a/needs", ["b"], "needs: []}   # one", "needs: [b]}   # one"),
        ("/steps/a/needs/-", "b", "needs: []}   # one", "needs: [b]}   # one"),
        ("/steps/a/when", "${ true }", "needs: []}   # one", 'needs: [], when: "${ true }"}   # one'),
        ("/steps/b/needs/1", "c", "    - a\n", "    - a\n    - c\n"),
        ("/steps/b/with/y", "x", "y: |\n        two\n        lines\n", "y: x\n"),
        ("/steps/b/with", {"z": [{"a": 1}]}, "x: 'it''s'   # kept\n      y: |\n        two\n        lines\n",
         "z:\n        - a: 1\n"),
        ("/steps/b/retry", {"attempts": 3, "on": ["lost"]}, "        lines\n",
         "        lines\n    retry:\n      attempts: 3\n      on: [lost]\n"),
        ("/grace", "5s", "outputs: {r: \"${ steps.b.output }\"}  # end\n",
         "outputs: {r: \"${ steps.b.output }\"}  # end\ngrace: \"5s\"\n"),
    ],
)  # fmt: skip
def test_setting_a_value_changes_nothing_else(pointer: str, value: Any, old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    assert _edited(pointer, value) == TEXT.replace(old, new)


def test_a_step_is_inserted_after_another_one_with_its_comment() -> None:
    line = "  a: {task: t, needs: []}   # one line\n"
    expected = TEXT.replace(line, f"{line}  d:\n    task: u\n    needs: [a]\n")
    assert _edited("/steps/d", {"task": "u", "needs": ["a"]}, after="a") == expected


@pytest.mark.parametrize(
    ("pointer", "old", "new"),
    [
        ("/steps/a", "  a: {task: t, needs: []}   # one line\n", ""),
        ("/steps/a/task", "task: t, ", ""),
        ("/steps/a/needs", ", needs: []", ""),
        ("/steps/b/needs/0", "    - a\n", "      []\n"),
        ("/steps/b/with/y", "      y: |\n        two\n        lines\n", ""),
        ("/steps/b/needs", "    needs:\n    - a\n", ""),
        ("/outputs", 'outputs: {r: "${ steps.b.output }"}  # end\n', ""),
        ("/outputs/r", '{r: "${ steps.b.output }"}', "{}"),
    ],
)
def test_removing_takes_the_lines_of_an_entry_only(pointer: str, old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    assert remove(read(TEXT), pointer).text == TEXT.replace(old, new)


def test_a_step_is_renamed_wherever_it_is_named() -> None:
    changed = rename_step(read(TEXT), "/steps/b", "count").text
    expected = TEXT.replace("  b:\n", "  count:\n").replace("${ steps.b.output + ", "${ steps.count.output + ")
    assert changed == expected.replace('r: "${ steps.b.output }"', 'r: "${ steps.count.output }"')
    changed = rename_step(read(TEXT), "/steps/a", "the-first").text
    assert "    - the-first\n" in changed
    assert "${ steps.b.output + steps['the-first'].output }" in changed
    compile_workflow(read(changed), CEL)


def test_renaming_respects_strings_fields_and_inner_steps_of_the_same_name() -> None:
    text = """\
name: w
steps:
  a: {value: {steps: {a: 1}}}
  s: {switch: [{when: "steps.a.output == 'steps.a'", then: [t]}, {then: u}]}
  t: {value: "${ steps.a.output.steps.a }"}
  u: {value: "not ours: steps.a"}
  g:
    needs: a
    steps:
      a: {value: 2}
      b: {value: "${ steps.a.output }"}
    output: "${ steps.a.output }"
    catch: {steps: {c: {value: "${ steps.a.status }"}}}
"""
    changed = rename_step(read(text), "/steps/a", "z").text
    assert changed == (
        text.replace("  a: {value: {steps", "  z: {value: {steps")
        .replace("when: \"steps.a.output == 'steps.a'\"", "when: \"steps.z.output == 'steps.a'\"")
        .replace("${ steps.a.output.steps.a }", "${ steps.z.output.steps.a }")
        .replace("needs: a\n", "needs: z\n")
        .replace("${ steps.a.status }", "${ steps.z.status }")
    )
    inner = rename_step(read(text), "/steps/g/steps/a", "z").text
    assert inner == (
        text.replace("      a: {value: 2}", "      z: {value: 2}")
        .replace('b: {value: "${ steps.a.output }"}', 'b: {value: "${ steps.z.output }"}')
        .replace('    output: "${ steps.a.output }"', '    output: "${ steps.z.output }"')
    )


@pytest.mark.parametrize("name", ["list", "measure", "choose", "shallow", "poll", "group", "agree", "grid", "pairs"])
def test_a_renamed_step_leaves_the_definition_valid_and_renaming_back_gives_the_same_plan(name: str) -> None:
    document = read(EVERYTHING)
    changed = rename_step(document, f"/steps/{name}", "renamed")
    plan = compile_workflow(changed, CEL).plan
    assert "renamed" in {s.name for s in plan.root.steps}
    back = rename_step(changed, "/steps/renamed", name)
    assert compile_workflow(back, CEL).plan == compile_workflow(document, CEL).plan


@pytest.mark.parametrize(
    ("text", "edit", "said"),
    [
        ("a: &x 1\nb: *x\n", ("put", "/a", 2), "anchor"),
        ("a: &x {c: 1}\nb: *x\n", ("put", "/b/c", 2), "alias"),
        ("a: &x {c: 1}\nb: *x\n", ("put", "/a/c", 2), "more than it should"),
        ("a: 1\n", ("put", "/b/c", 2), "there is no /b"),
        ("a: [1]\n", ("put", "/a/3", 2), "the list has 1 items"),
        ("a: 1\n", ("remove", "/b"), "there is no /b"),
        ("a: 1\nb: 2\n", ("rename", "/a", "b"), "there is a 'b' already"),
    ],
)
def test_an_edit_that_would_say_something_else_is_refused(text: str, edit: tuple[Any, ...], said: str) -> None:
    change = {"put": put, "remove": remove, "rename": rename_key}[edit[0]]
    with pytest.raises(CannotEdit) as caught:
        change(read(text), *edit[1:])
    assert said in f"{caught.value.message} {caught.value.hint}"


def _comments_outside(document: Document, start: int, end: int) -> tuple[str, str]:
    return document.text[:start], document.text[end:]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_value_of_any_document_can_be_set_and_all_around_it_stays(data: st.DataObject) -> None:
    document = read(data.draw(written(data.draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)))))
    pointer = data.draw(st.sampled_from(sorted(set(document.marks) - {""})))
    value = data.draw(VALUES)
    mark = document.marks[pointer]
    changed = put(document, pointer, value)
    before, after = _comments_outside(document, mark.start, mark.end)
    assert changed.text.startswith(before)
    assert changed.text.endswith(after)
    assert repr(_at(changed.value, pointer)) == repr(value)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_key_can_be_added_and_any_entry_removed(data: st.DataObject) -> None:
    document = read(data.draw(written(data.draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)))))
    holders = [p for p in document.marks if isinstance(_at(document.value, p), dict | list)]
    pointer = data.draw(st.sampled_from(sorted(holders)))
    held = _at(document.value, pointer)
    value = data.draw(VALUES)
    if isinstance(held, dict):
        name = data.draw(KEYS.filter(lambda k: k not in held))
        after = data.draw(st.sampled_from([None, *held]))
        added = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        changed = put(document, added, value, after=after)
    else:
        added = f"{pointer}/{len(held)}"
        changed = put(document, added, value)
    assert repr(_at(changed.value, added)) == repr(value)
    kept = [line for line in document.text.splitlines() if line.lstrip().startswith("#")]
    assert [line for line in changed.text.splitlines() if line in kept] == kept
    removed = remove(changed, added)
    assert repr(removed.value) == repr(document.value)
    if held:
        expected = copy.deepcopy(document.value)
        child = data.draw(st.sampled_from([p for p in document.marks if p.rpartition("/")[0] == pointer and p]))
        holder = _at(expected, pointer)
        name = child.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
        del holder[int(name) if isinstance(holder, list) else name]
        assert repr(remove(document, child).value) == repr(expected)


def _at(value: Any, pointer: str) -> Any:
    for name in pointer.split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def test_a_document_that_cannot_be_read_is_not_edited() -> None:
    with pytest.raises(DefinitionInvalid):
        read("a: [")

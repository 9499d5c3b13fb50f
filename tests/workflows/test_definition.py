from __future__ import annotations

import pytest

from actors.workflows.definition import compile_workflow, read
from actors.workflows.expressions import ExpressionError
from actors.workflows.plan import (
    ApprovalAction,
    GroupAction,
    SwitchAction,
    TaskAction,
    ValueAction,
    WaitAction,
    WorkflowAction,
    decode_plan,
    encode_plan,
)
from actors.workflows.tasks import Catalogue, Task
from actors.workflows.values import Template
from tests.workflows.definitions import CEL, EVERYTHING, compiled, step


def test_every_construct_gets_into_the_plan() -> None:
    plan = compiled(EVERYTHING).plan
    root = plan.root
    assert plan.priority == 7
    assert plan.grace == 5
    assert (plan.runs, plan.queue, plan.concurrency, plan.timeout) == (4, 100, 8, 3600)
    assert plan.schedule is not None
    assert plan.schedule.zone == "Europe/Berlin"
    assert plan.schedule.inputs == {"full": True}
    assert plan.inputs["required"] == ["full"]
    assert plan.inputs["properties"]["sizes"]["items"] == {"$ref": "#/properties/sizes/$defs/size"}
    assert root.policy.mode == "wait_all"
    assert root.output == {"report": "${ steps.report.output }", "typed": "${ steps.total.output }"}
    listing = step(root, "list")
    assert isinstance(listing.action, TaskAction)
    assert listing.action.task == "files.list@2"
    assert listing.timeouts.total == 300
    measure = step(root, "measure")
    assert measure.needs == ("list",)
    assert measure.each is not None
    assert (measure.each.name, measure.each.tolerate_share, measure.each.concurrency) == ("file", 0.1, 4)
    assert measure.retry.backoff == 0.5
    assert measure.limits[0].size == 4
    assert measure.produces[0].checks[0].expression == "${ size(output) > 0 }"
    assert step(root, "pairs").each is not None
    assert isinstance(step(root, "choose").action, SwitchAction)
    assert {name: step(root, name).needs for name in ("deep", "wide", "shallow")} == dict.fromkeys(
        ("deep", "wide", "shallow"), ("choose",)
    )
    assert step(root, "join").action == ValueAction(None)
    group = step(root, "group")
    assert isinstance(group.action, GroupAction)
    assert group.action.body.policy.count == 1
    assert group.needs == ("poll",)
    assert group.catch is not None
    assert group.catch.output == "${ steps.mend.output }"
    assert group.finally_ is not None
    assert group.undo is not None
    assert step(root, "pause").action == WaitAction(300.0)
    assert step(root, "event").action == WaitAction(3600.0, event="Paid", match="event.data.id == run.id")
    assert step(root, "child").action == WorkflowAction("other", {"x": 1}, 3, "detach", "abandon")
    assert isinstance(step(root, "agree").action, ApprovalAction)
    assert step(root, "report").needs == ("list", "measure", "agree")
    assert compiled(EVERYTHING).outputs["properties"] == {"typed": {"type": "integer"}}


def test_a_plan_is_the_same_bytes_after_decoding() -> None:
    plan = compiled(EVERYTHING).plan
    assert decode_plan(encode_plan(plan)) == plan


def test_dependents_are_needs_the_other_way_round_and_every_step_comes_after_those_it_needs() -> None:
    steps = compiled(EVERYTHING).plan.root.steps
    seen: set[str] = set()
    for one in steps:
        assert set(one.needs) <= seen
        seen.add(one.name)
        assert {s.name for s in steps if one.name in s.needs} == set(one.dependents)


def test_the_hash_does_not_depend_on_the_order_of_keys_nor_on_comments() -> None:
    one = compiled("name: w\nsteps:\n  a: {value: 1}\n  b: {value: 2, needs: a}\n")
    two = compiled("# hi\nsteps: {b: {needs: [a], value: 2}, a: {value: 1}}\nname: w\n")
    assert one.plan == two.plan
    assert one.plan.hash != compiled("name: w\nsteps: {a: {value: 1}}").plan.hash


def test_what_an_inner_step_reads_from_an_outer_block_is_needed_by_the_step_around_it() -> None:
    root = compiled("""
name: w
steps:
  z: {value: 1}
  y: {value: 1}
  x: {value: 1}
  v: {value: 1}
  g:
    steps:
      h: {steps: {i: {value: "${ steps.z.output }"}}, output: "${ steps.v.output }"}
    catch: {steps: {j: {value: "${ steps.y.output }"}}}
    finally: {steps: {k: {value: "${ steps.x.output }"}}}
""").plan.root
    assert set(step(root, "g").needs) == {"z", "y", "x", "v"}


def test_the_nearest_step_of_a_name_is_meant() -> None:
    root = compiled("""
name: w
steps:
  a: {value: 1}
  g: {steps: {a: {value: 2}, b: {value: "${ steps.a.output }"}}}
""").plan.root
    assert step(root, "g").needs == ()


def test_an_asset_made_in_another_block_makes_the_blocks_depend_on_each_other() -> None:
    root = compiled("""
name: w
steps:
  use: {steps: {deep: {steps: {u: {task: t, consumes: [r]}}}}}
  make: {steps: {m: {task: t, produces: r}}}
""").plan.root
    assert step(root, "use").needs == ("make",)


def test_short_forms_say_the_same_as_long_ones() -> None:
    short = compiled("""
name: w
inputs: {l: array}
steps:
  a: {task: t, retry: 3, timeout: 5s, limits: db, produces: r, undo: u}
  b: {wait: 5m, needs: a}
  c: {approve: hello, consumes: r}
  d: {map: "${ inputs.l }", value: "${ item }", when: "inputs.l != []"}
""")
    long = compiled("""
name: w
inputs: {l: {type: array}}
policy: {mode: fail_fast}
steps:
  a: {task: t, retry: {attempts: 3}, timeout: {attempt: 5s}, limits: [{name: db}], produces: [{asset: r}],
      undo: {task: u}}
  b: {wait: {for: 300}, needs: [a]}
  c: {approve: {what: hello}, consumes: [r]}
  d: {map: {over: "${ inputs.l }"}, value: "${ item }", when: "${ inputs.l != [] }"}
""")
    assert short.plan == long.plan


def test_tasks_are_planned_as_they_are_registered() -> None:
    def run(_input: object) -> None:
        """Does nothing."""

    tasks = Catalogue([Task("t", run, version=2, effect_class="pure", provides=["x"])])
    plan = compile_workflow(read("name: w\nsteps: {a: {task: t}, b: {task: +x}}"), CEL, tasks).plan
    for one in plan.root.steps:
        assert isinstance(one.action, TaskAction)
        assert (one.action.task, one.action.effect_class) == ("t@2", "pure")
        assert one.action.code


def test_a_wide_and_a_long_definition_are_planned() -> None:
    count = 2000
    lines = [
        f"  s{n}: {{task: t, with: '${{ steps.s{n - 1}.output }}', needs: [s0, s{n // 2}]}}" for n in range(1, count)
    ]
    plan = compiled("\n".join(["name: w", "steps:", *reversed(lines), "  s0: {task: t}"])).plan
    assert [s.name for s in plan.root.steps] == [f"s{n}" for n in range(count)]
    assert len(plan.root.steps[0].dependents) == count - 1


def test_numbers_compare_across_kinds_and_dollars_are_literal() -> None:
    def evaluated(source: str, **bindings: object) -> object:
        return Template(f"${{ {source} }}", CEL).render(lambda reference: bindings[reference[-1]])

    assert evaluated("200 == inputs.status", status=200) is True
    assert evaluated("200 == inputs.status", status=200.0) is True
    assert evaluated("inputs.n < 1.5", n=1) is True
    assert evaluated("double(inputs.n) * 1.5", n=2) == 3.0
    with pytest.raises(ExpressionError, match="overload"):
        evaluated("inputs.n * 1.5", n=2)
    assert Template(["$${ a }", "b $${ c }"], CEL).render(lambda _: None) == ["${ a }", "b ${ c }"]

"""The testing kit for workflows: what it runs, what it notices, and how it says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.testing.workflows import Fails, Hangs, InTurn, Mocks, Returns, Takes, Unknown
from actors.workflows.plan import Graph, Plan, Step, TaskAction, ValueAction
from actors.workflows.tasks import Task, TaskCall, TaskError
from events.errors import Refused
from infra.memory.workflows import Flow, every_boundary, run_workflow

ONE = "name: one\nsteps:\n  a: {task: work, with: 7%s}\n"
"""A definition with a single step, and room for what else is said of it."""

REVIEWED = """
name: reviewed
inputs: {folder: {type: string}}
outputs: {total: "${ steps.sum.output }", by: "${ steps.review.output.by }"}
steps:
  list: {task: files.list, with: "${ inputs.folder }", retry: 3}
  measure: {task: files.measure, map: "${ steps.list.output }", with: "${ item }"}
  sum: {task: sum, with: "${ steps.measure.output }"}
  review: {approve: "${ steps.sum.output }"}
  told: {task: tell, with: "${ steps.sum.output }", needs: [review]}
"""


def measured(path: str) -> Any:
    """As many words, and seconds, as the path has letters."""
    return Takes(len(path), len(path))


REVIEWED_MOCKS = Mocks(
    steps={"list": InTurn(Fails("busy"), Takes(30, ["a", "bb"]))},
    tasks={"files.measure": measured, "sum": sum, "tell": None},
)


async def agreed(flow: Flow) -> None:
    await flow.until("review", "waiting")
    await flow.approve("review", by="ada")


def pay(_amount: Any) -> Any:
    """Is never called: tests mock it."""
    raise AssertionError


PAY = Task("pay", pay, effect_class="irreversible")


# -- answers


def test_tasks_are_mocked_by_step_and_by_task_and_time_passes_by_itself() -> None:
    done = run_workflow(REVIEWED, REVIEWED_MOCKS, inputs={"folder": "docs"}, script=agreed).succeeded()
    assert done.outputs == {"total": 3, "by": ["ada"]}
    assert done.steps["list"].attempts == 2
    assert (done.count("list"), done.count("measure"), done.count("measure[1]"), done.count("sum")) == (2, 2, 1, 1)
    assert [(call.step, call.input) for call in done.calls] == [
        ("list", "docs"), ("list", "docs"), ("measure[0]", "a"), ("measure[1]", "bb"), ("sum", [1, 2]), ("told", 3),
    ]  # fmt: skip
    # The pause before the second attempt has a jitter of a tenth.
    assert 32.9 <= done.seconds <= 33.1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Fails("no", kind="own"), "own"),
        (Takes(5, Fails("no", kind="late")), "late"),
        (Takes(11, 1), "timeout"),
        (Hangs(), "timeout"),
    ],
)
def test_failures_latencies_and_hangs(answer: Any, kind: str) -> None:
    run_workflow(ONE % ", timeout: 10s", Mocks(steps={"a": answer})).failed(kind)


def test_a_mock_may_raise_as_a_task_does() -> None:
    def refuse(_input: Any) -> Any:
        raise TaskError("over quota", kind="quota", data={"left": 0})

    error = run_workflow(ONE % "", Mocks(tasks={"work": refuse})).failed("quota").error
    assert error == {"kind": "quota", "message": "over quota", "data": {"left": 0}}


def test_a_hang_is_ended_by_cancelling_the_run() -> None:
    async def script(flow: Flow) -> None:
        await flow.until("a", "queued")
        await flow.advance(3600)
        await flow.cancel("enough")

    done = run_workflow(ONE % "", Mocks(steps={"a": Hangs()}), script=script).cancelled()
    assert done.steps["a"].status == "cancelled"
    assert done.seconds >= 3600


def test_an_answer_may_depend_on_the_call_and_say_what_it_cost() -> None:
    def answer(value: int, call: TaskCall) -> Any:
        return Returns({"value": value, "attempt": call.attempt}, usage={"tokens": "12"})

    done = run_workflow(ONE % "", Mocks(tasks={"work": answer}))
    assert done.steps["a"].output == {"value": 7, "attempt": 1}
    assert done.usage == {"tokens": "12"}


def test_the_most_exact_name_counts() -> None:
    text = "name: m\nsteps:\n  a: {task: work, map: [1, 2, 3], with: '${ item }'}\n"
    mocks = Mocks(steps={"a[1]": "exact"}, tasks={"work": "any"})
    assert run_workflow(text, mocks).succeeded().steps["a"].output == ["any", "exact", "any"]


class Input(msgspec.Struct):
    number: int


def half(value: Input) -> float:
    """Half of it."""
    if value.number % 2:
        raise TaskError(f"{value.number} is odd", kind="odd")
    return value.number / 2


def test_a_task_itself_may_be_the_answer() -> None:
    task = Task("half", half, input=Input, output=float)
    text = "name: h\ninputs: {n: {default: %s}}\nsteps:\n  a: {task: half, with: {number: '${ inputs.n }'}}\n"
    mocks = Mocks(tasks={"half": task})
    assert run_workflow(text % 4, mocks, tasks=[task]).succeeded().steps["a"].output == 2.0
    run_workflow(text % 5, mocks, tasks=[task]).failed("odd")
    run_workflow(text % "x", mocks, tasks=[task]).failed("invalid")


def test_a_plan_runs_as_well_as_text_and_a_file(tmp_path: Path) -> None:
    plan = Plan("p", 0, "", Graph((Step("a", TaskAction("work", 7)), Step("b", ValueAction(1)))))
    assert run_workflow(plan, Mocks(tasks={"work": 1})).succeeded().steps["a"].output == 1
    file = tmp_path / "one.workflow.yaml"
    file.write_text(ONE % "")
    assert run_workflow(file, Mocks(tasks={"work": 1})).succeeded().steps["a"].output == 1


# -- what it notices


def test_an_unused_mock_fails_the_test_and_the_near_name_is_shown() -> None:
    with pytest.raises(AssertionError, match="the mock of task 'wrk' was not used; did you mean 'work'"):
        run_workflow(ONE % "", Mocks(steps={"a": 1}, tasks={"wrk": 1}))


def test_a_call_without_a_mock_fails_the_test_and_is_shown() -> None:
    with pytest.raises(AssertionError, match="step 'a' called the task 'work' with 7: there is no mock for it"):
        run_workflow(ONE % "")


def test_a_sequence_that_is_too_short_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="the mock of step 'a' has 1 answers, this is call 2"):
        run_workflow(ONE % ", retry: 2", Mocks(steps={"a": InTurn(Fails("no"))}))


def test_a_mock_that_breaks_fails_the_test() -> None:
    def broken(number: int) -> float:
        return number / 0

    with pytest.raises(AssertionError, match="the mock of step 'a' raised ZeroDivisionError"):
        run_workflow(ONE % "", Mocks(steps={"a": broken}))


def test_a_mock_cannot_return_what_the_task_could_not() -> None:
    task = Task("half", half, input=Input, output=float)
    text = "name: h\nsteps:\n  a: {task: half, with: {number: 4}}\n"
    with pytest.raises(AssertionError, match="what the task half@1 cannot return"):
        run_workflow(text, Mocks(tasks={"half": "two"}), tasks=[task])


def test_a_run_that_never_ends_is_noticed_at_once_with_what_its_steps_wait_for() -> None:
    with pytest.raises(AssertionError, match=r"the run does not end(.|\n)*waiting +review: an approval"):
        run_workflow(
            REVIEWED,
            Mocks(steps={"list": ["a"], "measure": 1, "sum": 1}),
            inputs={"folder": "docs"},
        )


def test_what_is_not_as_expected_is_shown_with_its_steps() -> None:
    with pytest.raises(AssertionError, match=r"the run failed, it should have succeeded(.|\n)*failed +a: no"):
        run_workflow(ONE % "", Mocks(steps={"a": Fails("no")})).succeeded()
    with pytest.raises(AssertionError, match="not with an error of kind 'b'"):
        run_workflow(ONE % "", Mocks(steps={"a": Fails("no")})).failed("b")


def test_waiting_for_what_does_not_come_says_how_the_steps_stand() -> None:
    async def script(flow: Flow) -> None:
        await flow.until("b")

    with pytest.raises(AssertionError, match=r"the run succeeded while waiting for step 'b'(.|\n)*succeeded +a"):
        run_workflow(ONE % "", Mocks(steps={"a": 1}), script=script)


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(Refused, match="folder"):
        run_workflow(REVIEWED, REVIEWED_MOCKS, inputs={"folder": 3})


# -- from outside


def test_events_are_sent_and_what_does_not_match_is_counted() -> None:
    text = "name: e\nsteps:\n  a: {wait: {event: Paid, match: 'event.data.id == 7'}}\n"
    matched: list[int] = []

    async def script(flow: Flow) -> None:
        await flow.until("a", "waiting")
        matched.extend([await flow.send("Paid", {"id": 6}), await flow.send("Paid", {"id": 7})])

    done = run_workflow(text, script=script).succeeded()
    assert matched == [0, 1]
    assert done.steps["a"].output["data"] == {"id": 7}


def test_a_run_is_paused_resumed_and_retried() -> None:
    text = "name: r\nsteps:\n  a: {task: one}\n  b: {task: two, needs: [a]}\n"

    async def script(flow: Flow) -> None:
        await flow.until("a", "queued")
        await flow.pause()
        await flow.until("b", "waiting")
        await flow.resume()
        assert await flow.end() == "failed"
        await flow.retry()

    mocks = Mocks(tasks={"one": Takes(5, 1), "two": InTurn(Fails("no"), "yes")})
    assert run_workflow(text, mocks, script=script).succeeded().steps["b"].output == "yes"


def test_an_approval_may_be_denied() -> None:
    async def script(flow: Flow) -> None:
        await flow.until("review", "waiting")
        await flow.deny("review", note="too long")

    mocks = Mocks(REVIEWED_MOCKS.steps, {k: v for k, v in REVIEWED_MOCKS.tasks.items() if k != "tell"})
    done = run_workflow(REVIEWED, mocks, inputs={"folder": "x"}, script=script).failed("denied")
    assert "too long" in (done.error or {})["message"]


def test_what_nobody_knows_waits_for_a_person() -> None:
    text = "name: u\nsteps:\n  a: {task: pay}\n  b: {task: pay}\n"

    async def script(flow: Flow) -> None:
        await flow.until("a", "unknown")
        await flow.resolve("a", {"paid": 7})
        await flow.until("b", "unknown")
        await flow.resolve("b", error="it was not")

    done = run_workflow(text, Mocks(tasks={"pay": Unknown()}), tasks=[PAY], script=script).failed()
    assert done.steps["a"].output == {"paid": 7}
    assert done.steps["b"].error == {"kind": "error", "message": "it was not"}


def test_other_workflows_are_run_too() -> None:
    child = """
name: child
inputs: {n: {type: integer}}
outputs: {twice: "${ steps.a.output }"}
steps:
  a: {task: twice, with: "${ inputs.n }"}
"""
    text = "name: parent\noutputs: {got: '${ steps.c.output.twice }'}\nsteps:\n  c: {workflow: child, with: {n: 4}}\n"

    def twice(number: int) -> int:
        return 2 * number

    done = run_workflow(text, Mocks(tasks={"twice": twice}), workflows=[child]).succeeded()
    assert done.outputs == {"got": 8}


def test_another_run_on_the_same_system_has_its_own_calls() -> None:
    found: list[Any] = []

    async def script(flow: Flow) -> None:
        await flow.end()
        again = await flow.another()
        await again.end()
        found.append(await again.done())

    first = run_workflow(ONE % "", Mocks(steps={"a": InTurn("one", "two")}), script=script).succeeded()
    second = found[0].succeeded()
    assert (first.steps["a"].output, second.steps["a"].output) == ("one", "two")
    assert [call.run for done in (first, second) for call in done.calls] == ["run/1", "run/2"]


# -- losing the host


def test_wherever_the_host_is_lost_the_end_is_the_same() -> None:
    assert every_boundary(REVIEWED, REVIEWED_MOCKS, inputs={"folder": "docs"}, script=agreed) >= 20


def test_an_irreversible_task_is_done_once_wherever_the_host_is_lost() -> None:
    text = "name: u\nsteps:\n  a: {task: pay, map: [1, 2], with: '${ item }'}\n"
    paid: list[Any] = []

    def answer(amount: int) -> Any:
        paid.append(amount)
        return Takes(10, {"paid": amount})

    count = every_boundary(text, Mocks(tasks={"pay": answer}), tasks=[PAY])
    assert paid == [1, 2] * (count + 1)


def test_a_script_may_lose_the_host_itself() -> None:
    async def script(flow: Flow) -> None:
        await flow.until("a", "queued")
        await flow.advance(3)
        await flow.lose_host()

    done = run_workflow(ONE % "", Mocks(steps={"a": Takes(10, 1)}), script=script).succeeded()
    # Begun again from the start by the second host.
    assert [call.attempt for call in done.calls] == [1, 1]
    assert 12.9 <= done.seconds <= 13.1


def test_an_end_that_differs_is_shown_with_where_the_host_was_lost() -> None:
    seen: list[int] = []

    def forgetful(_value: Any) -> Any:
        seen.append(1)
        return len(seen)

    pattern = r"the host was lost after event \d+ was written, and the end is another:\n  run/1/.*undisturbed 1, now"
    with pytest.raises(AssertionError, match=pattern):
        every_boundary(ONE % "", Mocks(tasks={"work": forgetful}))


# -- as documented


def test_the_first_example_of_the_documentation_runs() -> None:
    readme = (Path(__file__).parents[2] / "actors" / "README.md").read_text("utf-8")
    example = readme.partition("## Testing a workflow")[2]
    code = re.search(r"```python\n(.*?)```", example, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(compile(code[1], "actors/README.md", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()

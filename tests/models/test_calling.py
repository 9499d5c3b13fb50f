"""The one retry loop, on virtual time: who is asked again, who next, who is left alone, and what is shown of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.models.port import KINDS, Chunk, LiveChunk, ModelCall, ModelError
from actors.testing.clock import VirtualClock, run_virtual
from events.models import ModelAnswer, ModelRequest, ModelResult, Usage
from infra.models import calling
from infra.models.calling import Caller
from infra.models.recorded import Recorded
from infra.models.scripted import Scripted
from infra.models.showing import Showing
from tests.models.said import hello

Step = "ModelError | str | Callable[[], Awaitable[str]]"


class Acted(Scripted):
    """A provider that does what it is told, call by call: fail, say something, or say something and fail."""

    def __init__(self, name: str, *steps: Any) -> None:
        super().__init__({})
        self.name = name
        self.steps = list(steps)
        self.asked: list[str] = []

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        return [chunk async for chunk in self.stream(model, request)][-1].answer or ModelAnswer()

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        self.asked.append(model)
        step = self.steps.pop(0) if self.steps else "fine"
        said = step if isinstance(step, list) else [step]
        for part in said:
            if isinstance(part, BaseException):
                raise part
            if isinstance(part, float):
                await asyncio.sleep(part)
            else:
                yield Chunk(part)
        text = "".join(part for part in said if isinstance(part, str))
        yield Chunk(answer=ModelAnswer(text, usage=Usage(1, 1), provider=self.name, model=model))


class World:
    """A caller on virtual time, and what it showed."""

    def __init__(self, *providers: Any, draw: float = 0.5) -> None:
        self.clock = VirtualClock()
        self.caller = Caller(providers, now=self.clock, draw=lambda: draw)
        self.shown: list[LiveChunk] = []

    async def ask(self, *models: str, attempt: int = 1, tries: int = 3, timeout: float = 60.0) -> ModelResult:
        call = ModelCall("c", "conversation/x", 1, 1, attempt, list(models), hello(), True, timeout, tries)
        showing = Showing(call, "default", lambda _t, _a, chunk: self.shown.append(chunk), self.clock)
        result = await self.caller.call(call, showing)
        showing.end()
        return result

    @property
    def seen(self) -> str:
        """What somebody who follows the live plane has before their eyes."""
        text = ""
        for chunk in self.shown:
            text = chunk.text if chunk.reset else text + chunk.text
        return text


async def later(seconds: float) -> None:
    """Virtual seconds."""
    await asyncio.sleep(seconds)


def down(kind: str, retry_after: float | None = None) -> ModelError:
    return ModelError(kind, "as told", retry_after=retry_after)


def seconds(result: ModelResult) -> float:
    return (result.ended - result.started) / 1e6


@pytest.mark.parametrize("kind", ["rate-limit", "timeout", "server", "network"])
def test_what_may_pass_is_tried_again_after_growing_pauses(kind: str) -> None:
    async def main() -> None:
        world = World(Acted("a", down(kind), down(kind)))
        result = await world.ask("a:m")
        assert result.answer is not None
        assert [t.waited for t in result.tries] == [0.5, 1.0]
        assert [t.failure.kind for t in result.tries] == [kind, kind]
        assert seconds(result) == pytest.approx(1.5)

    run_virtual(main())


def test_pauses_are_drawn_around_their_length() -> None:
    async def main() -> None:
        for draw, waited in ((0.0, [0.25, 0.5]), (0.999, [0.7495, 1.499])):
            result = await World(Acted("a", down("server"), down("server")), draw=draw).ask("a:m")
            assert [t.waited for t in result.tries] == waited

    run_virtual(main())


def test_retry_after_is_waited_for() -> None:
    async def main() -> None:
        result = await World(Acted("a", down("rate-limit", 17.0))).ask("a:m")
        assert (result.tries[0].waited, result.tries[0].failure.retry_after) == (17.0, 17.0)

    run_virtual(main())


def test_a_retry_after_that_is_too_long_is_not_waited_for_and_the_model_rests_as_long() -> None:
    async def main() -> None:
        a, b = Acted("a", down("rate-limit", 3600.0)), Acted("b")
        world = World(a, b)
        assert (await world.ask("a:m", "b:m")).model == "b:m"
        await later(3599)
        assert (await world.ask("a:m", "b:m")).model == "b:m"
        await later(2)
        assert (await world.ask("a:m", "b:m")).model == "a:m"
        assert a.asked == ["m", "m"]

    run_virtual(main())


def test_after_its_tries_the_next_model_is_asked_and_all_of_it_is_told() -> None:
    async def main() -> None:
        a, b = Acted("a", *[down("server")] * 9), Acted("b")
        result = await World(a, b).ask("a:m", "b:n")
        assert (result.model, len(a.asked), b.asked) == ("b:n", 3, ["n"])
        assert [(t.model, t.waited) for t in result.tries] == [("a:m", 0.5), ("a:m", 1.0), ("a:m", 0.0)]

    run_virtual(main())


@pytest.mark.parametrize(
    ("kind", "asked_of_first", "next_is_asked"),
    [
        ("auth", 1, True),
        ("unavailable", 1, True),
        ("context-length", 1, True),
        ("invalid", 1, True),
        ("content-filter", 1, False),
        ("divergence", 1, False),
        ("server", 3, True),
        ("timeout", 3, True),
        ("network", 3, True),
        ("rate-limit", 3, True),
    ],
)
def test_the_kind_of_a_failure_decides_who_is_asked(kind: str, asked_of_first: int, next_is_asked: bool) -> None:
    async def main() -> None:
        a, b = Acted("a", *[down(kind)] * 9), Acted("b")
        result = await World(a, b).ask("a:m", "b:m")
        assert len(a.asked) == asked_of_first
        assert (result.answer is not None) == next_is_asked
        if not next_is_asked:
            assert result.failure is not None
            assert (result.failure.kind, b.asked) == (kind, [])

    run_virtual(main())


def test_every_kind_of_failure_has_its_row() -> None:
    assert all(f"`{kind}`" in (calling.__doc__ or "") for kind in KINDS)


def test_a_failing_model_rests_for_all_calls_and_its_neighbour_does_not() -> None:
    async def main() -> None:
        a, b = Acted("a", *[down("server")] * 3), Acted("b")
        world = World(a, b)
        await world.ask("a:m", "b:m")
        result = await world.ask("a:m", "b:m")
        assert (result.model, len(a.asked)) == ("b:m", 3)
        assert "passed over" in result.tries[0].failure.message
        assert (await world.ask("a:other", "b:m")).model == "a:other"
        await later(calling.REST)
        assert (await world.ask("a:m", "b:m")).model == "a:m"

    run_virtual(main())


def test_a_wrong_key_lets_the_whole_provider_rest() -> None:
    async def main() -> None:
        a, b = Acted("a", down("auth")), Acted("b")
        world = World(a, b)
        assert (await world.ask("a:m", "a:other", "b:m")).model == "b:m"
        assert a.asked == ["m"], "its other model is not even asked in the same call"

    run_virtual(main())


def test_when_all_rest_the_one_whose_rest_ends_first_is_asked_once() -> None:
    async def main() -> None:
        a, b = Acted("a", *[down("server")] * 3), Acted("b", *[down("server")] * 9)
        world = World(a, b)
        assert (await world.ask("a:m", "b:m")).failure is not None
        b.asked.clear()
        assert (await world.ask("b:m")).failure is not None
        assert b.asked == ["m"]
        assert (await world.ask("a:m", "b:m")).model == "a:m"

    run_virtual(main())


def test_who_answers_again_does_not_rest_any_more() -> None:
    async def main() -> None:
        a, b = Acted("a", *[down("server")] * 3), Acted("b")
        world = World(a, b)
        assert (await world.ask("a:m")).failure is not None
        assert (await world.ask("a:m")).answer is not None
        assert (await world.ask("a:m", "b:m")).model == "a:m"

    run_virtual(main())


def test_a_try_that_takes_too_long_is_a_timeout_and_made_again() -> None:
    async def main() -> None:
        world = World(Acted("a", ["so ", 1e6]))
        result = await world.ask("a:m", timeout=5.0)
        assert result.answer is not None
        assert result.tries[0].failure.kind == "timeout"
        assert seconds(result) == pytest.approx(5.5)

    run_virtual(main())


def test_failures_are_results_and_never_raised() -> None:
    async def main() -> None:
        world = World(Acted("a", *[RuntimeError("a bug")] * 3))
        for models, kind in (
            (["a:m"], "invalid"),
            (["nobody:m"], "unavailable"),
            (["nonsense"], "unavailable"),
            ([], "invalid"),
        ):
            result = await world.ask(*models)
            assert result.failure is not None
            assert (result.failure.kind, result.answer, result.cost.usd) == (kind, None, None)

    run_virtual(main())


def test_a_recording_that_does_not_fit_is_never_made_up_for_by_a_live_call() -> None:
    async def main() -> None:
        live = Acted("live")
        result = await World(Recorded([]), live).ask("recorded:m", "live:m")
        assert result.failure is not None
        assert (result.failure.kind, live.asked) == ("divergence", [])

    run_virtual(main())


def test_pieces_add_up_to_the_answer_and_the_last_one_says_so() -> None:
    async def main() -> None:
        world = World(Acted("a", ["one ", 0.1, "two ", 0.1, "three"]))
        result = await world.ask("a:m")
        assert result.answer is not None
        assert world.seen == result.answer.text == "one two three"
        assert [chunk.index for chunk in world.shown] == list(range(len(world.shown)))
        assert [chunk.done for chunk in world.shown] == [False, False, False, True]
        assert not any(chunk.reset for chunk in world.shown)
        assert result.first == result.started

    run_virtual(main())


def test_what_was_shown_before_a_break_is_visibly_replaced() -> None:
    async def main() -> None:
        world = World(Acted("a", ["half an ans", 1.0, down("network")]), Acted("b"))
        result = await world.ask("a:m", tries=2)
        assert [(c.text, c.reset, c.index) for c in world.shown] == [
            ("half an ans", False, 0),
            ("fine", True, 1),
            ("", False, 2),
        ]
        assert result.answer is not None
        assert world.seen == result.answer.text

    run_virtual(main())


def test_what_was_shown_of_a_call_that_failed_is_taken_back() -> None:
    async def main() -> None:
        world = World(Acted("a", ["half ", down("content-filter")]))
        await world.ask("a:m")
        assert (world.seen, world.shown[-1].reset, world.shown[-1].done) == ("", True, True)

    run_virtual(main())


def test_nothing_is_taken_back_when_nothing_was_shown() -> None:
    async def main() -> None:
        world = World(Acted("a", down("server")))
        await world.ask("a:m")
        assert not any(chunk.reset for chunk in world.shown)

    run_virtual(main())


def test_a_call_made_again_for_a_lost_host_replaces_what_that_one_showed() -> None:
    async def main() -> None:
        world = World(Acted("a"))
        await world.ask("a:m", attempt=2)
        assert [(chunk.attempt, chunk.reset) for chunk in world.shown] == [(2, True), (2, False)]

    run_virtual(main())


def test_at_most_fifty_messages_a_second_are_shown_and_no_piece_waits_longer() -> None:
    async def main() -> None:
        pieces: list[Any] = []
        for n in range(2000):
            pieces += [f"{n} ", 0.001]
        world = World(Acted("a", pieces))
        result = await world.ask("a:m")
        assert result.answer is not None
        assert world.seen == result.answer.text
        assert 50 <= len(world.shown) <= 2 * 50 + 3

    run_virtual(main())


def test_a_piece_that_nothing_follows_is_shown_without_waiting_for_more() -> None:
    async def main() -> None:
        world = World(Acted("a", ["a", "b", 10.0, "c"]))
        task = asyncio.create_task(world.ask("a:m"))
        await later(1.0)
        assert world.seen == "ab"
        await task

    run_virtual(main())


def test_chunks_are_counted_and_the_cost_is_that_of_the_answer() -> None:
    async def main() -> None:
        world = World(Scripted())
        result = await world.ask("scripted:echo")
        assert result.cost.usd == "0"
        assert result.chunks == len([c for c in world.shown if not c.done])

    run_virtual(main())

"""The one retry loop, on virtual time: who is asked again, who next, who is left alone."""

from __future__ import annotations

import pytest

from actors.models.port import KINDS
from actors.testing.clock import run_virtual
from infra.models import calling
from infra.models.recorded import Recorded
from tests.models.world import Acted, World, down, later, seconds


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

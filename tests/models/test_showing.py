"""What somebody sees who follows an answer while it is written: pieces, breaks, and no flood."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.testing.clock import run_virtual
from infra.models.scripted import Scripted
from tests.models.world import Acted, World, down, later


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

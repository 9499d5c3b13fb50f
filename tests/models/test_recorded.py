"""Answers from a record."""

from __future__ import annotations

import pytest

from actors.models.references import request_digest
from events.models import ModelAnswer, ModelRequest, Usage
from infra.models.recorded import Divergence, Record, Recorded
from tests.models.said import hello

FIRST = ModelAnswer("one", usage=Usage(3, 1), provider="mistral", model="m")
SECOND = ModelAnswer("two", usage=Usage(4, 1), provider="mistral", model="m")


def recorded(*requests: ModelRequest) -> Recorded:
    return Recorded([Record(request_digest(r), a) for r, a in zip(requests, (FIRST, SECOND), strict=False)])


async def test_the_same_questions_in_the_same_order_get_the_recorded_answers() -> None:
    provider = recorded(hello("a"), hello("b"))
    assert await provider.complete("m", hello("a")) == FIRST
    chunks = [chunk async for chunk in provider.stream("m", hello("b"))]
    assert [chunk.text for chunk in chunks] == ["two", ""]
    assert chunks[-1].answer == SECOND


async def test_equal_questions_get_their_answers_by_their_place() -> None:
    provider = recorded(hello("a"), hello("a"))
    assert [await provider.complete("m", hello("a")) for _ in range(2)] == [FIRST, SECOND]


@pytest.mark.parametrize(("asked", "ordinal"), [([hello("b")], 0), ([hello("a"), hello("a")], 1)])
async def test_another_question_is_a_divergence_that_names_its_place(asked: list[ModelRequest], ordinal: int) -> None:
    provider = recorded(hello("a"), hello("b"))
    for request in asked[:-1]:
        await provider.complete("m", request)
    for _ in range(2):
        with pytest.raises(Divergence) as raised:
            await provider.complete("m", asked[-1])
        assert (raised.value.kind, raised.value.ordinal) == ("divergence", ordinal)


async def test_a_question_after_the_end_of_the_record_is_one_too() -> None:
    with pytest.raises(Divergence, match="ends before it"):
        await recorded().complete("m", hello())


async def test_what_is_not_recorded_is_not_made_up() -> None:
    with pytest.raises(Divergence):
        await recorded().embed("m", ["x"])
    with pytest.raises(Divergence):
        await recorded().moderate("m", ["x"])

"""What every provider of models promises, whoever it is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from actors.models.port import Chunk, ModelError, Provider
from events.models import ChatMessage, ModelAnswer, ModelRequest
from infra.models.prices import Prices
from tests.models.said import ANSWER, SEARCH, hello

EMBEDDERS = {"mistral": "mistral-embed", "openai": "text-embedding-3-small", "scripted": "words"}


async def streamed(provider: Provider, model: str, request: ModelRequest) -> tuple[list[Chunk], ModelAnswer]:
    chunks = [chunk async for chunk in provider.stream(model, request)]
    assert [chunk.answer is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    answer = chunks[-1].answer
    assert answer is not None
    return chunks[:-1], answer


async def test_an_answer_has_its_text_its_finish_its_usage_and_where_it_is_from(provider: Provider, model: str) -> None:
    answer = await provider.complete(model, hello())
    assert (answer.text, answer.tool_uses, answer.finish) == ("You said: hello there, you", [], "stop")
    assert (answer.provider, bool(answer.id)) == (provider.name, True)
    assert model in answer.model
    assert answer.usage.reported
    assert answer.usage.input > 0
    assert answer.usage.output > 0
    assert answer.usage.raw


async def test_pieces_of_a_stream_add_up_to_the_same_answer(provider: Provider, model: str) -> None:
    whole = await provider.complete(model, hello())
    chunks, answer = await streamed(provider, model, hello())
    assert "".join(chunk.text for chunk in chunks) == answer.text == whole.text
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert (answer.usage, answer.finish, answer.model) == (whole.usage, whole.finish, whole.model)


async def test_streamed_and_unstreamed_calls_of_equal_usage_cost_the_same(provider: Provider, model: str) -> None:
    prices = Prices([provider], lambda: 1_764_000_000_000_000)
    whole = await provider.complete(model, hello())
    _, answer = await streamed(provider, model, hello())
    assert prices.cost(provider.name, model, answer) == prices.cost(provider.name, model, whole)


async def test_a_tool_is_asked_for_by_the_name_it_was_offered_with(provider: Provider, model: str) -> None:
    request = hello(tools=[SEARCH])
    answer = await provider.complete(model, request)
    (use,) = answer.tool_uses
    assert (use.name, answer.finish) == ("files.search", "tools")
    assert msgspec.json.decode(use.arguments) == {"text": "x"}
    assert use.id
    chunks, again = await streamed(provider, model, request)
    assert [(u.name, u.arguments) for u in again.tool_uses] == [(use.name, use.arguments)]
    assert [u.name for chunk in chunks for u in chunk.tool_uses] == ["files.search"]


@pytest.mark.parametrize("id", ["call_from_elsewhere_1", "abcdefghi", "x"])
async def test_a_tools_answer_goes_back_whoever_made_up_its_id(provider: Provider, model: str, id: str) -> None:
    use = msgspec.structs.replace((await provider.complete(model, hello(tools=[SEARCH]))).tool_uses[0], id=id)
    messages = [
        *hello().messages,
        ChatMessage("assistant", "", tool_uses=[use]),
        ChatMessage("tool", "3 lines", tool_use=id, name="files.search"),
    ]
    answer = await provider.complete(model, ModelRequest(messages, tools=[SEARCH]))
    assert answer.text == "You said: 3 lines"


@pytest.mark.parametrize("choice", ["auto", "required", "files.search"])
async def test_a_tool_can_be_chosen(provider: Provider, model: str, choice: str) -> None:
    answer = await provider.complete(model, hello(tools=[SEARCH], tool_choice=choice))
    assert [use.name for use in answer.tool_uses] == ["files.search"]


async def test_no_tool_is_asked_for_when_none_may_be(provider: Provider, model: str) -> None:
    assert not (await provider.complete(model, hello(tools=[SEARCH], tool_choice="none"))).tool_uses


async def test_an_answer_can_be_asked_for_by_its_schema(provider: Provider, model: str) -> None:
    answer = await provider.complete(model, hello(response_schema=ANSWER))
    assert msgspec.json.decode(answer.text) == {"answer": 42}


async def test_all_that_can_be_said_of_sampling_is_understood(provider: Provider, model: str) -> None:
    request = hello(temperature=0.3, top_p=0.9, max_tokens=100, stop=["END"], seed=7)
    assert (await provider.complete(model, request)).text
    assert (await streamed(provider, model, request))[1].text


async def test_text_of_every_script_comes_back_as_it_was(provider: Provider, model: str) -> None:
    text = 'Ünïcödé 漢字 🙂\u2028 \\ " \n\tend'
    assert (await provider.complete(model, hello(text))).text == f"You said: {text}"
    assert (await streamed(provider, model, hello(text)))[1].text == f"You said: {text}"


async def test_vectors_come_in_the_order_of_the_texts(provider: Provider) -> None:
    one = await provider.embed(EMBEDDERS[provider.name], ["first", "second"])
    other = await provider.embed(EMBEDDERS[provider.name], ["second", "first"])
    assert one.vectors == other.vectors[::-1]
    assert one.vectors[0] != one.vectors[1]
    assert one.usage.input > 0


async def test_models_are_listed_with_their_provider(provider: Provider) -> None:
    found = await provider.list_models()
    assert found
    assert {each.provider for each in found} == {provider.name}


async def test_texts_are_moderated_each_by_itself(provider: Provider) -> None:
    clean, flagged = await provider.moderate("moderation-latest", ["a tree", "write to ada @ example"])
    assert (clean.flagged, bool(flagged.flagged)) == ([], True)
    assert clean.scores.keys() == flagged.scores.keys()


async def test_tokens_are_counted_and_more_text_is_more(provider: Provider, model: str) -> None:
    def count(messages: Sequence[ChatMessage]) -> int:
        return provider.count_tokens(model, messages)

    assert 0 < count(hello("a").messages) < count(hello("a longer question").messages)
    assert provider.count_tokens(model, hello().messages, [SEARCH]) > count(hello().messages)


async def test_a_key_is_shown_nowhere(provider: Provider) -> None:
    assert "test-key" not in repr(provider) + str(vars(provider))


async def test_closing_twice_is_no_error(provider: Provider) -> None:
    await provider.close()
    await provider.close()


async def test_a_wrong_key_is_an_error_of_the_kind_auth_that_does_not_show_it(
    mistral_fake: object, openai_fake: object
) -> None:
    from infra.models.mistral import Mistral
    from infra.models.openai import OpenAI

    wrong = (Mistral("hush-hush", mistral_fake.url), OpenAI(openai_fake.url, key="hush-hush"))  # pyright: ignore
    for provider in wrong:
        with pytest.raises(ModelError) as refused:
            await provider.complete("any", hello())
        assert refused.value.kind == "auth"
        assert "hush" not in str(refused.value)
        await provider.close()
    for fake in (mistral_fake, openai_fake):
        fake.complaints.clear()  # pyright: ignore

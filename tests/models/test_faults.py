"""What goes wrong between here and a provider, over real sockets: every fault has its kind, and none is an answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.models.port import ModelCall, ModelError
from infra.models.calling import Caller
from infra.models.mistral import Mistral
from infra.models.openai import OpenAI
from infra.models.showing import Showing
from tests.fakes.faults import Fault, Say
from tests.fakes.mistral import MistralFake
from tests.fakes.openai import OpenAIFake
from tests.fakes.server import Fake
from tests.models.said import SEARCH, hello

Both = tuple[Fake, Any, str]


@pytest.fixture(params=["mistral", "openai"])
def both(request: pytest.FixtureRequest) -> Both:
    """A fake, its provider and a model."""
    model = {"mistral": "mistral-small-latest", "openai": "gpt-4o-mini"}[request.param]
    fake = request.getfixturevalue(request.param + "_fake")
    return fake, request.getfixturevalue(request.param), model


async def ask(provider: Any, model: str, how: str) -> Any:
    if how == "complete":
        return await provider.complete(model, hello())
    return [chunk async for chunk in provider.stream(model, hello())][-1].answer


async def failure(both: Both, how: str, fault: Fault) -> ModelError:
    fake, provider, model = both
    fake.script(fault)
    with pytest.raises(ModelError) as raised:
        await ask(provider, model, how)
    assert fake.key not in str(raised.value)
    assert (await ask(provider, model, how)).text == "You said: hello there, you", "the next call goes well"
    return raised.value


HOW = pytest.mark.parametrize("how", ["complete", "stream"])


@HOW
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, None, "invalid"),
        (401, None, "auth"),
        (402, None, "auth"),
        (403, None, "auth"),
        (404, None, "unavailable"),
        (408, None, "timeout"),
        (413, None, "context-length"),
        (422, None, "invalid"),
        (429, None, "rate-limit"),
        (500, None, "server"),
        (502, b"<html>Bad Gateway</html>", "server"),
        (503, b"", "server"),
        (504, None, "timeout"),
        (529, None, "server"),
        (401, b"", "auth"),
        (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}, "context-length"),
        (400, {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"},
         "context-length"),
        (400, {"error": {"message": "the response was filtered", "code": "content_filter"}}, "content-filter"),
        (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, "auth"),
    ],
)  # fmt: skip
async def test_a_status_has_its_kind(both: Both, how: str, status: int, body: Any, kind: str) -> None:
    error = await failure(both, how, Fault(status=status, body=body))
    assert (error.kind, str(status) in str(error)) == (kind, True)


@HOW
@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("0.5", 0.5), ("soon", None), ("", None)])
async def test_retry_after_is_read_and_nonsense_is_not(both: Both, how: str, said: str, seconds: float | None) -> None:
    assert (await failure(both, how, Fault(status=429, retry_after=said))).retry_after == seconds


async def test_retry_after_may_be_a_date_in_the_past(both: Both) -> None:
    error = await failure(both, "complete", Fault(status=503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"))
    assert error.retry_after == 0.0


@HOW
@pytest.mark.parametrize(("when", "worked"), [("before", 1), ("after", 2)])
async def test_a_connection_torn_down_is_a_network_error_whether_or_not_the_work_was_done(
    both: Both, how: str, when: str, worked: int
) -> None:
    assert (await failure(both, how, Fault(reset=when))).kind == "network"
    assert both[0].work == worked, "of which one was for the call that went well"


@HOW
async def test_an_answer_that_breaks_off_is_a_network_error(both: Both, how: str) -> None:
    assert (await failure(both, how, Fault(cut=40))).kind == "network"


async def test_a_stream_that_breaks_off_in_the_middle_is_one_too(both: Both) -> None:
    assert (await failure(both, "stream", Fault(cut=600))).kind == "network"


@HOW
async def test_bytes_that_are_no_utf8_are_the_servers_fault(both: Both, how: str) -> None:
    assert (await failure(both, how, Fault(garble=True))).kind == "server"


@HOW
@pytest.mark.parametrize("wrong", [{"nothing": 1}, {"id": "x", "model": "m", "choices": "none"}, [1, 2], "text"])
async def test_an_answer_of_another_schema_is_the_servers_fault(both: Both, how: str, wrong: Any) -> None:
    assert (await failure(both, how, Fault(wrong=wrong))).kind == "server"


@HOW
async def test_an_answer_without_a_usage_has_an_estimate_that_says_so_and_no_cost(both: Both, how: str) -> None:
    fake, provider, model = both
    fake.script(Fault(usage="missing"))
    answer = await ask(provider, model, how)
    assert (answer.usage.reported, answer.usage.raw) == (False, {})
    assert answer.usage.input > 0
    assert answer.usage.output > 0
    cost = Caller([provider]).prices.cost("mistral", "mistral-small-latest", answer)
    assert (cost.usd, cost.why) == (None, "the provider did not say what was used")


async def test_usage_in_a_piece_of_its_own_is_the_same_usage(mistral_fake: MistralFake, mistral: Mistral) -> None:
    with_last = await ask(mistral, "m", "stream")
    mistral_fake.script(Fault(usage="apart"))
    assert (await ask(mistral, "m", "stream")).usage == with_last.usage


async def test_a_try_has_its_time_however_slowly_the_body_comes(both: Both) -> None:
    fake, provider, model = both
    fake.script(Fault(slow=True, pause=30.0), Fault(pause=30.0))
    caller = Caller([provider])
    for stream in (True, False):
        call = ModelCall("c", "conversation/x", 1, 1, 1, [f"{provider.name}:{model}"], hello(), stream, 0.2, 1)
        result = await caller.call(call, Showing(call, "default", lambda *_: None, caller.now))
        assert result.failure is not None
        assert result.failure.kind == "timeout"
        caller.cooldowns.well(f"{provider.name}:{model}")


async def test_nobody_there_is_a_network_error() -> None:
    for provider in (Mistral("k", "http://127.0.0.1:1"), OpenAI("http://127.0.0.1:1/v1")):
        for how in ("complete", "stream"):
            with pytest.raises(ModelError) as raised:
                await ask(provider, "m", how)
            assert raised.value.kind == "network"
        await provider.close()


async def test_a_call_that_is_cancelled_leaves_its_provider_usable(both: Both) -> None:
    fake, provider, model = both
    fake.script(Fault(pause=30.0))
    task = asyncio.create_task(ask(provider, model, "stream"))
    while not fake.calls:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ask(provider, model, "stream")


@pytest.mark.parametrize(
    "quirks",
    [
        (),
        ("no-done",),
        ("index-0",),
        ("no-ids",),
        ("object-arguments",),
        ("no-stream-options",),
        ("no-usage", "no-done"),
    ],
)
async def test_servers_with_ways_of_their_own_are_understood(quirks: tuple[str, ...]) -> None:
    """vLLM, Ollama, llama.cpp: two tool uses come out whole and apart, whatever the pieces look like."""
    two = Say("One moment.", [("files_search", '{"text": "a"}'), ("files_search", '{"text": "b"}')])
    async with OpenAIFake(lambda _body: two, quirks=quirks, keyless=True) as fake:
        provider = OpenAI(fake.url)
        for how in ("complete", "stream"):
            request = hello(tools=[SEARCH])
            if how == "complete":
                answer = await provider.complete("local", request)
            else:
                answer = [chunk async for chunk in provider.stream("local", request)][-1].answer
            assert answer is not None
            assert answer.text == "One moment."
            assert [(u.name, u.arguments.replace(" ", "")) for u in answer.tool_uses] == [
                ("files.search", '{"text":"a"}'), ("files.search", '{"text":"b"}')
            ]  # fmt: skip
            assert len({use.id for use in answer.tool_uses}) == 2
            assert answer.finish == "tools"
            assert answer.usage.reported == (
                "no-usage" not in quirks and not ("no-stream-options" in quirks and how == "stream")
            )
        await provider.close()


async def test_an_error_inside_of_a_stream_is_an_error(openai_fake: OpenAIFake, openai: OpenAI) -> None:
    openai_fake.script(Fault(wrong={"error": {"message": "overloaded", "code": 429}}))
    with pytest.raises(ModelError) as raised:
        await ask(openai, "m", "stream")
    assert raised.value.kind == "rate-limit"


async def test_openais_usage_tells_what_was_cached_and_what_was_reasoned(openai: OpenAI) -> None:
    usage = (await ask(openai, "m", "stream")).usage
    assert usage.cache_read == usage.raw["prompt_tokens_details"]["cached_tokens"] == usage.input // 2
    assert usage.reasoning == usage.raw["completion_tokens_details"]["reasoning_tokens"] == usage.output // 2


async def test_a_fake_that_was_asked_wrongly_says_so() -> None:
    async with OpenAIFake(lenient=True) as fake:
        provider = OpenAI(fake.url, key=fake.key)
        with pytest.raises(ModelError) as raised:
            await provider.complete("m", hello(temperature=9.0))
        assert raised.value.kind == "invalid"
        assert "9.0" in fake.complaints[0]
        await provider.close()

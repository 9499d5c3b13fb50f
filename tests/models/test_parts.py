"""The pure parts: names on the wire, usage, tokens, streams of events, schemas; and what the environment brings."""

from __future__ import annotations

import random
import re

import msgspec
import pytest

from actors.models import references, tokens
from actors.models.names import ToolNames, derived_id, short_id
from actors.models.schemas import is_strict, name_of
from actors.models.usage import normalised, says_something
from events.errors import InvalidSetting
from events.models import ChatMessage, ModelRequest, Usage
from infra.models.faults import Secret
from infra.models.providers import described, providers_from_environment
from infra.models.sse import Events
from tests.models.said import ANSWER, SEARCH, hello

AWKWARD = [
    "files.search",
    "files_search",
    "files/search",
    "a" * 64,
    "a" * 65,
    "a" * 66,
    "über.größe",
    "",
    "..",
    "x-y_Z9",
]


def test_names_of_tools_fit_the_wire_and_come_back_as_they_were() -> None:
    names = ToolNames(AWKWARD)
    shown = [names.shown(name) for name in AWKWARD]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in shown)
    assert len(set(shown)) == len(AWKWARD)
    assert [names.meant(name) for name in shown] == AWKWARD
    assert names.shown("files_search") == "files_search", "a name that fits is kept"
    assert [ToolNames(reversed(AWKWARD)).shown(name) for name in AWKWARD] == shown, "whatever their order"


def test_a_tool_nobody_offered_keeps_the_name_the_model_made_up() -> None:
    assert ToolNames(["files.search"]).meant("rm_rf") == "rm_rf"


def test_ids_are_nine_letters_and_digits_and_those_that_are_stay() -> None:
    assert short_id("aB3dE6gH9") == "aB3dE6gH9"
    ids = {short_id(f"call_{n}") for n in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9]{9}", id) for id in ids)
    assert derived_id("x") == derived_id("x")


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, 5, 4)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "num_cached_tokens": 4}, Usage(10, 5, 4)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(10, 5, 4)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
             "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(10, 5, reasoning=3),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 18,
             "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(10, 8, reasoning=3),
        ),
        ({"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 1}}, Usage(10, 5, 1)),
        ({"prompt_tokens": -1, "completion_tokens": "5", "total_tokens": None}, Usage(0, 0)),
    ],
)  # fmt: skip
def test_usage_is_the_same_however_it_was_reported_and_the_report_is_kept(raw: dict[str, object], usage: Usage) -> None:
    assert normalised(raw) == msgspec.structs.replace(usage, raw=raw)


@pytest.mark.parametrize("raw", [None, {}, [], "12", {"completion_tokens": 1}])
def test_what_does_not_count_the_prompt_is_no_usage(raw: object) -> None:
    assert not says_something(raw)


def test_estimates_of_tokens_are_of_the_right_size() -> None:
    english = "The log is the system. The bus only moves it, the projections only show it, and either can be deleted."
    assert 18 <= tokens.of_text(english) <= 30, "common vocabularies make 23 of it"
    assert 6 <= tokens.of_text("日本語のテキスト") <= 12
    assert tokens.of_text("") == 0
    assert tokens.of_text(" ") == 1
    assert tokens.of_text("def f(x): return x + 1") >= 8
    assert tokens.of_request(hello(tools=[SEARCH], response_schema=ANSWER)) > tokens.of_request(hello(tools=[SEARCH]))


def test_digests_of_requests_are_equal_for_equal_ones_only() -> None:
    assert references.request_digest(hello("a")) == references.request_digest(hello("a"))
    other = ModelRequest([ChatMessage("user", "a")])
    assert references.request_digest(hello("a")) != references.request_digest(other)


@pytest.mark.parametrize("wrong", ["", "mistral", "mistral:", ":small"])
def test_a_reference_names_provider_and_model(wrong: str) -> None:
    assert references.split("openai:org/model:tag") == ("openai", "org/model:tag")
    with pytest.raises(ValueError, match="provider:model"):
        references.split(wrong)


def test_events_of_a_stream_are_the_same_wherever_it_is_cut() -> None:
    text = ': hi\r\n\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: x\ndata:two \u2028 é🙂\n\ndata: [DONE]\n\n'
    expected = ['{"a":\n1}', "two \u2028 é🙂", "[DONE]"]
    data = text.encode()
    seed = random.Random(1)
    for _ in range(300):
        cuts = sorted(seed.randrange(len(data) + 1) for _ in range(seed.randrange(9)))
        events, found = Events(), []
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            found += events.feed(data[start:end])
        assert [*found, *events.end()] == expected


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (ANSWER, True),
        ({"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "array", "items": ANSWER}, True),
        ({"type": "string", "enum": [{"type": "object"}]}, True),
    ],
)
def test_a_schema_is_enforced_where_it_can_be(schema: dict[str, object], strict: bool) -> None:
    assert is_strict(schema) == strict


def test_a_schema_is_called_by_its_title() -> None:
    assert (name_of(ANSWER), name_of({"title": "What is it?"}), name_of({})) == ("Answer", "Whatisit", "answer")


def test_a_secret_is_printed_nowhere() -> None:
    key = Secret("s3cr3t")
    assert "s3cr3t" not in f"{key} {key!r} {vars(Secret)} {[key]}"
    assert key.hidden("Bearer s3cr3t!") == "Bearer …!"


def test_the_environment_says_who_has_models() -> None:
    def names(**environment: str) -> list[str]:
        return [provider.name for provider in providers_from_environment(environment)]

    assert names() == ["scripted"]
    assert names(MISTRAL_API_KEY="k") == ["mistral", "scripted"]
    assert names(MISTRAL_SERVER_URL="https://x.example") == ["scripted"]
    assert names(OPENAI_API_KEY="k") == ["openai", "scripted"]
    assert names(OPENAI_BASE_URL="http://127.0.0.1:11434/v1") == ["openai", "scripted"]
    assert names(OPENAI_API_KEY="k", MISTRAL_API_KEY="k") == ["mistral", "openai", "scripted"]


def test_urls_of_the_environment_are_honoured() -> None:
    mistral, openai, _ = providers_from_environment(
        {"MISTRAL_API_KEY": "k", "MISTRAL_SERVER_URL": "http://m/v1/", "OPENAI_BASE_URL": "http://o/v1/"}
    )
    assert (repr(mistral), repr(openai)) == ("Mistral('http://m')", "OpenAI('http://o/v1', name='openai')")


@pytest.mark.parametrize(
    ("name", "value"), [("OPENAI_BASE_URL", "localhost:11434"), ("THESPIS_SCRIPTED_PAUSE", "a while")]
)
def test_a_variable_that_means_nothing_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=name):
        providers_from_environment({name: value})


async def test_a_provider_that_does_not_answer_is_listed_with_its_error() -> None:
    providers = providers_from_environment({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    down, scripted = await described(providers)
    assert (down["provider"], down["models"]) == ("openai", [])
    assert str(down["error"]).startswith("network: ")
    assert "not a language model" in str(scripted["note"])
    assert [m["id"] for m in scripted["models"]] == ["scripted:echo", "scripted:files"]  # pyright: ignore
    for provider in providers:
        await provider.close()

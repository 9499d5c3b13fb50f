"""What providers report of tokens, made the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from events.models import Usage


def normalised(raw: Mapping[str, Any]) -> Usage:
    """The usage in an answer of Mistral or of an interface like OpenAI's.

    Cached parts are inside `prompt_tokens` there, and reasoning inside `completion_tokens`. Where a server counts
    reasoning apart (its total is the sum of all three), it is added to the output.
    """
    prompt = _parts(raw, "prompt_tokens_details") or _parts(raw, "input_tokens_details")
    completion = _parts(raw, "completion_tokens_details") or _parts(raw, "output_tokens_details")
    input = _count(raw, "prompt_tokens", "input_tokens")
    output = _count(raw, "completion_tokens", "output_tokens")
    reasoning = _count(completion, "reasoning_tokens") or _count(raw, "reasoning_tokens")
    if reasoning and _count(raw, "total_tokens") == input + output + reasoning:
        output += reasoning
    return Usage(
        input=input,
        output=output,
        cache_read=_count(prompt, "cached_tokens") or _count(raw, "num_cached_tokens", "prompt_cache_hit_tokens"),
        cache_write=_count(prompt, "cache_write_tokens", "cache_creation_tokens"),
        reasoning=reasoning,
        raw=dict(raw),
    )


def says_something(raw: Any) -> bool:
    """Whether it is a usage: an object that counts the prompt."""
    return isinstance(raw, Mapping) and ("prompt_tokens" in raw or "input_tokens" in raw)


def _parts(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    parts = raw.get(name)
    return cast("Mapping[str, Any]", parts) if isinstance(parts, Mapping) else {}


def _count(raw: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = raw.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return int(value)
    return 0

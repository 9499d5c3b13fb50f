"""What a step's result depends on, as hashes: equal fingerprints, equal results; which part is the first to differ."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec

from actors.workflows.plan import Step, TaskAction
from actors.workflows.values import MISSING

_encode = msgspec.json.Encoder(order="deterministic").encode

INPUT: Final = "input "
"""Before the name of what is read."""


def hash_of(value: Any) -> str:
    """The hash of a value's canonical JSON, 32 hexadecimal digits."""
    return blake2b(_encode(value), digest_size=16).hexdigest()


def definition_of(step: Step) -> str:
    """The hash of what a step says that its result depends on: not when it runs, nor how often it is tried."""
    action = step.action
    if isinstance(action, TaskAction):
        action = msgspec.structs.replace(action, code="", queue="", needs_labels={})
    return hash_of([msgspec.to_builtins(action), msgspec.to_builtins(step.produces), step.consumes])


def components(step: Step, inputs: Mapping[str, Any], consumed: Mapping[str, str]) -> dict[str, str]:
    """All that a fingerprint is made of, by name. `inputs` is what the step's input reads, by dotted path; `consumed`
    the content of assets it consumes."""
    code = step.action.code if isinstance(step.action, TaskAction) else ""
    found = {"definition": definition_of(step), "code": code}
    found |= {f"{INPUT}{name}": hash_of(None if value is MISSING else value) for name, value in sorted(inputs.items())}
    return found | {f"asset {name}": content for name, content in sorted(consumed.items())}


def fingerprint_of(parts: Mapping[str, str]) -> str:
    """The hash of all components."""
    return hash_of(dict(parts))


def explain_stale(recorded: Mapping[str, str] | None, now: Mapping[str, str], *, partial: bool = False) -> str:
    """The first component of a fingerprint that differs from what was recorded, in words; empty when none does.

    The order is: definition, code, then the inputs and the assets by name. With `partial`, `now` is what is known
    without a run, and what it does not name is not looked at.
    """
    if recorded is None:
        return "it was never made"
    for name in ("definition", "code"):
        if recorded.get(name, "") != now.get(name, ""):
            return {"definition": "the definition of its step changed", "code": "the code of its task changed"}[name]
    for name in sorted(now if partial else {*recorded, *now}):
        before, after = recorded.get(name), now.get(name)
        if before == after:
            continue
        if before is None:
            return f"{name} is new"
        return f"{name} is not read any more" if after is None else f"{name} changed"
    return ""

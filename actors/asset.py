"""An asset (`asset/<name>`, of a keyed one `asset/<name>/<hash of the key>`): the versions that steps made of it.

A step that produces it first asks with `Lookup` whether a version with its fingerprint is there; else it runs, and
`Materialise` records what came of it, with the checks. A version that a blocking check failed is never reused.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Final

import msgspec

from actors.core.kind import Kind
from actors.core.outputs import Reply
from actors.workflows.fingerprints import explain_stale
from events.assets import ASSET_EVENTS, AssetChecked, AssetMaterialised, AssetReused
from events.envelope import Message
from events.errors import Refused

KEPT: Final = 5
"""Versions whose outputs can be reused: the newest ones. The log has them all."""


class CheckResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a check went."""

    name: str
    passed: bool
    blocking: bool = True
    detail: str = ""


class Materialise(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step made a version; see `AssetMaterialised`. The same run, step and attempt again is the same version."""

    asset: str
    content: str
    fingerprint: str
    workflow: str
    definition: str
    run: str
    step: str
    key: str = ""
    attempt: int = 1
    components: dict[str, str] = {}
    inputs: dict[str, str] = {}
    output: Any = None
    value: Any = None
    checks: list[CheckResult] = []


class Lookup(msgspec.Struct, frozen=True, omit_defaults=True):
    """Is there a version with this fingerprint? `components` say why not, when not."""

    fingerprint: str
    run: str = ""
    step: str = ""
    components: dict[str, str] = {}


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to `Lookup`. Without `hit`, `why` names the first component that differs from the newest version."""

    hit: bool
    version: int = 0
    run: str = ""
    output: Any = None
    why: str = ""


class Explain(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why would a step with these components run? The answer is `{stale, why, version}`."""

    components: dict[str, str]


class Version(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version. `blocked` names the blocking check that failed."""

    version: int
    content: str
    fingerprint: str
    at: int
    run: str
    step: str
    attempt: int
    components: dict[str, str] = {}
    output: Any = None
    blocked: str = ""


class Asset(msgspec.Struct, omit_defaults=True):
    """The newest versions, the latest last."""

    name: str = ""
    key: str = ""
    versions: list[Version] = []


def asset_address(name: str, key: str = "") -> str:
    """The address of an asset; with a key, of one of many."""
    plain = plain_address("asset", name)
    return f"{plain}/{blake2b(key.encode(), digest_size=8).hexdigest()}" if key else plain


def plain_address(kind: str, name: str) -> str:
    """An address for any name: what addresses cannot have is percent-encoded, what is too long is cut and hashed."""
    plain = re.sub(r"[^A-Za-z0-9._:@/-]", lambda m: "".join(f"%{b:02X}" for b in m.group().encode()), name)
    if len(plain) > 120:
        plain = f"{plain[:100]}~{blake2b(name.encode(), digest_size=8).hexdigest()}"
    return f"{kind}/{plain or 'none'}"


def decide(state: Asset, message: Message) -> list[Any]:
    """What an asset makes of a message."""
    match message.data:
        case Lookup() as m:
            return _look(state, m, message.time)
        case Materialise() as m:
            return _materialise(state, m, message.time)
        case _:
            return []


def _look(state: Asset, m: Lookup, now: int) -> list[Any]:
    for version in reversed(state.versions):
        if version.fingerprint == m.fingerprint and not version.blocked:
            reused = [AssetReused(version.version, m.run, m.step, now)] if m.run else []
            return [*reused, Reply(Found(True, version.version, version.run, version.output))]
    last = state.versions[-1] if state.versions else None
    if last is not None and last.fingerprint == m.fingerprint:
        return [Reply(Found(False, last.version, why=f"the check {last.blocked!r} of version {last.version} failed"))]
    why = explain_stale(last.components if last is not None else None, m.components)
    return [Reply(Found(False, last.version if last is not None else 0, why=why))]


def _materialise(state: Asset, m: Materialise, now: int) -> list[Any]:
    for version in state.versions:
        if (version.run, version.step, version.attempt) == (m.run, m.step, m.attempt):
            return [Reply({"version": version.version})]
    number = state.versions[-1].version + 1 if state.versions else 1
    made = AssetMaterialised(
        m.asset, number, m.content, m.fingerprint, now, m.workflow, m.definition, m.run, m.step, m.key, m.attempt,
        m.components, m.inputs, m.output, m.value,
    )  # fmt: skip
    checks = [AssetChecked(number, c.name, c.passed, c.blocking, now, c.detail) for c in m.checks]
    return [made, *checks, Reply({"version": number})]


def evolve(state: Asset, event: Any) -> Asset:
    """What an event makes of an asset."""
    match event:
        case AssetMaterialised() as e:
            state.name, state.key = e.asset, e.key
            made = Version(
                e.version, e.content, e.fingerprint, e.at, e.run, e.step, e.attempt, e.components, e.output
            )  # fmt: skip
            state.versions = [*state.versions[-(KEPT - 1) :], made]
        case AssetChecked(version, name, False, True):
            state.versions = [
                msgspec.structs.replace(v, blocked=name) if v.version == version else v for v in state.versions
            ]
        case _:
            pass
    return state


def query(state: Asset, question: Explain) -> Any:
    """Why a step with these components would run, or that it would not. Raises Refused for what was never made."""
    if not state.versions:
        raise Refused("there is no such asset", code="not-found")
    last = state.versions[-1]
    why = explain_stale(last.components, question.components)
    return {"stale": bool(why), "why": why, "version": last.version, "components": last.components}


asset = Kind(
    "asset", state=Asset, decide=decide, evolve=evolve, query=query, questions=[Explain],
    messages=[Lookup, Materialise], events=ASSET_EVENTS,
)  # fmt: skip

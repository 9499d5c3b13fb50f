"""Assets as a story: a step made a version of something out of versions of other things, and it was checked."""

from __future__ import annotations

from typing import Any

import msgspec


class AssetMaterialised(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new version. `content` is the hash of what it holds, `fingerprint` that of all it was made from.

    `components` are the parts of the fingerprint by name (`definition`, `code`, `input steps.list.output`, …), each a
    hash; `inputs` the hashes of what it was made from by name, among them the assets that it consumes. `output` is the
    result of the step that made it (a large one is a `$blob`); `value` what the asset holds when that is not the
    whole output. `definition` is the hash of the workflow's plan.
    """

    asset: str
    version: int
    content: str
    fingerprint: str
    at: int
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


class AssetChecked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What must hold of a version does, or does not. A blocking check that fails stops all that is made from it."""

    version: int
    name: str
    passed: bool
    blocking: bool
    at: int
    detail: str = ""


class AssetReused(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step needed not run: a version with its fingerprint is there."""

    version: int
    run: str
    step: str
    at: int


ASSET_EVENTS = (AssetMaterialised, AssetChecked, AssetReused)

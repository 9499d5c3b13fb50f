"""What goes out about assets, as pydantic models. Times are µs since 1970 (UTC)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from gateway.http.models import Query
from gateway.http.models_workflows import PageQuery
from gateway.http.params import Limit, Time, Version


class AssetsQuery(PageQuery):
    """Which assets."""

    asset: str | None = Field(None, description="only the keys of this one")


class AssetQuery(Query):
    """Which one, and which version."""

    key: str = Field("", max_length=1000, description="of a keyed asset")
    version: Version | None = Field(None, description="[default: the newest]")


class AssetKeyQuery(Query):
    """Which one."""

    key: str = Field("", max_length=1000, description="of a keyed asset")


class AssetLineageQuery(AssetQuery):
    """Which one, and how far."""

    limit: Limit | None = Field(None, description="most versions in each direction")


class AssetRow(BaseModel):
    """An asset in its newest version."""

    address: str = Field(description="its name in paths; a keyed asset has one for each key")
    asset: str
    key: str
    version: int
    content: str = Field(description="hash of what it holds")
    at: Time
    workflow: str
    run: str
    step: str
    blocked: str | None = Field(description="the blocking check that failed")
    reused: int = Field(description="how often a step needed not run")
    reused_at: Time | None


class AssetsOut(BaseModel):
    """A page of assets, by name."""

    assets: list[AssetRow]
    next: str | None
    position: int


class CheckedOut(BaseModel):
    """A check of a version."""

    name: str
    passed: bool
    blocking: bool
    at: Time
    detail: str = ""


class AssetOut(BaseModel):
    """A version of an asset. `components` is what its fingerprint is made of, `inputs` what it was made of: hashes."""

    address: str
    asset: str
    key: str
    version: int
    content: str
    fingerprint: str
    at: Time
    workflow: str
    definition: str
    run: str
    step: str
    attempt: int
    components: dict[str, str]
    inputs: dict[str, str]
    checks: list[CheckedOut]
    blocked: str | None
    reused: int
    versions: list[int] = Field(description="the newest hundred there are")


class AssetNode(BaseModel):
    """A version in a lineage. `of` are the versions next to it, as address@version, towards the one asked about."""

    address: str
    version: int
    asset: str
    key: str
    content: str
    run: str
    step: str
    at: Time
    depth: int
    of: list[str]
    inputs: dict[str, str]


class AssetLineageOut(BaseModel):
    """A version, what it was made from and what was made from it, nearest first."""

    asset: AssetNode
    up: list[AssetNode]
    down: list[AssetNode]
    truncated: bool
    position: int


class StaleOut(BaseModel):
    """Whether a run of the workflow as it is now would make the asset anew, as far as that is known without a run."""

    address: str
    version: int
    stale: bool
    why: str = Field(description="the first component of its fingerprint that differs")
    because: list[dict[str, Any]] = Field(description="assets it is made from that are stale themselves")

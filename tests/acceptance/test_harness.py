"""The harness can fail: adapters that break one promise each are found out, and the failure is made short."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.torture.figures import DOUBLED, LOST, REORDERED, REPEATED, counted
from gateway.torture.script import Mixture
from infra.memory.projections import MemoryReadModels
from infra.memory.store import MemoryStore
from tests.acceptance import broken
from tests.acceptance.broken import Broken
from tests.acceptance.ordeal import Ordeal
from tests.acceptance.shrink import shrink, snippet
from tests.acceptance.torture import Result, mixed, torture

SEEDS = range(20)
MIXTURE = Mixture(transfers=10, notes=0.4, calls=0.7, bells=0.3)
ADAPTERS: list[tuple[type[MemoryStore] | type[MemoryReadModels], str]] = [
    (broken.Forgetful, LOST),
    (broken.WithoutInbox, DOUBLED),
    (broken.WithGaps, REORDERED),
    (broken.WithoutFence, DOUBLED),
    (broken.WithoutLedger, REPEATED),
    (broken.Shuffled, REORDERED),
    (broken.Deaf, LOST),
    (broken.Timeless, LOST),
    (broken.Skipping, LOST),
]


def broken_by(adapter: type[MemoryStore] | type[MemoryReadModels]) -> Broken:
    return Broken(models=adapter) if issubclass(adapter, MemoryReadModels) else Broken(log=adapter)


def found(adapter: type[MemoryStore] | type[MemoryReadModels], figure: str) -> tuple[Ordeal, Result]:
    """The first ordeal that shows it."""
    for seed in SEEDS:
        ordeal = replace(mixed(seed, 120, hosts=2, strikes=8, mixture=MIXTURE), patience=120.0)
        result = torture(ordeal, broken_by(adapter))
        if counted(result.checks)[figure]:
            return ordeal, result
    raise AssertionError(f"{adapter.__name__} was not found out")


@pytest.mark.parametrize(("adapter", "figure"), ADAPTERS)
def test_an_adapter_that_breaks_a_promise_is_found_out(
    adapter: type[MemoryStore] | type[MemoryReadModels], figure: str
):
    _, result = found(adapter, figure)
    assert not result.figures.sound
    assert result.failed


def test_what_others_pass_the_adapters_that_keep_every_promise_pass():
    assert not torture(mixed(0, 120, hosts=2, strikes=8, mixture=MIXTURE)).failed


def short(adapter: type[MemoryStore] | type[MemoryReadModels], figure: str) -> Ordeal:
    ordeal, _ = found(adapter, figure)

    def fails(smaller: Ordeal) -> bool:
        return counted(torture(smaller, broken_by(adapter)).checks)[figure] > 0

    smallest = shrink(ordeal, fails)
    assert fails(smallest)
    return smallest


def test_a_failure_is_made_short():
    ordeal = short(broken.Shuffled, REORDERED)
    assert len(ordeal.steps) + len(ordeal.late) <= 2
    assert not ordeal.strikes
    assert ordeal.hosts == 1
    names: dict[str, object] = {}
    exec(snippet(ordeal).rpartition("\n")[0], names)
    assert names["steps"] == ordeal.steps
    assert names["late"] == ordeal.late


@pytest.mark.long
@pytest.mark.parametrize(("adapter", "figure"), ADAPTERS)
def test_every_failure_is_made_short(adapter: type[MemoryStore] | type[MemoryReadModels], figure: str):
    ordeal = short(adapter, figure)
    assert len(ordeal.steps) + len(ordeal.late) <= 30
    assert len(ordeal.strikes) <= 3
    print(snippet(ordeal))

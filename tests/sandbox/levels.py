"""Which levels there are on this machine; what is skipped says why."""

from __future__ import annotations

import pytest

from infra.sandbox.levels import LEVELS, layers_of
from infra.sandbox.running import Confinement
from infra.sandbox.sandbox import Sandbox, _missing


def parameters() -> list[object]:
    """Every level, those that are missing here as skipped."""
    return [
        pytest.param(level, marks=[pytest.mark.skip(reason=f"{level}: {why}")] if (why := _missing(level)) else [])
        for level in LEVELS
    ]


every_level = pytest.mark.parametrize("level", parameters())


def without(level: str, *layers: str) -> Confinement:
    """A level with layers left off."""
    return Sandbox(without=layers).confinement(level) if layers else Confinement(level, layers_of(level))


def confinement(level: str) -> Confinement:
    """A level as it is."""
    return Sandbox().confinement(level)

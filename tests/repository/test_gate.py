"""The gate as a test, so that nothing passes by not being looked at. `scripts/check` runs the same by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.tree import ROOT

pytestmark = pytest.mark.gate
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command", [["ruff", "format", "--check", "."], ["ruff", "check", "."], ["pyright"]], ids=lambda c: " ".join(c[:2])
)
def test_the_gate_is_open(command: list[str]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]

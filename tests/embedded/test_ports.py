"""Ports that several processes choose at the same time."""

from __future__ import annotations

import subprocess
import sys

from infra.embedded import ports
from tests.repository.tree import ROOT

ANOTHER = "from infra.embedded import ports; print(*(ports.free() for _ in range(4000)))"


def test_a_chosen_port_is_chosen_by_nobody_else_before_its_server_listens():
    mine = [ports.free() for _ in range(ports.CLAIMS)]
    assert len(set(mine)) == len(mine)
    chosen = subprocess.run([sys.executable, "-c", ANOTHER], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(chosen.stdout.split()) == 4000
    assert not set(mine) & {int(port) for port in chosen.stdout.split()}


def test_the_port_of_a_server_that_starts_again_is_its_own():
    port = ports.free()
    assert ports.free(port) == port

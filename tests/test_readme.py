"""The README's first three screens are real: they run, and show what the README says they show."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0


def blocks(language: str) -> list[str]:
    found = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [text for name, text in found if name == language]


def test_the_program_on_the_first_screen_prints_what_the_readme_says(tmp_path: Path) -> None:
    program, promised = blocks("python")[0], blocks("")[0]
    assert len([line for line in program.splitlines() if line.strip()]) <= 25
    (tmp_path / "counter.py").write_text(program)
    ran = subprocess.run(
        [sys.executable, "counter.py"], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert (ran.stdout, ran.stderr) == (promised, "")


class Served:
    """What `scripts/up` serves, elsewhere."""

    def __init__(self, place: Path) -> None:
        self.place = place
        program = place / "thespis"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway.main "$@"\n')
        program.chmod(0o755)
        url = json.loads((place / "data" / "run.json").read_bytes())["url"]
        path = f"{place}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "THESPIS_URL": url, "PYTHONPATH": str(ROOT)}

    def sh(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run them in a terminal."""
        return subprocess.run(
            ["bash", "-euc", commands], env=self.environment, cwd=self.place, capture_output=True, text=True,
            timeout=PATIENCE,
        )  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("served")
    log = place / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.main", "up", "--ledger", "--data", str(place / "data"), "--port", "0"],
            cwd=ROOT, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        deadline = monotonic() + PATIENCE
        while "Together 160" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert monotonic() < deadline, log.read_text()
            sleep(0.1)
        yield Served(place)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_the_conversation_on_the_second_screen_goes_as_the_readme_says(served: Served) -> None:
    """Every line that is promised comes, in this order; and the file that was agreed to is there."""
    promised = next(text for text in blocks("") if "files.search" in text).splitlines()
    ran = served.sh(next(text for text in blocks("sh") if "thespis chat librarian --once" in text))
    shown = iter(ran.stdout.splitlines())
    missing = [line for line in promised if line not in shown]
    assert not missing, f"{missing} in\n{ran.stdout}\n{ran.stderr}"
    written = served.place / "data" / "librarian" / "notes" / "closed.md"
    assert written.read_text() == "The house is closed on Monday."


SHOWN = {
    "publish": "position", "ask": '{"balance":100}', "tell": "handled", "actors": '"balance":100',
    "replay": "balance: 100 → 70", "lineage": "AccountOpened", "projections": "account/ada  ",
}  # fmt: skip
"""What each command of the third screen prints, among other things."""
FOLDED = ("lineage", "projections")
"""These read models are there a moment later."""
ENDLESS = {"events": "it goes on until Ctrl-C", "demo": "tests/acceptance/test_demo.py has it"}


def test_the_commands_of_the_third_screen_do_what_the_readme_says(served: Served) -> None:
    lines = [line for line in next(text for text in blocks("sh") if "thespis publish" in text).splitlines() if line]
    names = [line.split()[1] for line in lines]
    assert names == [*SHOWN, *ENDLESS]
    for name, line in zip(names, lines, strict=True):
        if name in ENDLESS:
            continue
        command = line.replace("EVENT", event_of(served)) if name == "lineage" else line
        ran, deadline = served.sh(command), monotonic() + PATIENCE
        while name in FOLDED and SHOWN[name] not in ran.stdout and monotonic() < deadline:
            ran = served.sh(command)
        assert (ran.returncode, ran.stderr) == (0, ""), f"{line}\n{ran.stdout}\n{ran.stderr}"
        assert SHOWN[name] in ran.stdout, line


def event_of(served: Served) -> str:
    """The first event of the account that was opened."""
    listed = json.loads(served.sh("thespis events list --stream account/ada -o json").stdout)
    return str(listed[0]["id"])

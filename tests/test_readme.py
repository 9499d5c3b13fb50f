"""The README's first two screens are real: they run, and show what the README says they show."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

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


@contextmanager
def up(place: Path) -> Iterator[str]:
    """What `scripts/up` serves, elsewhere; yields its URL."""
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
        yield json.loads((place / "data" / "run.json").read_bytes())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_the_conversation_on_the_second_screen_goes_as_the_readme_says(tmp_path: Path) -> None:
    """Every line that is promised comes, in this order; and the file that was agreed to is there."""
    commands = next(text for text in blocks("sh") if "thespis chat librarian --once" in text)
    promised = next(text for text in blocks("") if "files.search" in text).splitlines()
    program = tmp_path / "thespis"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway.main "$@"\n')
    program.chmod(0o755)
    with up(tmp_path) as url:
        environment = {
            **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "THESPIS_URL": url, "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        ran = subprocess.run(
            ["bash", "-euc", commands], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
        )
        shown = iter(ran.stdout.splitlines())
        missing = [line for line in promised if line not in shown]
        assert not missing, f"{missing} in\n{ran.stdout}\n{ran.stderr}"
        written = tmp_path / "data" / "librarian" / "notes" / "closed.md"
        assert written.read_text() == "The house is closed on Monday."

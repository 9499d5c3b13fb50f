"""The README's first screen is a real program: it runs, and prints what the README says it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_program_on_the_first_screen_prints_what_the_readme_says(tmp_path: Path) -> None:
    blocks = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    program = next(text for language, text in blocks if language == "python")
    promised = next(text for language, text in blocks if not language)
    assert len([line for line in program.splitlines() if line.strip()]) <= 25
    (tmp_path / "counter.py").write_text(program)
    ran = subprocess.run(
        [sys.executable, "counter.py"], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert (ran.stdout, ran.stderr) == (promised, "")

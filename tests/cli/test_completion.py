from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.cli.conftest import Thespis


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_it_can_read(thespis: Thespis, shell: str) -> None:
    done = thespis("completion", shell)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"_THESPIS_COMPLETE" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, check=True, timeout=30)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("thespis ac", {"actors"}),
        ("thespis actors ", {"list", "show", "query", "fork", "park", "resume"}),
        ("thespis events list --str", {"--stream"}),
        ("thespis events list -o j", {"json", "jsonl"}),
    ],
)
def test_words_are_completed(thespis: Thespis, words: str, offered: set[str]) -> None:
    last = len(words.split(" ")) - 1
    done = thespis(_THESPIS_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(last))
    assert {line.split(",", 1)[1] for line in done.stdout.decode().splitlines()} == offered

"""What is in the repository: the files that are, or would be, committed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("events", "actors", "projections", "infra", "gateway")


@cache
def files() -> list[Path]:
    """Every file that git knows or would add, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    names = {name for name in listed.stdout.split("\0") if name}
    return sorted(Path(name) for name in names if (ROOT / name).is_file())


@cache
def text(path: Path) -> str:
    """A file's text; nothing for one that is none."""
    try:
        return (ROOT / path).read_text()
    except UnicodeDecodeError:
        return ""


def modules(*folders: str) -> list[Path]:
    """Python files, of these folders only if any are named."""
    return [path for path in files() if path.suffix == ".py" and (not folders or path.parts[0] in folders)]


def none_of(found: Iterable[object]) -> None:
    """Fail with what was found, one to a line."""
    lines = sorted(map(str, found))
    assert not lines, "\n".join(["", *lines])

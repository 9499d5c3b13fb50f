"""The shape of the repository: what lies where, how large it is, and what is said about it."""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
from pathlib import Path

import pytest

from tests.repository.tree import PACKAGES, ROOT, files, modules, none_of, text

TOP = {
    ".ci", ".gitignore", "LICENSE", "README.md", "actors", "events", "gateway", "infra", "nats.conf", "projections",
    "pyproject.toml", "requirements.lock", "scripts", "tests",
}  # fmt: skip
APACHE_2 = "c95bae1d1ce0235ecccd3560b772ec1efb97f348a79f0fbe0a634f0c2ccefe2c"
"""SHA-256 of the licence as it is published in plain text."""


def test_the_top_level_is_what_it_is() -> None:
    assert {path.parts[0] for path in files()} == TOP


def test_the_licence_is_apache_2() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2


def test_no_file_is_longer_than_500_lines() -> None:
    long = {str(path): text(path).count("\n") for path in modules() if text(path).count("\n") > 500}
    none_of(long)


def test_every_folder_with_code_is_explained() -> None:
    """By a README.md of its own, or by its path in one of a folder above."""
    unexplained = []
    for folder in {path.parent for path in modules()} - {Path()}:
        above = [parent for parent in folder.parents if (ROOT / parent / "README.md").exists()]
        named = any(re.search(rf"\b{folder.relative_to(parent)}\b", text(parent / "README.md")) for parent in above)
        if not (ROOT / folder / "README.md").exists() and not named:
            unexplained.append(folder)
    none_of(unexplained)


def packages() -> list[str]:
    """Every package of ours that has a front door."""
    doors = [path for path in modules(*PACKAGES) if path.name == "__init__.py" and text(path).strip()]
    return [".".join(path.parent.parts) for path in doors if "templates" not in path.parts]


def test_a_front_door_shows_what_it_says_and_nothing_else() -> None:
    wrong = []
    for name in packages():
        package = importlib.import_module(name)
        tree = ast.parse(Path(package.__file__ or "").read_text())
        bound = {
            alias.asname or alias.name
            for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        }  # fmt: skip
        if not hasattr(package, "__all__"):
            if bound - {"Final"}:
                wrong.append(f"{name} imports {sorted(bound)} but has no __all__")
            continue
        shown = list(package.__all__)
        missing = [each for each in shown if not hasattr(package, each)]
        modules_below = {each.stem for each in Path(package.__file__ or "").parent.iterdir()}
        hidden = bound - set(shown) - {"Final", "Any"} - modules_below
        private = [each for each in shown if each.startswith("_")]
        if missing or hidden or private or len(set(shown)) != len(shown):
            wrong.append(f"{name}: missing {missing}, not in __all__ {sorted(hidden)}, private {private}")
    none_of(wrong)


def test_tests_wait_for_conditions_and_never_sleep() -> None:
    """A fixed pause outside of a loop is a guess; in a loop it looks at a condition, a drawn one is a fault put in."""
    sleeps = []
    for path in modules("tests"):
        tree = ast.parse(text(path))
        looped = {id(inner) for loop in ast.walk(tree) if isinstance(loop, ast.While | ast.For | ast.AsyncFor)
                  for inner in ast.walk(loop)}  # fmt: skip
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("asyncio.sleep", "time.sleep", "sleep")
                and isinstance(node.args[0], ast.Constant)
                and node.args[0].value != 0
                and id(node) not in looped
            ):
                sleeps.append(f"{path}:{node.lineno}")
    none_of(sleeps)


UNWANTED = {
    "how the project was made": r"\bthe (brief|architect)\b|\bDESIGN\.md\b|\bSTYLE\.md\b|\bcoding agent\b|\bsubagent\b",
    "a place on somebody's machine": r"(?<![\w.])/(work|root)/(main|shared|\.)",
    "work left undone": r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError",
}


@pytest.mark.parametrize("what", UNWANTED)
def test_nothing_speaks_of(what: str) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path in files()
        if path != Path(__file__).relative_to(ROOT)
        for number, line in enumerate(text(path).splitlines(), 1)
        if re.search(UNWANTED[what], line)
    ]
    none_of(found)


def test_scripts_print_their_own_help() -> None:
    for path in files():
        if path.parts[0] == "scripts" and path.suffix == "":
            assert (ROOT / path).stat().st_mode & 0o100, f"{path} cannot be executed"
            assert f"{path} --help" in text(path)

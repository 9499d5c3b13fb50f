"""Imports point one way, and the names of the packages are ours."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.repository.tree import PACKAGES, ROOT, modules, none_of, text

PURE = {
    "events": {"events"},
    "actors": {"actors", "events"},
    "projections": {"projections", "events"},
}
"""What the pure packages may import besides the standard library and msgspec."""

LANGUAGE = {
    "actors/workflows/definition": {"pydantic", "yaml", "jsonschema", "referencing"},
    "actors/workflows/inputs.py": {"jsonschema", "referencing"},
    "actors/tools/policy_file.py": {"pydantic"},
    "actors/agents/definition": {"pydantic", "jinja2"},
    "actors/agents/lifecycle.py": {"transitions"},
}
"""Where a library without sockets or files is the better parser or validator."""


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, top-level name) of every absolute import, wherever it stands."""
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module.partition(".")[0]


@pytest.mark.gate
def test_the_contracts_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", PURE)
def test_the_pure_packages_import_the_standard_library_and_msgspec_alone(package: str) -> None:
    allowed = PURE[package] | sys.stdlib_module_names | {"msgspec"}
    foreign = [
        f"{path}:{line} imports {name}"
        for path in modules(package)
        for line, name in imported(path)
        if name not in allowed
        and not any(path.as_posix().startswith(place) and name in libraries for place, libraries in LANGUAGE.items())
    ]
    none_of(foreign)


def test_whatever_is_imported_is_a_dependency_by_name() -> None:
    """Not only what a dependency happens to bring along (aiohttp and its own multidict and yarl excepted)."""
    declared = {
        re.split(r"[\s<>=!~;\[(]", requirement, maxsplit=1)[0].replace("-", "_").lower()
        for requirement in metadata.requires("thespis") or []
    }
    providers = metadata.packages_distributions()
    excused = {"multidict", "yarl"} | sys.stdlib_module_names | set(PACKAGES)
    undeclared = {
        f"{path}:{line} imports {name}"
        for path in modules(*PACKAGES)
        for line, name in imported(path)
        if name not in excused
        and not {distribution.replace("-", "_").lower() for distribution in providers.get(name, [])} & declared
        and path != Path("infra/memory/pytest_plugin.py")  # loaded by pytest alone
        and path.parts[:2] != ("gateway", "templates")
    }
    none_of(undeclared)


def test_no_foreign_distribution_has_a_package_called_like_ours() -> None:
    providers = metadata.packages_distributions()
    assert {name: set(providers.get(name, [])) - {"thespis"} for name in PACKAGES} == {name: set() for name in PACKAGES}
    for name in PACKAGES:
        assert Path(__import__(name).__file__ or "").parents[1] == ROOT

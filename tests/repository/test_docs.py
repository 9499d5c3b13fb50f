"""Documentation that cannot lie: whatever can be used is in a README.md, or in the table at the top of its module."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import click

from events.system import SYSTEM_EVENTS
from gateway import settings
from gateway.cli.app import root
from gateway.cli.tree import PATHS, Group
from gateway.http.routes import ROUTES
from tests.repository.tree import PACKAGES, ROOT, files, modules, none_of, text

VARIABLE = re.compile(r"THESPIS_[A-Z_]*[A-Z]|DATABASE_URL|NATS_(URL|RELAY_URL|NKEY_SEED|CA|CERT|KEY)")
METRIC = re.compile(r"thespis_[a-z_]+")


def readmes(*folders: str) -> str:
    """The text of every README.md, of these folders only if any are named."""
    return "\n".join(
        text(path) for path in files() if path.name == "README.md" and (not folders or path.parts[0] in folders)
    )


def test_every_command_is_documented() -> None:
    docs = readmes()
    none_of([path for path in PATHS if not re.search(rf"\b{path}\b", docs)])


def test_every_command_has_help_for_each_of_its_options() -> None:
    silent = []
    context = click.Context(root())
    for path in PATHS:
        command = root()
        for name in path.split():
            assert isinstance(command, Group)
            command = command.get_command(context, name)
        assert command is not None
        assert command.help, path
        silent += [f"{path} {p.opts[0]}" for p in command.params if isinstance(p, click.Option) and not p.help]
    none_of(silent)


def test_every_route_is_documented() -> None:
    docs = readmes()
    plain = [(route, re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.path)) for route in ROUTES]
    none_of([f"{route.method} {path}" for route, path in plain if path not in docs])


def test_every_setting_is_documented() -> None:
    docs = readmes()
    none_of([name for name in settings.names() if name not in docs])


def strings(tree: ast.Module) -> set[str]:
    """Every string in the code."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def environment() -> set[str]:
    """Names of environment variables that the code reads."""
    found: set[str] = set()
    for path in modules(*PACKAGES):
        if "templates" in path.parts:
            continue
        found |= {each for each in strings(ast.parse(text(path))) if VARIABLE.fullmatch(each)}
    return found


def test_every_environment_variable_is_documented() -> None:
    docs = readmes()
    none_of([name for name in environment() if name not in docs])


def test_every_metric_is_documented() -> None:
    """In a README, or in the table at the top of the module that emits it."""
    trees = {path: ast.parse(text(path)) for path in modules(*PACKAGES)}
    docs = "\n".join([readmes(), *(ast.get_docstring(tree) or "" for tree in trees.values())])
    names = {
        f"{path}: {name}": name for path, tree in trees.items() for name in strings(tree) if METRIC.fullmatch(name)
    }
    none_of([place for place, name in names.items() if name not in docs])


def test_every_event_of_the_system_is_documented() -> None:
    docs = readmes()
    none_of([event.__name__ for event in SYSTEM_EVENTS if not event.__doc__ or event.__name__ not in docs])


def test_every_projection_is_documented() -> None:
    docs = readmes("projections", "README.md", "gateway")
    none_of([p.name for p in import_module("projections").PROJECTIONS if not re.search(rf"\b{p.name}\b", docs)])


def test_links_and_paths_in_the_documentation_exist() -> None:
    dead = []
    for path in (p for p in files() if p.name == "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(path)):
            if not (ROOT / path.parent / target).exists():
                dead.append(f"{path} links to {target}")
        for target in re.findall(r"`((?:scripts|events|actors|projections|infra|gateway|tests)/[\w./-]+)`", text(path)):
            if not any((ROOT / base / target).exists() for base in (Path(), path.parent)):
                dead.append(f"{path} names {target}")
    none_of(dead)


def test_every_error_code_is_unique_and_documented_in_its_tree() -> None:
    errors = import_module("events.errors")
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    codes = [each.code for each in classes]
    assert len(set(codes)) == len(codes)
    none_of([each.__name__ for each in classes if each.__name__ not in (errors.__doc__ or "")])

"""Loading user code: a workspace directory by its path, and installed plugins by their entry points.

`DIR/workspace.py` defines `plugin = Plugin(…)`. The directory is imported as a package under a private name, so the
files beside it are imported with a dot (`from .counter import counter`), nothing of it is on `sys.path`, and two
workspaces with files of the same names live side by side.
"""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec
from itertools import count
from pathlib import Path
from typing import Any, Final

from actors import EffectKind, Kind, Plugin
from actors.core.kind import merge
from actors.tools.tool import Tool
from actors.workflows.tasks import Task
from events.errors import BadDefinition, NotFound, ThespisError
from gateway.agents import agent_files, policy_files
from gateway.definitions import files_of
from projections import Projection

FILE: Final = "workspace.py"
GROUP: Final = "thespis.plugins"
"""The entry point group of installed plugins; each names a `Plugin`."""

_loads = count(1)


def load(directory: str | Path) -> Plugin:
    """The plugin of a workspace, imported afresh at every call; without a `workspace.py`, its definitions.

    Raises NotFound when there is no workspace, and BadDefinition naming file and line when it is not a good one.
    """
    folder = Path(directory).resolve()
    file = folder / FILE
    if not file.is_file() and (found := _files(folder, Plugin())) is not None:
        return found
    if not file.is_file():
        what = f"{directory} has no {FILE}" if folder.is_dir() else f"there is no directory {directory}"
        raise NotFound(what, hint=f"`thespis new {directory}` writes a workspace to begin with")
    package = f"_thespis_workspace_{sha256(str(folder).encode()).hexdigest()[:8]}_{next(_loads)}"
    spec = ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[package] = module_from_spec(spec)
    invalidate_caches()
    try:
        module = import_module(f"{package}.workspace")
        found = getattr(module, "plugin", None)
        line = _line_of_plugin(file)
        if found is None:
            raise BadDefinition(f"{file} does not define `plugin`", hint="end it with: plugin = Plugin(kinds=[…])")
        plugin = _checked(found, f"{file}:{line}: plugin")
        return _files(folder, plugin) or plugin
    except BaseException as error:
        for name in [name for name in sys.modules if name == package or name.startswith(package + ".")]:
            del sys.modules[name]
        if isinstance(error, KeyboardInterrupt) or (isinstance(error, BadDefinition) and str(file) in error.message):
            raise
        raise _located(error, folder) from error


def _files(folder: Path, plugin: Plugin) -> Plugin | None:
    """The plugin with the definitions that lie in the workspace; None when there are none."""
    plugin.workflows = list(files_of(folder, plugin.workflows))
    plugin.agents = list(agent_files(folder, plugin.agents))
    plugin.policies = list(policy_files(folder, plugin.policies))
    return plugin if plugin.workflows or plugin.agents or plugin.policies else None


def installed(group: str = GROUP) -> list[Plugin]:
    """The plugins of installed packages, by name. Raises BadDefinition naming the package."""
    return [_from_entry_point(point) for point in sorted(entry_points(group=group), key=lambda point: point.name)]


def gather(workspaces: Sequence[str | Path] = (), *built_in: Plugin) -> Plugin:
    """What is built in and everything users bring: installed plugins, workspaces. Raises NotFound, BadDefinition."""
    return merge([*built_in, *installed(), *(load(directory) for directory in workspaces)])


def _from_entry_point(point: EntryPoint) -> Plugin:
    where = f"plugin {point.name!r} of {point.dist.name if point.dist else 'an unknown package'} ({point.value})"
    try:
        found = point.load()
    except Exception as error:
        raise BadDefinition(
            f"{where} cannot be loaded: {type(error).__name__}: {error}", hint="update or uninstall that package"
        ) from error
    return _checked(found, where)


def _checked(found: Any, where: str) -> Plugin:
    """The plugin, if it is one and holds only what belongs into it."""
    if not isinstance(found, Plugin):
        raise BadDefinition(
            f"{where} is {_a(found)}, not a Plugin", hint="from actors import Plugin; plugin = Plugin(kinds=[…])"
        )
    expected: dict[str, tuple[Sequence[Any], type[Any]]] = {
        "kinds": (found.kinds, Kind),
        "effects": (found.effects, EffectKind),
        "projections": (found.projections, Projection),
        "tasks": (found.tasks, Task),
        "tools": (found.tools, Tool),
    }
    for name, paths in (("workflows", found.workflows), ("agents", found.agents), ("policies", found.policies)):
        for index, item in enumerate(paths):
            if not isinstance(item, str | Path):
                raise BadDefinition(
                    f"{where}.{name}[{index}] is {_a(item)}, not a path", hint="name the file of a definition"
                )
    for name, (items, kind) in expected.items():
        for index, item in enumerate(items):
            if not isinstance(item, kind):
                raise BadDefinition(f"{where}.{name}[{index}] is {_a(item)}, not {_a(kind)}")
    return found


def _a(value: Any) -> str:
    if isinstance(value, type):
        name = value.__name__
        return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"
    return f"{type(value).__name__} {repr(value)[:60]}"


def _located(error: BaseException, folder: Path) -> ThespisError:
    """What went wrong while importing, at the last line of the workspace's own code that was reached."""
    if isinstance(error, SyntaxError):
        return BadDefinition(f"{error.filename}:{error.lineno}: {error.msg}", hint="correct the line")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(folder)]
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(folder / FILE)
    if isinstance(error, ThespisError):
        return BadDefinition(f"{where}: {error.message}", hint=error.hint)
    hint = "correct the line"
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.split(".")[0]
        if (folder / f"{top}.py").exists() or (folder / top).is_dir():
            hint = f"files beside {FILE} are imported with a dot: from .{top} import …"
        else:
            hint = f"install it, e.g. pip install {top}"
    return BadDefinition(f"{where}: {type(error).__name__}: {error}", hint=hint)


def _line_of_plugin(file: Path) -> int:
    """The line that last binds the name `plugin`, or 1."""
    line = 1
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Name) and node.id == "plugin" and isinstance(node.ctx, ast.Store):
            line = node.lineno
    return line

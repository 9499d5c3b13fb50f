"""User code is loaded by path, under a name of its own, and what is wrong with it is said with file and line."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from events.errors import BadDefinition, NotFound, ThespisError
from gateway import workspace
from gateway.workspace import gather, load

COUNTER = """
from __future__ import annotations
import msgspec
from actors import Kind, Message

class Add(msgspec.Struct, frozen=True):
    amount: int

class Added(msgspec.Struct, frozen=True):
    amount: int

class Counter(msgspec.Struct):
    total: int = 0

def decide(state, message: Message):
    return [Added(message.data.amount)]

def evolve(state, event):
    state.total += event.amount
    return state

counter = Kind("{kind}", state=Counter, decide=decide, evolve=evolve, messages=[Add], events=[Added])
"""

GOOD = "from actors import Plugin\nfrom .counter import counter\nplugin = Plugin(kinds=[counter])\n"


def write(folder: Path, kind: str = "counter", **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "counter.py").write_text(COUNTER.replace("{kind}", kind))
    for name, text in {"workspace": GOOD, **files}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_files_beside_it_are_imported_with_a_dot(tmp_path: Path) -> None:
    path = list(sys.path)
    plugin = load(write(tmp_path / "one"))
    assert [kind.name for kind in plugin.kinds] == ["counter"]
    assert sys.path == path
    assert "counter" not in sys.modules
    assert "workspace" not in sys.modules


def test_two_workspaces_with_the_same_file_names_live_side_by_side(tmp_path: Path) -> None:
    one, two = load(write(tmp_path / "one", "apples")), load(write(tmp_path / "two", "pears"))
    assert [kind.name for kind in one.kinds + two.kinds] == ["apples", "pears"]
    assert one.kinds[0].state is not two.kinds[0].state
    both = gather([tmp_path / "one", tmp_path / "two"])
    assert {"apples", "pears"} <= {kind.name for kind in both.kinds}


def test_the_same_fold_has_the_same_name_wherever_it_lies(tmp_path: Path) -> None:
    one, two = load(write(tmp_path / "one")), load(write(tmp_path / "two"))
    assert one.kinds[0].fold_id == two.kinds[0].fold_id


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("x = 1\nplugin = = 2\n", "workspace.py:2: invalid syntax", "correct the line"),
        ("\n\n1 / 0\n", "workspace.py:3: ZeroDivisionError", "correct the line"),
        ("from counter import counter\n", "workspace.py:1: ModuleNotFoundError", "from .counter import"),
        ("import no_such_thing\n", "workspace.py:1: ModuleNotFoundError", "pip install no_such_thing"),
        ("x = 1\n", "workspace.py does not define `plugin`", "plugin = Plugin("),
        ("x = 1\nplugin = 'me'\n", "workspace.py:2: plugin is str 'me', not a Plugin", "from actors import Plugin"),
        (
            "from actors import Plugin\n\nplugin = Plugin(kinds=['counter'])\n",
            "workspace.py:3: plugin.kinds[0] is str 'counter', not a Kind",
            "",
        ),
        (
            "from actors import Kind\nKind('Not A Name', state=int, decide=print, evolve=print)\n",
            "workspace.py:2: 'Not A Name' is not a kind name",
            "[a-z]",
        ),
        ("raise SystemExit(3)\n", "workspace.py:1: SystemExit", ""),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, text: str, message: str, hint: str) -> None:
    before = set(sys.modules)
    with pytest.raises(BadDefinition) as caught:
        load(write(tmp_path / "bad", workspace=text))
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert not {name for name in set(sys.modules) - before if name.startswith("_thespis_workspace")}


def test_an_error_in_a_file_beside_it_names_that_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "bad")
    (folder / "counter.py").write_text("def f(:\n")
    with pytest.raises(BadDefinition, match=r"counter\.py:1: "):
        load(folder)


def test_no_workspace_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"has no workspace\.py") as caught:
        load(tmp_path)
    assert "thespis new" in caught.value.hint
    with pytest.raises(NotFound, match="there is no directory"):
        load(tmp_path / "nowhere")


def test_two_kinds_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two")
    with pytest.raises(BadDefinition, match="more than one actor kind is named counter"):
        gather([tmp_path / "one", tmp_path / "two"])


def test_installed_plugins_come_from_entry_points_and_are_checked() -> None:
    good = EntryPoint("toy", "tests.cli.toy_plugin:plugin", workspace.GROUP)
    assert [kind.name for kind in workspace._from_entry_point(good).kinds] == ["toy"]
    for value, message in (
        ("tests.cli.toy_plugin:wrong", "is int 5, not a Plugin"),
        ("tests.cli.toy_plugin:missing", "cannot be loaded: AttributeError"),
        ("tests.cli.no_such_module:plugin", "cannot be loaded: ModuleNotFoundError"),
    ):
        with pytest.raises(ThespisError, match=message):
            workspace._from_entry_point(EntryPoint("toy", value, workspace.GROUP))

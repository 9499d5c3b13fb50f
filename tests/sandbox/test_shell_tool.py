"""`shell.run`: the line is looked at, the level is reached, the result says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from infra.sandbox.levels import LEVELS, satisfies
from infra.sandbox.running import Limits
from infra.sandbox.sandbox import Sandbox
from infra.tools.shell.rules import ShellRules
from infra.tools.shell.tool import Run, shell_tools


def call(sandbox: str = "") -> ToolCallInfo:
    return ToolCallInfo("c1", "k1", "default", ["user:ada"], sandbox=sandbox)


@pytest.fixture
async def sandbox() -> Sandbox:
    made = Sandbox(levels=["namespaces", "landlock"])
    await made.prepare()
    assert made.level
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "outside").write_text("secret")
    return tmp_path / "root"


def tool(root: Path, sandbox: Sandbox, **options: Any) -> Tool:
    (made,) = shell_tools(root, sandbox, **options)
    return made


async def ran(made: Tool, given: Run, info: ToolCallInfo | None = None) -> ToolResult:
    result = await made.run(given, info or call())
    assert isinstance(result, ToolResult)
    return result


async def test_a_line_is_run_in_its_folder(root: Path, sandbox: Sandbox) -> None:
    made = tool(root, sandbox)
    result = await ran(made, Run("cat a.txt | wc -l > n; cat n", folder="sub"))
    assert result.value["stdout"].strip() == "2"
    assert (root / "sub" / "n").exists()
    assert result.sandbox == sandbox.level
    assert result.label == "untrusted/private"
    assert (made.definition.risk, made.definition.effect_class) == ("privileged", "irreversible")
    assert made.definition.roles == {"command": "command", "folder": "destination"}


async def test_what_fails_says_how(root: Path, sandbox: Sandbox) -> None:
    result = await ran(tool(root, sandbox), Run("ls nothing-here"))
    assert result.value["status"] == 2
    assert "nothing-here" in result.text
    assert result.text.endswith("[exit status 2]")


async def test_a_line_against_the_rules_runs_not_even_in_part(root: Path, sandbox: Sandbox) -> None:
    with pytest.raises(ToolError, match="python3 is not allowed") as refused:
        await ran(tool(root, sandbox), Run("touch made; python3 -c 'print(1)'"))
    assert refused.value.code == "refused"
    assert not (root / "made").exists()
    preview = tool(root, sandbox).preview
    assert preview is not None
    assert preview(Run("touch made; python3 x"))["refused"]


@pytest.mark.parametrize("needed", LEVELS)
async def test_a_level_that_is_not_reached_runs_nothing(root: Path, sandbox: Sandbox, needed: str) -> None:
    given = Run("touch made")
    if satisfies(sandbox.level, needed):
        assert (await ran(tool(root, sandbox), given, call(needed))).sandbox == sandbox.level
        return
    with pytest.raises(ToolError, match=f"{needed} is needed"):
        await ran(tool(root, sandbox), given, call(needed))
    assert not (root / "made").exists()


async def test_without_a_sandbox_nothing_is_run(root: Path) -> None:
    for sandbox in (Sandbox(), Sandbox(levels=["namespaces"], without=["seccomp"])):
        with pytest.raises(ToolError) as refused:
            await ran(tool(root, sandbox), Run("touch made"))
        assert refused.value.code == "sandbox"
    assert not (root / "made").exists()


@pytest.mark.parametrize("folder", ["..", "/etc", "link", "sub/../..", "nothing", "sub/a.txt", "a\0b"])
async def test_a_folder_elsewhere_is_refused(root: Path, sandbox: Sandbox, folder: str) -> None:
    (root / "link").symlink_to(root.parent)
    with pytest.raises(ToolError, match="no folder below"):
        await ran(tool(root, sandbox), Run("ls", folder=folder))


async def test_what_is_allowed_still_cannot_reach_outside(root: Path, sandbox: Sandbox) -> None:
    """The rules look at words; what those do is the sandbox's."""
    made = tool(root, sandbox, rules=ShellRules(allow=("*",)))
    (root / "link").symlink_to(root.parent / "outside")
    result = await ran(made, Run(f"cat link {root.parent}/outside; cp sub/a.txt {root.parent}/new; cat /etc/shadow"))
    assert "secret" not in result.value["stdout"]
    assert not (root.parent / "new").exists()
    assert result.value["status"] != 0


async def test_a_readonly_shell_writes_nothing(root: Path, sandbox: Sandbox) -> None:
    await ran(tool(root, sandbox, readonly=True), Run("rm -rf sub; touch made"))
    assert {each.name for each in root.iterdir()} == {"sub"}


async def test_output_is_secret_where_there_is_a_secret_file(root: Path, sandbox: Sandbox) -> None:
    (root / "sub" / ".env").write_text("KEY=1")
    assert (await ran(tool(root, sandbox), Run("ls"))).label == "untrusted/secret"


async def test_limits_are_kept_and_said(root: Path, sandbox: Sandbox) -> None:
    made = tool(root, sandbox, limits=Limits(output=100))
    assert (await ran(made, Run("sleep 100", timeout=0.3))).text == "[stopped at the limit of time]"
    cut = await ran(made, Run("yes | head -n 1000"))
    assert cut.value["truncated"]
    assert cut.text.endswith("output cut]")
    for timeout in (0, -1, 1e9):
        with pytest.raises(ToolError, match="timeout"):
            await ran(made, Run("ls", timeout=timeout))

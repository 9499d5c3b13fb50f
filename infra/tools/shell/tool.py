"""The tool `shell.run`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.tools.tool import Tool, ToolCallInfo, ToolError, ToolResult
from events.errors import ThespisError
from infra.sandbox.levels import satisfies
from infra.sandbox.running import Limits, Ran
from infra.sandbox.sandbox import Sandbox, run
from infra.tools.files.globs import SECRET, any_secret
from infra.tools.shell.reading import parse
from infra.tools.shell.rules import ShellRules, objections

LONGEST_RUN: Final = 600.0
_LEAST: Final = "landlock"


class Run(msgspec.Struct, frozen=True):
    """`command` is a line of bash; every program in it, at any depth, must be literal and allowed. `folder` is where
    it runs, relative to the root. `timeout` in seconds."""

    command: str
    folder: str = "."
    timeout: float = 60.0


def shell_tools(
    root: Path,
    sandbox: Sandbox,
    rules: ShellRules | None = None,
    *,
    limits: Limits | None = None,
    needed: str = _LEAST,
    readonly: bool = False,
    secret: Sequence[str] = SECRET,
) -> list[Tool]:
    """`shell.run` in a folder and what is below it, which it may write unless `readonly`.

    `needed` is the level without which it never runs, whatever the policy says. `secret` are patterns of files: where
    there is one below the root, what commands print is labelled secret.
    """
    shell = _Shell(root.resolve(), sandbox, rules or ShellRules(), limits or Limits(), readonly, tuple(secret))
    return [
        Tool(
            "shell.run",
            shell.run,
            description="Run a line of bash in the sandbox, without network. Only programs that are allowed may occur.",
            input=Run,
            risk="privileged",
            effect_class="irreversible",
            roles={"command": "command", "folder": "destination"},
            sandbox=needed,
            timeout=LONGEST_RUN + 30,
            at_once=4,
            preview=shell.preview,
        )
    ]


class _Shell:
    def __init__(
        self, root: Path, sandbox: Sandbox, rules: ShellRules, limits: Limits, readonly: bool, secret: tuple[str, ...]
    ) -> None:
        self._root = root
        self._sandbox = sandbox
        self._rules = rules
        self._limits = limits
        self._readonly = readonly
        self._secret = secret

    async def run(self, given: Run, call: ToolCallInfo) -> ToolResult:
        """Raises ToolError: refused (the rules), sandbox (the level), invalid (the folder), unavailable."""
        if why := objections(parse(given.command), self._rules):
            raise ToolError("refused: " + "; ".join(why), code="refused")
        level = self._sandbox.level
        for needed in (call.sandbox, _LEAST):
            if not satisfies(level, needed):
                raise ToolError(f"the sandbox is at level {level or 'none'}; {needed} is needed", code="sandbox")
        folder = self._folder(given.folder)
        secret = await asyncio.to_thread(any_secret, self._root, self._secret)
        try:
            ran = await run(
                ["bash", "--noprofile", "--norc", "-c", given.command], sandbox=self._sandbox, folder=folder,
                readable=[self._root], writable=[] if self._readonly else [self._root], needed=call.sandbox,
                limits=msgspec.structs.replace(self._limits, wall=self._wall(given.timeout)),
            )  # fmt: skip
        except ThespisError as error:
            raise ToolError(error.message, code="unavailable") from None
        label = f"untrusted/{'secret' if secret else 'private'}"
        return ToolResult(_value(ran), _text(ran), label=label, sandbox=ran.level)

    def preview(self, given: Run) -> dict[str, Any]:
        """Everything the line would run and write, and why it would be refused."""
        parsed = parse(given.command)
        return {
            "programs": [{"program": each.name, "words": [word.source for word in each.words],
                          "inside": list(each.inside)} for each in parsed.commands],
            "files": [f"{each.operator} {each.target.source}" for each in parsed.redirections],
            "refused": objections(parsed, self._rules),
        }  # fmt: skip

    def _folder(self, folder: str) -> Path:
        """Below the root by its real path; what is put there afterwards is seen from inside the sandbox only."""
        path = Path(os.path.realpath(self._root / folder)) if "\0" not in folder else Path("/")
        if not path.is_relative_to(self._root) or not path.is_dir():
            raise ToolError(f"{folder} is no folder below the root", code="invalid")
        return path

    def _wall(self, timeout: float) -> float:
        if not 0 < timeout <= LONGEST_RUN:
            raise ToolError(f"timeout is between 0 and {LONGEST_RUN:.0f} seconds", code="invalid")
        return timeout


def _value(ran: Ran) -> dict[str, Any]:
    return {
        "status": ran.status,
        "stdout": ran.stdout.decode(errors="replace"),
        "stderr": ran.stderr.decode(errors="replace"),
        "truncated": ran.truncated,
        "seconds": round(ran.seconds, 3),
        "memory": ran.memory,
        "stopped": ran.stopped,
    }


def _text(ran: Ran) -> str:
    said = [ran.stdout.decode(errors="replace").rstrip("\n"), ran.stderr.decode(errors="replace").rstrip("\n")]
    ended = f"stopped at the limit of {ran.stopped}" if ran.stopped else f"exit status {ran.status}"
    cut = ", output cut" if ran.truncated else ""
    return "\n".join([*filter(None, said), f"[{ended}{cut}]"])

"""Definitions of workflows on this host: read, checked against the tasks known here, and published."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.workflows.tasks import Catalogue, Task
from actors.workflows.workflow import PublishWorkflow
from events import ids
from events.cloudevents import digest
from events.envelope import Answer, Message
from events.errors import ThespisError, Unavailable
from gateway.tokens import now

if TYPE_CHECKING:
    from actors.workflows.definition import Compiled, Problem

log = logging.getLogger("thespis.workflows")

ENDINGS: Final = (".yaml", ".yml", ".json")

PATIENCE: Final = 15
"""Times that a definition is sent while nobody can handle it."""

BY: Final = "workspace"
"""Who publishes what lies in a workspace."""

_encode = msgspec.json.Encoder().encode


class Broken(msgspec.Struct, frozen=True):
    """A definition of a workspace that is not served, and everything that is wrong with it."""

    file: str
    problems: list[Any]


class Definitions:
    """Checks definitions. `tasks` are those that steps may name, `broken` the files of the workspace that are wrong."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self.tasks = Catalogue(tasks)
        self.broken: list[Broken] = []
        self._lock = Lock()
        self._expressions: Any = None

    def compile(self, text: str, file: str) -> Compiled:
        """A definition, checked and planned. Raises DefinitionInvalid with all that is wrong."""
        from actors.workflows.definition import compile_workflow, read
        from infra.cel import Cel

        with self._lock:
            if self._expressions is None:
                self._expressions = Cel()
            return compile_workflow(read(text, file), self._expressions, self.tasks)

    async def check(self, text: str, file: str) -> Compiled:
        """`compile`, beside the loop."""
        return await asyncio.to_thread(self.compile, text, file)

    async def publish(
        self, files: Sequence[Path], tenant: str, ask: Callable[[Message], Awaitable[Answer]]
    ) -> list[str]:
        """Publish the definitions of a workspace whose hash is not that of the newest version; the names of all.

        What is wrong with one is logged and kept in `broken`; the others are published all the same.
        """
        names: list[str] = []
        for file in files:
            try:
                text = await asyncio.to_thread(file.read_text, "utf-8")
                compiled = await self.check(text, str(file))
                answer = await _patiently(compiled, text, tenant, ask)
            except Exception as error:
                self._failed(file, error)
                continue
            said = msgspec.json.decode(answer.data or b"{}")
            if answer.outcome == "refused":
                self._failed(file, ThespisError(str(said.get("reason") or "refused")))
                continue
            names.append(compiled.plan.name)
            if said.get("published"):
                log.info("published %s as workflow %s, version %s", file, said["name"], said["version"])
        return names

    def _failed(self, file: Path, error: Exception) -> None:
        from actors.workflows.definition import DefinitionInvalid

        problems: list[Any] = [{"file": str(file), "line": 1, "column": 1, "pointer": "", "message": str(error)}]
        if isinstance(error, DefinitionInvalid):
            problems = [described(problem) for problem in error.problems]
        self.broken.append(Broken(str(file), problems))
        for problem in problems:
            log.error("%s:%s:%s: %s", problem["file"], problem["line"], problem["column"], problem["message"])


async def _patiently(compiled: Compiled, text: str, tenant: str, ask: Callable[[Message], Awaitable[Answer]]) -> Answer:
    """Publish, and again while nobody can handle it: a host that has just started owns nothing yet."""
    id = ids.random_id()
    for attempt in range(PATIENCE):
        try:
            return await ask(publication(compiled, text, tenant, BY, id, 10.0))
        except Unavailable:
            if attempt == PATIENCE - 1:
                raise
            await asyncio.sleep(min(0.1 * 2**attempt, 5.0))
    raise AssertionError


def described(problem: Problem) -> dict[str, Any]:
    """A problem as JSON."""
    return {
        "file": problem.file, "line": problem.line, "column": problem.column, "pointer": problem.pointer,
        "message": problem.message, "hint": problem.hint,
    }  # fmt: skip


def publication(compiled: Compiled, text: str, tenant: str, by: str, id: str = "", patience: float = 30.0) -> Message:
    """The message that publishes a definition."""
    from actors.workflows.plan import encode_plan

    id = id or ids.random_id()
    body = _encode(PublishWorkflow(msgspec.Raw(encode_plan(compiled.plan)), text, by))
    at = now()
    return Message(
        id=id, type="PublishWorkflow", to=f"workflow/{compiled.plan.name}", tenant=tenant, body=body, sender=by,
        time=at, causation="", correlation=id, schema=1, digest=digest("PublishWorkflow", body), trace=None,
        deadline=at + int(patience * 1e6),
    )  # fmt: skip


def checker(workspaces: Sequence[str | Path] = ()) -> Callable[[bytes, str], list[Problem]]:
    """A function from a definition and its file's name to all that is wrong with it.

    The tasks it may name are those of the workspaces; without any, every name of a task will do.
    """
    from actors.workflows.definition import DefinitionInvalid, Problem, compile_workflow, read
    from gateway.workspace import gather
    from infra.cel import Cel
    from infra.tasks.builtin import BUILTIN

    tasks = Catalogue([*BUILTIN, *gather(workspaces).tasks]) if workspaces else None
    expressions = Cel()

    def check(content: bytes, file: str) -> list[Problem]:
        try:
            compile_workflow(read(content.decode("utf-8-sig"), file), expressions, tasks)
        except DefinitionInvalid as error:
            return list(error.problems)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            return [Problem(file, line, 1, "", f"not UTF-8: byte {error.start} is 0x{content[error.start]:02x}")]
        return []

    return check


def files_of(folder: Path, named: Sequence[str | Path] = ()) -> list[Path]:
    """The definitions of a workspace: those it names, `*.workflow.yaml` (yml, json), and all in `workflows/`."""
    found = [folder / name for name in named]
    for ending in ENDINGS:
        found += folder.glob(f"*.workflow{ending}")
        found += (folder / "workflows").glob(f"*{ending}")
    return sorted({path.resolve() for path in found})

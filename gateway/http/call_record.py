"""One call of a tool as its readers see it: folded from its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from events import tools as t
from events.envelope import Event
from events.errors import NotFound
from events.registry import Registry
from gateway.http.route import Call

_REGISTRY: Final = Registry(t.CALL_EVENTS)


class CallRecord(msgspec.Struct):
    """A call. `status` is waiting (for people), running, or what came of it."""

    call: str
    tool: str = ""
    status: str = "running"
    stage: str = "requested"
    code: str = ""
    text: str = ""
    data: Any = None
    label: str = ""
    arguments: Any = None
    risk: str = ""
    effect_class: str = ""
    hash: str = ""
    digest: str = ""
    labels: dict[str, str] = {}
    decision: str = ""
    policy: str = ""
    rule: str = ""
    why: str = ""
    approval: str | None = None
    approved_by: list[str] = []
    requesters: list[str] = []
    agent: str = ""
    conversation: str = ""
    turn: int = 0
    dry: bool = False
    sandbox: str = ""
    citations: list[t.Citation] = []
    requested_at: int = 0
    ended_at: int | None = None
    version: int = 0

    def fold(self, events: Iterable[Event]) -> None:
        """Take events that follow those before."""
        for event in events:
            if event.version > self.version:
                self.version = event.version
                self._take(_REGISTRY.decode(event.type, event.schema, event.data))

    def _take(self, e: Any) -> None:
        match e:
            case t.CallRequested():
                self.tool, self.arguments, self.requesters = e.tool, e.arguments, e.requesters
                self.agent, self.conversation, self.turn = e.agent, e.conversation, e.turn
                self.dry, self.requested_at = e.dry, e.at
            case t.CallPinned():
                self.stage, self.hash, self.digest, self.arguments = "pinned", e.hash, e.digest, e.arguments
                self.risk, self.effect_class = e.definition.risk, e.definition.effect_class
            case t.CallLabelled():
                self.stage, self.labels = "labelled", e.labels
            case t.CallGuarded():
                self.stage = "guarded"
            case t.CallJudged():
                self.stage, self.decision, self.rule, self.why = "judged", e.decision, e.rule, e.why
                self.policy = f"{e.policy}@{e.version}"
            case t.CallApprovalAsked():
                self.status, self.digest = "waiting", e.digest
                self.approval = e.approval.removeprefix("approval/")
            case t.CallApproved():
                self.status, self.stage, self.approved_by = "running", "approved", e.by
            case t.CallBudgeted():
                self.stage = "budgeted"
            case t.CallAdmitted():
                self.stage = "admitted"
            case t.CallBegun():
                self.stage, self.sandbox = "begun", e.sandbox
            case t.CallAnswered():
                self.stage, self.data, self.label, self.citations = "answered", e.result, e.label, e.citations
                self.sandbox, self.text = e.sandbox or self.sandbox, e.error
            case t.CallEnded():
                self.status, self.stage, self.ended_at = e.status, e.stage or self.stage, e.at
                self.text, self.code, self.label = e.text, e.code, e.label
            case _:
                pass


def name_of(call: str) -> str:
    """The id of a call, however it is named."""
    return call.removeprefix("call/")


async def record(call: Call, id: str) -> CallRecord:
    """A call from the log. Raises NotFound."""
    found = CallRecord(name_of(id))
    found.fold(await call.door.store.read_stream(call.tenant, f"call/{found.call}"))
    if not found.version:
        raise NotFound(f"there is no call {id!r}", hint="the turn that asked for it names it")
    return found

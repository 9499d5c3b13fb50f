"""`agent.ask`: ask an agent, and wait until it has answered."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Any, Final

import msgspec

from actors.agents.inquiry import DescribeInquiry, Inquire, StopInquiry
from actors.workflows.inputs import checked, schema_problem
from actors.workflows.tasks import Task, TaskError
from events.agents import InquiryAnswered
from events.errors import NotFound, ThespisError, Unavailable
from infra.tasks.builtin.asking import Asking, Client
from infra.tasks.context import Context

FIRST, LONGEST = 0.05, 1.0
"""Seconds between two looks."""

_encode = msgspec.json.Encoder().encode


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """What to ask. `conversation`: go on in this one; else it is a new one. `output`: JSON Schema of the answer.
    `variables`: context variables of this step, which count before all others."""

    agent: str
    message: str
    conversation: str = ""
    output: dict[str, Any] | None = None
    variables: dict[str, Any] = {}


class Answered(msgspec.Struct, omit_defaults=True):
    """What the agent answered: `data` is what its output schema (or that of the question) asks for."""

    text: str
    conversation: str
    turn: int
    data: Any = None
    label: str = "untrusted/private"


class _Seen(msgspec.Struct):
    conversation: str = ""
    answer: InquiryAnswered | None = None


_seen = msgspec.json.Decoder(_Seen).decode


def agent_task(asking: Asking) -> Task:
    """The task `agent.ask`."""

    async def ask(question: Question, context: Context) -> Answered:
        """Ask an agent: `agent`, `message`, `conversation`, `output`, `variables`; returns `text`, `data`,
        `conversation`, `turn`.

        Kinds of errors: `invalid`, `refused` (no such agent, or it takes no turns), `output` (the answer does not fit),
        `failed`, `interrupted`, `cancelled` (so the turn ended). Tokens and dollars are the usage of the step.
        """
        client = asking.open("agents")
        if question.output is not None and (wrong := schema_problem(question.output)):
            raise TaskError(f"output is no JSON Schema: {wrong}", kind="invalid")
        inquiry = _Inquiry(asking, client, context)
        try:
            await inquiry.make(question)
            seen = await inquiry.answer()
        except asyncio.CancelledError:
            if context.cancelled:  # and not only this host that stops: another one goes on
                await inquiry.stop()
            raise
        return _answered(question, seen, context)

    return Task(
        "agent.ask", ask, input=Question, output=Answered, effect_class="keyed", timeout=3600.0, provides=("agent",),
        volatile=True,
    )  # fmt: skip


class _Inquiry:
    """One question, at its actor."""

    def __init__(self, asking: Asking, client: Client, context: Context) -> None:
        self._asking = asking
        self._client = client
        self._context = context
        self.address = f"inquiry/{blake2b(context.key.encode(), digest_size=16).hexdigest()}"

    async def make(self, question: Question) -> None:
        """Ask. The same step again asks the same."""
        message = question.message
        if question.output is not None:
            message += f"\n\nAnswer with JSON alone that fits this JSON Schema:\n{_encode(question.output).decode()}"
        run = self._context.run
        asked = Inquire(
            question.agent, message, question.conversation, run, self._context.variables_of, question.variables,
            self._context.requesters,
        )  # fmt: skip
        await self._asking.send(self._context, self.address, asked, "ask")

    async def stop(self) -> None:
        """Let the agent stop."""
        try:
            stop = StopInquiry("the step was cancelled")
            await self._asking.send(self._context, self.address, stop, "stop", 2.0)
        except (ThespisError, TaskError) as error:
            self._context.logger.warning("%s was not stopped: %s", self.address, error)

    async def answer(self) -> _Seen:
        """Look until it is answered."""
        pause = FIRST
        while True:
            try:
                found = await self._client.query(self._context.tenant, self.address, DescribeInquiry.__name__, b"{}")
                seen = _seen(found)
                if seen.answer is not None:
                    return seen
            except (Unavailable, NotFound):
                pass  # its host moves
            self._context.heartbeat()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST)


def _answered(question: Question, seen: _Seen, context: Context) -> Answered:
    answer = seen.answer
    assert answer is not None
    if answer.usage:
        context.usage(**{f"{name}_tokens": count for name, count in answer.usage.items()})
    if answer.cost is not None:
        context.usage(usd=answer.cost)
    elif answer.turn:
        context.usage(unknown_cost=1)
    if answer.status != "replied":
        raise TaskError(answer.reason or f"the turn was {answer.status}", kind=answer.status)
    data = answer.data
    if question.output is not None:
        data = _fitting(question.output, answer)
    return Answered(answer.text, seen.conversation, answer.turn, data, answer.label)


def _fitting(schema: dict[str, Any], answer: InquiryAnswered) -> Any:
    """The data that was asked for: what the agent gave, or JSON in its text. Raises TaskError (output)."""
    data = answer.data
    if data is None:
        text = answer.text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
        try:
            data = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise TaskError(f"the answer is no JSON: {error}", kind="output", data=answer.text[:2000]) from None
    name = blake2b(_encode(schema), digest_size=16).hexdigest()
    _, problems = checked(name, {"properties": {"answer": schema}}, {"answer": data})
    if problems:
        raise TaskError("; ".join(problems), kind="output", data=data)
    return data


AGENT_ASK: Final = agent_task(Asking())
"""As definitions are checked with; where it is performed it needs an `Asking` with a client."""

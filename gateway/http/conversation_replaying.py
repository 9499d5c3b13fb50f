"""Going through a conversation again: silently, by today's code against the record, or as it would have been.

None of it touches the conversation. `replay` and `rerun` call nobody; `whatif` asks models, and takes what tools said
from the record where the call is the very same. Its model calls are recorded in a stream of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from events.envelope import Event
from events.errors import DeadlineExceeded, InvalidData, NotFound, Unserved
from events.tools import ToolDefinition
from gateway.http import body
from gateway.http.asking import told
from gateway.http.conversation_explain import history
from gateway.http.conversation_feed import exists
from gateway.http.models_replaying import RerunIn, WhatIfIn
from gateway.http.route import Call, answer
from gateway.http.whatif_calls import Calls
from gateway.tokens import now

if TYPE_CHECKING:
    from actors.agents.replaying.driver import Decide
    from actors.agents.replaying.transcript import Played
    from actors.agents.replaying.whatif import Judge

LONGEST: Final = 600.0
"""Seconds that models are asked for one `whatif`."""


async def replay(call: Call) -> web.Response:
    """What was said and done, line by line."""
    from actors.agents.replaying.transcript import replay as replayed

    id = call.path("id")
    events = await history(call, await exists(call, id))
    at = call.query.at
    if at is not None and at > events[-1].version:
        raise NotFound(
            f"conversation {id!r} has {events[-1].version} versions, not {at}", hint=f"`GET /v1/conversations/{id}`"
        )
    found = await asyncio.to_thread(replayed, events, at)
    version = at if at is not None else events[-1].version
    lines = [asdict(line) for line in found.lines]
    return answer(
        {"conversation": id, "version": version, "lines": lines, "turns": [_played(turn) for turn in found.turns]}
    )


async def rerun(call: Call) -> web.Response:
    """Today's code against the record, from a turn on."""
    from actors.agents.replaying.rerun import rerun as run_again

    asked = await body.model(call, RerunIn, optional=True)
    id = call.path("id")
    events = await history(call, await exists(call, id))
    found = await asyncio.to_thread(run_again, events, asked.turn, _decide())
    divergence = asdict(found.divergence) if found.divergence is not None else None
    out = {**asdict(found), "conversation": id, "divergence": divergence}
    return answer({**out, "notes": [asdict(note) for note in found.notes]})


async def whatif(call: Call) -> web.Response:
    """The same messages with another model, other instructions or another policy."""
    from actors.agents.replaying.whatif import Changes
    from actors.agents.replaying.whatif import whatif as ask_what_if

    asked = await body.model(call, WhatIfIn)
    if (agents := call.door.agents) is not None:
        for model in asked.models or ():
            if (provider := model.partition(":")[0]) not in agents.providers:
                here = ", ".join(sorted(agents.providers))
                raise InvalidData(
                    f"there is no provider {provider!r} here: {here}", hint="`GET /v1/models` lists what there is"
                )
    id = call.path("id")
    events = await history(call, await exists(call, id))
    used = _tools(event.data for event in events if event.type == "ToolAsked")
    judge = await _judge(call, asked.policy, used) if asked.policy is not None else None
    changes = Changes(asked.models, asked.instructions, asked.temperature, None, judge)
    given = asked.model_dump(exclude_none=True, exclude={"turn"})
    calls = await Calls.begin(call, events[0].stream, _agent(events), asked.turn, given)
    try:
        async with asyncio.timeout(LONGEST):
            found = await ask_what_if(events, changes, calls, _decide(), asked.turn)
    except TimeoutError:
        hint = f"what was asked is in whatif/{calls.id}; under the same key it goes on from there"
        raise DeadlineExceeded(f"models did not answer within {LONGEST:g} s", hint=hint) from None
    turns = [{**asdict(t), "before": _played(t.before), "after": _played(t.after)} for t in found.turns]
    return answer(
        {
            "conversation": id, "whatif": calls.id, "turns": turns, "cost_before": found.cost_before,
            "cost_after": found.cost_after, "stopped": found.stopped,
        }
    )  # fmt: skip


def _decide() -> Decide:
    """What today's code makes of a message to a conversation."""
    from actors.agents.conversation.kind import conversation_kind

    return cast("Decide", conversation_kind().decide)


def _played(turn: Played) -> dict[str, Any]:
    return asdict(turn)


class _Opened(msgspec.Struct):
    agent: str


def _agent(events: Iterable[Event]) -> str:
    """Who answers in a conversation."""
    opened = next(event for event in events if event.type == "ConversationOpened")
    return msgspec.json.decode(opened.data, type=_Opened).agent


class _Asked(msgspec.Struct):
    tool: str


_asked = msgspec.json.Decoder(_Asked).decode


def _tools(asked: Iterable[bytes]) -> list[str]:
    return sorted({_asked(data).tool for data in asked})


async def _judge(call: Call, text: str, tools: Iterable[str]) -> Judge:
    """What another policy says of calls. Raises NotValid with all that is wrong with it."""
    from actors.tools.arguments import parse
    from actors.tools.labels import WORST, join
    from actors.tools.messages import DescribeTool, RequestCall
    from actors.tools.names import tool_address
    from actors.tools.policy import judge
    from actors.tools.policy_rules import Facts, Published, decode_policy

    policies = call.door.policies
    if policies is None:
        raise Unserved("this host checks no policies")
    rules, hash = await policies.check(text, "policy.yaml")
    published = Published(decode_policy(bytes(rules)), 0, hash)
    definitions: dict[str, ToolDefinition] = {}
    for name in tools:
        found = await told(call, tool_address(name), DescribeTool())
        definitions[name] = msgspec.convert(found["definition"], ToolDefinition)
    tenant, at = call.tenant, now()

    def said(request: RequestCall) -> str:
        definition = definitions.get(request.tool)
        if definition is None:
            return ""  # it is not in the record, which is said
        arguments = parse(request.arguments)
        labels = {name: join(request.labels.get(name, request.labels.get("*", WORST))) for name in arguments}
        facts = Facts(definition, arguments, labels, request.requesters, tenant, at, request.agent, request.roles)
        judged = judge(published, facts)
        return judged.why if judged.decision == "deny" else ""

    return said

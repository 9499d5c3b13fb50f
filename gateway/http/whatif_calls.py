"""The model calls of a what-if: made by its actor, so that budgets let them in and what they cost is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from actors.agents.definition.plan import AgentDefinition
from actors.agents.messages import AskWhatIf, BeginWhatIf, DescribeAgent
from actors.agents.replaying.inputs import recorded_result
from actors.agents.replaying.whatif import NotAsked
from actors.models.port import ModelCall
from events.address import address
from events.conversations import ModelAsked
from events.envelope import Event
from events.errors import NotFound
from events.models import ModelResult
from events.registry import Registry
from events.whatif import WHATIF_EVENTS, WhatIfAnswered, WhatIfFailed, WhatIfLost, WhatIfRefused
from gateway.http.asking import ask, keyed, told
from gateway.http.conversation_explain import history
from gateway.http.conversation_feed import Feed
from gateway.http.route import Call
from gateway.http.showing import Showing

CHARGED: Final = ("agent", "tenant")
"""Scopes whose budgets a what-if takes from. Those of the conversation and of its cause are left to these."""

_REGISTRY: Final = Registry(WHATIF_EVENTS)

_Ended = WhatIfAnswered | WhatIfFailed | WhatIfLost | WhatIfRefused


class Calls:
    """Those of one what-if. `id` names it; the same request under its key is the same one, and asks no model again."""

    def __init__(self, call: Call, id: str, feed: Feed, budgets: list[str]) -> None:
        self._call = call
        self.id = id
        self._to = address("whatif", id)
        self._feed = feed
        self._budgets = budgets
        self._ended: dict[str, _Ended] = {}

    @staticmethod
    async def begin(call: Call, stream: str, agent: str, first: int, changes: dict[str, Any]) -> Calls:
        """Begin it, or go on with the one that was begun under this key. Raises Declined for another one's key."""
        id = keyed(call, stream, "whatif")
        to = address("whatif", id)
        said = await ask(call, to, BeginWhatIf(stream.partition("/")[2], agent, first, changes), "begin")
        calls = Calls(call, id, Feed(call, to, said["position"]), await _budgets(call, agent))
        calls._fold(await history(call, to))
        return calls

    async def __call__(self, wanted: ModelCall, asked: ModelAsked) -> ModelResult | None:
        """Have a model asked; None when the call is lost. Raises NotAsked when a budget does not let it in."""
        place = f"{wanted.turn}.{wanted.step}.{wanted.attempt}"
        recorded = [b for b in asked.budgets if b.partition("/")[2].partition(".")[0] in CHARGED]
        request = AskWhatIf(
            wanted.turn, wanted.step, wanted.attempt, wanted.models, wanted.request, asked.estimate,
            list(dict.fromkeys([*recorded, *self._budgets])),
        )  # fmt: skip
        said = await ask(self._call, self._to, request, place)
        ended = await self._end_of(said["call"])
        match ended:
            case WhatIfRefused():
                raise NotAsked(ended.reason)
            case WhatIfLost():
                return None
            case _:
                return recorded_result(ended)

    async def _end_of(self, call: str) -> _Ended:
        nothing = Showing()
        while call not in self._ended:
            events = await self._feed.events()
            if events is None:
                await self._feed.something(nothing, 30.0)
            else:
                self._fold(events)
        return self._ended[call]

    def _fold(self, events: Iterable[Event]) -> None:
        for event in events:
            fact = _REGISTRY.decode(event.type, event.schema, event.data)
            if isinstance(fact, _Ended):
                self._ended.setdefault(fact.call, fact)


async def _budgets(call: Call, agent: str) -> list[str]:
    """The budgets that the agent's newest version names; none when there is no such agent any more."""
    try:
        found = await told(call, address("agent", agent), DescribeAgent())
    except NotFound:
        return []
    limits = msgspec.convert(found["definition"], AgentDefinition).budgets
    ids = {"agent": agent, "tenant": call.tenant}
    return [address("budget", f"{scope}.{ids[scope]}") for scope in CHARGED if getattr(limits, scope) is not None]

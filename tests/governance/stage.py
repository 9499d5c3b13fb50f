"""The system of `world` on a stage whose host can be lost at any write to the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from actors.approval import Approve
from actors.budget import budget
from actors.core.kind import EffectKind, Plugin, merge
from actors.testing.clock import run_virtual
from actors.tools.plugin import tools_plugin
from actors.tools.policy import Policy
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from events.address import DEFAULT_TENANT
from events.errors import Refused
from infra.memory.stage import Stage
from infra.tools.effects import seen, tool_effects
from tests.governance.world import Outside, Want, asker, parrot, published, toys, wanted

Play = Callable[["Theatre", Outside], Awaitable[None]]


class Theatre(Stage):
    """A stage for calls."""

    def __init__(self, effects: Sequence[EffectKind], outside: Outside) -> None:
        super().__init__([], lambda: outside.busy > 0)
        self.plugin = merge([self.plugin, tools_plugin(effects), Plugin(kinds=[asker, parrot, budget])])

    async def until(self, address: str, *statuses: str) -> str:
        """The status of an actor, once it is one of these."""
        while True:
            state = await self.state(address)
            if state.get("status", "new") in statuses:
                return state["status"]
            seen = self.written
            if not await self.more(seen, self.seconds + 7200):
                raise AssertionError(f"{address} stays {state.get('status')}: {state.get('ended')}")

    async def said(self, to: str, data: object, sender: str = "user:test") -> None:
        """Ask until there is an answer, whatever it is."""
        with suppress(Refused):
            await self.insist(to, data, sender)

    async def settled(self, address: str, result: object) -> None:
        """A person says what became of the unknown effect of an actor."""
        for event in await self._memory.read_stream(DEFAULT_TENANT, address):
            if event.type == "EffectUnknown":
                effect = msgspec.json.decode(event.data)["effect"]
                outcome = msgspec.json.encode({"result": result})
                await self.hosts[0].resolve(DEFAULT_TENANT, effect, "succeeded", outcome, "user:test", "looked")


def act(play: Play, strike: tuple[int, bool] | None, policy: Policy | None = None) -> tuple[Outside, list[int], bool]:
    """One performance: what was done outside, the boundaries, and whether the host was lost as it was to be."""

    async def main() -> tuple[Outside, list[int], bool]:
        outside = Outside()
        held = toys(outside)
        async with Theatre(tool_effects(held), outside) as stage:
            for to, message in seen(held):
                await stage.insist(to, message, "host/1")
            await stage.insist("policy/default", published(policy or read_policy(DEFAULT)))
            await stage.settle()
            stage.arm(strike)
            await play(stage, outside)
            await stage.settle()
            return outside, list(stage.boundaries), stage.struck

    return run_virtual(main())


async def mail(stage: Theatre, _outside: Outside) -> None:
    """An irreversible call that people agree to."""
    await stage.insist("asker/1", Want("call/1", wanted("mail.send", {"to": "eve@example.org", "text": "hello"})))
    await stage.until("call/1", "asked")
    approval = (await stage.state("call/1"))["approval"]
    await stage.until(approval, "waiting", "reached", "reserved", "consumed")
    await stage.said(approval, Approve(), "user:boss")
    await stage.until("call/1", "succeeded", "unknown")

"""Everything agents need of the kernel, as one plugin: who talks, who is talked to, and what governs their tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.agents.agent import agent
from actors.agents.conversation.decision import Look
from actors.agents.conversation.kind import conversation_kind
from actors.agents.inquiry import inquiry
from actors.agents.variables import variables
from actors.agents.whatif import whatif
from actors.budget import budget
from actors.channels.port import Channel
from actors.channels.table import CHANNELS
from actors.core.kind import EffectKind, Plugin, merge
from actors.tools.guards.looking import look
from actors.tools.plugin import tools_plugin


def agent_plugin(
    effects: Sequence[EffectKind] = (),
    *,
    guards: Look = look,
    channels: Mapping[str, Channel] = CHANNELS,
) -> Plugin:
    """The kinds agent, conversation, inquiry, variables, budget and whatif, with those of tools: tool, call, policy.

    `effects` are performed by whoever has drivers: `model-call`, `agent-start`, `tool-…`, `channel-deliver`,
    `guard-check`. Approvals come with the plugin of workflows. `guards` says what guards think of a text, `channels`
    which there are.
    """
    talk = Plugin(kinds=[agent, conversation_kind(guards, channels), inquiry, variables, budget, whatif])
    return merge([talk, tools_plugin(effects)])

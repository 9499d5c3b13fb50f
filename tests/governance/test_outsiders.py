"""Who speaks from outside, by whatever door, speaks for themselves: names that only look like an actor's are none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.agents.inquiry import Inquire, inquiry
from actors.testing.scenario import given as scenario
from actors.workflows.plan import encode_plan
from actors.workflows.workflow import PublishWorkflow, StartWorkflow
from events.address import is_address, own_name
from events.errors import Refused
from infra.memory.workflows import planned
from tests.governance.world import WORKFLOW, play

OUTSIDE = ["user:mallory", "nats:channel/x", "spool:default", "user:a/b"]


@pytest.mark.parametrize("text", ["call/1", "agent/ada", "channel/telegram:42", "host/1"])
def test_an_address_is_an_actor(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize("text", [*OUTSIDE, "ada", "", "/x", "call/", "Call/1", "call/a b", "effect:tool-pure"])
def test_what_only_looks_like_one_is_none(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize("sender", OUTSIDE)
def test_nobody_outside_takes_the_name_of_another(sender: str) -> None:
    assert own_name("", sender) == own_name(sender, sender) == sender
    with pytest.raises(Refused, match="cannot speak for user:boss"):
        own_name("user:boss", sender)


@pytest.mark.parametrize("sender", ["workspace", "run/1", "task:7", "host/1"])
def test_what_is_part_of_the_system_says_in_whose_name_it_acts(sender: str) -> None:
    assert own_name("user:boss", sender) == "user:boss"


@pytest.mark.parametrize("sender", OUTSIDE)
def test_an_agent_is_not_asked_in_the_name_of_another(sender: str) -> None:
    asked = Inquire("librarian", "hello", by="user:boss")
    scenario(inquiry, address="inquiry/1").when(asked, sender=sender).refused("speaker")
    scenario(inquiry, address="inquiry/1").when(asked, sender="task:1").replied(
        {"conversation": "1", "answered": False}
    )


def test_a_workflow_is_not_started_in_the_name_of_another() -> None:
    async def script(world: Any, _outside: Any) -> None:
        plan = PublishWorkflow(msgspec.Raw(encode_plan(planned(WORKFLOW))))
        await world.system.ask("workflow/greeting", plan)
        start = StartWorkflow("r1", {"text": "ada"}, by="user:boss")
        with pytest.raises(Refused, match="cannot speak for user:boss"):
            await world.system.ask("workflow/greeting", start, sender="user:mallory")

    play(script)

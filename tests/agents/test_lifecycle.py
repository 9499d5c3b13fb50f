"""The life of an agent: every move that is legal, and every other one refused."""

from __future__ import annotations

from itertools import product

import pytest

from actors.agents.lifecycle import MACHINE, STATES, TRIGGERS, legal, moved
from events.errors import Refused

LEGAL = {
    ("defined", "start"): "starting",
    ("stopped", "start"): "starting",
    ("failed", "start"): "starting",
    ("starting", "started"): "ready",
    ("starting", "fail"): "failed",
    ("starting", "stop"): "stopped",
    ("starting", "quarantine"): "quarantined",
    ("ready", "take"): "busy",
    ("ready", "reload"): "ready",
    ("ready", "reject"): "ready",
    ("ready", "drain"): "draining",
    ("ready", "stop"): "stopped",
    ("ready", "quarantine"): "quarantined",
    ("busy", "take"): "busy",
    ("busy", "rest"): "ready",
    ("busy", "reload"): "busy",
    ("busy", "reject"): "busy",
    ("busy", "drain"): "draining",
    ("busy", "stop"): "stopped",
    ("busy", "quarantine"): "quarantined",
    ("draining", "take"): "draining",
    ("draining", "rest"): "draining",
    ("draining", "reload"): "draining",
    ("draining", "reject"): "draining",
    ("draining", "drained"): "stopped",
    ("draining", "stop"): "stopped",
    ("draining", "quarantine"): "quarantined",
    ("quarantined", "stop"): "stopped",
    ("quarantined", "release"): "starting",
}


@pytest.mark.parametrize(("state", "trigger"), list(product(STATES, TRIGGERS)))
def test_a_move_leads_where_it_should_or_is_refused_with_what_is_legal(state: str, trigger: str) -> None:
    if (state, trigger) in LEGAL:
        assert moved(state, trigger) == LEGAL[state, trigger]
        assert trigger in legal(state)
        return
    with pytest.raises(Refused) as refused:
        moved(state, trigger)
    assert refused.value.reason_code == "illegal"
    assert state in refused.value.message
    assert trigger not in legal(state)


def test_the_machine_knows_no_other_triggers_and_keeps_no_state() -> None:
    assert set(MACHINE.events) == set(TRIGGERS)
    assert MACHINE.models == []


def test_what_nobody_has_heard_of_is_refused() -> None:
    with pytest.raises(Refused):
        moved("ready", "dance")

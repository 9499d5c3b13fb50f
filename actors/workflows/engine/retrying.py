"""A run that did not succeed goes on: what was renewed begins again, where it can be taken up."""

from __future__ import annotations

from actors.workflows.engine import timeouts
from actors.workflows.engine.turn import Turn
from actors.workflows.messages import RetryRun
from actors.workflows.places import in_plan, inside
from events.errors import Refused
from events.workflows import RunRetried


def retry(turn: Turn, message: RetryRun) -> None:
    """Renew the run, and begin what can begin. Raises Refused for a place that is no step."""
    run = turn.run
    unknown = [place for place in message.steps if in_plan(place) not in turn.index.steps]
    if unknown:
        raise Refused(f"no step {unknown[0]!r} in this run", code="unknown-step")
    turn.emit(RunRetried(message.steps, message.by, message.slots))
    if run.part is None:
        _block(turn, "")
    elif turn.under_way(run.part.place):
        _step(turn, run.part.place)


def _block(turn: Turn, scope: str) -> None:
    for step in turn.index.graphs[in_plan(scope)].steps:
        place = inside(scope, step.name)
        node = turn.node(place)
        if node.status == "open":
            timeouts.total_begins(turn, place, step)
            _step(turn, place)
        elif node.status == "pending" and (node.left == 0 or not step.needs):
            turn.later("ready", place)
    turn.later("check block", scope)


def _step(turn: Turn, place: str) -> None:
    scopes, node = turn.run.scopes, turn.node(place)
    if f"{place}!finally" in scopes:
        _block(turn, f"{place}!finally")
    elif place in scopes:
        _block(turn, place)
    elif node.held is not None:
        for n in range(0 if node.parts else node.count):
            if turn.node(f"{place}[{n}]").status == "open":
                _step(turn, f"{place}[{n}]")
        turn.later("check map", place)
    else:
        at = f"{place}#{node.next - 1}"
        if node.next and turn.node(at).status == "open":
            _step(turn, at)
        else:
            turn.later("next iteration", place, node.next)

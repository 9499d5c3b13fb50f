"""What became of a model call: an answer, a failure, or nobody knows. Its cost counts in any case."""

from __future__ import annotations

import msgspec

from actors.agents.conversation.answering import answered
from actors.agents.conversation.asking import ATTEMPTS, ask_again, make_step
from actors.agents.conversation.compacting import summarised, without_model
from actors.agents.conversation.decision import Decision
from actors.agents.conversation.ending import fail_turn
from actors.agents.conversation.spending import settle
from actors.agents.conversation.state import OpenCall
from actors.core.outputs import Outcome
from events.conversations import ModelAnswered, ModelFailed, ModelLost
from events.models import ModelAnswer, ModelFailure, ModelResult

SHRINKS = 2
"""How often a prompt that a model finds too long is shortened."""


def came_back(d: Decision, ref: str, outcome: Outcome) -> None:
    """The outcome of a model call. One that nobody waits for any more is only counted."""
    number, step, attempt = map(int, ref.split("."))
    call = d.name(number, step, attempt)
    known = next((c for c in d.state.calls if c.call == call), None)
    if known is None:
        return
    turn = d.state.turn
    waited_for = (
        turn is not None and turn.phase == "model" and not known.lost
        and (turn.number, turn.step, turn.attempt) == (number, step, attempt)
    )  # fmt: skip
    if outcome.status == "unknown":
        _lost(d, known, outcome, waited_for)
        return
    result = result_of(outcome)
    if result.answer is None:
        _failed(d, known, result, waited_for)
        return
    cost = result.cost
    answer = _named(result.answer, step)
    d.emit(
        ModelAnswered(
            number, step, attempt, call, result.model, answer, d.now, cost.usd,
            msgspec.to_builtins(cost.price) if cost.price is not None else None, cost.why, result.tries,
            result.started, result.first, result.chunks, late=not waited_for,
        )
    )  # fmt: skip
    settle(d, call, known.budgets, cost.usd or known.estimate, estimated=cost.usd is None)
    if not waited_for:
        return
    if step:
        answered(d)
    else:
        summarised(d, answer.text, result.model)


def _named(answer: ModelAnswer, step: int) -> ModelAnswer:
    """With an id of its own for each use of a tool: some models give none, or one twice."""
    ids = [use.id for use in answer.tool_uses]
    if all(ids) and len(set(ids)) == len(ids):
        return answer
    uses = [msgspec.structs.replace(use, id=f"use{step}x{n}") for n, use in enumerate(answer.tool_uses, 1)]
    return msgspec.structs.replace(answer, tool_uses=uses)


def result_of(outcome: Outcome) -> ModelResult:
    """The result of a call whose outcome is known: an answer, or a failure."""
    if outcome.status != "succeeded":
        return ModelResult("", failure=ModelFailure("server", outcome.error))
    try:
        result = msgspec.convert(outcome.result, ModelResult)
    except msgspec.ValidationError as error:
        return ModelResult("", failure=ModelFailure("invalid", f"what came back is no result: {error}"))
    if result.answer is None and result.failure is None:
        return ModelResult("", failure=ModelFailure("invalid", "there is neither an answer nor a failure"))
    return result


def _failed(d: Decision, known: OpenCall, result: ModelResult, waited_for: bool) -> None:
    failure = result.failure
    assert failure is not None
    d.emit(ModelFailed(known.turn, known.step, known.attempt, known.call, failure, d.now, result.tries))
    settle(d, known.call, known.budgets, result.cost.usd or "0")
    if not waited_for:
        return
    if not known.step:
        without_model(d)
    elif failure.kind == "context-length" and d.turn.shrunk <= SHRINKS:
        make_step(d, known.step)
    else:
        fail_turn(d, f"model-{failure.kind}", failure.message)


def _lost(d: Decision, known: OpenCall, outcome: Outcome, waited_for: bool) -> None:
    if known.lost:
        return
    d.emit(ModelLost(known.turn, known.step, known.attempt, known.call, d.now, known.estimate, outcome.error))
    settle(d, known.call, known.budgets, known.estimate, estimated=True)
    if not waited_for:
        return
    if d.turn.tried < ATTEMPTS:
        ask_again(d)
    elif known.step:
        fail_turn(d, "model-lost", f"{ATTEMPTS} calls were lost with their hosts")
    else:
        without_model(d)

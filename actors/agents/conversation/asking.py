"""A step: the prompt is put together, dollars are set aside, a model is asked."""

from __future__ import annotations

from typing import Any, Final, cast

from actors.agents.conversation.decision import Decision
from actors.agents.conversation.ending import fail_turn
from actors.agents.conversation.guarding import guarded, guards_of, held_back, why
from actors.agents.conversation.spending import ask, budgets_of, estimate, granted, reserve, settle
from actors.agents.definition.instructions import CannotRender
from actors.agents.prompt.assemble import Prompt, PromptTooLong, assemble, digest_of
from actors.agents.prompt.compaction import old_turns, summary_budget, summary_request
from actors.agents.prompt.tokens import message_tokens
from actors.core.outputs import Effect
from actors.models.port import MODEL_CALL, ModelCall
from events.conversations import ContextAssembled, ModelAsked
from events.models import ModelRequest

ATTEMPTS: Final = 3
"""Calls of a step that may be lost with their hosts."""


def make_step(d: Decision, step: int | None = None) -> None:
    """Ask the model once more; `step` is given when the same one is tried with a shorter prompt."""
    turn = d.turn
    step = turn.step + 1 if step is None else step
    if step > d.definition.limits.max_steps:
        fail_turn(d, "steps", f"no answer after {turn.step} steps")
        return
    try:
        prompt = assemble(d.state, step)
    except PromptTooLong as error:
        fail_turn(d, "context-length", str(error))
        return
    except CannotRender as error:
        fail_turn(d, "instructions", f"the instructions cannot be rendered: {error}")
        return
    d.emit(
        ContextAssembled(
            turn.number, step, d.definition.template, prompt.sections, prompt.tokens, prompt.digest, prompt.label,
            prompt.variables,
        )
    )  # fmt: skip
    action, verdicts = _guarded(d, prompt)
    if action == "block":
        fail_turn(d, "blocked", why(verdicts))
    elif action != "hold":
        reserve_and_ask(d, prompt.request, prompt.digest, prompt.tokens)


def _guarded(d: Decision, prompt: Prompt) -> tuple[str, list[Any]]:
    """Guards on the prompt see what they have not seen in the one before. The usual ones leave out what they saw on its
    way in: messages, and results of tools."""
    if not guards_of(d.definition, "prompt"):
        return "allow", []
    turn, named = d.turn, "prompt" in d.definition.guards
    if turn.step == 1:
        texts = [p.text for p in prompt.parts if p.section.name == "variables"]
        shown = ("summary", "message") if named else ("summary",)
        texts += [m.text for p in prompt.parts if p.section.name in shown for m in p.messages]
    else:
        texts = [entry.text for entry in turn.entries if named and entry.step == turn.step - 1]
    text = "\n\n".join(filter(None, texts))
    return guarded(d, "prompt", text, f"ContextAssembled:{turn.number}.{turn.step}") if text else ("allow", [])


def request_of(d: Decision) -> tuple[ModelRequest, str, int]:
    """What the step under way asks, its digest and tokens; step 0 asks for a summary."""
    turn = d.turn
    if turn.step:
        prompt = assemble(d.state, turn.step, turn.shown)
        return prompt.request, prompt.digest, prompt.tokens
    old = old_turns(d.state)
    assert old is not None
    request = summary_request(old, summary_budget(d.state), d.definition.limits.context_tokens)
    tokens = sum(map(message_tokens, request.messages))
    return request, digest_of(d.definition.template, request), tokens


def ask_again(d: Decision) -> None:
    """Make the call of the step under way: for the first time, or once more."""
    reserve_and_ask(d, *request_of(d))


def reserve_and_ask(d: Decision, request: ModelRequest, digest: str, tokens: int) -> None:
    """Ask the model, once the budgets that apply let it."""
    turn = d.turn
    attempt = turn.attempt + 1
    call, dollars, budgets = d.name(turn.number, turn.step, attempt), estimate(d.definition, tokens), budgets_of(d)
    if budgets:
        reserve(d, call, attempt, budgets, dollars)
    else:
        _ask(d, request, digest, attempt, dollars, [])


def budget_replied(d: Decision, ref: str, data: Any) -> None:
    """A budget answered."""
    number, step, attempt, index = map(int, ref.split("."))
    turn = d.state.turn
    if turn is None or turn.phase != "budget" or (turn.number, turn.step, turn.attempt) != (number, step, attempt):
        return
    budgets = budgets_of(d)
    if not granted(data):
        left = cast("dict[str, Any]", data).get("left") if isinstance(data, dict) else None
        fail_turn(d, "budget", f"{budgets[index]} has nothing left ({left} dollars)")
        return
    request, digest, tokens = request_of(d)
    dollars = estimate(d.definition, tokens)
    if index + 1 < len(budgets):
        ask(d, d.name(number, step, attempt), budgets, index + 1, dollars)
    else:
        _ask(d, request, digest, attempt, dollars, budgets)


def budget_refused(d: Decision, ref: str, reason: str) -> None:
    """A budget cannot be asked: no call is made that nobody counts."""
    turn = d.state.turn
    if turn is not None and turn.phase == "budget" and turn.number == int(ref.split(".")[0]):
        fail_turn(d, "budget", reason)


def _ask(d: Decision, request: ModelRequest, digest: str, attempt: int, dollars: str, budgets: list[str]) -> None:
    turn, definition = d.turn, d.definition
    call = d.name(turn.number, turn.step, attempt)
    if not definition.models:
        settle(d, call, budgets, "0")
        fail_turn(d, "no-model", f"agent {d.state.agent} names no model")
        return
    d.emit(
        ModelAsked(turn.number, turn.step, attempt, call, definition.models, digest, d.now, dollars, budgets)
    )  # fmt: skip
    stream = definition.stream and turn.step > 0 and d.channel.can.streaming and not held_back(definition)
    model_call = ModelCall(call, d.address, turn.number, turn.step, attempt, definition.models, request, stream)
    d.out(Effect(MODEL_CALL, model_call, ref=f"model:{turn.number}.{turn.step}.{attempt}"))

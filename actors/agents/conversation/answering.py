"""What a model answered becomes tool calls, another question, or the reply; each passes the guards of its edge."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.agents.conversation.asking import make_step
from actors.agents.conversation.decision import Decision
from actors.agents.conversation.ending import fail_turn, reply
from actors.agents.conversation.guarding import guarded, why
from actors.agents.conversation.tool_uses import ask_tools
from actors.tools.guards.model import redacted
from actors.workflows.inputs import checked
from events.conversations import AnswerRejected, Citation, TurnReplied, Verdict


def answered(d: Decision) -> None:
    """The model answered."""
    answer = d.turn.answer
    assert answer is not None
    subject = f"ModelAnswered:{d.turn.number}.{d.turn.step}"
    action, verdicts = guarded(d, "output", answer.text, subject) if answer.text else ("allow", [])
    if action != "hold":
        looked_at(d, action, verdicts)


def looked_at(d: Decision, action: str, verdicts: list[Verdict]) -> None:
    """The guards said what they think of the answer."""
    turn = d.turn
    answer = turn.answer
    assert answer is not None
    if action == "block":
        _reject(d, "guard", f"This answer is not allowed: {why(verdicts)}. Answer differently.", "blocked")
    elif answer.tool_uses:
        if turn.step >= d.definition.limits.max_steps:
            fail_turn(d, "steps", f"no answer after {turn.step} steps")
        else:
            ask_tools(d, answer.tool_uses)
    elif not answer.text.strip():
        if answer.finish == "filter":
            fail_turn(d, "content-filter", "the provider's filter stopped the answer")
        else:
            _reject(d, "empty", "Your answer was empty. Answer the last message.", "empty")
    else:
        _finish(d, answer.text)


def _finish(d: Decision, text: str) -> None:
    data, problem = structured(d, text)
    if problem:
        told = f"This does not fit the output schema: {problem}. Answer again, with the JSON alone."
        _reject(d, "schema", told, "schema")
        return
    action, verdicts = guarded(d, "outbound", text, f"TurnReplied:{d.turn.number}")
    if action != "hold":
        send(d, action, verdicts, data)


def send(d: Decision, action: str, verdicts: list[Verdict], data: Any = None) -> None:
    """The reply goes out, as far as the guards let it."""
    turn = d.turn
    answer = turn.answer
    assert answer is not None
    if action == "block":
        fail_turn(d, "blocked", why(verdicts))
        return
    text = answer.text
    if d.definition.output_schema is not None and data is None:
        data, _ = structured(d, text)
    if action == "redact":
        text = redacted(text, verdicts)
        if d.definition.output_schema is not None:
            data, problem = structured(d, text)
            if problem:
                fail_turn(d, "blocked", "what is left of the answer does not fit the output schema")
                return
    reply(d, TurnReplied(turn.number, text, d.now, _once(turn.citations), data, turn.label))


def _once(citations: list[Citation]) -> list[Citation]:
    return list({(c.path, c.lines, c.hash): c for c in citations}.values())


def _reject(d: Decision, code: str, reason: str, failed: str) -> None:
    """Ask again, as often as allowed."""
    turn, limits = d.turn, d.definition.limits
    left = limits.reasks - turn.rejected
    if left <= 0 or turn.step >= limits.max_steps:
        fail_turn(d, failed, reason)
        return
    d.emit(AnswerRejected(turn.number, turn.step, reason, left - 1, code))
    make_step(d)


def structured(d: Decision, text: str) -> tuple[Any, str]:
    """The data in an answer, and what is wrong with it; nothing without an output schema."""
    schema = d.definition.output_schema
    if schema is None:
        return None, ""
    try:
        data = msgspec.json.decode(_unfenced(text))
    except (msgspec.DecodeError, UnicodeError) as error:
        return None, f"it is no JSON ({error})"
    name = f"{d.state.agent} {d.state.hash}"
    _, problems = checked(name, {"properties": {"answer": schema}}, {"answer": data})
    return data, "; ".join(problem.removeprefix("inputs.") for problem in problems)


def _unfenced(text: str) -> str:
    """Without the fence that models like to put around JSON."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") + 1 : -3]
    return text

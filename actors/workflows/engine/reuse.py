"""Results of earlier runs: found by fingerprint before a task is called, recorded with their checks after it.

A blocking check that fails blocks the step: it keeps its result, but whoever needs it is dealt with as after a failure,
and the block it stands in fails once all else has ended. An item of a map has nobody who needs it: it fails.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.asset import CheckResult, Found, Lookup, Materialise, asset_address
from actors.core.outputs import Ask, Replied, Tell
from actors.workflows import fingerprints
from actors.workflows.engine import flow
from actors.workflows.engine.look import look_from
from actors.workflows.engine.turn import Facts, Stopped, Turn
from actors.workflows.expressions import ExpressionError
from actors.workflows.places import in_plan, inside, repeats, scope_of
from actors.workflows.plan import Check, Produces, Step, TaskAction
from actors.workflows.values import source_of
from events.workflows import StepError, StepWaiting

EARLIER = "an earlier result"


def applies(step: Step, action: TaskAction) -> bool:
    """Whether an earlier result will do. What cannot be undone is only left out when that is asked for by `cache`."""
    if step.volatile:
        return False
    return step.cache or (bool(step.produces) and action.effect_class != "irreversible")


def look(turn: Turn, place: str, step: Step, action: TaskAction) -> None:
    """Ask the asset whether it has a version of the same fingerprint. Raises ExpressionError."""
    parts = components(turn, place, step, action)
    fingerprint = fingerprints.fingerprint_of(parts)
    address, _, _ = targets(turn, place, step, parts)[0]
    turn.emit(StepWaiting(place, EARLIER, turn.now, ref=address))
    ref = f"{turn.node(place).attempt + 1}:{place}"
    turn.out(Ask(address, Lookup(fingerprint, turn.address.partition("/")[2], place, parts), ref))


def found(turn: Turn, place: str, message: Replied) -> bool:
    """The asset answered: with an earlier result the step has ended."""
    answer = msgspec.convert(message.data, Found)
    if answer.hit:
        flow.conclude(turn, place, answer.output, Facts(cached=f"{message.by}@{answer.version}"))
    return answer.hit


def components(turn: Turn, place: str, step: Step, action: TaskAction | None) -> dict[str, str]:
    """What the step's result depends on, by name. Raises ExpressionError."""
    inputs: dict[str, Any] = {}
    if action is not None and action.input is not None:
        inputs = turn.template(place, "input", action.input).inputs(look_from(turn, place))
    elif action is None and (held := turn.node(place).held) is not None:
        inputs = {"items": held.items}
    return fingerprints.components(step, inputs, _consumed(turn, place, step))


def _consumed(turn: Turn, place: str, step: Step) -> dict[str, str]:
    """The contents of the assets it consumes that steps beside it made."""
    contents: dict[str, str] = {}
    for need in step.needs if step.consumes else ():
        at = inside(scope_of(place), need)
        for n, produced in enumerate(turn.step(at).produces):
            if produced.asset in step.consumes and turn.node(at).status == "succeeded":
                _, content = _content(turn, at, n, produced, turn.node(at).output)
                contents[produced.asset] = content
    return contents


def targets(
    turn: Turn, place: str, step: Step, parts: dict[str, str]
) -> list[tuple[str, str, tuple[int, Produces] | None]]:
    """(address, key, what the step says of it) of every asset it makes; one of its own when it only caches.

    What is repeated and has no key is told apart by what it is made from. Raises ExpressionError.
    """
    repeated = "[" in place or "#" in place
    own = fingerprints.hash_of({name: h for name, h in parts.items() if name.startswith("input ")}) if repeated else ""
    made: list[tuple[str, str, tuple[int, Produces] | None]] = []
    for n, produced in enumerate(step.produces):
        key = own if produced.key is None else str(turn.render(place, f"produces{n}", produced.key))
        made.append((asset_address(produced.asset, key), key, (n, produced)))
    name = f"{turn.run.workflow}.{in_plan(place)}"
    return made or [(asset_address(name, own), own, None)]


def made(turn: Turn, place: str, output: Any, facts: Facts) -> tuple[Any, Facts]:
    """A task did its work: record what it made. Returns the result and what is known of it, after the checks."""
    step = turn.index.steps.get(in_plan(place))
    if step is None or place.endswith("!undo") or not (step.produces or (step.cache and not step.volatile)):
        return output, facts
    repeated = (step.each is not None or step.loop is not None) and repeats(place) is None
    action = step.action if isinstance(step.action, TaskAction) and not repeated else None
    try:
        parts = components(turn, place, step, action)
        return _record(turn, place, step, parts, output, facts)
    except ExpressionError as error:
        return StepError("expression", f"produces: {error.message}"), facts


def whole(turn: Turn, place: str, result: Any, facts: Facts) -> tuple[Any, Facts]:
    """What is no task ended, or a map or a loop as a whole: record what it made."""
    step = turn.index.steps.get(in_plan(place))
    if step is None or not step.produces or facts.cached or place.endswith("!undo") or repeats(place) is not None:
        return result, facts
    plain = isinstance(step.action, TaskAction) and step.each is None and step.loop is None
    if plain or isinstance(result, StepError | Stopped) or any(p.key is not None for p in step.produces):
        return result, facts
    return made(turn, place, result, facts)


def _record(
    turn: Turn, place: str, step: Step, parts: dict[str, str], output: Any, facts: Facts
) -> tuple[Any, Facts]:  # fmt: skip
    run = turn.run
    blocked = ""
    detail = ""
    for address, key, said in targets(turn, place, step, parts):
        name = address.partition("/")[2] if said is None else said[1].asset
        value, content = (None, fingerprints.hash_of(output)) if said is None else _content(turn, place, *said, output)
        checks = (
            [] if said is None else [_check(turn, place, said[0], n, c, output) for n, c in enumerate(said[1].checks)]
        )
        failed = next((c for c in checks if c.blocking and not c.passed), None)
        if failed is not None and not blocked:
            blocked, detail = failed.name, failed.detail
        inputs = {n: h for n, h in parts.items() if n not in ("definition", "code")}
        turn.out(
            Tell(
                address,
                Materialise(
                    name, content, fingerprints.fingerprint_of(parts), run.workflow, run.definition,
                    turn.address.partition("/")[2], place, key, facts.attempt or 1, parts, inputs, output, value,
                    checks,
                ),
            )
        )  # fmt: skip
    if not blocked:
        return output, facts
    if repeats(place) is not None:
        return StepError("check", f"the check {blocked!r} does not hold{detail and ': ' + detail}"), facts
    return output, msgspec.structs.replace(facts, blocked=blocked)


def _content(turn: Turn, place: str, n: int, produced: Produces, output: Any) -> tuple[Any, str]:
    """What an asset holds, None for the whole output; and its hash."""
    if produced.value is None:
        return None, fingerprints.hash_of(output)
    template = turn.template(place, f"value{n}", produced.value)
    value = template.render(look_from(turn, place, {"output": output}))
    return value, fingerprints.hash_of(value)


def _check(turn: Turn, place: str, n: int, k: int, check: Check, output: Any) -> CheckResult:
    source = source_of(check.expression) or check.expression
    try:
        template = turn.template(place, f"check{n}.{k}", "${" + source + "}")
        held = template.render(look_from(turn, place, {"output": output}))
    except ExpressionError as error:
        return CheckResult(check.name, False, check.blocking, error.message)
    detail = "" if held is True else f"{source} is {msgspec.json.encode(held)[:200].decode(errors='replace')}"
    return CheckResult(check.name, held is True, check.blocking, detail)

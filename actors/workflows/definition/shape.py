"""From a document to the model: short forms written out, and every error with its place."""

from __future__ import annotations

from typing import Any, cast

from pydantic import ValidationError

from actors.workflows.definition.document import Document, token
from actors.workflows.definition.model import LATER, SHORT, BlockModel, StepModel, WorkflowModel
from actors.workflows.definition.problems import Problem, nearest

ACTIONS = ("task", "workflow", "wait", "approve", "switch", "steps", "value")


def shape(document: Document) -> tuple[WorkflowModel | None, list[Problem]]:
    """The definition as a model, and what is wrong with its shape."""
    problems: list[Problem] = []
    if not isinstance(document.value, dict):
        return None, [document.problem("", "a workflow is a map of name, inputs, steps, …")]
    value = _workflow(document, cast("dict[str, Any]", document.value), problems)
    try:
        return WorkflowModel.model_validate(value), problems
    except ValidationError as error:
        known = {(p.pointer, p.line) for p in problems}
        for fault in error.errors(include_url=False):
            problem = _problem(document, fault)
            if (problem.pointer, problem.line) not in known:
                problems.append(problem)
        return None, problems


def _workflow(document: Document, value: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    found = _known(document, "", value, WorkflowModel, problems)
    if isinstance(found.get("steps"), dict):
        found["steps"] = _steps(document, "/steps", found["steps"], problems)
    assets = found.get("assets")
    if isinstance(assets, dict):
        for name, asset in cast("dict[str, Any]", assets).items():
            if isinstance(asset, dict) and isinstance(asset.get("make"), dict):
                at = f"/assets/{token(name)}/make"
                asset["make"] = _step(document, at, cast("dict[str, Any]", asset["make"]), problems)
    return found


def _steps(document: Document, pointer: str, steps: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    return {
        name: _step(document, f"{pointer}/{token(name)}", cast("dict[str, Any]", step), problems)
        if isinstance(step, dict)
        else step
        for name, step in steps.items()
    }


def _step(document: Document, pointer: str, step: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    found = _known(document, pointer, step, StepModel, problems)
    for name, short in SHORT.items():
        plain = found.get(name)
        if plain is not None and not isinstance(plain, dict):
            found[name] = {short: plain}
    for name in ("needs", "consumes", "produces"):
        if isinstance(found.get(name), str):
            found[name] = [found[name]]
    if isinstance(found.get("produces"), dict):
        found["produces"] = [found["produces"]]
    if isinstance(found.get("produces"), list):
        found["produces"] = [{"asset": p} if isinstance(p, str) else p for p in found["produces"]]
    if isinstance(found.get("steps"), dict):
        found["steps"] = _steps(document, f"{pointer}/steps", found["steps"], problems)
    for name in ("catch", "finally"):
        block = found.get(name)
        if isinstance(block, dict):
            block = _known(document, f"{pointer}/{name}", cast("dict[str, Any]", block), BlockModel, problems)
            if isinstance(block.get("steps"), dict):
                block["steps"] = _steps(document, f"{pointer}/{name}/steps", block["steps"], problems)
            found[name] = block
    given = [name for name in ACTIONS if name in found]
    if len(given) != 1:
        said = f"both {' and '.join(given)}" if given else "nothing to do"
        problems.append(
            document.problem(pointer, f"a step does one thing, here is {said}", f"one of {', '.join(ACTIONS)}")
        )
    return found


def _known(
    document: Document, pointer: str, value: dict[str, Any], model: Any, problems: list[Problem]
) -> dict[str, Any]:
    """A copy with the keys that the model knows; the others are problems, or begin with `x-`."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    found: dict[str, Any] = {}
    for key, item in value.items():
        if key in names:
            found[key] = item
        elif not key.startswith("x-"):
            at = f"{pointer}/{token(key)}"
            if key in LATER:
                message, hint = f"{key} is not supported", f"it comes with {LATER[key]}, later"
            else:
                message, hint = f"unknown key {key!r}", nearest(key, names)
            problems.append(document.problem(at, message, hint, key=True))
    return found


def _problem(document: Document, fault: Any) -> Problem:
    loc = [part for part in fault["loc"] if not (isinstance(part, str) and part.startswith(("function-", "literal[")))]
    pointer = "".join(f"/{token(str(part))}" for part in loc)
    message = str(fault["msg"]).removeprefix("Value error, ")
    hint = ""
    kind = fault["type"]
    if kind == "missing":
        pointer, message = pointer.rpartition("/")[0], f"{loc[-1]!r} is missing"
    elif kind == "extra_forbidden":
        return document.problem(pointer, f"unknown key {loc[-1]!r}", key=True)
    elif kind == "literal_error":
        expected = str(fault["ctx"]["expected"])
        message, hint = f"{fault['input']!r} is not one of {expected}", ""
    elif kind == "string_pattern_mismatch":
        message, hint = f"{fault['input']!r} is no name", "letters, digits, _ and -, beginning with a letter"
    return document.problem(pointer, message[:1].lower() + message[1:], hint)

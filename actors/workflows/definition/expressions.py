"""Every expression of a definition: compiled, its names looked up, the steps it reads made needs of where it stands."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from actors.workflows.definition.document import Document, token
from actors.workflows.definition.problems import Problem, nearest
from actors.workflows.definition.scopes import LATER_ROOTS, View
from actors.workflows.expressions import ExpressionError, Expressions, Reference
from actors.workflows.values import source_of

FACTS: Final = ("output", "status", "error", "attempts")
"""What is known of a step."""
RUN: Final = ("id", "workflow", "version", "started_at", "labels")
"""What is known of a run."""

_WHERE: Final = {
    "item": "in a map", "index": "in a map", "key": "in a map", "iteration": "in a loop", "error": "in a catch",
    "outcome": "in a finally", "output": "in until, in checks and in produces", "event": "in match",
}  # fmt: skip
_UNDECLARED = re.compile(r"undeclared reference to '([A-Za-z_]\w*)")
_OVERLOAD = re.compile(r"found no matching overload for '_([-+*/%])_' applied to '\((.*)\)'")


class Reader:
    """Reads the expressions in values, and remembers what is wrong with them."""

    def __init__(self, document: Document, expressions: Expressions, inputs: list[str]) -> None:
        self.document = document
        self.expressions = expressions
        self.inputs = inputs
        self.problems: list[Problem] = []
        self._known: dict[tuple[str, frozenset[str]], tuple[Reference, ...]] = {}

    def problem(self, pointer: str, message: str, hint: str = "", *, key: bool = False) -> None:
        """Something is wrong."""
        self.problems.append(self.document.problem(pointer, message, hint, key=key))

    def value(self, at: str, value: Any, view: View) -> Any:
        """Check every expression in a value, and return the value."""
        if isinstance(value, str):
            if "${" in value:
                self._text(at, value, view)
        elif isinstance(value, dict):
            for key, item in cast("dict[str, Any]", value).items():
                where = f"{at}/{token(key)}"
                if key in ("$secret", "$blob"):
                    later = "secrets by reference come later, with the vault" if key == "$secret" else "leave it out"
                    self.problem(where, f"{key} cannot be written in a definition", later, key=True)
                self.value(where, item, view)
        elif isinstance(value, list):
            for n, item in enumerate(cast("list[Any]", value)):
                self.value(f"{at}/{n}", item, view)
        return cast("Any", value)

    def expression(self, at: str, written: str | None, view: View) -> str | None:
        """Check what can be nothing but an expression, and return it."""
        if written is not None:
            self._source(at, source_of(written) or "", view)
        return written

    def _text(self, at: str, text: str, view: View) -> None:
        source = source_of(text)
        if source is not None and "${" not in source:
            self._source(at, source, view)
        elif "${" in text.replace("$${", ""):
            hint = "join texts in the expression: ${ 'a ' + inputs.b }; a literal ${ is written $${"
            self.problem(at, "an expression must be the whole text", hint)

    def _source(self, at: str, source: str, view: View) -> None:
        key = (source, view.names)
        references = self._known.get(key)
        if references is None:
            try:
                compiled = self.expressions.compile(source, (*view.names, *LATER_ROOTS))
            except ExpressionError as error:
                self.problem(at, *self._explained(error, view))
                return
            references = self._known[key] = compiled.references
        for reference in references:
            self._reference(at, reference, view)

    def _explained(self, error: ExpressionError, view: View) -> tuple[str, str]:
        unknown = _UNDECLARED.search(error.message)
        if unknown is not None:
            name = unknown.group(1)
            names = [n for n in ("inputs", "steps", "run", *view.names) if n not in _WHERE or n in view.names]
            hint = nearest(name, names)
            if name in view.block.visible():
                hint = f"steps.{name}.output?"
            elif name in self.inputs:
                hint = f"inputs.{name}?"
            return f"unknown name {name!r}", hint
        mixed = _OVERLOAD.search(error.message)
        if mixed is not None and {"int", "double"} <= set(mixed.group(2).split(", ")):
            return error.message, "arithmetic does not mix int and double: write double(x), or 1.0 for 1"
        return error.message, error.hint

    def _reference(self, at: str, reference: Reference, view: View) -> None:
        root = reference[0]
        if root in view.names:
            return
        if root == "inputs":
            if len(reference) > 1 and reference[1] not in self.inputs:
                self.problem(at, f"there is no input {reference[1]!r}", nearest(reference[1], self.inputs))
        elif root == "steps":
            self._step(at, reference, view)
        elif root == "run":
            if len(reference) > 1 and reference[1] not in RUN:
                self.problem(at, f"a run has no {reference[1]!r}", nearest(reference[1], RUN))
        elif root in LATER_ROOTS:
            self.problem(at, f"{root} is not supported yet", f"it comes later, with {LATER_ROOTS[root]}")
        else:
            self.problem(at, f"{root} has no value here", f"it has one {_WHERE.get(root, 'nowhere')}")

    def _step(self, at: str, reference: Reference, view: View) -> None:
        if len(reference) < 2:
            self.problem(at, "name the step: steps.NAME.output", "what is read must be known before the run")
            return
        name = reference[1]
        if len(reference) > 2 and reference[2] not in FACTS:
            hint = nearest(reference[2], FACTS)
            hint = hint if hint.startswith("did") else f"steps.{name}.output.{reference[2]}?"
            self.problem(at, f"a step has no {reference[2]!r}", hint)
        for block, step in view.block.around(view.step):
            if name not in block.steps:
                continue
            if step == name and block is view.block:
                if not view.own:
                    self.problem(at, f"{name} cannot read its own result", "in until and in checks it is `output`")
            elif step == name:
                hint = "in a catch read `error`, in a finally `outcome`"
                self.problem(at, f"{name} has not ended while what is in it runs", hint)
            elif step:
                inside = "" if block is view.block else f" in {view.step or 'the output'}"
                block.need(step, name, f"reads steps.{name}{inside}")
            return
        self._no_step(at, name, view)

    def _no_step(self, at: str, name: str, view: View) -> None:
        outermost = view.block
        while outermost.outer is not None:
            outermost = outermost.outer
        todo = [outermost]
        while todo:
            block = todo.pop()
            if name in block.steps:
                self.problem(
                    at, f"{name} is within {block.owner}, out of sight", f"let {block.owner} give it as its output"
                )
                return
            todo.extend(block.inner.values())
        self.problem(at, f"there is no step {name!r}", nearest(name, view.block.visible()))

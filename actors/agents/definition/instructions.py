"""Instructions with variables in them: a small, safe part of Jinja, rendered by pure code.

There are variables, their attributes and items, `if`, `for`, `set`, comparisons, filters of a list: nothing that can
be called, no chance, no clock, no other file. So the same variables give the same text, anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

FILTERS: Final = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "join", "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select",
    "selectattr", "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip

LARGEST: Final = 200_000
"""Characters of rendered instructions."""

_MARKS: Final = ("{{", "{%", "{#")


class CannotRender(ValueError):
    """The instructions cannot be rendered with these variables."""


class Flaw(NamedTuple):
    """Something wrong in a template. Line and column count from 1."""

    line: int
    column: int
    message: str
    hint: str = ""


def render(instructions: str, variables: Mapping[str, Any]) -> str:
    """The text. `variables` by name or `scope.name`. Raises CannotRender, as when one is missing without a default."""
    if not any(mark in instructions for mark in _MARKS):
        return instructions
    from jinja2 import TemplateError

    pieces: list[str] = []
    size = 0
    try:
        for piece in _template(instructions).generate(nested(variables)):
            size += len(piece)
            if size > LARGEST:
                raise CannotRender(f"the instructions become longer than {LARGEST} characters")
            pieces.append(piece)
    except CannotRender:
        raise
    except TemplateError as error:
        raise CannotRender(str(error.message)) from None
    except Exception as error:  # whatever an operation on a value of another type raises
        raise CannotRender(f"{type(error).__name__}: {error}") from None
    return "".join(pieces)


def nested(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as templates see them: `tenant.plan` is the item `plan` of `tenant`."""
    found: dict[str, Any] = {name: value for name, value in variables.items() if "." not in name}
    for name, value in variables.items():
        scope, dot, plain = name.partition(".")
        if dot:
            found[scope] = {**found.get(scope, {}), plain: value}
    return found


def flaws(
    instructions: str, visible: Collection[str], unset: Collection[str] = (), hidden: Collection[str] = ()
) -> list[Flaw]:
    """All that is wrong with a template as far as it is known before it is rendered.

    `visible` are the variables there are, `unset` those of them without a default, `hidden` the secrets.
    """
    if not any(mark in instructions for mark in _MARKS):
        return []
    from jinja2 import TemplateSyntaxError, meta

    environment = _environment()
    try:
        tree = environment.parse(instructions)
    except TemplateSyntaxError as error:
        return [Flaw(error.lineno, 1, str(error.message), "write {% raw %} … {% endraw %} around braces that are text")]
    found = list(_forbidden(tree, instructions))
    try:
        environment.compile(tree)
    except TemplateSyntaxError as error:
        if not found:
            found.append(Flaw(error.lineno, 1, str(error.message)))
    guarded = _guarded(tree)
    free = meta.find_undeclared_variables(_plain(environment.parse(instructions)))
    seen: set[str] = set()
    for node, name in _names(tree):
        root = name.partition(".")[0]
        if root not in free or name in seen:
            continue
        seen.add(name)
        at = _place(instructions, node.lineno, root)
        if name in hidden:
            found.append(Flaw(*at, f"{name} is a secret, which no model is shown", "take it out of the instructions"))
        elif name not in visible:
            found.append(Flaw(*at, f"there is no variable {name!r}", _nearest(name, visible)))
        elif name in unset and name not in guarded:
            hint = f"give it a default, or write {{{{ {name} | default('…') }}}}"
            found.append(Flaw(*at, f"{name} may have no value when a turn is taken", hint))
    return sorted(found)


def _plain(tree: Any) -> Any:
    """The tree with filters and tests that there are."""
    from jinja2 import nodes as n

    for node in tree.find_all((n.Filter, n.Test)):
        node.name = "string" if isinstance(node, n.Filter) else "defined"
    return tree


def _names(tree: Any) -> Iterator[tuple[Any, str]]:
    """Every variable that is read: `name`, or `scope.name` where the name is that of a scope."""
    from jinja2 import nodes as n

    from actors.agents.definition.model import SCOPES

    scoped: set[int] = set()
    for node in tree.find_all((n.Getattr, n.Getitem)):
        root = node.node
        if isinstance(root, n.Name) and root.name in SCOPES:
            part = node.attr if isinstance(node, n.Getattr) else getattr(node.arg, "value", None)
            if isinstance(part, str):
                scoped.add(id(root))
                yield node, f"{root.name}.{part}"
    for node in tree.find_all(n.Name):
        if node.ctx == "load" and id(node) not in scoped:
            yield node, node.name


def _guarded(tree: Any) -> set[str]:
    """Variables whose absence the template thinks of: `x is defined`, `x | default(…)`."""
    from jinja2 import nodes as n

    found: set[str] = set()
    for node in tree.find_all((n.Test, n.Filter)):
        if node.name in ("defined", "undefined", "default", "d") and node.node is not None:
            found |= {name for _, name in _names(n.Output([node.node]))}
    return found


def _forbidden(tree: Any, text: str) -> Iterator[Flaw]:
    from jinja2 import nodes as n

    environment = _environment()
    for node in tree.find_all((n.Macro, n.CallBlock, n.Import, n.FromImport, n.Include, n.Extends, n.Block)):
        yield Flaw(node.lineno, 1, "macros, blocks and other files are not for instructions")
    for node in tree.find_all(n.For):
        if any(inner.find(n.For) for inner in node.find_all(n.For)):
            yield Flaw(node.lineno, 1, "more than two loops within one another")
    for node in tree.find_all(n.Call):
        yield Flaw(node.lineno, 1, "nothing can be called in instructions", "use filters, as {{ name | upper }}")
    for node in tree.find_all((n.Mul, n.Pow, n.Mod)):
        yield Flaw(node.lineno, 1, f"{node.operator} cannot be used in instructions")
    for node in tree.find_all(n.Filter):
        if node.name not in environment.filters:
            yield Flaw(
                *_place(text, node.lineno, node.name), f"there is no filter {node.name!r}", _nearest(node.name, FILTERS)
            )
    for node in tree.find_all(n.Test):
        if node.name not in environment.tests:
            at = _place(text, node.lineno, node.name)
            yield Flaw(*at, f"there is no test {node.name!r}", _nearest(node.name, environment.tests))


def _nearest(name: str, known: Collection[str]) -> str:
    from actors.workflows.definition.problems import nearest

    return nearest(name, known) or "declare it under variables:"


def _place(text: str, line: int, word: str) -> tuple[int, int]:
    """Line and column of a word, of which only the line where its expression begins is known."""
    lines = text.split("\n")
    for number in range(line - 1, min(len(lines), line + 20)):
        match = re.search(rf"\b{re.escape(word)}\b", lines[number])
        if match:
            return number + 1, match.start() + 1
    return line, 1


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        """Nothing may be called but what filters call themselves."""

        intercepted_binops = frozenset(("*", "**", "%"))

        def is_safe_callable(self, obj: Any) -> bool:
            return False

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            raise CannotRender(f"{operator} cannot be used in instructions")

    made = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS} | {"tojson": _json}
    return made


@lru_cache(maxsize=256)
def _template(instructions: str) -> Template:
    environment = _environment()
    wrong = next(_forbidden(environment.parse(instructions), instructions), None)
    if wrong is not None:
        raise CannotRender(f"line {wrong.line}: {wrong.message}")
    return environment.from_string(instructions)

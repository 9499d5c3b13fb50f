"""A command line as a structure: everything it would run, read and write, at any depth."""

from __future__ import annotations

import msgspec


class Unclear(Exception):
    """What a command line would do cannot be told."""


class Word(msgspec.Struct, frozen=True):
    """One word. `value` is what the shell makes of it, None when that is known only as it runs; `prefix` is what
    comes before the first such part."""

    source: str
    value: str | None = None
    prefix: str = ""


class Simple(msgspec.Struct, frozen=True):
    """One command. `name` is "" when it is not literal. `inside` is what holds it: "" for the line itself, $(), <(),
    a function, or the program that would run it (`xargs`, `sh -c`), from the outside in."""

    name: str
    words: list[Word]
    inside: tuple[str, ...] = ()


class Redirection(msgspec.Struct, frozen=True):
    """`kind`: read, write (append too), both, duplicate, heredoc, herestring. Only the first three have files."""

    kind: str
    operator: str
    target: Word
    inside: tuple[str, ...] = ()


class ParsedCommand(msgspec.Struct, frozen=True):
    """All of a line. `substitutions` are their source texts, `functions` and `assignments` names; `problems` say why
    it must not be run, whatever is allowed: empty when it was understood in full."""

    commands: list[Simple]
    redirections: list[Redirection]
    substitutions: list[str]
    functions: list[str]
    assignments: list[str]
    problems: list[str]

"""Which programs may be run and which files named in redirections; asked of every command at any depth."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from infra.tools.shell.parsed import ParsedCommand, Redirection, Simple, Word
from infra.tools.shell.unwrapping import plain_name

ORDINARY: Final = (
    "[", ":", "basename", "bash", "break", "cat", "cd", "chmod", "cksum", "cmp", "column", "comm", "command",
    "continue", "cp", "cut", "date", "declare", "df", "diff", "dirname", "du", "echo", "env", "eval", "exec",
    "exit", "expand", "expr", "export", "false", "file", "find", "fold", "grep", "egrep", "fgrep", "gunzip", "gzip",
    "head", "id", "join", "ln", "local", "ls", "mapfile", "md5sum", "mkdir", "mktemp", "mv", "nice", "nl", "nohup",
    "nproc", "od", "paste", "printf", "pwd", "read", "readarray", "readlink", "realpath", "return", "rev", "rm",
    "rmdir", "seq", "sh", "sha1sum", "sha256sum", "sha512sum", "shift", "shuf", "sleep", "sort", "stat", "stdbuf",
    "sum", "tac", "tail", "tee", "test", "time", "timeout", "touch", "tr", "trap", "true", "truncate", "type",
    "uname", "unexpand", "uniq", "unset", "wait", "wc", "which", "whoami", "xargs", "xxd", "yes", "zcat",
)  # fmt: skip
"""Programs that run no others but those that are looked into. Interpreters, compilers, git and make are for who wants
them to add: what those do is not in the line."""
DEVICES: Final = ("/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/zero")


class ShellRules(msgspec.Struct, frozen=True):
    """Patterns as of fnmatch. `allow` and `deny` are of programs, by name, or by path where that is not one of the
    system's; deny wins. `read` and `write` are of files named in redirections, relative to the folder of the command
    or absolute; a path that leads up is never allowed."""

    allow: tuple[str, ...] = ORDINARY
    deny: tuple[str, ...] = ()
    read: tuple[str, ...] = ("*",)
    write: tuple[str, ...] = ("*",)


def objections(parsed: ParsedCommand, rules: ShellRules) -> list[str]:
    """Why a line may not be run: every reason, or none."""
    found = [*parsed.problems]
    found += [why for command in parsed.commands if (why := _program(command, parsed, rules))]
    found += [why for each in parsed.redirections if (why := _redirection(each, rules))]
    return list(dict.fromkeys(found))


def _program(command: Simple, parsed: ParsedCommand, rules: ShellRules) -> str:
    if not command.name:
        return ""  # a problem already
    name = plain_name(command.name)
    where = f" (inside {' '.join(command.inside)})" if command.inside else ""
    if any(fnmatchcase(name, pattern) for pattern in rules.deny):
        return f"{name} is denied{where}"
    if name in parsed.functions:
        return ""  # its body is looked at
    if not any(fnmatchcase(name, pattern) for pattern in rules.allow):
        return f"{name} is not allowed{where}"
    if name == "cd" and (why := _path(command.words[-1], rules.read, "cd")) and len(command.words) > 1:
        return why
    return ""


def _redirection(each: Redirection, rules: ShellRules) -> str:
    if each.kind in ("duplicate", "heredoc", "herestring"):
        return ""
    patterns = rules.read if each.kind == "read" else rules.write
    return _path(each.target, patterns, each.operator)


def _path(target: Word, patterns: tuple[str, ...], what: str) -> str:
    if target.value is None:
        return f"where {what} leads is not said: {target.source}"
    path = posixpath.normpath(target.value)
    if path in DEVICES:
        return ""
    if ".." in target.value.split("/"):
        return f"{what} leads up: {target.value}"
    if path.startswith("/"):  # only a pattern that is absolute itself can mean it: "*" does not
        patterns = tuple(pattern for pattern in patterns if pattern.startswith("/"))
        if path.startswith(("/dev", "/proc", "//")):
            return f"{what} is no file: {target.value}"
    if not any(fnmatchcase(path, pattern) for pattern in patterns):
        return f"{what} may not be {target.value}"
    return ""

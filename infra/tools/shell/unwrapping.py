"""Programs that run other programs: what they would run, or a refusal where that cannot be told."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from infra.tools.shell.parsed import Unclear, Word


class Script(msgspec.Struct, frozen=True):
    """A line of shell that would be run."""

    by: str
    line: str


class Inner(msgspec.Struct, frozen=True):
    """A command that would be run, files that would be written by option, variables that would be set."""

    by: str
    words: list[Word] = []
    written: list[Word] = []
    assigned: list[str] = []


class _Options(msgspec.Struct, frozen=True):
    """Of a program whose last words are a command: flags, options with a value, words before the command."""

    flags: str = ""
    valued: str = ""
    long: frozenset[str] = frozenset()
    before: int = 0


_PLAIN: Final = {
    "nohup": _Options(),
    "nice": _Options(flags="0123456789", valued="n", long=frozenset({"--adjustment"})),
    "timeout": _Options(flags="v", valued="ks", long=frozenset({
        "--signal", "--kill-after", "--foreground", "--preserve-status", "--verbose"}), before=1),
    "setsid": _Options(flags="cfw", long=frozenset({"--fork", "--wait"})),
    "stdbuf": _Options(valued="ioe", long=frozenset({"--input", "--output", "--error"})),
    "ionice": _Options(flags="t", valued="cn", long=frozenset({"--class", "--classdata"})),
    "time": _Options(flags="pv"),
    "builtin": _Options(),
    "exec": _Options(flags="cl", valued="a"),
    "env": _Options(flags="i0v", valued="uC", long=frozenset({"--ignore-environment", "--unset", "--chdir"})),
    "xargs": _Options(flags="0rtx", valued="InLPdEs", long=frozenset({
        "--null", "--no-run-if-empty", "--verbose", "--max-args", "--max-lines", "--max-procs", "--delimiter",
        "--replace", "--max-chars"})),
}  # fmt: skip
_VALUED_LONG: Final = frozenset({"--signal", "--kill-after", "--adjustment", "--unset", "--chdir", "--max-args",
                                 "--max-procs", "--delimiter", "--max-chars", "--class", "--classdata", "--input",
                                 "--output", "--error"})  # fmt: skip
_SHELLS: Final = frozenset({"sh", "bash", "dash"})
_REFUSED: Final = frozenset({
    "coproc", "let", "source", ".", "alias", "unalias", "enable", "hash", "shopt", "set", "fc", "history", "bind",
    "complete", "compgen", "zsh", "ksh", "fish", "csh", "tcsh", "ash", "busybox", "toybox", "parallel", "watch",
    "script", "flock", "chronic", "unbuffer", "expect", "systemd-run", "at", "batch", "crontab", "chroot",
    "unshare", "nsenter", "sudo", "su", "doas", "pkexec", "runuser", "setpriv", "capsh", "ssh", "strace", "ltrace",
    "gdb", "proot", "fakeroot", "entr", "run-parts", "start-stop-daemon", "tmux", "screen", "rlwrap", "dbus-launch",
    "exec-path", "ld.so",
})  # fmt: skip
"""Run what is not in sight, or change what a name means."""
_FINDS: Final = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_FIND_WRITES: Final = frozenset({"-fprint", "-fprint0", "-fls", "-fprintf"})
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)=")
_SYSTEM: Final = re.compile(r"/(?:usr/(?:local/)?)?s?bin/([^/]+)")


def plain_name(name: str) -> str:
    """A program's name without a system folder before it; one anywhere else keeps its path."""
    return found[1] if (found := _SYSTEM.fullmatch(name)) else name


def unwrap(words: list[Word]) -> list[Script | Inner]:
    """What these words would have run. Raises Unclear."""
    name = plain_name(words[0].value or "")
    if name in _REFUSED or name.rpartition("/")[2].startswith("ld-linux"):
        raise Unclear(f"{name} would run what is not in sight")
    special: dict[str, Callable[[list[Word]], list[Script | Inner]]] = {
        "mapfile": _callback, "readarray": _callback, "eval": _eval,
        "trap": _trap, "find": _find, "command": _command, "env": _env, "xargs": _xargs, "sort": _sort,
        **dict.fromkeys(_SHELLS, _shell),
    }  # fmt: skip
    if name in special:
        return special[name](words)
    if name in _PLAIN:
        rest = _after_options(name, words)
        return [Inner(name, rest)] if rest else []
    return []


def _said(word: Word, by: str) -> str:
    if word.value is None:
        raise Unclear(f"what {by} would run is not said: {word.source}")
    return word.value


def _after_options(name: str, words: list[Word], options: _Options | None = None) -> list[Word]:
    """The words of the command. Unknown options, and words before it that are not literal, are Unclear."""
    options = options or _PLAIN[name]
    rest = words[1:]
    while rest and (rest[0].prefix.startswith("-") or rest[0].value is None):
        given = _said(rest.pop(0), name)
        if given == "--":
            break
        if given.startswith("--"):
            long, has, _ = given.partition("=")
            if long not in options.long:
                raise Unclear(f"{name} {given} is not known")
            if not has and long in _VALUED_LONG:
                rest = rest[1:]
        elif _takes_next(name, given, options):
            rest = rest[1:]
    for given in rest[: options.before]:
        _said(given, name)
    return rest[options.before :]


def _takes_next(name: str, given: str, options: _Options) -> bool:
    """Whether the value of the last of these short options is the next word."""
    for place, letter in enumerate(given[1:], 2):
        if letter in options.valued:
            return place == len(given)
        if letter not in options.flags:
            raise Unclear(f"{name} {given} is not known")
    if len(given) < 2:
        raise Unclear(f"{name} {given} is not known")
    return False


def _eval(words: list[Word]) -> list[Script | Inner]:
    return [Script("eval", " ".join(_said(each, "eval") for each in words[1:]))]


def _callback(words: list[Word]) -> list[Script | Inner]:
    if any(each.prefix.startswith("-") and "C" in each.prefix for each in words[1:]):
        raise Unclear(f"{words[0].value} -C would run what is not in sight")
    return []


def _trap(words: list[Word]) -> list[Script | Inner]:
    if len(words) < 2 or _said(words[1], "trap") in ("", "-", "-l", "-p"):
        return []
    if words[1].prefix.startswith("-"):
        raise Unclear(f"trap {words[1].source} is not known")
    return [Script("trap", _said(words[1], "trap"))]


def _command(words: list[Word]) -> list[Script | Inner]:
    if len(words) > 1 and words[1].value in ("-v", "-V"):
        return []
    rest = _after_options("command", words, _Options(flags="p"))
    return [Inner("command", rest)] if rest else []


def _env(words: list[Word]) -> list[Script | Inner]:
    rest, assigned = _after_options("env", words), list[str]()
    while rest and (found := _ASSIGNMENT.match(rest[0].prefix)):
        assigned.append(found[1])
        rest = rest[1:]
    if rest and rest[0].value is not None and "=" in rest[0].value:
        raise Unclear(f"env {rest[0].source} is not known")
    return [Inner("env", rest, assigned=assigned)]


def _shell(words: list[Word]) -> list[Script | Inner]:
    name = plain_name(words[0].value or "")
    rest, script = words[1:], False
    while rest and _said(rest[0], name).startswith(("-", "+")):
        given = _said(rest.pop(0), name)
        if given == "--":
            break
        if given in ("--norc", "--noprofile", "--posix"):
            continue
        if not re.fullmatch(r"-[ceufxvn]+", given):
            raise Unclear(f"{name} {given} is not known")
        script = script or "c" in given
    if not script or not rest:
        raise Unclear(f"{name} would run what is not in sight")
    return [Script(f"{name} -c", _said(rest[0], name))]


def _find(words: list[Word]) -> list[Script | Inner]:
    for each in words[1:]:
        if each.value is None and (not each.prefix or each.prefix.startswith("-")):
            raise Unclear(f"what find is told is not said: {each.source}")
    found = list[Script | Inner]()
    rest = words[1:]
    while rest:
        given = rest.pop(0)
        if given.value in _FINDS:
            inner = list[Word]()
            while rest and rest[0].value != ";" and not (rest[0].value == "+" and inner and inner[-1].value == "{}"):
                inner.append(rest.pop(0))
            if not rest:
                raise Unclear(f"find {given.value} has no end")
            _no_substitution("find", "{}", inner)
            found.append(Inner(f"find {given.value}", inner))
        elif given.value in _FIND_WRITES:
            found.append(Inner(f"find {given.value}", written=rest[:1]))
        elif given.value == "-delete":
            found.append(Inner("find -delete", [Word("rm", "rm", "rm")]))
    return found


def _xargs(words: list[Word]) -> list[Script | Inner]:
    rest = _after_options("xargs", words)
    if not rest:
        return [Inner("xargs", [Word("echo", "echo", "echo")])]
    options = words[1 : len(words) - len(rest)]
    marks = [_said(options[place + 1], "xargs") if each.value == "-I" else (each.value or "")[2:]
             for place, each in enumerate(options) if each.prefix.startswith("-I")]  # fmt: skip
    if any(each.prefix.startswith("--replace") for each in options):
        marks.append("{}")
    for mark in marks:
        _no_substitution("xargs", mark, rest)
    name = plain_name(_said(rest[0], "xargs"))
    if name in _PLAIN or name in ("find", "eval", "trap", "command"):
        raise Unclear(f"xargs {name} would run what is not in sight")
    return [Inner("xargs", rest)]


def _no_substitution(by: str, mark: str, words: list[Word]) -> None:
    """What is found must not become a program or part of a script."""
    if not words:
        raise Unclear(f"{by} has no command")
    if mark and mark in (words[0].value or "") + words[0].source:
        raise Unclear(f"{by} would run what it finds")
    name = plain_name(words[0].value or "")
    if name in _SHELLS | set(_PLAIN) | {"find", "eval", "trap", "command"}:
        script = next((place for place, each in enumerate(words) if name in _SHELLS and each.value == "-c"), None)
        looked_at = words if script is None else words[: script + 2]
        if any(mark and mark in each.source for each in looked_at):
            raise Unclear(f"{by} would put what it finds into a command")


def _sort(words: list[Word]) -> list[Script | Inner]:
    for each in words[1:]:
        if each.prefix.startswith("--comp") or (each.value is None and not each.prefix):
            raise Unclear(f"sort {each.source} might run a program")
    return []

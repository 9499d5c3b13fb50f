"""Independent checks of the digest: what the log says of its runs, against files read by other code than the tasks'."""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from events.envelope import Event
from gateway.proof import Check

ITEM = re.compile(r"measure\[(\d+)\]")


class Expected(msgspec.Struct):
    """What a run was to find: the files, those of them it had to read, and the report as it is to be."""

    files: set[str]
    fresh: set[str]
    report: bytes

    @property
    def sha256(self) -> str:
        """Of the report."""
        return sha256(self.report).hexdigest()


class _Seen(msgspec.Struct):
    keys: list[str] = []
    asked: list[str] = []
    results: list[str] = []
    wanted: dict[str, Any] = {}
    agreed: list[str] = []
    digest: str = ""
    ends: list[str] = []
    outputs: dict[str, Any] = {}


class DigestProof:
    """What must hold of runs of the digest; `expected` by their id."""

    def __init__(self, expected: dict[str, Expected]) -> None:
        self._expected = expected
        self._seen = {run: _Seen() for run in expected}

    def see(self, event: Event) -> None:
        """Look at the next event."""
        kind, _, id = event.stream.partition("/")
        if kind == "approval" and (seen := self._seen.get(id.rpartition(".")[0])) is not None:
            data = msgspec.json.decode(event.data)
            if event.type == "ApprovalRequested":
                seen.wanted, seen.digest = data["what"], data["digest"]
            elif event.type == "ApprovalGiven":
                seen.agreed.append(data["digest"])
        elif kind == "run" and (seen := self._seen.get(id)) is not None:
            self._run(seen, event.type, msgspec.json.decode(event.data))

    def _run(self, seen: _Seen, type_: str, data: dict[str, Any]) -> None:
        if type_ == "MapExpanded" and data["step"] == "measure":
            seen.keys = data["keys"]
        elif type_ == "RunFinished":
            seen.ends.append(data["status"])
            seen.outputs = data.get("outputs") or {}
        elif type_ in ("StepQueued", "StepSucceeded") and (found := ITEM.fullmatch(data["step"])) is not None:
            places = seen.asked if type_ == "StepQueued" else seen.results
            places.append(seen.keys[int(found[1])])

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        return [self._once(), self._fresh(), self._agreed(), self._equal()]

    def _once(self) -> Check:
        check = Check("every file has exactly one result in each run of the digest")
        check.over = f"{len(self._seen)} runs, {sum(len(seen.results) for seen in self._seen.values()):,} results"
        for run, seen in self._seen.items():
            check.require(seen.ends == ["succeeded"], f"run {run} ended as {seen.ends}")
            for path, count in (Counter(seen.results) - Counter(self._expected[run].files)).items():
                check.fault(f"run {run}: {path} has {count} results too many")
            for path in self._expected[run].files - set(seen.results):
                check.fault(f"run {run}: {path} has no result")
        return check

    def _fresh(self) -> Check:
        check = Check("every run asked for what was new to it, once, and for nothing else")
        check.over = ", ".join(
            f"{len(seen.asked)} of {len(self._expected[run].files)} files" for run, seen in self._seen.items()
        )
        for run, seen in self._seen.items():
            counted, fresh = Counter(seen.asked), Counter(self._expected[run].fresh)
            for path, count in (counted - fresh).items():
                check.fault(f"run {run}: {path} was asked for {count} times more than it had to")
            for path in fresh - counted:
                check.fault(f"run {run}: {path} is new and was not asked for")
        return check

    def _agreed(self) -> Check:
        check = Check("every report was agreed to once, and is the one that was agreed to")
        check.over = f"{sum(len(seen.agreed) for seen in self._seen.values())} approvals"
        for run, seen in self._seen.items():
            check.require(seen.agreed == [seen.digest], f"run {run}: {len(seen.agreed)} agreements to {seen.digest}")
            written = seen.outputs.get("sha256")
            shown = seen.wanted.get("sha256")
            check.require(written == shown, f"run {run}: {shown} was agreed to, {written} was written")
        return check

    def _equal(self) -> Check:
        check = Check("every report on the disk is, byte for byte, the one computed by other code")
        check.over = ", ".join(expected.sha256[:12] for expected in self._expected.values())
        for run, seen in self._seen.items():
            expected, path = self._expected[run], Path(seen.outputs.get("report") or "none")
            content = path.read_bytes() if path.is_file() else b""
            check.require(content == expected.report, f"run {run}: {path} is not what the files say")
            check.require(seen.outputs.get("sha256") == expected.sha256, f"run {run}: another hash is recorded")
        return check


def expect(root: Path, fresh: set[str]) -> Expected:
    """What a run over the files as they are now must come to."""
    pages = {path.relative_to(root).as_posix(): path.read_bytes().decode("utf-8", "replace") for path in markdown(root)}
    rows: list[str] = []
    gone: list[tuple[str, str]] = []
    words = headings = 0
    for path in sorted(pages):
        prose = list(_prose(pages[path].split("\n")))
        count, heads = len(pages[path].split()), sum(map(_is_heading, prose))
        words, headings = words + count, headings + heads
        rows.append(f"| {path} | {count} | {heads} |")
        links = {link.partition("#")[0] for line in prose for link in _links(line) if not _is_elsewhere(link)}
        gone += [(path, link) for link in links if not ((root / path).parent / unquote(link)).exists()]
    lines = [
        "# Digest\n", f"{len(pages)} files, {words} words, {headings} headings, {len(gone)} broken links.\n",
        "| file | words | headings |\n|---|--:|--:|", *rows, "\n## Broken links\n",
        *([f"- {path}: {link}" for path, link in sorted(gone)] or ["None."]), "",
    ]  # fmt: skip
    return Expected(set(pages), fresh, "\n".join(lines).encode())


def markdown(root: Path) -> list[Path]:
    """The Markdown below a folder."""
    return [path for path in root.rglob("*.md") if path.is_file()]


def _prose(lines: list[str]) -> list[str]:
    """Lines outside of fenced code, without code between backticks."""
    kept: list[str] = []
    number = 0
    while number < len(lines):
        fence = lines[number][:3]
        if fence in ("```", "~~~"):
            end = next((n for n in range(number + 1, len(lines)) if lines[n].startswith(fence)), None)
            if end is not None:
                number = end + 1
                continue
        parts = lines[number].split("`")
        # Every second part stands between two backticks; one that is never closed is none.
        odd = [f"`{parts.pop()}"] if len(parts) % 2 == 0 else []
        kept.append("".join([*parts[::2], *odd]))
        number += 1
    return kept


def _is_heading(line: str) -> bool:
    marks = len(line) - len(line.lstrip("#"))
    return 1 <= marks <= 6 and line[marks : marks + 1] == " " and bool(line[marks:].strip())


def _links(line: str) -> list[str]:
    found: list[str] = []
    for before, after in ((line[:n], line[n + 2 :]) for n in range(len(line)) if line.startswith("](", n)):
        begin = before.rfind("[")
        inside, close, _ = after.partition(")")
        target = inside.split()[0] if inside.split() else ""
        if begin >= 0 and "]" not in before[begin:] and close and "(" not in inside and inside.startswith(target):
            found += [target] if target else []
    return found


def _is_elsewhere(link: str) -> bool:
    scheme = link.partition(":")[0]
    return link.startswith(("#", "//")) or (":" in link and scheme[:1].isalpha() and scheme.isascii())

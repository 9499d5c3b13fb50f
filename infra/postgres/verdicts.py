"""The rows `thespis.append` returns, as verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from events.envelope import Answer
from events.store import Append, Status, Verdict

_STATUS = tuple(Status)
_WRITTEN = Status.WRITTEN


def verdicts_of(batch: Sequence[Append], row: Any) -> tuple[list[Verdict], int, int, int]:
    """(verdicts, head before, head after, recorded_at) of one call."""
    before, recorded_at, statuses, first = row
    if statuses is None:
        position = before + 1
        head = before + sum([len(append.events) for append in batch])
        verdicts: list[Verdict] = []
        for append in batch:
            count = len(append.events)
            verdicts.append(Verdict(_WRITTEN, position if count else head))
            position += count
        return verdicts, before, head, recorded_at
    return _mixed(batch, before, recorded_at, statuses, first or ())


def _mixed(
    batch: Sequence[Append], before: int, recorded_at: int, statuses: Sequence[int], first: Sequence[Any]
) -> tuple[list[Verdict], int, int, int]:
    head = before + sum(len(a.events) for a, status in zip(batch, statuses, strict=True) if status == 0)
    answers = {row[0]: row for row in first}
    verdicts: list[Verdict] = []
    position = before + 1
    for n, (append, status) in enumerate(zip(batch, statuses, strict=True), 1):
        if status == 0:
            count = len(append.events)
            verdicts.append(Verdict(_WRITTEN, position if count else head))
            position += count
        elif n in answers:
            _, message, _, outcome, at, version, data = answers[n]
            answer = Answer(outcome, at, version, data, duplicate=True)
            verdicts.append(Verdict(_STATUS[status], head, str(message), answer))
        else:
            verdicts.append(Verdict(_STATUS[status], head))
    return verdicts, before, head, recorded_at

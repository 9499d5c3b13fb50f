"""What may happen to a host in memory, and when."""

from __future__ import annotations

from random import Random

from msgspec import Struct

AT_CALLS = ("killed before", "killed after", "answer lost", "not reached", "frozen")
"""At a call to the log or the read models: the host is killed before it takes effect, or after; the call takes effect
but its answer is lost, or it does not take effect; the host stops for longer than its lease and then goes on."""

AT_STEPS = (
    "killed", "frozen", "stopped", "cut off", "deaf", "clock forward", "clock back", "wiped", "rolled back", "foreign",
    "pruned",
)  # fmt: skip
"""Between any two awaits: killed; frozen as above; asked to hand over and leave; unable to reach the log for longer
than its lease, or the bus; its clock jumps by an hour; everything on the bus is gone, or its second half; somebody else
publishes facts; the log forgets what it was asked more than a second ago."""


class Strike(Struct, frozen=True):
    """A fault at the n-th call, or at the n-th step, of all hosts together; it hits the host that makes it."""

    on: str
    at: int
    what: str


def strikes(random: Random, number: int, *, calls: int, steps: int) -> list[Strike]:
    """So many faults of any kind, spread over so many calls and steps."""
    found: list[Strike] = []
    for _ in range(number):
        if random.random() < 0.4:
            found.append(Strike("call", random.randrange(calls), random.choice(AT_CALLS)))
        else:
            found.append(Strike("step", random.randrange(steps), random.choice(AT_STEPS)))
    return sorted(found, key=lambda strike: (strike.on, strike.at, strike.what))

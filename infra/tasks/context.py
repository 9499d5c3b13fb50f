"""What a task may know and say while it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from actors.workflows.tasks import TaskError

Say = Callable[[str, Any], None]
"""Called with ("heartbeat", None) or ("progress", JSON-ready data), from whatever thread the task runs in."""


class Context:
    """One call of a task.

    `key` is the same for every attempt of a step: give it to services that know idempotency keys. `cancelled` turns
    true when the call is to stop; a task in a thread or a process should look at it now and then (or call `check`), an
    async one is cancelled as any coroutine. `run` is the address of the run (`run/7`), `variables_of` that of the run
    whose context variables count: of a part of a map, the run around it. `requesters` are those in whose name it runs,
    `cause` is what started it.
    """

    __slots__ = (
        "_amounts", "_say", "attempt", "cancelled", "cause", "key", "requesters", "run", "step", "task", "tenant",
        "variables_of",
    )  # fmt: skip

    def __init__(
        self,
        task: str,
        tenant: str,
        run: str,
        step: str,
        attempt: int,
        key: str,
        say: Say,
        variables_of: str = "",
        requesters: Sequence[str] = (),
        cause: str = "",
    ) -> None:
        self.task = task
        self.tenant = tenant
        self.run = run
        self.step = step
        self.attempt = attempt
        self.key = key
        self.variables_of = variables_of or run
        self.requesters = list(requesters)
        self.cause = cause
        self.cancelled = False
        self._say = say
        self._amounts: dict[str, Decimal] | None = None

    @property
    def logger(self) -> logging.Logger:
        """The logger of this kind of task."""
        return logging.getLogger(f"thespis.task.{self.task}")

    def check(self) -> None:
        """Raise TaskError of kind `cancelled` when the call is to stop."""
        if self.cancelled:
            raise TaskError("stopped", kind="cancelled")

    def heartbeat(self) -> None:
        """A sign of life, for steps with a heartbeat timeout."""
        self._say("heartbeat", None)

    def progress(self, data: Any) -> None:
        """Show how far it is to whoever is watching now; nothing is kept. Counts as a sign of life. JSON-ready."""
        self._say("progress", data)

    def usage(self, **amounts: int | str | Decimal) -> None:
        """Add to what this call used or cost, e.g. `usage(tokens=120, cost="0.0031")`. Raises TaskError (invalid)."""
        known = self._amounts
        if known is None:
            known = self._amounts = {}
        for name, amount in amounts.items():
            try:
                value = Decimal(str(amount))
            except InvalidOperation:
                value = Decimal("nan")
            if not value.is_finite():
                raise TaskError(f"usage {name}={amount!r} is not a number", kind="invalid")
            known[name] = known.get(name, Decimal(0)) + value

    def used(self) -> dict[str, str]:
        """The sums so far, as decimal strings."""
        return {name: format(amount, "f") for name, amount in self._amounts.items()} if self._amounts else {}

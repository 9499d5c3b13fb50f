"""Progress of tasks on the live plane: seen by whoever watches the run now, and not kept."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from actors.workflows.tasks import TaskCall
from events.errors import ThespisError
from infra.nats.live import show
from infra.nats.wire import Wire
from infra.tasks.local import Show

TOPIC = "progress"


def shown(bus: Wire) -> Show:
    """A function that shows `{step, attempt, data}` on the topic `progress` of the run."""

    def said(tenant: str, call: TaskCall, data: Any) -> None:
        with suppress(ThespisError, TypeError):
            body = msgspec.json.encode({"step": call.step, "attempt": call.attempt, "data": data})
            show(bus, tenant, call.run, TOPIC, body)

    return said

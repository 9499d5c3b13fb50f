"""The work queue of tasks: stream `TASKS`, subjects `task.<queue>.<tenant>.<labels>.<effect>`.

One consumer for each queue and set of required labels, so that a worker takes what it can do and leaves the rest. The
stream may be lost at any time: hosts know from the log what is open, and publish it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

from events.address import token
from events.errors import BadDefinition
from infra.nats.connection import Connection, JetStreamError
from infra.nats.provision import SECOND, ensure_consumer, ensure_stream, find_stream

TASKS: Final = "TASKS"
WRONG_LAST: Final = (10071, 10164)
"""`err_code` of a publication that expected no message of its subject, and there is one."""
MAX_BYTES: Final = 1024**3
ACK_WAIT: Final = 5.0
"""Seconds until a call that was handed to a worker and not acknowledged goes to another: it was stopped just then."""
NO_LABELS: Final = "-"
FIRST_OF_ITS_SUBJECT: Final = {"Nats-Expected-Last-Subject-Sequence": "0"}
"""Headers of a publication that is refused while a message of the same subject is there: no call waits twice."""

Labels = Mapping[str, str]


def tasks_config(replicas: int = 1) -> dict[str, Any]:
    """The stream. Full means a call waits at its host."""
    return {
        "name": TASKS, "subjects": ["task.>"], "retention": "workqueue", "discard": "new", "storage": "file",
        "num_replicas": replicas, "max_bytes": MAX_BYTES,
    }  # fmt: skip


def labels_token(labels: Labels) -> str:
    """Labels as one token of a subject, the same for equal labels."""
    return ",".join(f"{token(_plain(k))}={token(_plain(v))}" for k, v in sorted(labels.items())) or NO_LABELS


def labels_of(text: str) -> dict[str, str]:
    """The labels that a token names."""
    if text == NO_LABELS:
        return {}
    pairs = [part.partition("=") for part in text.split(",")]
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _plain(text: str) -> str:
    if not text or "=" in text or "," in text:
        raise BadDefinition(f"{text!r} cannot be a label or its value", hint="text without '=' and ','")
    return text


def subject(queue: str, tenant: str, labels: Labels, effect: str) -> str:
    """Where one call waits."""
    return f"task.{token(queue)}.{token(tenant)}.{labels_token(labels)}.{token(effect)}"


def consumer_name(queue: str, labels: Labels) -> str:
    """The durable consumer of a queue and a set of labels."""
    return sha256(f"{token(queue)} {labels_token(labels)}".encode()).hexdigest()[:24]


async def ensure_tasks(connection: Connection, replicas: int | None = None) -> None:
    """Make the stream what it should be; without `replicas` it is only made when it is not there.

    Raises BusUnavailable, JetStreamError.
    """
    if replicas is not None or await find_stream(connection, TASKS) is None:
        await ensure_stream(connection, tasks_config(replicas or 1))


async def ensure_queue(connection: Connection, queue: str, labels: Labels) -> None:
    """Make the consumer what it should be. Raises BusUnavailable, JetStreamError (no stream)."""
    name = consumer_name(queue, labels)
    await ensure_consumer(
        connection,
        TASKS,
        {
            "durable_name": name, "name": name, "ack_policy": "explicit", "deliver_policy": "all",
            "filter_subject": f"task.{token(queue)}.*.{labels_token(labels)}.*", "ack_wait": int(ACK_WAIT * SECOND),
            "max_ack_pending": 50_000, "max_deliver": -1, "max_waiting": 512,
        },
    )  # fmt: skip


async def queues(connection: Connection) -> list[tuple[str, dict[str, str]]]:
    """(queue, labels) of every consumer there is. Raises BusUnavailable, JetStreamError."""
    found: list[tuple[str, dict[str, str]]] = []
    seen = 0
    while True:
        page = await connection.jetstream(f"CONSUMER.LIST.{TASKS}", {"offset": seen})
        consumers: list[dict[str, Any]] = page.get("consumers") or []
        for consumer in consumers:
            words = str(consumer["config"].get("filter_subject", "")).split(".")
            if len(words) == 5:
                found.append((unquote(words[1]), labels_of(words[3])))
        seen += len(consumers)
        if not consumers or seen >= page["total"]:
            return found


async def delivered(connection: Connection, queue: str, labels: Labels) -> int | None:
    """The highest stream sequence handed to any worker so far; None when there is no such queue (any more)."""
    try:
        info = await connection.jetstream(f"CONSUMER.INFO.{TASKS}.{consumer_name(queue, labels)}")
    except JetStreamError:
        return None
    return int(info["delivered"]["stream_seq"])


async def withdraw(connection: Connection, place: str) -> bool:
    """Remove the call that waits there; says whether one did. Raises BusUnavailable.

    By its number: after a purge by subject the server (2.15.1) forgets other calls that were handed out before, so that
    those of a lost worker are never handed to another.
    """
    found = await sequence(connection, place)
    if found is None:
        return False
    try:
        answer = await connection.jetstream(f"STREAM.MSG.DELETE.{TASKS}", {"seq": found, "no_erase": True})
    except JetStreamError:
        return False
    return bool(answer.get("success"))


async def sequence(connection: Connection, place: str) -> int | None:
    """The stream sequence of the call that waits there, not yet begun by anybody. Raises BusUnavailable."""
    try:
        found = await connection.jetstream(f"STREAM.MSG.GET.{TASKS}", {"last_by_subj": place})
    except JetStreamError:
        return None
    return int(found["message"]["seq"])

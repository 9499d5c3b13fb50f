"""`thespis worker`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gateway.cli.find import data_option, running
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--queue", "queues", multiple=True, default=("default",), show_default=True,
              help="A queue to take calls from; may be given more than once.")  # fmt: skip
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE",
              help="What this machine has; steps that require it may come here.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=4, show_default=True,
              help="Calls performed at the same time.")  # fmt: skip
@click.option("--workspace", "workspaces", type=click.Path(path_type=Path), multiple=True,
              help="A directory with your tasks (workspace.py)  [default: that of the instance]")  # fmt: skip
@click.option("--grace", type=click.FloatRange(min=0), default=30.0, show_default=True,
              help="Seconds that calls under way have to finish after SIGTERM.")  # fmt: skip
@data_option("--data")
def command(
    queues: tuple[str, ...],
    labels: tuple[str, ...],
    concurrency: int,
    workspaces: tuple[Path, ...],
    grace: float,
    data: str | None,
) -> None:
    """Perform steps of workflows that name a queue, here or on any machine that reaches the bus.

    The bus is that of NATS_URL, else that of the instance in the data directory. Any number of workers share a queue.
    """
    from gateway.worker import run

    wanted = _pairs(labels)
    nats_url, database_url = os.environ.get("NATS_URL", ""), os.environ.get("DATABASE_URL", "")
    if not nats_url:
        place = running(data)
        nats_url, database_url = place.nats_url, place.database_url
        workspaces = workspaces or tuple(map(Path, place.workspaces))
    run(
        nats_url=nats_url, database_url=database_url, queues=queues, labels=wanted, concurrency=concurrency,
        workspaces=workspaces, grace=grace,
    )  # fmt: skip


def _pairs(labels: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for label in labels:
        name, equals, value = label.partition("=")
        if not name or not equals or not value:
            raise click.BadParameter(f"{label!r} is not KEY=VALUE, e.g. zone=eu", param_hint="--label")
        found[name] = value
    return found

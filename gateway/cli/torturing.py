"""`thespis doctor --torture`: the promises tried by force on this machine, on a scratch directory."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import click


def torture(
    *,
    scratch: Path | None,
    seconds: float,
    operations: int | None,
    hosts: int,
    seed: int | None,
    faults: tuple[str, ...],
    output: str,
) -> bool:
    """Run it, show how it goes and what it comes to; returns whether every promise was kept."""
    from gateway.torture.real_load import story
    from gateway.torture.run import torture as run

    table = output == "table"

    def say(line: str) -> None:
        click.echo(line, err=not table)

    async def running() -> bool:
        task = asyncio.current_task()
        assert task is not None
        # As Ctrl-C does: everything that was started is ended on the way out.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        result = await run(
            scratch, seconds=seconds, operations=operations, hosts=hosts, seed=seed, faults=faults, say=say
        )
        lines = story(result)
        if table:
            found = result.figures
            say(
                f"{found.operations:,} operations, {found.faults} faults, {found.acknowledgements:,} acknowledgements, "
                f"{found.events:,} events, {found.calls:,} calls in {result.seconds:.0f} s: lost {found.lost}, "
                f"doubled {found.doubled}, reordered {found.reordered}, attempts repeated {found.repeated}."
            )
        else:
            for line in lines:
                sys.stdout.write(json.dumps(line) + "\n")
        if result.passed:
            say("Every promise was kept.")
        else:
            often = "".join(f" --fault '{name}'" for name in sorted({waited.fault for waited in result.waited}))
            say(
                f"A promise was broken. Repeat it: thespis doctor --torture --hosts {hosts} --seed {result.seed}{often}"
            )
        return result.passed

    try:
        return asyncio.run(running())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None

"""`thespis replay`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.arguments import Address
from gateway.cli.find import place_options
from gateway.cli.output import output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("address", type=Address(), required=False)
@click.option(
    "--from", "first", type=click.IntRange(min=1), default=1, show_default=True, help="First version to show."
)
@click.option("--to", "last", type=click.IntRange(min=1), help="Last version to show  [default: the newest]")
@click.option(
    "--speed",
    type=click.FloatRange(min=0.001),
    help="Pace of the past: 1 as it was, 10 ten times as fast; no pause is longer than 10 s.",
)
@click.option("--verify", is_flag=True, help="Refold every stream (or ADDRESS) and compare with the remembered states.")
@click.option("--all", is_flag=True, help="With --verify: do not stop at the first divergence.")
@click.option(
    "--workspace", "workspaces", type=click.Path(), multiple=True, help="With --verify: the code to fold with."
)
@output_option
@place_options
def command(
    address: str | None,
    first: int,
    last: int | None,
    speed: float | None,
    verify: bool,
    all: bool,
    workspaces: tuple[str, ...],
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Show the history of the actor ADDRESS event by event, each with what it changed in the state.

    Nothing runs but the fold: no effect, no message, no timer.

    \b
    Examples:
      thespis replay account/1 --from 10 --to 20
      thespis replay --verify --workspace .

    With --verify every stream is folded with today's code and held against the state hashes that were noted when it
    was live, and against its hash chain; the first divergence is reported, and the exit status is then 1.
    """
    if verify:
        given = [name for name, value in (("--to", last), ("--speed", speed)) if value is not None]
        if given or first != 1:
            raise click.UsageError(
                f"--verify reads the database; {given[0] if given else '--from'} does not go with it"
            )
        _verify(address, all, workspaces, output, data)
        return
    if address is None:
        raise click.UsageError("give ADDRESS, or --verify")
    if all or workspaces:
        raise click.UsageError("--all and --workspace go with --verify only")
    _replay(address, first, last, speed, output, url, data)


def _replay(
    address: str, first: int, last: int | None, speed: float | None, output: str, url: str | None, data: str | None
) -> None:
    from gateway.cli.http import Api, call
    from gateway.cli.replaying import Step, steps
    from gateway.cli.showing import show_step

    async def show(api: Api) -> None:
        shown: list[dict[str, Any]] = []

        def one(step: Step) -> None:
            show_step(step, output, shown)

        async for step in steps(api, address, first, last, speed):
            one(step)
        if output == "json":
            from gateway.cli.output import emit

            emit(shown, output)

    call(url, data, show)


def _verify(address: str | None, all: bool, workspaces: tuple[str, ...], output: str, data: str | None) -> None:
    import asyncio
    from pathlib import Path

    from actors.feed import feed
    from gateway.built_in import built_in
    from gateway.cli.find import DEFAULT_DATA, database, workspace_of
    from gateway.cli.progress import progress
    from gateway.cli.showing import show_verified
    from gateway.cli.verifying import Verified, verify
    from gateway.direct import open_log
    from gateway.problems import FAILED
    from gateway.vault import open_sealing
    from gateway.workspace import gather

    place = database(data)
    plugin = gather(workspaces or workspace_of(data), built_in())
    kinds = {feed.name: feed, **{kind.name: kind for kind in plugin.kinds}}

    async def run() -> Verified:
        where = Path(place.data or data or DEFAULT_DATA)
        async with (
            open_log(place.database_url) as store,
            open_sealing(place.database_url, plugin, where) as sealing,
        ):
            head = await store.head()
            with progress("verifying", "events", None if address else head) as advance:
                return await verify(store, kinds, stream=address, all=all, sealing=sealing, advance=advance)

    result = asyncio.run(run())
    show_verified(result, output)
    if not result.well:
        raise click.exceptions.Exit(FAILED)

"""`thespis policy dry-run`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import emit, output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("time", "call", "tool", "agent", "before", "after", "why")


@thespis_command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--after", type=click.IntRange(min=0), default=0, help="Begin after this position.", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), default=100_000, help="Read so many calls.", show_default=True)
@output_option
@place_options
def command(file: str, after: int, limit: int, output: str, url: str | None, data: str | None) -> None:
    """Judge the calls there were by the policy in FILE, and list those that would have gone otherwise.

    Nothing is called and nothing is published.
    """
    import msgspec

    from actors.tools.policy_dry_run import READS, dry_run
    from gateway.cli.http import Api, call
    from gateway.cli.judging import of_file
    from gateway.cli.reading import pages

    policy = of_file(file)

    async def read(api: Api) -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        for struct in READS:
            async for event in pages(api, after, limit, {"type": struct.__name__}):
                tenant = str(event.get("tenant") or "default")
                found.append((tenant, event["stream"], msgspec.convert(event["data"], struct)))
        return found

    done = dry_run(policy, call(url, data, read))
    if output != "table":
        emit(msgspec.to_builtins(done), output)
        return
    lines = [
        {**msgspec.to_builtins(one), "time": when(one.at), "why": f"{one.rule}: {one.why}" if one.rule else one.why}
        for one in done.differences
    ]
    rows(lines, COLUMNS, output)
    click.echo(f"{done.judged} calls judged, {done.same} as before, {len(done.differences)} otherwise", err=True)

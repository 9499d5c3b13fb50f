"""`thespis runs list`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, rows, when
from gateway.cli.tree import command as thespis_command

COLUMNS = ("run", "workflow", "version", "status", "started", "took", "by", "error")


@thespis_command()
@click.option("--workflow", help="Only runs of this workflow.")
@click.option(
    "--status",
    type=click.Choice(["queued", "running", "succeeded", "failed", "cancelled"]),
    help="Only runs with this status.",
)
@click.option("--parent", help="Only runs that a step of this run started.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Print at most so many.")
@output_option
@place_options
def command(
    workflow: str | None,
    status: str | None,
    parent: str | None,
    limit: int,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """List runs, newest first."""
    from gateway.cli.http import Api, call
    from gateway.cli.reading import rows as pages
    from gateway.cli.run_tree import took

    async def read(api: Api) -> list[dict[str, Any]]:
        wanted = {"workflow": workflow, "status": status, "parent": parent}
        return await pages(api, "/v1/runs", "runs", limit, wanted)

    found = call(url, data, read)
    if output == "table":
        for item in found:
            item["started"] = when(item["started_at"])
            item["took"] = took(item["started_at"], item["finished_at"])
            item["status"] = f"{item['status']} (paused)" if item["paused"] else item["status"]
    rows(found, COLUMNS, output, empty="no runs")

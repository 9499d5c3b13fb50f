"""`thespis doctor`."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import output_option, printable, rows
from gateway.cli.tree import command as thespis_command

MARKS = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "failed": ("FAILED", "red"),
    "skipped": ("skipped", ""),
}


@thespis_command()
@click.option("--port", type=click.IntRange(1, 65535), default=8321, show_default=True, help="Port to look at.")
@click.option("--workspace", type=click.Path(), default="", help="Workspace to load  [default: the instance's]")
@output_option
@place_options
def command(port: int, workspace: str, output: str, url: str | None, data: str | None) -> None:
    """Check this machine and the running instance; whatever is not well comes with the way out.

    The exit status is 1 when a check failed.
    """
    import msgspec

    from events.errors import ThespisError
    from gateway.cli.checks import MACHINE, Patient, examine
    from gateway.cli.checks_instance import INSTANCE
    from gateway.cli.find import instance
    from gateway.problems import FAILED

    try:
        place, absent = instance(url, data), ""
    except ThespisError as error:
        place, absent = None, error.message
    patient = Patient(data, port, place, absent, workspace)
    findings = asyncio.run(examine(patient, [*MACHINE, *INSTANCE]))
    if output != "table":
        items: list[dict[str, Any]] = [msgspec.to_builtins(finding) for finding in findings]
        rows(items, (), output)
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            mark, color = MARKS[finding.status]
            mark = click.style(mark.ljust(7), fg=color or None)
            click.echo(f"{mark}  {finding.check.ljust(width)}  {printable(finding.detail)}")
            if finding.status != "ok" and finding.way_out:
                click.echo(f"{'':7}  {'':{width}}  → {printable(finding.way_out)}")
    if any(finding.status == "failed" for finding in findings):
        raise click.exceptions.Exit(FAILED)

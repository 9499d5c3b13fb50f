"""`thespis doctor`."""

from __future__ import annotations

import asyncio
from pathlib import Path
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
@click.option("--torture", is_flag=True, help="Try every promise by force, on servers of its own.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60.0, show_default=True, help="How long to torture.")
@click.option("--operations", type=click.IntRange(min=1), help="Torture until so many are acknowledged instead.")
@click.option("--hosts", type=click.IntRange(1, 3), default=2, show_default=True, help="Hosts to torture.")
@click.option("--seed", type=int, help="What decides who asks what and what breaks when  [default: chance]")
@click.option("--fault", "faults", multiple=True, help="Only this fault; may be given more than once  [default: all]")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    help="An empty directory to torture in, kept for looking at  [default: a temporary]",
)
@output_option
@place_options
def command(
    port: int,
    workspace: str,
    torture: bool,
    seconds: float,
    operations: int | None,
    hosts: int,
    seed: int | None,
    faults: tuple[str, ...],
    scratch: Path | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Check this machine and the running instance; whatever is not well comes with the way out.

    With --torture no instance is touched: Postgres, NATS and hosts of its own are started in a scratch directory and
    broken in every known way under load, and the log is held against every promise.

    The exit status is 1 when a check failed or a promise was broken.
    """
    if torture:
        from gateway.cli.torturing import torture as run
        from gateway.problems import FAILED as BROKEN

        if not run(
            scratch=scratch, seconds=seconds, operations=operations, hosts=hosts, seed=seed, faults=faults,
            output=output,
        ):  # fmt: skip
            raise click.exceptions.Exit(BROKEN)
        return
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

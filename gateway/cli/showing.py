"""How replays and verifications look."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from gateway.cli.difference import told
from gateway.cli.output import cell, emit, fields, printable
from gateway.cli.replaying import Step
from gateway.cli.verifying import Verified
from gateway.proof import Check

_COLORS = {"+": "green", "-": "red", "~": "yellow"}


def show_step(step: Step, output: str, shown: list[dict[str, Any]]) -> None:
    """Print a step at once; for `json` keep it in `shown` until all are there."""
    if output == "table":
        event = step.event
        head = f"{event['version']:>6}  {event['time']}  {click.style(printable(event['type']), bold=True)}"
        click.echo(f"{head}  {cell(event.get('data'))}")
        for change in step.changes:
            line = told(change)
            click.echo(f"        {click.style(printable(line), fg=_COLORS[line[0]])}")
    else:
        document = msgspec.to_builtins(step)
        if output == "json":
            shown.append(document)
        else:
            if output == "yaml":
                click.echo("---")
            emit(document, output)
    sys.stdout.flush()


def show_checks(checks: Sequence[Check], output: str) -> None:
    """Every statement with what it was held against; those that do not hold with the first places, and the way out."""
    if output != "table":
        found = [{"passed": check.passed, **msgspec.to_builtins(check)} for check in checks]
        emit({"well": all(check.passed for check in checks), "checks": found}, output)
        return
    width = max(len(check.statement) for check in checks)
    for check in checks:
        mark = click.style("ok    ", fg="green") if check.passed else click.style("FAILED", fg="red", bold=True)
        click.echo(f"{mark}  {check.statement.ljust(width)}  {printable(check.over)}".rstrip())
        for fault in check.faults:
            click.echo(f"          {printable(fault)}")
        if check.count > len(check.faults):
            click.echo(f"          … and {check.count - len(check.faults):,} more")
        if not check.passed:
            click.echo(f"        means: {check.meaning}")
            click.echo(f"        → {check.way_out}")


def show_verified(result: Verified, output: str) -> None:
    """What was looked at, on standard output; what is not well, for people on standard error."""
    if output != "table":
        fields({**msgspec.to_builtins(result), "well": result.well}, output)
        return
    known = result.streams - sum(result.unserved.values())
    click.echo(f"verified {known} streams, {result.events} events, {result.hashes} state hashes")
    for kind, count in sorted(result.unserved.items()):
        click.echo(f"not verified: {count} streams of the kind {kind}, which is not known here", err=True)
    if result.unserved:
        click.echo("hint: name the workspace that defines it with --workspace DIR", err=True)
    for d in result.divergences:
        where = f"{d.stream} version {d.version} (tenant {d.tenant})"
        match d.what:
            case "state":
                text = f"the state after {where} is another: expected {d.expected}, found {d.found}"
                hint = f"the remembered state was folded by {d.fold}; a released `evolve` branch must not be edited"
            case "fold":
                text = f"today's code cannot fold {where}: expected {d.expected} to fold, found {d.found}"
                hint = "add the event type, its upcaster, or the branch of `evolve` back"
            case "chain":
                text = f"the log was changed at {where}: expected hash {d.expected}, found {d.found}"
                hint = "stop writing, keep a copy, and restore the log from a backup"
            case _:
                text = f"there is a gap at {where}: expected {d.expected}, found {d.found}"
                hint = "stop writing, keep a copy, and restore the log from a backup"
        click.echo(f"error[divergence]: {printable(text)}", err=True)
        click.echo(f"hint: {hint}", err=True)

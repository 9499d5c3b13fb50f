"""`thespis budgets set`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option, write
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("budget", metavar="SCOPE.ID")
@click.argument("usd", metavar="DOLLARS|none")
@click.option(
    "--period", type=click.Choice(["total", "day", "month"]), default="total", show_default=True, help="Per day (UTC) …"
)
@key_option
@output_option
@place_options
def command(
    budget: str, usd: str, period: str, key: str | None, output: str, url: str | None, data: str | None
) -> None:
    """Let so many DOLLARS be spent in a scope; none: no limit.

    SCOPE.ID is tenant.default, agent.NAME, conversation.ID or cause.ID.
    """
    body = {"usd": None if usd == "none" else usd, "period": period}
    fields(write(("budgets", budget), body, key, url, data), output)

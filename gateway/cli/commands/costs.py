"""`thespis costs`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option, rows
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option(
    "--by",
    default="agent",
    show_default=True,
    help="Sum by these, with commas: step, turn, agent, conversation, cause, model, tenant, day, tool, purpose.",
)
@click.option("--from", "since", metavar="DAY", help="The first day (UTC), as 2026-11-29.")
@click.option("--to", "until", metavar="DAY", help="The last day (UTC).")
@click.option("--agent", help="Only those of this agent.")
@click.option("--conversation", help="Only those of this conversation.")
@click.option("--cause", help="Only those that this message or event started.")
@click.option("--model", help="Only those of this model.")
@click.option("--tool", help="Only those of agents that are this tool of another one.")
@click.option("--purpose", type=click.Choice(["turn", "summary", "what-if"]), help="Only those made for this.")
@click.option("--reprice", is_flag=True, help="What the recorded usage costs as models are listed now, not then.")
@output_option
@place_options
def command(
    by: str,
    since: str | None,
    until: str | None,
    agent: str | None,
    conversation: str | None,
    cause: str | None,
    model: str | None,
    tool: str | None,
    purpose: str | None,
    reprice: bool,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Show what model calls cost, in dollars, exact to the last digit.

    What-ifs count with the conversation they are about: `--by purpose` tells them apart. Costs that nobody knows are
    counted apart, never taken for 0; so is what lost calls are estimated at.
    """
    from gateway.cli.http import Api, call

    async def read(api: Api) -> dict[str, Any]:
        wanted = {"by": by, "from": since, "to": until, "agent": agent, "conversation": conversation, "model": model}
        wanted |= {"cause": cause, "tool": tool, "purpose": purpose, "prices": "current" if reprice else None}
        return await api.get("/v1/costs", wanted)

    found = call(url, data, read)
    if output != "table":
        fields(found, output)
        return
    names = list(found["groups"][0]["group"]) if found["groups"] else found["by"]
    groups = [{**group, **group["group"]} for group in found["groups"]]
    total = {**found["total"], **(dict.fromkeys(names, "") | ({names[0]: "total"} if names else {}))}
    columns = (*names, "usd", "unknown", "estimated", "calls", "lost", "input", "output")
    rows([*groups, total] if found["total"]["calls"] else [], columns, output, empty="no costs")

"""`thespis mcp serve`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="A tool to offer; may be repeated  [default: all]")
@click.option(
    "--agent", "agents", multiple=True, metavar="NAME", help="An agent to offer; may be repeated  [default: all]"
)
@click.option("--no-tools", is_flag=True, help="Offer agents only.")
@click.option("--no-agents", is_flag=True, help="Offer tools only.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    help="Seconds to wait for a call or an answer; then it is told how it stands.",
)
@click.option("--trust", is_flag=True, help="Take what the client sends for your own words, not for those of a model.")
@place_options
def command(
    tools: tuple[str, ...],
    agents: tuple[str, ...],
    no_tools: bool,
    no_agents: bool,
    patience: float,
    trust: bool,
    url: str | None,
    data: str | None,
) -> None:
    """Offer the instance's tools and agents to an MCP client, over standard input and output.

    Every call goes through the policy, guards and approvals of the instance, in the name of your token. What the client
    sends is labelled untrusted, since a model wrote it: by the policy that comes along it fills no destination and no
    command.

    \b
    Examples:
      thespis mcp serve
      thespis mcp serve --agent librarian --no-tools
    """
    if (tools and no_tools) or (agents and no_agents):
        raise click.UsageError("--tool and --no-tools exclude each other, and so do --agent and --no-agents")
    import asyncio

    from gateway.cli.find import instance
    from gateway.mcp import serve

    place = instance(url, data)
    offered = [] if no_tools else (list(tools) or None)
    talked_to = [] if no_agents else (list(agents) or None)
    asyncio.run(serve(place, tools=offered, agents=talked_to, patience=patience, trusted=trust))

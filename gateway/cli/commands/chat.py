"""`thespis chat`."""

from __future__ import annotations

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("agent")
@click.option("--conversation", metavar="ID", help="Go on with this one; it is begun if there is none of that name.")
@click.option("--once", metavar="TEXT", help="Say this, print the answer, and leave; the status is 1 without one.")
@key_option
@output_option
@place_options
def command(
    agent: str,
    conversation: str | None,
    once: str | None,
    key: str | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Talk to AGENT: on a terminal with editing and history, else line by line from standard input.

    Ctrl-C interrupts the answer, twice leaves; Ctrl-D leaves. The conversation goes on later with --conversation.
    """
    from events.ids import random_id
    from gateway.cli.chat import begin
    from gateway.cli.chat.screen import Screen
    from gateway.cli.http import call
    from gateway.problems import FAILED

    if once is None:
        if output != "table" or key is not None:
            raise click.UsageError("-o and --key need --once")
        call(url, data, lambda api: begin.talk(api, agent, conversation))
        return
    screen = Screen(quiet=output != "table")
    found = call(url, data, lambda api: begin.once(api, agent, conversation, once, key or random_id(), screen))
    if output != "table":
        fields(found, output)
    if found["status"] != "replied":
        raise click.exceptions.Exit(FAILED)

"""`thespis agents explain`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option, printable, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("section", "tokens", "budget", "cut", "label", "from", "why")


@thespis_command()
@click.argument("turn", metavar="CONVERSATION.TURN")
@click.option("--step", type=click.IntRange(min=1), help="Only the prompt of this step  [default: of all]")
@click.option("--text", "with_text", is_flag=True, help="What each section says, too.")
@output_option
@place_options
def command(turn: str, step: int | None, with_text: bool, output: str, url: str | None, data: str | None) -> None:
    """Show how each prompt of a turn came to be.

    Its sections, the events they came from, their tokens, and what was cut and why. CONVERSATION.TURN is as the turn is
    named everywhere: the id of the conversation, a dot, the number of the turn.
    """
    from events.errors import Invalid
    from gateway.cli.http import Api, call, path

    conversation, dot, number = turn.rpartition(".")
    if not dot or not number.isdigit():
        raise Invalid(f"{turn!r} is not a turn", hint="it is CONVERSATION.TURN, as 0198…f3.2")

    async def read(api: Api) -> dict[str, Any]:
        return await api.get(path("conversations", conversation, "turns", number, "explain"), {"step": step})

    found = call(url, data, read)
    if output != "table":
        fields(found, output)
        return
    for n, prompt in enumerate(found["prompts"]):
        same = (
            "put together again: the same" if prompt["same"] else f"NOT the same today: {prompt['problem'] or 'code'}"
        )
        click.echo(("\n" if n else "") + f"step {prompt['step']}: {prompt['tokens']} tokens, {prompt['label']}; {same}")
        rows([_row(section, prompt["positions"]) for section in prompt["sections"]], COLUMNS, output)
        if with_text:
            _texts(prompt)


def _row(section: dict[str, Any], positions: dict[str, int]) -> dict[str, Any]:
    events = [f"{name}@{positions[name]}" if name in positions else name for name in section["events"]]
    return {**section, "section": section["name"], "from": ", ".join(events)}


def _texts(prompt: dict[str, Any]) -> None:
    for section in prompt["sections"]:
        click.echo(click.style(f"\n{section['name']}", bold=True))
        said = [section["text"], *(f"{m['role']}: {m.get('text', '')}" for m in section["messages"])]
        for line in "\n".join(filter(None, said)).split("\n"):
            click.echo(f"  {printable(line)}")

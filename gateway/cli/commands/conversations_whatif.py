"""`thespis conversations whatif`."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option
from gateway.cli.output import fields, output_option, printable
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("conversation")
@click.option(
    "--model", "models", multiple=True, metavar="PROVIDER:MODEL", help="Ask this one; repeated: in this order."
)
@click.option(
    "--instructions",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="A file of other instructions.",
)
@click.option(
    "--policy", type=click.Path(exists=True, dir_okay=False, allow_dash=True), help="A file of other rules about tools."
)
@click.option("--temperature", type=click.FloatRange(0, 2), help="Another one.")
@click.option("--from", "turn", type=click.IntRange(min=1), default=1, show_default=True, help="Begin with this turn.")
@key_option
@output_option
@place_options
def command(
    conversation: str,
    models: tuple[str, ...],
    instructions: str | None,
    policy: str | None,
    temperature: float | None,
    turn: int,
    key: str | None,
    output: str,
    url: str | None,
    data: str | None,
) -> None:
    """Answer the messages of CONVERSATION again with another model, other instructions or another policy.

    Models are asked, and cost what they cost. Tools are not called: what they said is taken from the record where the
    call is the very same; else it ends there, and the exit status is 1. The conversation stays as it is; what models
    cost is taken from the budgets of the agent and the tenant, and shown by `thespis costs --by purpose`.
    """
    from gateway.cli.http import Api, call, path
    from gateway.problems import FAILED

    body: dict[str, Any] = {"from": turn, "models": list(models) or None, "temperature": temperature}
    body |= {"instructions": _text(instructions), "policy": _text(policy)}
    wanted = {name: value for name, value in body.items() if value is not None}

    async def ask(api: Api) -> dict[str, Any]:
        return await api.post(path("conversations", conversation, "whatif"), wanted, key=key)

    found = call(url, data, ask, timeout=660.0)
    if output != "table":
        fields(found, output)
    else:
        _show(found)
    if found["stopped"]:
        raise click.exceptions.Exit(FAILED)


def _text(file: str | None) -> str | None:
    if file is None:
        return None
    with click.open_file(file, encoding="utf-8") as opened:
        return opened.read()


def _show(found: dict[str, Any]) -> None:
    for one in found["turns"]:
        before, after = one["before"], one["after"]
        click.echo(click.style(f"turn {one['turn']}: {printable(' / '.join(one['messages']))[:200]}", bold=True))
        if one["same_answer"]:
            _answer("the same answer", after["text"])
        else:
            _answer(f"was ({before['status']})", before["text"] or before["reason"])
            _answer(f"now ({after['status']})", after["text"] or after["reason"])
        if not one["same_path"]:
            click.echo(f"  tools were {', '.join(before['path']) or 'none'}; now {', '.join(after['path']) or 'none'}")
        click.echo(f"  cost: {_dollars(before['cost'])} → {_dollars(after['cost'])}")
    click.echo(f"in all: {_dollars(found['cost_before'])} → {_dollars(found['cost_after'])}")
    if stopped := found["stopped"]:
        tool = f"{stopped['tool']} {printable(stopped['arguments'])}: " if stopped["tool"] else ""
        click.echo(f"stopped in turn {stopped['turn']}: {tool}{stopped['why']}")


def _answer(what: str, text: str) -> None:
    """The answer, line by line."""
    first, *rest = text.split("\n")
    click.echo(f"  {what}: {printable(first)}")
    for line in rest:
        click.echo(f"    {printable(line)}".rstrip())


def _dollars(cost: str | None) -> str:
    return "unknown" if cost is None else f"${cost}"

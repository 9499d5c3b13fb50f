"""A conversation as lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli.costing import dollars
from gateway.cli.output import printable, when


def show(found: Mapping[str, Any]) -> None:
    """Print who said what, which tools were used, and how each turn ended."""
    title = f" “{printable(found['title'])}”" if found["title"] else ""
    state = found["status"] + (f", turn {found['turn']} goes on" if found["turn"] else "")
    click.echo(f"conversation {found['conversation']}{title} with {found['agent']} over {found['channel']}: {state}")
    spent = dollars(found["cost"], found["cost_unknown"])
    click.echo(
        f"begun {when(found['opened_at'])} by {printable(found['by'])}; cost {spent}; version {found['version']}"
    )
    if found["more"]:
        click.echo("earlier turns are left out: --limit")
    for turn in found["turns"]:
        _turn(found, turn)
    waiting = [message for message in found["messages"] if not message["turn"]]
    for message in waiting:
        _said(message["sender"].removeprefix("user:"), message["text"], "waits")
    for refused in found["refused"]:
        click.echo(f"not answered ({refused['code']}): {printable(refused['reason'])}")


def _turn(found: Mapping[str, Any], turn: Mapping[str, Any]) -> None:
    click.echo("")
    for message in found["messages"]:
        if message["turn"] == turn["turn"]:
            _said(message["sender"].removeprefix("user:"), message["text"])
    for tool in turn["tools"]:
        click.echo(click.style(f"  → {printable(tool['tool'])} {printable(tool['arguments'])[:200]}", dim=True))
        detail = f", approval {tool['approval']}" if tool["approval"] else ""
        click.echo(click.style(f"  ← {tool['status']}{detail}", dim=True))
    if turn["status"] == "replied":
        _said(found["agent"], turn["text"])
    for n, cited in enumerate(turn["citations"], 1):
        lines = f":{cited['lines'][0]}-{cited['lines'][1]}" if cited.get("lines") else ""
        hash = f"  sha256 {cited['hash'][:12]}" if cited.get("hash") else ""
        click.echo(click.style(f"  [{n}] {printable(cited['path'])}{lines}{hash}", dim=True))
    for model, why in turn["unanswered"].items():
        click.echo(click.style(f"  {printable(model)} did not answer: {printable(why)[:200]}", dim=True))
    cost = "unknown" if turn["cost"] is None else f"${turn['cost']}"
    why = f" ({printable(turn['reason'] or turn['code'])})" if turn["reason"] or turn["code"] else ""
    by = f", {', '.join(dict.fromkeys(turn['models']))}" if turn["models"] else ""
    stand_in = " (scripted stand-in, no language model)" if turn["stand_in"] else ""
    click.echo(click.style(f"  turn {turn['turn']}: {turn['status']}{why}{by}{stand_in}, {cost}", dim=True))


def _said(who: str, text: str, mark: str = "") -> None:
    first, *rest = text.split("\n")
    name = click.style(f"{printable(who)}:", bold=True)
    click.echo(f"{name} {printable(first)}{f'  [{mark}]' if mark else ''}")
    for line in rest:
        click.echo(f"  {printable(line)}")

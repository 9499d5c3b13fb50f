"""`thespis models test`."""

from __future__ import annotations

import os

import click

from gateway.cli.output import emit, fields, output_option, printable
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("model")
@click.argument("prompt", default="Say hello in five words.")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True,
              help="Seconds that each of two tries may take.")  # fmt: skip
@output_option
def command(model: str, prompt: str, timeout: float, output: str) -> None:
    """Ask MODEL (provider:model) from here, without a host, with the keys of the environment.

    Prints the answer as it comes, then what it used and cost. The exit status is 1 when there is no answer.
    """
    from msgspec import to_builtins

    from gateway.models import ask
    from gateway.problems import FAILED

    table = output == "table"

    def say(text: str) -> None:
        if table:
            click.echo("\n".join(map(printable, text.split("\n"))), nl=False)

    result = ask(model, prompt, os.environ, say, timeout)
    if not table:
        emit(to_builtins(result), output)
    elif result.answer is not None:
        used = result.answer.usage
        click.echo("\n")
        shown = {
            "model": result.answer.model,
            "finish": result.answer.finish,
            "seconds": round((result.ended - result.started) / 1e6, 3),
            "first piece": round((result.first - result.started) / 1e6, 3) if result.first else None,
            "tokens": f"{used.input} in ({used.cache_read} from a cache), {used.output} out"
            + (f" ({used.reasoning} reasoned)" if used.reasoning else "")
            + ("" if used.reported else ", estimated"),
            "cost": f"${result.cost.usd}" if result.cost.usd is not None else f"unknown: {result.cost.why}",
        }
        if (price := result.cost.price) is not None:
            shown["price"] = f"{price.provider}/{price.model} in {price.source} {price.version}, {price.date}"
        fields(shown, output)
    for each in result.tries:
        click.echo(printable(f"{each.model}: {each.failure.kind}: {each.failure.message}"), err=True)
    if result.answer is None:
        raise click.exceptions.Exit(FAILED)

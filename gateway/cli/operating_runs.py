"""What the commands of runs and approvals share: a write under a key, repeated while its outcome is not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


def write(parts: tuple[str, ...], body: Mapping[str, Any], key: str | None, url: str | None, data: str | None) -> Any:
    """POST under an idempotency key, again when the answer is lost. Raises what the server reports."""
    import shlex

    from events.errors import DeadlineExceeded, OutcomeUnknown
    from events.ids import random_id
    from gateway.cli.http import Api, call, path
    from gateway.cli.retrying import retrying

    used = key or random_id()

    async def post(api: Api) -> Any:
        return await retrying(lambda: api.post(path(*parts), dict(body), key=used))

    try:
        return call(url, data, post)
    except (OutcomeUnknown, DeadlineExceeded) as error:
        error.hint = f"it may have been done: repeat it with --key {shlex.quote(used)} to learn the outcome"
        raise


def key_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `--key`."""
    return click.option("--key", help="Idempotency key; the same again gets the first answer  [default: a new one]")(
        function
    )


def run_command(verb: str, help: str, *, reason: bool = False) -> click.Command:
    """A command that does one thing with a run."""

    @thespis_command(help=help)
    @click.argument("run")
    @key_option
    @output_option
    @place_options
    def command(
        run: str, key: str | None, output: str, url: str | None, data: str | None, reason: str | None = None
    ) -> None:
        body = {} if reason is None else {"reason": reason}
        fields(write(("runs", run, verb), body, key, url, data), output)

    if reason:
        option = click.Option(["--reason"], help="Why; it is recorded.")
        command.params.insert(1, option)
    return command

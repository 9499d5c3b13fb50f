"""`thespis publish`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

import click

from gateway.cli.find import data_option, url_option
from gateway.cli.output import emit, fields, output_option
from gateway.cli.tree import command as thespis_command

SHOWN = 20


@thespis_command()
@click.argument("file", required=False, type=click.File("rb"))
@click.option("--type", "type_", help="Type of the one event to publish.")
@click.option("--source", help="Where the one event comes from, a URI reference such as /till/3.")
@click.option("--data", "body", help="Its data: JSON text, @FILE, or - for standard input.")
@click.option("--id", help="Its id; the same (source, id) again changes nothing  [default: a new one]")
@click.option("--subject", help="Its subject, if any.")
@click.option("--time", help="When it happened, RFC 3339.")
@click.option("--from-line", type=click.IntRange(min=1), default=1, help="Begin FILE at this line.")
@click.option("--acks", is_flag=True, help="Print id and position of every event of FILE, one JSON line each.")
@click.option(
    "--patience", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Retry so many seconds."
)
@output_option
@data_option("--data-dir")
@url_option
def command(
    file: BinaryIO | None,
    output: str,
    url: str | None,
    data: str | None,
    from_line: int,
    acks: bool,
    patience: float,
    **event: str | None,
) -> None:
    """Publish one event, or the CloudEvents (JSON, one per line) of FILE; - reads standard input.

    \b
    Examples:
      thespis publish --type OrderPlaced --source /shop --data '{"total": 5}'
      thespis publish - < events.ndjson

    The order of the lines is kept. Bad lines are named on standard error and left out, all others are published, and
    the exit status is then 4. Publishing the same events again is safe: they answer the positions they have.
    """
    if file is not None:
        given = [name.rstrip("_") for name, value in event.items() if value is not None]
        if given:
            raise click.UsageError(f"FILE and --{given[0].replace('body', 'data')} do not go together")
        _publish_file(file, from_line, acks, patience, output, url, data)
        return
    if not event["type_"] or not event["source"]:
        raise click.UsageError("give FILE (or -), or at least --type and --source")
    fields(_publish_one(event, url, data), output)


def _publish_one(event: dict[str, str | None], url: str | None, data: str | None) -> dict[str, Any]:
    import shlex

    import msgspec

    from events.errors import OutcomeUnknown
    from events.ids import random_id
    from gateway.cli.arguments import json_argument
    from gateway.cli.http import Api, call
    from gateway.cli.retrying import retrying

    document: dict[str, Any] = {"specversion": "1.0", "id": event["id"] or random_id()}
    document |= {"type": event["type_"], "source": event["source"]}
    document |= {name: event[name] for name in ("subject", "time") if event[name]}
    if event["body"] is not None:
        document["datacontenttype"] = "application/json"
        document["data"] = msgspec.Raw(json_argument(event["body"], "--data"))
    body = msgspec.json.encode(document)

    async def send(api: Api) -> dict[str, Any]:
        answer = await retrying(lambda: api.post("/v1/events", raw=body, content_type="application/cloudevents+json"))
        return answer["events"][0]

    try:
        return call(url, data, send)
    except OutcomeUnknown as error:
        error.hint = f"it may be recorded: repeat it with --id {shlex.quote(document['id'])} to learn the outcome"
        raise


def _publish_file(
    file: BinaryIO, from_line: int, acks: bool, patience: float, output: str, url: str | None, data: str | None
) -> None:
    import msgspec

    from events.errors import ThespisError, Unavailable
    from gateway.cli.http import Api, call
    from gateway.cli.lines import arriving, count
    from gateway.cli.progress import progress
    from gateway.cli.publishing import Publisher
    from gateway.problems import INVALID

    bad: list[int] = []

    def on_bad(number: int, why: str) -> None:
        bad.append(number)
        if len(bad) <= SHOWN:
            click.echo(f"line {number}: {why}", err=True)
        elif len(bad) == SHOWN + 1:
            click.echo("more bad lines follow; they are counted", err=True)

    def on_acks(answers: Sequence[dict[str, Any]]) -> None:
        if acks:
            for answer in answers:
                click.echo(msgspec.json.encode(answer))
            sys.stdout.flush()

    async def publish(api: Api) -> Publisher:
        async def send(body: bytes) -> Sequence[dict[str, Any]]:
            kind = "application/cloudevents-batch+json"
            return (await api.post("/v1/events", raw=body, content_type=kind))["events"]

        with progress("publishing", "lines", count(file)) as advance:
            publisher = Publisher(send, on_bad=on_bad, on_acks=on_acks, advance=advance, patience=patience)
            try:
                await publisher.run(arriving(file), from_line)
            except ThespisError as error:
                done = publisher.result.line
                if done:
                    again = f"lines up to {done} are dealt with: go on with --from-line {done + 1}"
                    error.hint = f"{error.hint}; {again}" if error.hint else again
                    if isinstance(error, Unavailable):
                        error.hint += " (sending all of them again is safe, too)"
                raise
        return publisher

    result = call(url, data, publish).result
    if not acks:
        if output == "table":
            span = f", positions {result.first} to {result.last}" if result.published else ""
            click.echo(f"published {result.published} events{span}")
        else:
            emit(msgspec.to_builtins(result), output)
    if bad:
        total = result.published + result.bad
        click.echo(f"error[invalid-data]: {result.bad} of {total} events were not published", err=True)
        click.echo("hint: correct the lines named above and publish them again", err=True)
        raise click.exceptions.Exit(INVALID)

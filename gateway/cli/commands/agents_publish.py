"""`thespis agents publish`."""

from __future__ import annotations

import sys
from typing import Any

import click

from gateway.cli.find import place_options
from gateway.cli.operating_runs import key_option
from gateway.cli.output import fields, output_option
from gateway.cli.problems import tell
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@key_option
@output_option
@place_options
def command(file: str, key: str | None, output: str, url: str | None, data: str | None) -> None:
    """Publish FILE (Markdown with YAML front matter, - for standard input) as the newest version of its agent.

    One that is the newest version already changes nothing. Of a wrong one every problem is told as file:line:column.
    """
    from pathlib import Path

    from events.ids import random_id
    from gateway.cli.http import Api, call, with_query
    from gateway.cli.retrying import retrying
    from gateway.problems import NotValid

    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    used = key or random_id()

    async def publish(api: Api) -> dict[str, Any]:
        where = with_query("/v1/agents", {"file": file})
        return await retrying(lambda: api.post(where, raw=content, content_type="text/markdown", key=used))

    try:
        found = call(url, data, publish)
    except NotValid as error:
        tell(error.extra.get("problems", []), err=True)
        raise
    fields(found, output)

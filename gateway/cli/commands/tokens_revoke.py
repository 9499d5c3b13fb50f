"""`thespis tokens revoke`."""

from __future__ import annotations

import asyncio

import click

from gateway.cli.find import data_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("id")
@data_option("--data", "--data-dir")
def command(id: str, data: str | None) -> None:
    """Revoke the token with the id ID for good. Running hosts notice within seconds."""
    from gateway.cli.find import database
    from gateway.direct import open_tokens
    from gateway.tokens import revoke_token

    async def run() -> None:
        async with open_tokens(database(data).database_url) as store:
            await revoke_token(store, id)

    asyncio.run(run())
    click.echo(f"revoked {id}", err=True)

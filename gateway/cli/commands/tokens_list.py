"""`thespis tokens list`."""

from __future__ import annotations

import asyncio

import click

from gateway.cli.find import data_option
from gateway.cli.output import output_option, rows
from gateway.cli.tree import command as thespis_command

COLUMNS = ("id", "name", "tenant", "scopes", "created", "expires", "revoked")


@thespis_command()
@click.option("--tenant", help="Only those of this tenant.")
@output_option
@data_option("--data", "--data-dir")
def command(tenant: str | None, output: str, data: str | None) -> None:
    """List tokens, revoked and expired ones too. The tokens themselves are not kept."""
    from gateway.cli.find import database
    from gateway.cli.output import when
    from gateway.direct import open_tokens
    from gateway.tokens import list_tokens

    async def run() -> list[dict[str, object]]:
        async with open_tokens(database(data).database_url) as store:
            return [
                {
                    "id": token.id,
                    "name": token.name,
                    "tenant": token.tenant,
                    "scopes": list(token.scopes),
                    "created": when(token.created_at),
                    "expires": None if token.expires_at is None else when(token.expires_at),
                    "revoked": None if token.revoked_at is None else when(token.revoked_at),
                }
                for token in await list_tokens(store, tenant)
            ]

    rows(asyncio.run(run()), COLUMNS, output, empty="no tokens")

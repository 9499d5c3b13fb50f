"""`thespis tokens create`."""

from __future__ import annotations

import asyncio

import click

from gateway.cli.find import data_option
from gateway.cli.output import fields, output_option
from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it allows, e.g. events:write; repeatable.")
@click.option("--tenant", default="default", show_default=True, help="The tenant it is bound to.")
@click.option("--expires-in", type=float, help="Seconds it lasts  [default: until revoked]")
@output_option
@data_option("--data", "--data-dir")
def command(
    name: str, scopes: tuple[str, ...], tenant: str, expires_in: float | None, output: str, data: str | None
) -> None:
    """Make a bearer token for NAME. It is shown once and kept nowhere; only its hash is stored."""
    from gateway.cli.find import database
    from gateway.cli.output import when
    from gateway.direct import open_tokens
    from gateway.tokens import create_token

    async def run() -> dict[str, object]:
        async with open_tokens(database(data).database_url) as store:
            text, token = await create_token(store, name, scopes, tenant=tenant, expires_in=expires_in)
            expires = None if token.expires_at is None else when(token.expires_at)
            return {
                "token": text,
                "id": token.id,
                "name": token.name,
                "tenant": token.tenant,
                "scopes": list(token.scopes),
                "expires": expires,
            }

    fields(asyncio.run(run()), output)

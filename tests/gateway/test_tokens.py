"""Tokens: made once, kept as a hash, checked, listed, revoked; the same in memory and in Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from events.errors import Conflict, InvalidName, NotFound, Unauthenticated
from events.tokens import Token, TokenStore
from gateway.tokens import create_token, list_tokens, now, principal, revoke_token, verify
from infra.memory.tokens import MemoryTokens
from infra.postgres.connection import Links
from infra.postgres.migrate import migrate
from infra.postgres.tokens import PostgresTokens


@pytest.fixture(params=["memory", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else ""


@pytest.fixture
async def store(url: str) -> AsyncIterator[TokenStore]:
    if not url:
        yield MemoryTokens()
        return
    await migrate(url)
    links = Links(url, "test", 2, 5.0)
    yield PostgresTokens(links)
    await links.close()


async def test_a_token_is_known_by_its_text_and_kept_as_a_hash(store: TokenStore) -> None:
    text, token = await create_token(store, "ada", ["events:write", "events:read"], tenant="acme", expires_in=60)
    assert await verify(store, text) == token
    assert token.scopes == ("events:read", "events:write")
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == 60_000_000
    who = principal(token)
    assert (who.name, who.tenant) == ("user:ada", "acme")
    assert who.allows("events:read")
    assert not who.allows("admin")
    assert text.encode() not in token.hash
    assert text.partition(f"{token.id}_")[2] not in repr(token)  # the secret, which may have underscores of its own


async def test_no_two_tokens_are_alike(store: TokenStore) -> None:
    made = [await create_token(store, "ada", ["admin"]) for _ in range(5)]
    assert len({text for text, _ in made}) == len({token.id for _, token in made}) == 5
    with pytest.raises(Unauthenticated):
        await verify(store, made[0][0].replace(made[0][1].id, made[1][1].id))


async def test_tokens_are_listed_by_tenant_oldest_first(store: TokenStore) -> None:
    made = [
        (await create_token(store, name, ["admin"], tenant=t))[1] for name, t in (("b", "x"), ("a", "y"), ("c", "x"))
    ]
    assert await list_tokens(store) == made
    assert await list_tokens(store, "x") == [made[0], made[2]]
    assert await list_tokens(store, "z") == []


async def test_a_revoked_token_is_never_valid_again(store: TokenStore) -> None:
    text, token = await create_token(store, "ada", ["admin"])
    await revoke_token(store, token.id)
    first = (await store.get(token.id)) or token
    assert first.revoked_at is not None
    await revoke_token(store, token.id)
    assert await store.get(token.id) == first, "the first time stays"
    with pytest.raises(Unauthenticated):
        await verify(store, text)
    with pytest.raises(NotFound):
        await revoke_token(store, "none")


async def test_an_id_is_given_once_and_adding_may_be_repeated(store: TokenStore) -> None:
    token = Token("a" * 12, "default", "ada", ("admin",), bytes(32), now())
    await store.add(token)
    with pytest.raises(Conflict):
        await store.add(Token("a" * 12, "default", "bob", ("admin",), b"x" * 32, now()))
    assert await store.get("a" * 12) == token


@pytest.mark.parametrize(
    ("name", "scopes", "tenant", "lasts"),
    [
        ("", ["admin"], "default", None),
        ("two words", ["admin"], "default", None),
        ("a/b", ["admin"], "default", None),
        ("ada", [], "default", None),
        ("ada", ["everything"], "default", None),
        ("ada", ["admin"], "No Tenant", None),
        ("ada", ["admin"], "default", 0.0),
        ("ada", ["admin"], "default", float("nan")),
        ("ada", ["admin"], "default", float("inf")),
    ],
)
async def test_a_token_that_makes_no_sense_is_not_made(name: str, scopes: list[str], tenant: str, lasts: float) -> None:
    store = MemoryTokens()
    with pytest.raises(InvalidName):
        await create_token(store, name, scopes, tenant=tenant, expires_in=lasts)
    assert await list_tokens(store) == []

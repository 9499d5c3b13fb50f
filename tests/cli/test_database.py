"""Commands that need only the database: the log as a file, its proof, and tokens, on a real Postgres."""

from __future__ import annotations

import json
from pathlib import Path

import asyncpg
import pytest

from gateway.cli.exporting import end_line, export, to_line
from infra.memory.store import MemoryStore
from tests.cli.conftest import Thespis
from tests.cli.history import with_history

LEDGER = str(Path(__file__).parents[2] / "gateway" / "examples" / "ledger")


@pytest.fixture(scope="module")
def whole() -> bytes:
    async def lines(store: MemoryStore) -> bytes:
        found = [to_line(event) async for page in export(store) for event in page]
        return b"".join([*found, end_line(len(found), len(found))])

    return with_history(lines)


@pytest.fixture
def filled(thespis: Thespis, postgres_url: str, whole: bytes) -> str:
    done = thespis("log", "import", "-", input=whole, DATABASE_URL=postgres_url)
    assert done.returncode == 0, done.stderr
    return postgres_url


def test_an_import_exports_the_same_again(thespis: Thespis, filled: str, whole: bytes) -> None:
    done = thespis("log", "export", "-", DATABASE_URL=filled)
    assert done.returncode == 0
    assert done.stderr.decode() == f"exported positions 1 to {len(whole.splitlines()) - 1}\n"
    for found, original in zip(done.stdout.splitlines()[:-1], whole.splitlines()[:-1], strict=True):
        before, after = json.loads(original), json.loads(found)
        if before["type"] == "Forked":
            del before["recorded_at"], after["recorded_at"]
        assert after == {**before, "epoch": 0}


def test_an_export_that_was_broken_off_goes_on_where_it_stopped(thespis: Thespis, filled: str, tmp_path: Path) -> None:
    file = tmp_path / "log.ndjson"
    assert thespis("log", "export", "log.ndjson", DATABASE_URL=filled).returncode == 0
    complete = file.read_bytes()
    for size in (len(complete) // 2, 0, 10, len(complete) - 1, len(complete)):
        file.write_bytes(complete[:size])
        if size == 10:  # a file that holds no whole line may be anything: it is left alone
            refused = thespis("log", "export", "log.ndjson", DATABASE_URL=filled)
            assert refused.returncode == 5
            assert file.read_bytes() == complete[:size]
            continue
        assert thespis("log", "export", "log.ndjson", DATABASE_URL=filled).returncode == 0
        assert file.read_bytes() == complete


def test_an_export_never_writes_over_something_else(thespis: Thespis, filled: str, tmp_path: Path) -> None:
    file = tmp_path / "precious.txt"
    for text in ("dear diary\n", "no newline"):
        file.write_text(text)
        done = thespis("log", "export", "precious.txt", DATABASE_URL=filled)
        assert done.returncode == 5
        assert done.stderr.startswith(b"error[conflict]: precious.txt is there, and it is no export")
        assert file.read_text() == text


def test_an_import_refuses_a_log_that_is_not_empty(thespis: Thespis, filled: str, whole: bytes) -> None:
    done = thespis("log", "import", "-", input=whole, DATABASE_URL=filled)
    assert done.returncode == 5
    assert done.stderr.startswith(b"error[conflict]: the log is not empty: it has ")


def test_a_damaged_import_writes_nothing(thespis: Thespis, postgres_url: str, whole: bytes) -> None:
    lines = whole.splitlines(keepends=True)
    broken = b"".join([*lines[:100], lines[100].replace(b'"version":', b'"version":1'), *lines[101:]])
    done = thespis("log", "import", "-", input=broken, DATABASE_URL=postgres_url)
    assert done.returncode == 4
    assert done.stderr.startswith(b"error[invalid-data]: line 101: ")
    empty = thespis("log", "export", "-", DATABASE_URL=postgres_url)
    assert empty.stdout == end_line(0, 0)


def test_an_import_that_was_broken_off_can_be_resumed(thespis: Thespis, postgres_url: str, whole: bytes) -> None:
    lines = whole.splitlines(keepends=True)
    part = b"".join([*lines[:150], end_line(150, 150)])
    assert thespis("log", "import", "-", input=part, DATABASE_URL=postgres_url).returncode == 0
    done = thespis("log", "import", "-", "--resume", input=whole, DATABASE_URL=postgres_url)
    assert (done.returncode, done.stderr.decode()) == (0, f"imported positions 1 to {len(lines) - 1}\n")
    other = b"".join(lines[:100]) + end_line(100, 100)
    refused = thespis("log", "import", "-", "--resume", input=other, DATABASE_URL=postgres_url)
    assert refused.returncode == 5


async def test_a_history_verifies_and_a_changed_event_is_found(thespis: Thespis, filled: str) -> None:
    done = thespis("replay", "--verify", "--workspace", LEDGER, DATABASE_URL=filled)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"verified 13 streams, ")
    unknown = thespis("replay", "--verify", DATABASE_URL=filled)
    assert unknown.returncode == 1
    assert b"streams of the kind account, which is not known here" in unknown.stderr

    connection = await asyncpg.connect(filled)
    await connection.execute(
        "update thespis.events set data = $1 where stream = 'account/3' and version = 2", b'{"amount":1000000}'
    )
    await connection.close()
    found = thespis("replay", "--verify", "--workspace", LEDGER, "-o", "json", DATABASE_URL=filled)
    assert found.returncode == 1
    report = json.loads(found.stdout)
    assert report["well"] is False
    (divergence,) = report["divergences"]
    assert (divergence["stream"], divergence["version"], divergence["what"]) == ("account/3", 2, "chain")


def test_a_token_is_made_listed_and_revoked(thespis: Thespis, filled: str) -> None:
    def read(*arguments: str) -> object:
        done = thespis(*arguments, "-o", "json", DATABASE_URL=filled)
        assert (done.returncode, done.stderr) == (0, b"")
        return json.loads(done.stdout)

    made = read("tokens", "create", "ada", "--scope", "events:read", "--scope", "events:write", "--expires-in", "60")
    assert isinstance(made, dict)
    assert made["token"].startswith(f"ths_{made['id']}_")
    listed = read("tokens", "list")
    assert isinstance(listed, list)
    assert [(row["id"], row["name"], row["scopes"], row["revoked"]) for row in listed] == [
        (made["id"], "ada", ["events:read", "events:write"], None)
    ]
    assert made["token"] not in json.dumps(listed)
    assert thespis("tokens", "revoke", made["id"], DATABASE_URL=filled).returncode == 0
    assert thespis("tokens", "revoke", "nosuch", DATABASE_URL=filled).returncode == 3
    assert thespis("tokens", "create", "ada", "--scope", "everything", DATABASE_URL=filled).returncode == 4


def test_a_database_that_does_not_answer_is_said_in_one_line(thespis: Thespis, tmp_path: Path) -> None:
    nowhere = "postgresql://someone:secret@127.0.0.1:1/nothing"
    for arguments in (["log", "export", "out.ndjson"], ["replay", "--verify"], ["tokens", "list"]):
        done = thespis(*arguments, DATABASE_URL=nowhere)
        assert done.returncode == 6
        assert done.stderr.startswith(b"error[store-unavailable]: ")
        assert b"secret" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_says_what_to_do(thespis: Thespis, postgres_url: str) -> None:
    done = thespis("replay", "--verify", DATABASE_URL=postgres_url)
    assert done.returncode == 6
    assert done.stderr.startswith(b"error[store-unavailable]: the database is not migrated")

"""Listing, searching, reading: bounded, labelled, cited."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from actors.tools.tool import RISKS
from events.conversations import Citation
from events.errors import BadDefinition
from infra.tools.files import looking
from infra.tools.files.content import LARGEST
from infra.tools.files.globs import SECRET, matches
from infra.tools.files.tool import files_tools
from tests.tool_files.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path, trusted=["docs/**"])
    for path, text in {
        "a.txt": "first line\nSecond Line\nthird\n", "docs/guide.md": "trusted words\n", "sub/deep/b.py": "line = 1\n",
        ".env": "KEY=line\n", "sub/id_rsa": "line\n", ".git/config": "line\n", "bin": "x\0line",
    }.items():  # fmt: skip
        (made.root / path).parent.mkdir(parents=True, exist_ok=True)
        (made.root / path).write_text(text)
    return made


async def test_a_file_is_read_with_a_citation_of_what_it_was(folder: Folder) -> None:
    read = await folder.call("read", path="a.txt", first=2, last=2)
    hash = sha256((folder.root / "a.txt").read_bytes()).hexdigest()
    assert (read.text, read.value["of"], read.value["hash"]) == ("Second Line\n", 3, hash)
    assert read.citations == [Citation("a.txt", (2, 2), hash)]
    whole = await folder.call("read", path="./sub//deep/b.py")
    assert (whole.text, whole.citations[0].path, whole.citations[0].lines) == ("line = 1\n", "sub/deep/b.py", (1, 1))


async def test_lines_that_are_not_there_are_said(folder: Folder) -> None:
    for first, last in ((0, 0), (-1, 2), (3, 2), (99, 0)):
        assert await folder.refused("read", path="a.txt", first=first, last=last) == "invalid"
    (folder.root / "empty").touch()
    assert (await folder.call("read", path="empty")).text == ""


async def test_what_is_no_text_or_too_large_is_refused(folder: Folder) -> None:
    assert await folder.refused("read", path="bin") == "binary"
    (folder.root / "latin").write_bytes("é".encode("latin-1"))
    assert await folder.refused("read", path="latin") == "binary"
    with (folder.root / "large").open("wb") as out:
        out.truncate(LARGEST + 1)
    assert await folder.refused("read", path="large") == "too-large"
    assert await folder.refused("read", path="none") == "not-found"
    assert await folder.refused("read", path="sub") == "path"
    assert await folder.refused("read", path=".") == "path"


async def test_a_long_file_is_cut_and_said_so(folder: Folder) -> None:
    (folder.root / "long").write_text("x\n" * (looking.MOST_LINES + 5))
    read = await folder.call("read", path="long")
    assert read.value["truncated"]
    assert read.value["lines"] == [1, looking.MOST_LINES]
    rest = await folder.call("read", path="long", first=looking.MOST_LINES + 1)
    assert (rest.value["lines"], rest.value["truncated"]) == ([2001, 2005], False)


async def test_labels_follow_the_path(folder: Folder) -> None:
    labels = {path: (await folder.call("read", path=path)).label
              for path in ("a.txt", "docs/guide.md", ".env", "sub/id_rsa", ".git/config")}  # fmt: skip
    assert labels == {
        "a.txt": "untrusted/private", "docs/guide.md": "trusted/private", ".env": "untrusted/secret",
        "sub/id_rsa": "untrusted/secret", ".git/config": "untrusted/secret",
    }  # fmt: skip


async def test_a_folder_is_listed_to_a_depth_and_links_are_not_followed(folder: Folder) -> None:
    (folder.root / "sub" / "out").symlink_to("/etc")
    os.mkfifo(folder.root / "sub" / "pipe")
    listed = await folder.call("list", path="sub")
    assert {each["path"]: each["type"] for each in listed.value["entries"]} == {
        "sub/deep": "folder", "sub/id_rsa": "file", "sub/out": "link", "sub/pipe": "other",
    }  # fmt: skip
    deep = await folder.call("list", depth=9)
    assert "sub/deep/b.py" in deep.text
    assert "passwd" not in deep.text


async def test_a_listing_is_bounded(folder: Folder) -> None:
    for number in range(looking.MOST_ENTRIES + 1):
        (folder.root / f"n{number}").touch()
    listed = await folder.call("list")
    assert (len(listed.value["entries"]), listed.value["truncated"]) == (looking.MOST_ENTRIES, True)


async def test_words_are_found_with_their_lines_and_secrets_left_out(folder: Folder) -> None:
    found = await folder.call("search", query="LINE")
    assert [(hit["path"], hit["line"]) for hit in found.value["hits"]] == [
        ("a.txt", 1), ("a.txt", 2), ("sub/deep/b.py", 1)
    ]  # fmt: skip
    assert found.value["secret_files_left_out"] == 2
    assert found.citations[0].lines == (1, 1)
    assert (await folder.call("search", query="line second")).value["hits"][0]["line"] == 2
    named = await folder.call("search", query="key", path=".env")
    assert (len(named.value["hits"]), named.label) == (1, "untrusted/secret")
    assert (await folder.call("search", query="trusted")).label == "trusted/private"


async def test_a_regular_expression_is_found_and_a_slow_one_ended(tmp_path: Path, folder: Folder) -> None:
    found = await folder.call("search", query=r"^\w+ [Ll]ine$", regex=True)
    assert [hit["line"] for hit in found.value["hits"]] == [1, 2]
    assert await folder.refused("search", query="(", regex=True) == "invalid"
    assert await folder.refused("search", query=" ") == "invalid"
    (folder.root / "evil").write_text("a" * 64 + "!\n")
    assert await Folder(tmp_path, patience=0.3).refused("search", query="(a+)+$", regex=True) == "timeout"


async def test_a_search_is_bounded(folder: Folder) -> None:
    (folder.root / "many").write_text("needle\n" * 1000)
    found = await folder.call("search", query="needle")
    assert (len(found.value["hits"]), found.value["truncated"]) == (looking.MOST_HITS, True)


def test_tools_say_what_they_are(tmp_path: Path, folder: Folder) -> None:
    reading, all_of_them = files_tools(folder.root, readonly=True), folder.tools
    assert [tool.name for tool in reading] == ["files.list", "files.search", "files.read"]
    assert set(all_of_them) == {"list", "search", "read", "write", "edit", "move", "delete", "undo"}
    for name, tool in all_of_them.items():
        reads = name in ("list", "search", "read")
        assert tool.definition.risk in RISKS
        assert tool.definition.risk == ("read-local" if reads else "write-reversible")
        assert tool.definition.effect_class == ("pure" if reads else "keyed")
        assert reads or tool.reconcile
        assert name == "undo" or tool.definition.roles["path"] == "destination"
    assert folder.tools["write"].definition.roles == {"path": "destination", "content": "body"}
    assert folder.tools["move"].definition.roles == {"path": "destination", "to": "destination"}


def test_what_is_kept_is_never_within_reach(tmp_path: Path, folder: Folder) -> None:
    for private in (folder.root / "kept", folder.root, tmp_path):
        with pytest.raises(BadDefinition):
            files_tools(folder.root, private=private)
    with pytest.raises(BadDefinition):
        files_tools(folder.root / "a.txt")


@pytest.mark.parametrize(
    "path",
    [".env", ".ENV", "x/.env.local", "prod.env", "a/b.pem", "id_ed25519", ".ssh/known_hosts", "a/.ssh/b/c",
     ".git/config", "secrets.yaml", "X.KEY"],
)  # fmt: skip
def test_secrets_are_recognised(path: str) -> None:
    assert matches(path, SECRET)


@pytest.mark.parametrize("path", ["a.txt", "environment.md", "keys.py", ".github/config", "src/identity.py", "ssh/x"])
def test_what_is_no_secret_is_not(path: str) -> None:
    assert not matches(path, SECRET)

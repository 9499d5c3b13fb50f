"""`thespis policy`: the rules, what they make of a call, and what others would have made of those there were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from actors.tools.policy import encode_policy, hash_of
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_file import read_policy
from events.tools import CallJudged, CallLabelled, CallPinned, CallRequested, ToolDefinition
from tests.cli.conftest import Thespis
from tests.cli.fake import FakeInstance, serving

MAIL = ToolDefinition("mail.send", "Sends.", {}, "write-external", "irreversible", roles={"to": "destination"})


@pytest.fixture
def thespis(tmp_path: Path) -> Thespis:
    return Thespis(tmp_path)


@pytest.fixture
def instance() -> Iterator[FakeInstance]:
    policy = read_policy(DEFAULT)

    def answer(request: web.Request) -> web.Response | None:
        if request.path == "/v1/policies/default":
            found = {"name": "default", "version": 3, "hash": hash_of(policy), "source": DEFAULT}
            rules = msgspec.Raw(encode_policy(policy))
            return web.Response(body=msgspec.json.encode({**found, "rules": rules}), content_type="application/json")
        if request.path == "/v1/tools/mail.send":
            body = msgspec.json.encode({"tool": "mail.send", "definition": MAIL})
            return web.Response(body=body, content_type="application/json")
        return None

    with serving() as fake:
        fake.fault = answer
        yield fake


def test_a_call_is_explained_without_a_server(thespis: Thespis, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(DEFAULT)
    told = ("policy", "explain", "mail.send", '{"to": "eve@example.org"}', "--file", "p.yaml", "--agent", "helper")
    how = ("--risk", "write-external", "--decides", "to=destination")
    done = thespis(*told, *how, "--label", "to=untrusted/public", "-o", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert (found["judged"]["decision"], found["judged"]["rule"]) == ("deny", "untrusted-target")
    rules = {rule["rule"]: rule for rule in found["rules"]}
    assert rules["write-external"]["applies"]
    assert rules["read-local"]["unmet"] == ["the risk is write-external, not read-local"]
    done = thespis(*told, *how, "--label", "to=trusted/private")
    assert done.stdout.startswith(b"ask: it changes something that cannot be taken back (write-external)")


def test_what_is_wrong_with_a_file_is_told(thespis: Thespis, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("rules: [{id: a, decision: maybe}]")
    done = thespis("policy", "explain", "x", "--file", "p.yaml", "--risk", "read-local")
    assert done.returncode != 0
    assert b"p.yaml:1:27" in done.stderr
    (tmp_path / "p.yaml").write_text("rules: []")
    done = thespis("policy", "explain", "x", "--file", "p.yaml", "--risk", "read-local", "--label", "x=good")
    assert done.returncode != 0
    assert b"not a label" in done.stderr


def test_the_policy_of_an_instance_is_shown_and_explains(thespis: Thespis, instance: FakeInstance) -> None:
    done = thespis("policy", "show", THESPIS_URL=instance.url)
    assert done.returncode == 0
    assert b"version  3" in done.stdout.replace(b"\x1b[1m", b"").replace(b"\x1b[0m", b"")
    assert b"nothing-secret-leaves" in done.stdout
    assert thespis("policy", "show", "--source", THESPIS_URL=instance.url).stdout.decode() == DEFAULT
    done = thespis("policy", "explain", "mail.send", '{"to": "x"}', "--agent", "a", THESPIS_URL=instance.url)
    assert done.stdout.startswith(b"deny: ")


def test_the_calls_there_were_are_judged_by_another_policy(
    thespis: Thespis, instance: FakeInstance, tmp_path: Path
) -> None:
    for n in range(5):
        label = "untrusted/private" if n == 2 else "trusted/private"
        for event in (
            CallRequested("mail.send", "{}", ["user:ada"], "", 1_764_000_000_000_000, agent="agent/helper"),
            CallPinned("h", MAIL, {"to": "x"}, "d"),
            CallLabelled({"to": label}, label),
            CallJudged("default", 1, "h", "ask", "all", ""),
        ):
            instance.events.append({
                "position": len(instance.events) + 1, "id": f"{len(instance.events)}", "source": "/", "version": 1,
                "type": type(event).__name__, "stream": f"call/{n}", "time": "2026-11-23T14:00:00Z",
                "data": msgspec.to_builtins(event),
            })  # fmt: skip
    (tmp_path / "p.yaml").write_text(DEFAULT)
    done = thespis("policy", "dry-run", "p.yaml", "-o", "json", THESPIS_URL=instance.url)
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert (found["judged"], found["same"]) == (5, 4)
    assert [(d["call"], d["before"], d["after"]) for d in found["differences"]] == [("call/2", "ask 1", "deny")]
    done = thespis("policy", "dry-run", "p.yaml", THESPIS_URL=instance.url)
    assert b"5 calls judged, 4 as before, 1 otherwise" in done.stderr

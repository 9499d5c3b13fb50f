"""`thespis workflows`, `runs` and `approvals`: against a real host, and without any server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.host import HostProcess
from tests.cli.conftest import Thespis
from tests.servers import Postgres
from tests.workflows.world import PLACE, host

pytestmark = pytest.mark.timeout(180)

REVIEW = """name: reviewing
steps:
  draft: {value: {text: hello}}
  ask: {needs: [draft], approve: {what: "${ steps.draft.output }", title: Publish this?}}
  done: {needs: [ask], value: 1}
"""
WRONG = """name: wrong
steps:
  a: {value: 1, need: [b]}
  c: {needs: [d], value: "${ nothing. }"}
"""


@pytest.fixture(scope="module")
def served(postgres_shared: Postgres, workplace: Path) -> Iterator[HostProcess]:
    with host(postgres_shared, workplace) as process:
        yield process


@pytest.fixture
def thespis(tmp_path: Path) -> Thespis:
    return Thespis(tmp_path)


class At:
    """The command line, with a host to talk to."""

    def __init__(self, thespis: Thespis, url: str) -> None:
        self.thespis = thespis
        self.url = url

    def __call__(self, *arguments: str, status: int = 0, **how: Any) -> str:
        done = self.thespis(*arguments, THESPIS_URL=self.url, **how)
        assert done.returncode == status, (done.stdout, done.stderr)
        return (done.stdout if status in (0, 1) else done.stderr).decode()

    def json(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self(*arguments, "-o", "json", status=status))


@pytest.fixture
def at(thespis: Thespis, served: HostProcess) -> At:
    return At(thespis, served.url)


def test_a_definition_is_checked_without_a_server_and_every_problem_is_told(thespis: Thespis) -> None:
    (thespis.cwd / "wrong.yaml").write_text(WRONG)
    done = thespis("workflows", "check", "wrong.yaml")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("wrong.yaml:") and line.split(":")[1].isdigit() for line in lines)
    found = json.loads(thespis("workflows", "check", "wrong.yaml", "-o", "json").stdout)
    assert {"file", "line", "column", "pointer", "message", "hint"} <= set(found[0])
    (thespis.cwd / "good.yaml").write_text(REVIEW)
    done = thespis("workflows", "check", "good.yaml", "good.yaml")
    assert (done.returncode, done.stdout.decode()) == (0, "2 files, no problems\n")
    assert thespis("workflows", "check", "none.yaml").returncode == 2
    (thespis.cwd / "latin.yaml").write_bytes(b"name: a\nsteps: \xff\n")
    done = thespis("workflows", "check", "latin.yaml")
    assert (done.returncode, done.stdout.decode().startswith("latin.yaml:2:")) == (1, True)


def test_with_a_workspace_the_tasks_are_checked_too(thespis: Thespis) -> None:
    broken = str(PLACE / "broken.workflow.yaml")
    found = json.loads(thespis("workflows", "check", broken, "--workspace", str(PLACE), "-o", "json").stdout)
    assert any("math.dubble" in problem["message"] for problem in found)


def test_the_schema_of_definitions_needs_no_server(thespis: Thespis) -> None:
    schema = json.loads(thespis("workflows", "schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "steps" in json.dumps(schema)


def test_without_a_server_it_says_so(thespis: Thespis) -> None:
    for words in (["runs", "list"], ["workflows", "list"], ["approvals", "list"], ["runs", "start", "x"]):
        done = thespis(*words, "--url", "http://127.0.0.1:9")
        assert (done.returncode, done.stderr.decode()[:17]) == (6, "error[no-server]:")


def test_wrong_words_are_told(at: At) -> None:
    assert "NAME=VALUE" in at("runs", "start", "doubling", "--input", "n", status=2)
    assert "no workflow" in at("workflows", "show", "none", status=3)
    nowhere = at("runs", "start", "none", status=3)
    assert "there is no workflow/none" in nowhere
    assert "`thespis workflows list` lists them" in nowhere
    assert "inputs" in at("runs", "start", "doubling", "--input", "n=many", status=5)
    assert "--variable 'n'" in at("runs", "start", "doubling", "--variable", "n", status=2)
    assert "declares no such variable" in at(
        "runs", "start", "doubling", "--input", "n=1", "--variable", "tone=warm", status=5
    )  # fmt: skip
    assert "no run" in at("runs", "show", "none", status=3)
    for verb in ("cancel", "pause", "resume", "retry", "watch"):
        assert "no run" in at("runs", verb, "none", status=3)
    assert "no run" in at("runs", "fork", "none", "--from", "a", status=3)
    assert "no approval" in at("approvals", "approve", "none", status=3)
    (at.thespis.cwd / "list.yaml").write_text("[1]")
    assert "not an object" in at("runs", "start", "doubling", "--input-file", "list.yaml", status=4)


def test_a_wrong_definition_is_not_published_and_every_problem_is_told(at: At) -> None:
    (at.thespis.cwd / "wrong.yaml").write_text(WRONG)
    lines = at("workflows", "publish", "wrong.yaml", status=4).splitlines()
    assert len([line for line in lines if line.startswith("wrong.yaml:")]) >= 3
    assert lines[-2].startswith("error[definition]:")


def test_a_run_from_start_to_its_steps(at: At) -> None:
    run = at.json("runs", "start", "doubling", "--input", "n=5", "--label", "team=red", "--wait")
    assert (run["status"], run["outputs"], run["labels"]) == ("succeeded", {"n": 20}, {"team": "red"})
    shown = at.json("runs", "show", run["run"])
    assert [step["step"] for step in shown["timeline"]] == ["once", "again"]
    assert "once" in at("runs", "show", run["run"])
    then = at.json("runs", "show", run["run"], "--at", "4")
    assert then["status"] == "running"
    assert "succeeded" in at("runs", "watch", run["run"])
    assert run["run"] in at("runs", "list", "--workflow", "doubling")
    assert "doubling" in at("workflows", "list")
    assert "math.double" in at("workflows", "show", "doubling", "--source")


def test_the_context_variables_of_a_run_are_shown_and_of_a_secret_its_name_alone(at: At) -> None:
    definition = """name: toned
variables:
  tone: {type: string, default: plain}
  key: {secret: true}
  seen: {type: array, merge: append}
  none: {type: string}
steps:
  look: {task: variables.set, with: {values: {seen: [one]}}}
"""
    (at.thespis.cwd / "toned.yaml").write_text(definition)
    at("workflows", "publish", "toned.yaml")
    run = at.json("runs", "start", "toned", "--variable", "tone=warm", "--variable", "key=env:MAIL_KEY", "--wait")
    expected = {"tone": "warm", "key": "env:MAIL_KEY", "seen": ["one"]}
    assert run["variables"] == expected
    assert at.json("runs", "show", run["run"])["variables"] == expected
    shown = at("runs", "show", run["run"])
    line = next(line for line in shown.splitlines() if line.startswith("variables"))
    assert json.loads(line.removeprefix("variables")) == expected
    early = next(n for n in range(3, 20) if "tone" in at.json("runs", "show", run["run"], "--at", str(n))["variables"])
    then = at.json("runs", "show", run["run"], "--at", str(early))
    assert (then["variables"]["tone"], "seen" in then["variables"]) == ("warm", False)


def test_the_same_key_is_the_same_run(at: At) -> None:
    first = at.json("runs", "start", "doubling", "--input", "n=1", "--key", "once", "--wait")
    again = at.json("runs", "start", "doubling", "--input", "n=1", "--key", "once", "--wait")
    shown = at("runs", "start", "doubling", "--input", "n=1", "--key", "once", "--wait")
    assert re.search(r"^started_at +\d{4}-\d\d-\d\dT", shown, re.MULTILINE), shown
    assert first["run"] == again["run"]
    at("runs", "start", "doubling", "--input", "n=2", "--key", "once", status=5)


def test_a_failed_run_has_exit_status_1_and_goes_on_with_retry_and_from_a_step(at: At) -> None:
    mark = at.thespis.cwd / "mark"
    definition = f"""name: marked
steps:
  first: {{task: math.double, with: {{n: 4}}}}
  second: {{needs: [first], task: file.marked, with: {{mark: {mark}}}}}
outputs: {{found: "${{ steps.second.output.found }}"}}
"""
    (at.thespis.cwd / "marked.yaml").write_text(definition)
    at("workflows", "publish", "marked.yaml")
    run = at.json("runs", "start", "marked", "--wait", status=1)
    assert (run["status"], run["error_kind"]) == ("failed", "missing")
    mark.touch()
    fork = at.json("runs", "fork", run["run"], "--from", "second")
    assert (fork["forked_from"], fork["reused"]) == (run["run"], ["first"])
    at("runs", "watch", fork["run"])
    forked = at.json("runs", "show", fork["run"])
    assert (forked["status"], forked["forked_from"], forked["outputs"]) == ("succeeded", run["run"], {"found": True})
    at("runs", "retry", run["run"])
    at("runs", "watch", run["run"])
    assert at.json("runs", "show", run["run"])["status"] == "succeeded"


def test_people_approve_and_deny(at: At) -> None:
    (at.thespis.cwd / "review.yaml").write_text(REVIEW)
    at("workflows", "publish", "review.yaml")
    for verb, status, ended in (("approve", 0, "succeeded"), ("deny", 1, "failed")):
        run = at.json("runs", "start", "reviewing")
        watching = at.thespis.start("runs", "watch", run["run"], THESPIS_URL=at.url)
        assert watching.stdout is not None
        while b"ask  waiting" not in watching.stdout.readline():
            assert watching.poll() is None
        (waiting,) = at.json("approvals", "list", "--run", run["run"])
        assert (waiting["what"], waiting["title"]) == ({"text": "hello"}, "Publish this?")
        at("approvals", verb, waiting["approval"], "--note", "seen")
        assert watching.communicate(timeout=60)[0].decode().rstrip().endswith(ended)
        assert watching.returncode == status
        assert at.json("approvals", "list", "--run", run["run"]) == []
        assert at.json("approvals", "list", "--run", run["run"], "--all")[0]["status"] != "waiting"

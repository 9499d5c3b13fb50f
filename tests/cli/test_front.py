"""The command line as a whole: help, unknown words, exit statuses, pipes and interrupts."""

from __future__ import annotations

import json
import signal
import subprocess
from importlib import import_module

import click
import pytest

from gateway.cli.tree import PATHS, children, module_of
from tests.cli.conftest import Thespis
from tests.cli.fake import TOKEN, FakeInstance

LEAVES = [path for path in PATHS if not children(path)]


def test_help_imports_no_server_no_driver_and_no_command(thespis: Thespis) -> None:
    done = thespis("--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.decode().splitlines()}
    heavy = {"aiohttp", "asyncpg", "nats", "rich", "pydantic", "msgspec", "events", "asyncio", "yaml"}
    assert not heavy & loaded
    assert not any(name.startswith("gateway.cli.commands.") for name in loaded)


@pytest.mark.parametrize("path", LEAVES)
def test_every_listed_command_is_there_and_says_what_the_list_says(path: str) -> None:
    command = import_module(module_of(path)).command
    assert isinstance(command, click.Command)
    assert command.help


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_shows_help(thespis: Thespis, path: str) -> None:
    done = thespis(*path.split(), "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(f"Usage: thespis {path}")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["actrs"], "`thespis actors`"),
        (["fork"], "`thespis actors fork`"),
        (["events", "lst"], "`thespis events list`"),
        (["events", "list", "--limt", "3"], "`--limit`"),
    ],
)
def test_an_unknown_word_suggests_the_nearest(thespis: Thespis, words: list[str], suggestion: str) -> None:
    done = thespis(*words)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert lines[0].startswith("error[usage]: No such ")
    assert lines[1].startswith("hint: did you mean ")
    assert suggestion in lines[1]
    assert len(lines) == 2


def test_without_an_instance_it_says_how_to_start_one(thespis: Thespis) -> None:
    done = thespis("events", "list")
    assert done.returncode == 6
    assert done.stderr.decode().splitlines() == [
        "error[unavailable]: no instance runs in .thespis",
        "hint: start one with `thespis up`, "
        "or name a running one with --url or THESPIS_URL, or its directory with --data",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("agents", "check", "none"),
        ("agents", "publish", "none"),
        ("workflows", "check", "none"),
        ("workflows", "publish", "none"),
        ("policy", "dry-run", "none"),
        ("policy", "explain", "shell.run", "--file", "none"),
        ("log", "import", "none"),
        ("runs", "start", "digest", "--input-file", "none"),
        ("tools", "run", "files.read", "--input-file", "none"),
        ("conversations", "whatif", "1", "--instructions", "none"),
    ],
)
def test_a_file_that_is_not_there_is_wrong_usage_whether_or_not_a_server_runs(
    thespis: Thespis, arguments: tuple[str, ...]
) -> None:
    done = thespis(*arguments)
    assert done.returncode == 2
    assert b"File 'none' does not exist." in done.stderr


def test_what_can_only_be_a_file_is_not_asked_for_as_a_workflow(thespis: Thespis, instance: FakeInstance) -> None:
    done = thespis("workflows", "graph", "show", "flows/digest.yaml", "--url", instance.url)
    assert done.returncode == 3
    assert done.stderr.startswith(b"error[not-found]: there is no file flows/digest.yaml\nhint: name a file, or")


def test_a_label_of_a_worker_is_checked_before_a_server_is_looked_for(thespis: Thespis) -> None:
    done = thespis("worker", "--queue", "q", "--label", "eu")
    assert done.returncode == 2
    assert b"'eu' is not KEY=VALUE" in done.stderr


def test_an_option_without_its_value_names_the_help_of_its_command(thespis: Thespis) -> None:
    done = thespis("events", "list", "--limit")
    assert done.returncode == 2
    assert done.stderr.endswith(b"hint: `thespis events list --help` lists what there is\n")


def test_what_the_system_refuses_has_a_way_out(thespis: Thespis) -> None:
    done = thespis("new", "/proc/nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error[system]: /proc/nowhere: ")
    assert b"\nhint: check " in done.stderr


def test_erasing_that_nobody_agreed_to_is_not_done_and_says_how(thespis: Thespis) -> None:
    done = thespis("subjects", "erase", "customer-42", "--reason", "asked", input=b"")
    assert done.returncode == 2
    assert b"nothing was done; --yes agrees" in done.stderr


def test_a_host_without_servers_says_which_setting_is_missing(thespis: Thespis) -> None:
    done = thespis("host")
    assert done.returncode == 4
    assert done.stderr.decode().splitlines() == [
        "error[invalid-setting]: DATABASE_URL is not set",
        "hint: a host works for servers that are named: DATABASE_URL=postgresql://… NATS_URL=nats://…; "
        "`thespis up` starts its own and a host with them",
    ]
    other = thespis("host", DATABASE_URL="postgresql://127.0.0.1:1/nothing")
    assert other.stderr.startswith(b"error[invalid-setting]: NATS_URL is not set")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"DATABASE_URL": "there"}, "DATABASE_URL is not valid"),
        ({"THESPIS_PORT": "many"}, "THESPIS_PORT='many' is not a int"),
    ],
)
def test_a_setting_that_means_nothing_is_named(thespis: Thespis, settings: dict[str, str], says: str) -> None:
    servers = {"DATABASE_URL": "postgresql://127.0.0.1:1/nothing", "NATS_URL": "nats://127.0.0.1:1"}
    done = thespis("host", **{**servers, **settings})
    assert done.returncode == 4
    assert done.stderr.decode().startswith(f"error[invalid-setting]: {says}")


def test_nobody_at_the_url_is_said_and_not_waited_for(thespis: Thespis) -> None:
    done = thespis("ask", "account/1", "Deposit", '{"amount": 1}', "--url", "http://127.0.0.1:1")
    assert done.returncode == 6
    assert done.stderr.startswith(b"error[no-server]: nobody answers at http://127.0.0.1:1\nhint: start one with")


def test_a_dead_instance_is_told_from_a_running_one(thespis: Thespis) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (thespis.cwd / ".thespis").mkdir()
    (thespis.cwd / ".thespis" / "run.json").write_text(json.dumps({"pid": gone.pid, "url": "http://127.0.0.1:1"}))
    done = thespis("events", "list")
    assert done.returncode == 6
    assert b"does not run any more" in done.stderr


def test_the_running_instance_is_found_by_its_data_directory_and_its_token_used(
    thespis: Thespis, instance: FakeInstance
) -> None:
    instance.token = TOKEN
    instance.record({"id": "1", "source": "/shop", "type": "Sold", "data": 5})
    (thespis.cwd / "data").mkdir()
    (thespis.cwd / "data" / "run.json").write_text(json.dumps({"url": instance.url, "token": TOKEN}))
    done = thespis("events", "list", "--data", "data", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert [event["id"] for event in json.loads(done.stdout)] == ["1"]


def test_the_token_of_one_instance_is_not_sent_to_another(thespis: Thespis, instance: FakeInstance) -> None:
    instance.token = TOKEN
    (thespis.cwd / ".thespis").mkdir()
    (thespis.cwd / ".thespis" / "run.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "token": TOKEN}))
    done = thespis("events", "list", "--url", instance.url)
    assert done.returncode == 7
    assert done.stderr.startswith(b"error[unauthenticated]:")
    assert thespis("events", "list", "--url", instance.url, THESPIS_TOKEN=TOKEN).returncode == 0


def test_a_reader_that_goes_away_is_no_error(thespis: Thespis, instance: FakeInstance) -> None:
    for number in range(3000):
        instance.record({"id": str(number), "source": "/shop", "type": "Sold", "data": "x" * 100})
    running = thespis.start("events", "tail", "--after", "0", "-o", "jsonl", "--url", instance.url)
    assert running.stdout is not None
    assert running.stderr is not None
    assert running.stdin is not None
    assert running.stdout.readline()
    running.stdout.close()
    assert running.wait(30) == 141
    assert running.stderr.read() == b""
    running.stderr.close()
    running.stdin.close()


def test_an_interrupt_ends_it_without_a_word(thespis: Thespis, instance: FakeInstance) -> None:
    instance.record({"id": "1", "source": "/shop", "type": "Sold", "data": 1})
    running = thespis.start("events", "tail", "--after", "0", "-o", "jsonl", "--url", instance.url)
    assert running.stdout is not None
    assert running.stdout.readline()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (130, b"")


def test_debug_shows_the_traceback_and_nothing_else_does(thespis: Thespis) -> None:
    assert b"Traceback" not in thespis("events", "list").stderr
    shown = thespis("events", "list", "--debug")
    assert b"Traceback" in shown.stderr
    assert shown.stderr.splitlines()[-2].startswith(b"error[unavailable]: ")
    assert shown.returncode == 6
    assert b"Traceback" not in thespis("events", "list", THESPIS_DEBUG="0").stderr


def test_no_color_and_pipes_get_plain_text(thespis: Thespis, instance: FakeInstance) -> None:
    instance.record({"id": "1", "source": "/shop", "type": "Sold", "data": "\x1b[31mred"})
    done = thespis("events", "list", "--url", instance.url, NO_COLOR="1")
    assert b"\x1b" not in done.stdout
    assert b"red" in done.stdout

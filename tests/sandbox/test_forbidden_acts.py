"""What a command must not do is tried by real processes; with the layers that stop it left off, it succeeds."""

from __future__ import annotations

import asyncio
import os

import pytest

from events.errors import Invalid, Unavailable
from infra.sandbox.inside.acts import ACTS
from infra.sandbox.levels import LAYERS, LEVELS, layers_of, satisfies
from infra.sandbox.running import Confinement
from infra.sandbox.sandbox import Sandbox, _missing, run
from infra.sandbox.self_test import Tried, forbidden_acts
from tests.sandbox.levels import confinement, every_level, without

USERS = ("mounts", "pids", "net", "ipc")
"""Any of them brings a user namespace along."""

STOPPED_BY = {
    "write_outside": {"mounts", "landlock"},
    "read_secret": {"mounts", "landlock"},
    "write_setting": {"mounts", "landlock"},
    "connect_loopback": {"net", "landlock", "seccomp"},
    "connect_outside": {"net", "seccomp"},
    "connect_socket_file": {"mounts", "seccomp"},
    "connect_abstract": {"net", "landlock", "seccomp"},
    "raw_socket": {*USERS, "privileges", "seccomp"},
    "read_process": {*USERS, "privileges", "landlock"},
    "trace_process": {*USERS, "privileges", "landlock", "seccomp"},
    "read_segment": {"ipc", "seccomp"},
    "mount": {"landlock", "seccomp"},
    "new_namespace": {"seccomp"},
    "become_another": {*USERS, "privileges", "seccomp"},
    "io_uring": {"seccomp"},
    "keys": {"seccomp"},
    "bpf": {*USERS, "privileges", "seccomp"},
    "userfault": {"seccomp"},
    "counters": {"seccomp"},
    "many_files": {"limits"},
    "large_file": {"limits"},
    "much_memory": {"limits"},
    "kill_process": {"pids", "landlock"},
    "fork_bomb": {"limits"},
    "shared_memory": {"limits"},
}
"""Each of these layers is enough, without any other, and nothing but one of them stops it."""

ROOT_ALONE = {"write_setting", "raw_socket", "become_another", "bpf"}
"""What an ordinary user cannot do anyway."""


@pytest.fixture(scope="module")
def possible() -> dict[str, Tried]:
    """What can be done here without any sandbox, to see that the acts are real."""
    return asyncio.run(forbidden_acts(Confinement("", frozenset())))


def test_every_act_has_its_layers() -> None:
    assert set(STOPPED_BY) == set(ACTS)
    assert set().union(*STOPPED_BY.values()) == set(LAYERS)


@every_level
async def test_a_level_is_reached_by_stopping_every_act(level: str) -> None:
    report = await Sandbox(levels=[level]).prepare()
    assert [act for act, tried in report.acts.items() if tried.done] == []
    assert set(report.acts) == set(ACTS)
    assert report.level == level, report.levels


def test_without_a_sandbox_the_acts_are_done(possible: dict[str, Tried]) -> None:
    """But for what this user cannot do, and what a kernel may have switched off for everybody."""
    switched_off = {"io_uring", "userfault", "counters", "bpf", "connect_outside"}
    not_done = {act for act, tried in possible.items() if not tried.done}
    assert not_done - switched_off <= (ROOT_ALONE if os.geteuid() else set())


@pytest.mark.parametrize("act", ACTS)
async def test_each_of_its_layers_stops_an_act_alone(act: str, possible: dict[str, Tried]) -> None:
    if not possible[act].done:
        pytest.skip(f"{act} cannot be done here by anybody like us: {possible[act].why}")
    for layer in STOPPED_BY[act]:
        tried = await forbidden_acts(Confinement("", frozenset({layer})), [act])
        if layer == "privileges" and os.geteuid():
            continue  # there are none to lose
        assert not tried[act].done, layer


@pytest.mark.parametrize("act", ACTS)
async def test_an_act_is_done_when_its_layers_are_off_and_every_other_is_on(
    act: str, possible: dict[str, Tried]
) -> None:
    if not possible[act].done:
        pytest.skip(f"{act} cannot be done here by anybody like us: {possible[act].why}")
    assert (await forbidden_acts(without("namespaces", *STOPPED_BY[act]), [act]))[act].done


@pytest.mark.skipif(bool(_missing("bubblewrap")), reason="bubblewrap is not installed")
@pytest.mark.parametrize(
    "act",
    ["write_outside", "read_secret", "connect_loopback", "connect_socket_file", "read_segment", "kill_process", "keys",
     "many_files"],
)  # fmt: skip
async def test_bubblewrap_without_the_layers_lets_it_be_done(act: str) -> None:
    assert not (await forbidden_acts(confinement("bubblewrap"), [act]))[act].done
    assert (await forbidden_acts(without("bubblewrap", *STOPPED_BY[act]), [act]))[act].done


@pytest.mark.parametrize("layer", LAYERS)
async def test_a_sandbox_without_a_layer_never_has_a_level(layer: str) -> None:
    sandbox = Sandbox(levels=["namespaces"], without=[layer])
    await sandbox.prepare()
    assert sandbox.level == ""
    with pytest.raises(Unavailable, match="is needed"):
        await run(["true"], sandbox=sandbox, folder="/usr", needed="landlock")


async def test_a_sandbox_nobody_prepared_runs_nothing() -> None:
    with pytest.raises(Unavailable, match="no sandbox"):
        await run(["true"], sandbox=Sandbox(), folder="/usr")


async def test_a_report_says_which_layer_stops_what() -> None:
    report = await Sandbox(levels=["namespaces"]).prepare(attribute=True)
    assert set(report.stopped_by["fork_bomb"]) == {"limits"}
    assert set(report.stopped_by["write_outside"]) == {"mounts", "landlock"}
    assert all(report.stopped_by.values())


async def test_a_weaker_level_is_reached_where_a_stronger_is_missing() -> None:
    sandbox = Sandbox(levels=["mounts", "landlock"])
    report = await sandbox.prepare()
    assert report.level == "mounts"
    assert report.levels["landlock"].startswith("not tried")
    assert not satisfies(report.level, "namespaces")
    assert await run(["true"], sandbox=sandbox, folder="/usr", needed="landlock")
    with pytest.raises(Unavailable, match="namespaces is needed"):
        await run(["true"], sandbox=sandbox, folder="/usr", needed="namespaces")


def test_levels_are_ordered() -> None:
    for place, level in enumerate(LEVELS):
        assert [other for other in LEVELS if satisfies(level, other)] == list(LEVELS[place:])
        assert satisfies(level, "")
        assert not satisfies("", level)
        assert {"seccomp", "limits", "privileges"} <= layers_of(level)
    assert satisfies("", "")
    assert not satisfies("bubblewrap", "a level nobody has")
    with pytest.raises(Invalid):
        Sandbox(levels=["a level nobody has"])

"""A torture of real processes on a scratch directory, for anybody: servers and hosts of its own, faults, the proof."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random, SystemRandom
from time import monotonic

from events.errors import Conflict, Invalid
from gateway.proof import verdict
from gateway.torture.faults import FAULTS
from gateway.torture.real import Stage
from gateway.torture.real_load import Load, Result
from infra.embedded.directory import hold
from infra.embedded.nats import EmbeddedNats
from infra.embedded.postgres import EmbeddedPostgres

MARK = "torture-scratch"
"""The file by which a scratch directory is known as one."""
RATE = 1500
"""Operations prepared per second of a run that is bounded by its time."""

Say = Callable[[str], None]


@asynccontextmanager
async def scratch(path: Path | None) -> AsyncGenerator[Path]:
    """An empty directory: a temporary one, removed in the end, or `path`, which is emptied first if it is our own.

    Raises Conflict when `path` holds anything else, or is in use.
    """
    if path is None:
        with tempfile.TemporaryDirectory(prefix="thespis-torture-", ignore_cleanup_errors=True) as found:
            yield Path(found)
        return
    if path.exists() and not (path / MARK).exists() and (not path.is_dir() or any(path.iterdir())):
        raise Conflict(
            f"{path} is not empty, and no scratch directory of a torture", hint="name one that does not exist yet"
        )
    path.mkdir(0o700, parents=True, exist_ok=True)
    (path / MARK).touch()
    with hold(path):
        for inside in path.iterdir():
            if inside.name not in (MARK, "lock", ".gitignore"):
                shutil.rmtree(inside) if inside.is_dir() else inside.unlink()
        yield path


@asynccontextmanager
async def servers(directory: Path) -> AsyncGenerator[Stage]:
    """Servers of one's own on a directory that is held. Call it in the main thread: they end with it."""
    with hold(directory / "data") as held:
        secrets = held.secrets()
        logs = held.path / "logs"
        postgres = EmbeddedPostgres(
            held.path / "postgres",
            password=secrets.postgres,
            admin_password=secrets.postgres_admin,
            log=logs / "postgres.log",
        )
        nats = EmbeddedNats(
            held.path / "nats",
            passwords={"relay": secrets.nats_relay, "host": secrets.nats_host, "client": secrets.nats_client},
            log=logs / "nats.log",
        )
        try:
            await postgres.start()
            await nats.start()
            async with Stage(postgres, nats, directory) as stage:
                yield stage
        finally:
            await nats.stop()
            await postgres.stop()


async def torture(
    directory: Path | None = None,
    *,
    seconds: float = 60.0,
    operations: int | None = None,
    hosts: int = 2,
    seed: int | None = None,
    faults: Sequence[str] = (),
    say: Say = print,
) -> Result:
    """Run it for so many seconds, or until so many operations were acknowledged, and judge.

    One fault after the other is drawn from `faults` (all of `FAULTS` if there are none) by `seed`. Call it in the main
    thread. Raises Conflict (see `scratch`), Invalid for a fault that there is not, and what starting servers may raise.
    """
    for name in faults:
        if name not in FAULTS:
            raise Invalid(f"there is no fault {name!r}", hint=f"known are: {', '.join(sorted(FAULTS))}")
    names = sorted(faults or FAULTS)
    seed = SystemRandom().randrange(1_000_000) if seed is None else seed
    async with scratch(directory) as place, servers(place) as stage:
        say(f"Seed {seed}. Postgres and NATS run in {place}; starting {hosts} host{'s' if hosts > 1 else ''} …")
        await stage.add(hosts)
        load = Load(stage, seed=seed, operations=operations or max(10_000, int(seconds * RATE)))
        random, end = Random(seed), monotonic() + seconds

        async def attack() -> None:
            while (monotonic() < end) if operations is None else (load.count < operations):
                await load.acknowledged(random.randint(10, 200))
                name = random.choice(names)
                async with load.fault(name) as waited:
                    await FAULTS[name](stage, random)
                say(
                    f"  {name}: {waited.silence:.1f} s without an acknowledgement, longest wait {waited.worst:.1f} s; "
                    f"{load.count:,} acknowledged"
                )
            say("Waiting until all that was asked for has happened …")

        result = await load.run(attack)
    for line in verdict(result.checks):
        say(line)
    return result

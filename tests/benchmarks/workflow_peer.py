"""`dbos`, asked for the same: chains of steps that do nothing. A process of its own; prints rates as JSON."""

from __future__ import annotations

import json
import sys
import time

from dbos import DBOS, DBOSConfig


@DBOS.step()
def nothing(n: int) -> dict[str, int]:
    """A step."""
    return {"n": n}


@DBOS.workflow()
def chain(length: int) -> int:
    """So many steps, one after the other."""
    for n in range(length):
        nothing(n)
    return length


def play(length: int, runs: int) -> float:
    """Seconds for so many at once."""
    begun = time.perf_counter()
    handles = [DBOS.start_workflow(chain, length) for _ in range(runs)]
    for handle in handles:
        handle.get_result()
    return time.perf_counter() - begun


def main() -> None:
    """`URL LENGTH RUNS TURNS`."""
    url, length, runs, turns = sys.argv[1], *map(int, sys.argv[2:])
    config: DBOSConfig = {"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    play(length, min(runs, 4))
    print(json.dumps([length * runs / play(length, runs) for _ in range(turns)]))
    sys.stdout.flush()
    DBOS.destroy()


if __name__ == "__main__":
    main()

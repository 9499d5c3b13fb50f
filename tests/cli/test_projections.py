"""Builds of projections on the command line, against the real door."""

from __future__ import annotations

from tests.cli.test_commands import Run, filled, read, run, site

__all__ = ["run", "site"]


async def test_a_projection_is_rebuilt_switched_back_and_tidied_up(run: Run) -> None:
    await filled(run)
    await read(run, "projections", "show", "events", "--wait", "3")
    done = await read(run, "projections", "rebuild", "events")
    assert (done["by"], done["position"], done["comparison"]["compared"]) == ("projector", 3, 3)
    old, new = await read(run, "projections", "builds", "events")
    assert (old["state"], new["state"], new["build"]) == ("standby", "live", done["to_build"])
    back = await read(run, "projections", "switch", "events", "--to", str(old["build"]), "--reason", "as it was")
    assert (back["to_build"], back["reason"]) == (old["build"], "as it was")
    switches = await read(run, "projections", "builds", "events", "--switches")
    assert [s["to_build"] for s in switches] == [old["build"], new["build"]]
    shown = await read(run, "projections", "show", "events", "--build", str(new["build"]))
    assert len(shown) == 3
    refused = await run("projections", "drop", "events", str(old["build"]))
    assert refused.stderr.startswith(b"error[conflict]: ")
    assert (await read(run, "projections", "drop", "events", str(new["build"])))["build"] == new["build"]
    table = (await run("projections", "builds", "events")).stdout.decode()
    assert "live" in table
    assert "standby" not in table
    assert "as it was" in (await run("projections", "builds", "events", "--switches")).stdout.decode()
    begun = await read(run, "projections", "rebuild", "events", "--no-wait")
    assert begun["state"] in ("building", "live")


async def test_consumers_are_listed(run: Run) -> None:
    await filled(run)
    found = {c["name"]: c for c in await read(run, "consumers")}
    assert {"actors", "events", "lineage"} <= set(found)
    assert "LAG" in (await run("consumers")).stdout.decode()

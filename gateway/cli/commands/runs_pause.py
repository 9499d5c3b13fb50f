"""`thespis runs pause`."""

from __future__ import annotations

from gateway.cli.operating_runs import run_command

command = run_command("pause", "Let no further step of a run begin; those under way go on.", reason=True)

"""`thespis runs resume`."""

from __future__ import annotations

from gateway.cli.operating_runs import run_command

command = run_command("resume", "Let a paused run go on.", reason=False)

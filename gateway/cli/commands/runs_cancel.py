"""`thespis runs cancel`."""

from __future__ import annotations

from gateway.cli.operating_runs import run_command

command = run_command("cancel", "Stop a run: what is under way ends, what can be undone is undone.", reason=True)

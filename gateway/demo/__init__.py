"""The ledger under fire: `demo` kills a host and proves the log, `run_once` moves a little money for all to see."""

from gateway.demo.once import run_once
from gateway.demo.run import Report, demo

__all__ = ["Report", "demo", "run_once"]

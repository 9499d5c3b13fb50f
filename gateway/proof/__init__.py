"""Independent checks of a log: they read what is stored, and use nothing of the code that wrote it.

`Check` is a statement with what was found, a `Witness` sees every event once and then has some; `LogProof` is the one
that holds of any log, `witness` shows a store to witnesses, `verify` is all of `thespis log verify`.
"""

from __future__ import annotations

from gateway.proof.check import Check, Witness, verdict
from gateway.proof.log import LogProof
from gateway.proof.reading import read, witness

__all__ = ["Check", "LogProof", "Witness", "read", "verdict", "witness"]

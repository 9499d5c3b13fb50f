"""Becomes a confined command: `python -I -S launcher.py outer|inner SPEC REPORT`, the last two open descriptors.

A program of its own because what it does may only be done in a process without threads, before exec. It imports the
standard library and what lies beside it. `start.py` goes on.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.append(os.path.abspath(f"{__file__}/../../../.."))
    from infra.sandbox.inside.start import main

    main(__file__, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

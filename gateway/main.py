"""The composition root."""

from __future__ import annotations

from gateway.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()

"""Tasks that every host and worker has."""

from __future__ import annotations

from typing import Final

from infra.tasks.builtin.http import http_call

BUILTIN: Final = (http_call,)

__all__ = ["BUILTIN", "http_call"]

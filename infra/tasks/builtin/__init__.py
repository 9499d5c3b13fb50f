"""Tasks that every host and worker has."""

from __future__ import annotations

from infra.tasks.builtin.asking import Asking
from infra.tasks.builtin.http import http_call
from infra.tasks.builtin.listed import BUILTIN, built_in

__all__ = ["BUILTIN", "Asking", "built_in", "http_call"]

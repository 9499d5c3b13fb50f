"""`web.fetch`: pages as text, from the open internet and nowhere else."""

from __future__ import annotations

from infra.tools.web.guard import Blocked, Guard, Resolver, Unreachable
from infra.tools.web.tool import web_tools

__all__ = ["Blocked", "Guard", "Resolver", "Unreachable", "web_tools"]

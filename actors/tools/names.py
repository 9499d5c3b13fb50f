"""Addresses of tools: their names may have letters that addresses cannot."""

from events.tools import tool_address

__all__ = ["tool_address"]

"""Dollars for people: what is known, what is not, what is only estimated."""

from __future__ import annotations


def dollars(usd: str, unknown: int = 0, estimated: str = "0") -> str:
    """`$0.0123 + 2 unknown + $0.05 estimated`."""
    parts = [f"${usd}"]
    if unknown:
        parts.append(f"{unknown} unknown")
    if estimated.strip("0.") != "":
        parts.append(f"${estimated} estimated")
    return " + ".join(parts)

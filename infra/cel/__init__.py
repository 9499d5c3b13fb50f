"""The expression language of workflows: CEL, by cel-expr-python."""

from __future__ import annotations

from infra.cel.language import Cel

__all__ = ["Cel"]

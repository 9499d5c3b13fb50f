"""Workflow definitions: the YAML document, its errors all at once, and the plan it becomes."""

from __future__ import annotations

from actors.workflows.definition.compile import Compiled, compile_workflow
from actors.workflows.definition.document import Document, Problem, read
from actors.workflows.definition.problems import DefinitionInvalid

__all__ = ["Compiled", "DefinitionInvalid", "Document", "Problem", "compile_workflow", "read"]

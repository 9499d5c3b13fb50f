"""Workflow definitions: the YAML document, its errors all at once, its edits, and the plan it becomes."""

from __future__ import annotations

from actors.workflows.definition.assets import as_assets, as_steps
from actors.workflows.definition.compile import Compiled, compile_workflow
from actors.workflows.definition.document import Document, Mark, read
from actors.workflows.definition.problems import DefinitionInvalid, Problem
from actors.workflows.definition.renaming import rename_step
from actors.workflows.definition.schema import json_schema
from actors.workflows.definition.splice import CannotEdit, put, remove, rename_key

__all__ = [
    "CannotEdit",
    "Compiled",
    "DefinitionInvalid",
    "Document",
    "Mark",
    "Problem",
    "as_assets",
    "as_steps",
    "compile_workflow",
    "json_schema",
    "put",
    "read",
    "remove",
    "rename_key",
    "rename_step",
]

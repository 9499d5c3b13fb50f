"""The graph of a definition's text."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.graphs.model import Graph, graph_of


def graph_of_text(text: str | bytes, file: str, statuses: Mapping[str, str] | None = None) -> Graph:
    """Read and plan a definition; names of tasks are taken as they are. Raises DefinitionInvalid."""
    from actors.workflows.definition import compile_workflow, read
    from infra.cel import Cel

    return graph_of(compile_workflow(read(text, file), Cel()).plan, statuses)

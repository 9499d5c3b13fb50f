"""Context variables in a definition, of an agent or of a workflow's runs: their types and defaults."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from actors.workflows.definition.document import token
from actors.workflows.definition.parts import VariableModel
from actors.workflows.definition.schemas import Telling, checked_schema
from actors.workflows.inputs import checked
from actors.workflows.plan import RunVariable


def variable(telling: Telling, name: str, written: VariableModel) -> RunVariable | None:
    """A variable as it is written, with its type as a map; None when something is wrong with it, which is told."""
    at = f"/variables/{token(name)}"
    schema: Any = checked_schema(telling, f"{at}/type", written.type)
    default = written.default if "default" in written.model_fields_set else msgspec.UNSET
    if schema is None or not _default(telling, at, written, schema, default):
        return None
    return RunVariable(_as_map(schema), written.merge, written.secret, default)


def _default(telling: Telling, at: str, written: VariableModel, schema: Any, default: Any) -> bool:
    if written.secret and default is not msgspec.UNSET:
        telling.problem(f"{at}/default", "a secret has no default", "set it by reference: vault:NAME or env:NAME")
        return False
    if default is msgspec.UNSET:
        return True
    named = cast("dict[str, Any]", {"properties": {"default": schema}})
    _, wrong = checked(repr(schema), named, {"default": default})
    for message in wrong:
        said = message.partition(": ")[2]
        telling.problem(f"{at}/default", f"the default does not fit its own type: {said}")
    return not wrong


def _as_map(schema: Any) -> dict[str, Any]:
    """A schema that may be true or false as one that is a map."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return cast("dict[str, Any]", schema)

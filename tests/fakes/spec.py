"""Schemas of an OpenAPI document, ready to validate with."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

SHARED = Path(os.environ.get("SHARED_DIR") or Path(__file__).parents[3] / "shared")
MISTRAL = SHARED / "specs" / "mistral-openapi.yaml"


class Spec:
    """A document. `check(name, value)` says everything that is wrong with a value of a schema."""

    def __init__(self, path: Path) -> None:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.document: dict[str, Any] = yaml.load(path.read_text("utf-8"), loader)
        self._registry: Registry[Any] = Registry().with_resource(
            "urn:spec", Resource(self.document, specification=DRAFT202012)
        )

    def check(self, name: str, value: Any) -> list[str]:
        """All that is wrong, with its place."""
        found = self._validator(name).iter_errors(value)
        return [f"{name} {error.json_path}: {error.message[:300]}" for error in found]

    @cache  # noqa: B019 - one document for the whole run
    def _validator(self, name: str) -> Any:
        return Draft202012Validator({"$ref": f"urn:spec#/components/schemas/{name}"}, registry=self._registry)


@cache
def mistral() -> Spec:
    """Mistral's own document. Raises FileNotFoundError without the shared data."""
    return Spec(MISTRAL)

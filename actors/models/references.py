"""How a model is named (`provider:model`), and how a question to one is recognised."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from events.models import ModelRequest

_encode = msgspec.json.Encoder(order="deterministic").encode


def split(reference: str) -> tuple[str, str]:
    """(provider, model) of a reference. Raises ValueError."""
    provider, mark, model = reference.partition(":")
    if not mark or not provider or not model:
        raise ValueError(f"{reference!r} is not provider:model, such as mistral:mistral-small-latest")
    return provider, model


def join(provider: str, model: str) -> str:
    """The reference of a provider's model."""
    return f"{provider}:{model}"


def request_digest(request: ModelRequest) -> str:
    """SHA-256 of the canonical JSON of a request: equal for equal questions, whatever the model."""
    return sha256(_encode(request)).hexdigest()

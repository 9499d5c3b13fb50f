"""What goes out about language models, as pydantic models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class AgentModelOut(BaseModel):
    """An agent as OpenAI's protocol lists a model."""

    id: str
    object: Literal["model"]
    created: int = Field(description="seconds since 1970 (UTC)")
    owned_by: str


class LanguageModelOut(BaseModel):
    """A model that agents may name."""

    id: str = Field(examples=["mistral:mistral-small-latest"])
    context: int = Field(description="its window in tokens; 0: not known")
    capabilities: list[str]
    note: str


class ProviderOut(BaseModel):
    """Who has models. One that does not answer has an error and no models."""

    provider: str
    note: str = Field(description="says of a stand-in that it is one")
    error: str
    models: list[LanguageModelOut]


class ModelsOut(BaseModel):
    """Agents, which are the models of `/v1/chat/completions`, and the language models of this host."""

    object: Literal["list"]
    data: list[AgentModelOut]
    providers: list[ProviderOut]

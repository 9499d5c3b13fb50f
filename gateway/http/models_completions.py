"""What goes in and out of `/v1/chat/completions`, as OpenAI has it. Unknown members of a request are passed over."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.http.models_conversations import AgentName, CitationOut, ConversationId


class Foreign(BaseModel):
    """A part of a request of others."""

    model_config = ConfigDict(extra="ignore", strict=True)


class TextPart(Foreign):
    """A piece of a message."""

    type: Literal["text", "input_text"]
    text: str


class CompletionMessage(Foreign):
    """A message. Only texts are taken."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, Field(max_length=500_000)] | Annotated[list[TextPart], Field(max_length=1000)]
    name: str | None = None

    @property
    def text(self) -> str:
        """All of it."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class CompletionMetadata(Foreign):
    """What belongs to a request."""

    conversation: ConversationId | None = None


class StreamOptions(Foreign):
    """How to stream."""

    include_usage: bool = False


class ResponseFormat(Foreign):
    """The form of the answer."""

    type: str = "text"


class CompletionIn(Foreign):
    """A request for a chat completion. `model` is the name of an agent: instructions, models, tools and limits are in
    its definition, so sampling parameters are passed over."""

    model: AgentName
    messages: Annotated[list[CompletionMessage], Field(min_length=1, max_length=10_000)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(max_length=500)] | None = Field(None, description="the same user: the same conversation")
    metadata: CompletionMetadata | None = Field(None, description="`conversation`: the one to go on with")
    n: int | None = 1
    stop: str | list[str] | None = None
    logprobs: bool | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: ResponseFormat | None = None


class PromptDetails(BaseModel):
    """Of the prompt."""

    cached_tokens: int


class CompletionDetails(BaseModel):
    """Of what was generated."""

    reasoning_tokens: int


class UsageOut(BaseModel):
    """Tokens of all model calls of the turn."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class CompletionAnswer(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str
    refusal: None = None


class Choice(BaseModel):
    """The only choice."""

    index: int
    message: CompletionAnswer
    logprobs: None = None
    finish_reason: Literal["stop"]


class TurnPlace(BaseModel):
    """Where the answer is here. `stand_in`: a scripted model answered, which is no language model."""

    conversation: str
    turn: int
    models: list[str]
    stand_in: bool
    cost: str | None
    citations: list[CitationOut]


class CompletionOut(BaseModel):
    """A chat completion; streamed as `chat.completion.chunk`s that end with `[DONE]`."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: UsageOut
    thespis: TurnPlace

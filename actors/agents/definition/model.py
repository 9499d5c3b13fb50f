"""The shape of an agent's front matter, as pydantic models: what may be written, and what it means."""

# ruff: noqa: RUF012 - pydantic copies defaults; that Model is one of its classes is not seen from here

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from actors.workflows.definition.fields import Duration, Many, Texts, Value
from actors.workflows.definition.model import Model
from actors.workflows.definition.parts import VariableModel

SCOPES: Final = ("step", "run", "conversation", "agent", "channel", "tenant", "platform")

AGENT_NAME: Final = r"^[a-z][a-z0-9-]{0,63}$"
MODEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}:\S{1,200}")
TOOL: Final = re.compile(r"[A-Za-z0-9_*?][A-Za-z0-9_.*?/-]{0,127}")
VARIABLE: Final = rf"^(({'|'.join(SCOPES)})\.)?[A-Za-z_][A-Za-z0-9_]{{0,63}}$"

_DOLLARS: Final = re.compile(r"\d{1,12}(\.\d{1,12})?")


def _model(value: str) -> str:
    if not MODEL.fullmatch(value):
        raise ValueError(f"{value[:60]!r} is no model; write provider:model, as mistral:mistral-small-latest")
    return value


def _tool(value: str) -> str:
    if not TOOL.fullmatch(value):
        raise ValueError(f"{value[:60]!r} is no tool; write a name, or a pattern as files.*")
    return value


def _dollars(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("an amount in dollars is expected here, as 0.50")
    text = value.strip().removeprefix("$") if isinstance(value, str) else format(Decimal(str(value)), "f")
    if not _DOLLARS.fullmatch(text):
        raise ValueError(f"{str(value)[:60]!r} is no amount in dollars; write 0.50")
    return text


def _folder(value: str) -> str:
    if value.startswith(("/", "~", "\\")) or ".." in value.replace("\\", "/").split("/") or not value.strip():
        raise ValueError(f"{value[:60]!r} is no folder within the workspace")
    return value


ModelRef = Annotated[str, AfterValidator(_model), WithJsonSchema({"type": "string", "pattern": f"^{MODEL.pattern}$"})]
ToolPattern = Annotated[str, AfterValidator(_tool), WithJsonSchema({"type": "string", "pattern": f"^{TOOL.pattern}$"})]
Dollars = Annotated[
    str, BeforeValidator(_dollars), WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]})
]
"""An exact decimal, from a number or a text."""
Folder = Annotated[str, AfterValidator(_folder), WithJsonSchema({"type": "string", "minLength": 1})]


class GuardModel(Model):
    """A rule that looks at texts. Short: its name."""

    short: ClassVar[str] = "rule"
    rule: str = Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")
    """What it is called."""
    mode: Literal["block", "hold", "observe", "redact"] = "block"
    """What a hit means: block stops, hold waits for the verdict of a model, observe notes it, redact takes it out."""
    options: dict[str, Any] = {}
    """What the rule takes."""


_Guards = Annotated[list[GuardModel], Many()]


class GuardrailsModel(Model):
    """Where guards look, and which."""

    inbound: _Guards = []
    """What people write."""
    prompt: _Guards = []
    """The whole prompt, before the model is asked."""
    output: _Guards = []
    """What the model answers."""
    tool_call: _Guards = Field(default=[], alias="tool-call")
    """The arguments of a tool."""
    tool_result: _Guards = Field(default=[], alias="tool-result")
    """What a tool gives."""
    outbound: _Guards = []
    """What is sent."""


class SectionsModel(Model):
    """Tokens of single parts of a prompt, at most."""

    variables: int | None = Field(default=None, ge=0)
    """Context variables."""
    summary: int | None = Field(default=None, ge=0)
    """The summary of old turns."""
    history: int | None = Field(default=None, ge=0)
    """Turns before this one."""
    message: int | None = Field(default=None, ge=0)
    """What is to be answered."""
    results: int | None = Field(default=None, ge=0)
    """Results of tools."""


class LimitsModel(Model):
    """How far a turn may go, and how many there may be."""

    steps: int = Field(default=12, ge=1, le=1000)
    """Model calls of a turn."""
    tool_calls: int = Field(default=32, ge=0, le=10_000)
    """Tool calls of a turn."""
    timeout: Duration = 600.0
    """How long a turn may take."""
    stuck_after: Duration = 120.0
    """Without progress for so long, a turn is stuck."""
    stuck_turns: int = Field(default=5, ge=0)
    """After so many stuck turns in a row the agent is quarantined; 0: never."""
    waiting: int = Field(default=100, ge=0)
    """Messages of a conversation that may wait; more are refused."""
    at_once: int = Field(default=64, ge=1)
    """Turns of all conversations at once."""
    queue: int = Field(default=10_000, ge=0)
    """Turns that may be in line; more are refused."""
    reasks: int = Field(default=2, ge=0, le=20)
    """How often the model is asked again when its answer does not fit."""
    context: int = Field(default=32_000, ge=500)
    """Tokens of a whole prompt."""
    sections: SectionsModel = SectionsModel()
    """Tokens of its parts."""


class BudgetModel(Model):
    """What may be spent. Short: dollars."""

    short: ClassVar[str] = "usd"
    usd: Dollars
    """Dollars."""
    period: Literal["total", "day", "month"] = "total"
    """Since when: a day and a month are those of UTC."""


class BudgetsModel(Model):
    """Dollars by scope; where none is given there is no limit of this agent's."""

    tenant: BudgetModel | None = None
    """Of all agents of the tenant that have it."""
    agent: BudgetModel | None = None
    """Of this agent."""
    conversation: BudgetModel | None = None
    """Of each conversation."""
    cause: BudgetModel | None = None
    """Of whatever started it all, with everything that follows from it."""


class SummaryModel(Model):
    """How old turns become shorter. Short: who makes the summary."""

    short: ClassVar[str] = "by"
    by: Literal["extract", "model"] = "extract"
    """extract takes sentences of the turns, model asks the model."""
    above: int = Field(default=0, ge=0)
    """When the history is longer than so many tokens; 0: than its part of the prompt."""


class AgentModel(Model):
    """An agent: the front matter of a Markdown file whose text are its instructions."""

    name: str = Field(pattern=AGENT_NAME, examples=["librarian"])
    """Lower case, digits and -."""
    description: str = ""
    """What it is for."""
    model: Annotated[list[ModelRef], Many()] = []
    """Who answers, as provider:model; of several the first one that is there."""
    fallbacks: Annotated[list[ModelRef], Many()] = []
    """Who answers when those do not."""
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    """How much chance there is in answers."""
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    """The share of likely tokens that answers are made of."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of one answer."""
    tools: Annotated[list[ToolPattern], Many()] = []
    """Tools it may ask for, by name or pattern."""
    agents: Annotated[list[Annotated[str, Field(pattern=AGENT_NAME)]], Many()] = []
    """Agents it may call as tools."""
    guardrails: GuardrailsModel = GuardrailsModel()
    """Rules that look at texts on their way."""
    limits: LimitsModel = LimitsModel()
    """How far a turn may go."""
    output: Value = None
    """The JSON Schema of its answers, when they are data."""
    variables: dict[Annotated[str, Field(pattern=VARIABLE)], VariableModel] = {}
    """The context variables it uses, by name (the nearest scope that has it) or scope.name."""
    double_texting: Literal["enqueue", "merge", "interrupt", "reject"] = "enqueue"
    """What becomes of a message that comes during a turn."""
    roles: Texts = []
    """Roles it is denied tools in. They grant nothing: which roles an agent has is said by the policy."""
    budgets: BudgetsModel = BudgetsModel()
    """What may be spent."""
    summary: SummaryModel = SummaryModel()
    """How old turns become shorter."""
    estimate: Dollars = "0.05"
    """What a model call is thought to cost where no price is known."""
    stream: bool = True
    """Whether answers are shown while they are written."""
    files: Annotated[list[Folder], Many()] = []
    """Folders of the workspace that its file tools may look at."""
    metadata: dict[str, Any] = {}
    """Anything, for those who read the definition."""


_HANDOFF, _MEMORY, _CHANNELS = "handing over between agents", "long-term memory", "chat channels"

LATER: Final = {
    "handoff": _HANDOFF, "handoffs": _HANDOFF, "delegate": _HANDOFF, "delegates": _HANDOFF, "delegation": _HANDOFF,
    "router": "routing", "routing": "routing", "routes": "routing",
    "memory": _MEMORY, "memories": _MEMORY, "learning": _MEMORY,
    "retrieval": "retrieval", "knowledge": "retrieval", "documents": "retrieval", "rag": "retrieval",
    "channels": _CHANNELS, "channel": _CHANNELS, "pairing": _CHANNELS, "telegram": _CHANNELS, "discord": _CHANNELS,
    "slack": _CHANNELS, "whatsapp": _CHANNELS, "secrets": "the vault", "secret": "the vault", "vault": "the vault",
    "schedule": "sensors", "sensors": "sensors", "triggers": "sensors", "voice": "voice", "evals": "evaluation",
    "tests": "evaluation",
}  # fmt: skip
"""Keys of parts that are yet to come: refused by name."""

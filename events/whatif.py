"""What-ifs as a story: somebody lets a conversation be answered otherwise; models are asked for it, and cost what they
cost. Turns, steps and attempts are those of the conversation. Times are µs since 1970 (UTC)."""

from __future__ import annotations

from typing import Any

import msgspec

from events.conversations import ModelAnswered, ModelFailed, ModelLost
from events.models import ModelRequest


class WhatIfBegun(msgspec.Struct, frozen=True, omit_defaults=True):
    """The messages of a conversation are answered again, from turn `first` on. `changes` is what is to be different."""

    conversation: str
    agent: str
    first: int
    changes: dict[str, Any]
    at: int
    by: str = ""


class WhatIfAsked(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model is to answer, once `estimate` dollars are set aside in all of `budgets`."""

    turn: int
    step: int
    attempt: int
    call: str
    models: list[str]
    request: ModelRequest
    at: int
    estimate: str = "0"
    budgets: list[str] = []


class WhatIfRefused(msgspec.Struct, frozen=True, omit_defaults=True):
    """No model is asked: a budget has nothing left, or cannot be asked."""

    turn: int
    step: int
    attempt: int
    call: str
    reason: str
    at: int


class WhatIfAnswered(ModelAnswered, frozen=True, omit_defaults=True):
    """A model answered."""


class WhatIfFailed(ModelFailed, frozen=True, omit_defaults=True):
    """No model answered."""


class WhatIfLost(ModelLost, frozen=True, omit_defaults=True):
    """The host was lost in the middle of the call: what it cost is not known, so the estimate counts."""


WHATIF_EVENTS = (WhatIfBegun, WhatIfAsked, WhatIfRefused, WhatIfAnswered, WhatIfFailed, WhatIfLost)

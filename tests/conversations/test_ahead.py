"""What a decision leads to is kept and not folded again; whatever else comes is folded, and the state is the same."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from actors.agents.conversation import fold
from actors.agents.conversation.state import Conversation
from actors.agents.messages import InterruptTurn, Post
from actors.core.kind import encode_state
from actors.core.outputs import Outcome, Replied
from actors.models.port import MODEL_CALL
from events.envelope import Message
from events.models import ModelResult
from tests.conversations.place import KINDS, conversation, definition, hash_of, says


def message(data: Any, number: int) -> Message:
    id = f"{number:032x}"
    return Message(id, type(data).__name__, "conversation/c", "default", b"", "user:ada", number, "", id, data)


def told(state: Conversation, number: int) -> Any:
    """Something that may come now."""
    turn = state.turn
    if turn is None:
        return Post(f"m{number}", "hello", "ada")
    if turn.phase == "admission":
        made = definition()
        said = {"admitted": True, "version": 1, "hash": hash_of(made), "definition": msgspec.to_builtins(made)}
        return Replied(f"admit:{turn.number}", "agent/ada", said)
    result = msgspec.to_builtins(ModelResult("fake:one", says("hi")))
    ref = f"model:{turn.number}.{turn.step}.{turn.attempt}"
    return Outcome("e", MODEL_CALL, ref, "succeeded", result)


@pytest.mark.parametrize("seed", range(40))
def test_the_state_is_the_one_that_folding_gives(seed: int) -> None:
    random = Random(seed)
    state, plain = Conversation(), Conversation()
    for number in range(1, 40):
        data = InterruptTurn() if random.random() < 0.1 else told(state, number)
        before = encode_state(state)
        outputs = conversation.decide(state, message(data, number))
        assert encode_state(state) == before, "a decision changed the state"
        events = [output for output in outputs or () if type(output).__name__ in KINDS]
        dropped = random.random() < 0.2
        if dropped:  # it was not written: the state is forgotten, and folded again
            for event in events[: random.randrange(len(events) + 1)]:
                state = conversation.evolve(state, event)
            state = msgspec.json.decode(encode_state(plain), type=Conversation)
            continue
        other = random.random() < 0.2
        for at, event in enumerate(events):
            if other and at == len(events) // 2:  # the same decision, read from the log
                event = KINDS.decode(type(event).__name__, KINDS.of(event).schema, msgspec.json.encode(event))
            state = conversation.evolve(state, event)
            plain = fold.evolve(plain, event)
        assert encode_state(state) == encode_state(plain)

"""Prompts: the same state, the same bytes; every part within its budget, and accounted for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.agents.conversation.state import Conversation, Entry, Inbound, Past, Said, Summary, Turn
from actors.agents.definition.plan import Limits
from actors.agents.prompt.assemble import PromptTooLong, assemble
from actors.agents.prompt.compaction import extract, old_turns
from actors.agents.prompt.explain import explain
from actors.agents.prompt.tokens import count_tokens, cut, message_tokens
from events.models import ToolUse
from tests.conversations.place import Room, World, definition, run


def state(**fields: Any) -> Conversation:
    """A conversation in the middle of its third turn."""
    message = Inbound(3, "m3", "user:ada", "what now?", "trusted/private")
    plain: dict[str, Any] = {
        "status": "open", "agent": "ada", "version": 1, "definition": definition(), "turns": 3,
        "history": [Past(n, [Said(n, f"question {n}")], text=f"answer {n}") for n in (1, 2)],
        "turn": Turn(3, [message], 0, phase="admitted"),
    }  # fmt: skip
    return Conversation(**{**plain, **fields})


def test_parts_come_in_their_order_and_name_what_they_come_from() -> None:
    prompt = assemble(state(), 1)
    assert [(s.name, s.events) for s in prompt.sections] == [
        ("instructions", ["AgentAdopted:1"]), ("variables", []), ("tools", ["AgentAdopted:1"]), ("summary", []),
        ("history", ["Turn:1-2"]), ("message", ["MessageReceived:3"]), ("results", []),
    ]  # fmt: skip
    assert [m.text for m in prompt.request.messages] == [
        "You are Ada.", "question 1", "answer 1", "question 2", "answer 2", "what now?",
    ]  # fmt: skip


def test_a_prompt_through_json_and_back_is_the_same() -> None:
    before = state(summary=Summary(1, 1, "counted", "trusted/private"))
    after = msgspec.json.decode(msgspec.json.encode(before), type=Conversation)
    assert assemble(before, 1).digest == assemble(after, 1).digest


def test_the_digest_changes_with_every_word_and_setting() -> None:
    digests = {
        assemble(state(), 1).digest,
        assemble(state(definition=definition(temperature=0.5)), 1).digest,
        assemble(state(definition=definition(instructions="You are Bob.")), 1).digest,
        assemble(state(history=[]), 1).digest,
        assemble(state(definition=definition(tool_specs=[])), 1).digest,
    }
    assert len(digests) == 5


def test_the_label_of_a_prompt_is_the_worst_of_its_parts() -> None:
    assert assemble(state(history=[]), 1).label == "trusted/private"
    tainted = Past(1, [Said(1, "q")], text="a", label="untrusted/private")
    assert assemble(state(history=[tainted]), 1).label == "untrusted/private"


def test_what_is_attached_is_shown_and_not_trusted() -> None:
    message = Inbound(1, "m", "user:ada", "read this", "trusted/private", [{"name": "a.txt", "text": "obey"}, 7])
    prompt = assemble(state(history=[], turn=Turn(3, [message], 0)), 1)
    assert prompt.request.messages[-1].text == "read this\n\n[a.txt]\nobey\n\n[attachment: not shown]"
    assert prompt.label == "untrusted/private"


def test_instructions_that_fill_the_window_are_never_cut() -> None:
    with pytest.raises(PromptTooLong, match="the window is 100"):
        assemble(state(definition=definition(instructions="x" * 4000, limits=Limits(context_tokens=100))), 1)


def test_the_oldest_turns_are_left_out_first_and_it_says_so() -> None:
    long = [Past(n, [Said(n, f"question {n} " + "x" * 400)], text=f"answer {n}") for n in range(1, 11)]
    history = next(
        s for s in assemble(state(history=long, definition=definition(limits=Limits(context_tokens=1400))), 1).sections
        if s.name == "history"
    )  # fmt: skip
    assert history.events[0].startswith("Turn:")
    assert history.events[0].endswith("-10")
    assert history.cut > 0
    assert history.why == "older turns do not fit"


def test_the_oldest_results_are_shortened_first_and_none_is_left_out() -> None:
    uses = [ToolUse(f"u{n}", "look") for n in range(3)]
    entries = [Entry("answer", 1, uses=uses)] + [
        Entry("result", 1, f"result {n} " + "y" * 2000, ordinal=n + 1, use=f"u{n}", name="look") for n in range(3)
    ]
    turn = Turn(3, [Inbound(3, "m", "u", "q", "trusted/private")], 0, entries=entries)
    made = definition(limits=Limits(context_tokens=4000))
    prompt = assemble(state(turn=turn, definition=made), 2)
    tools = [m for m in prompt.request.messages if m.role == "tool"]
    assert [m.tool_use for m in tools] == ["u0", "u1", "u2"]
    sizes = [count_tokens(m.text) for m in tools]
    assert sizes[0] < sizes[1] <= sizes[2]
    assert "the whole is ToolAnswered:3.1" in tools[0].text


texts = st.text(max_size=3000) | st.text("ab \n", max_size=6000) | st.text("漢字かな", max_size=1500)


@settings(max_examples=120, deadline=None)
@given(
    history=st.lists(st.tuples(texts, texts), max_size=6), said=st.lists(texts, min_size=1, max_size=3),
    results=st.lists(texts, max_size=4), summary=st.none() | texts, window=st.integers(600, 6000),
)  # fmt: skip
def test_a_prompt_is_never_longer_than_its_window(
    history: list[tuple[str, str]], said: list[str], results: list[str], summary: str | None, window: int
) -> None:
    past = [Past(n + 1, [Said(n + 1, q)], text=a) for n, (q, a) in enumerate(history)]
    uses = [ToolUse(f"u{n}", "look", "{}") for n in range(len(results))]
    entries = [Entry("answer", 1, uses=uses)] if uses else []
    entries += [Entry("result", 1, t, ordinal=n + 1, use=f"u{n}", name="look") for n, t in enumerate(results)]
    messages = [Inbound(9 + n, f"m{n}", "user:ada", text, "trusted/private") for n, text in enumerate(said)]
    made = definition(limits=Limits(context_tokens=window))
    before = state(
        history=past, turn=Turn(9, messages, 0, entries=entries), definition=made, turns=9,
        summary=Summary(1, 1, summary, "untrusted/private") if summary is not None else None,
    )  # fmt: skip
    prompt = assemble(before, 1)
    marks = 30 * (len(said) + len(history) + len(results) + 1)  # what says that something was left out
    assert prompt.tokens <= window + marks + 48 * len(results)
    fixed = prompt.sections[0].tokens + prompt.sections[2].tokens
    assert prompt.tokens - fixed == sum(map(message_tokens, prompt.request.messages[1:]))
    assert assemble(before, 1).digest == prompt.digest
    answered = {m.tool_use for m in prompt.request.messages if m.role == "tool"}
    assert answered == {use.id for use in uses}


@given(text=texts, tokens=st.integers(0, 800))
def test_what_is_cut_is_counted(text: str, tokens: int) -> None:
    short, gone = cut(text, tokens, "elsewhere")
    if count_tokens(text) <= tokens:
        assert (short, gone) == (text, 0)
    else:
        assert count_tokens(short) <= max(tokens, 30)
        assert gone == max(0, count_tokens(text) - count_tokens(short))


def test_an_extract_is_the_same_for_the_same_turns_and_within_its_budget() -> None:
    long = [Past(n, [Said(n, f"question {n} " + "x" * 900)], text=f"answer {n}") for n in range(1, 30)]
    made = definition(limits=Limits(compact_above=2000))
    before = state(history=long, definition=made, summary=Summary(1, 0, "s" * 4000, "trusted/public"))
    old = old_turns(before)
    assert old is not None
    assert (old.first, old.last) == (1, old.turns[-1].turn)
    assert count_tokens(extract(old, 300)) <= 301
    assert extract(old, 300) == extract(old, 300)
    assert f"{old.last}. Asked: question {old.last}" in extract(old, 300)


def test_every_prompt_of_a_turn_can_be_put_together_again_and_is_the_same() -> None:
    async def script(room: Room) -> None:
        for text in ("hello", "use look {}\nuse write {}", "use look {}", "x" * 900, "bye"):
            await room.say(text)
            await room.quiet()
        log = await room.log()
        steps = [e for turn in range(1, 6) for e in explain(log, turn)]
        assert [(e.turn, e.step) for e in steps] == [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (5, 1)]
        assert all(e.same and not e.problem for e in steps)
        asked = [call.request.messages for call in room.world.asked]
        shown = [[m for s in e.sections for m in s.messages] for e in steps]
        assert shown == [messages[1:] for messages in asked]
        second = steps[2]
        assert set(second.positions) == {
            "AgentAdopted:1", "MessageReceived:2", "ModelAnswered:2.1", "ToolAnswered:2.1", "ToolAnswered:2.2",
        }  # fmt: skip
        for name, position in second.positions.items():
            event = next(e for e in log if e.position == position)
            assert name.startswith(event.type)
        assert [e.step for e in explain(log, 2, 2)] == [2]

    run(script, agent=definition(limits=Limits(compact_above=150)), world=World())

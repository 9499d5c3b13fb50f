"""`thespis chat`, as people and scripts use it; and what happens to it when the host dies."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.cli.chat.screen import AGAIN, MARK
from tests.agent_door.terminal import Typed, on_terminal, once, piped
from tests.agent_door.world import Place, Site, door

pytestmark = pytest.mark.timeout(240)


def name_of(talk: Typed) -> str:
    """The conversation that a talk has begun."""
    talk.until("conversation ")
    return talk.until("]").removeprefix("onversation ").strip()


async def test_lines_of_a_pipe_are_answered_one_after_the_other(served: Place) -> None:
    out = await asyncio.to_thread(once, served.url, "chat", "ada", input="hello\n\nand you\n/quit\nnever said\n")
    lines = out.splitlines()
    assert lines[0].startswith("[ada version 1, conversation ")
    assert lines[1:3] == ["you said hello", "you said and you"]
    assert "--conversation" in lines[-1]
    assert "never said" not in out


async def test_a_conversation_goes_on_with_what_was_said_before(served: Place) -> None:
    await asyncio.to_thread(once, served.url, "chat", "ada", "--conversation", "goes-on", input="hello\n")
    out = await asyncio.to_thread(once, served.url, "chat", "ada", "--conversation", "goes-on", input="again\n")
    assert out.splitlines()[1:4] == ["local: hello", "ada: you said hello", "you said again"]


async def test_one_thing_is_said_and_its_answer_read_by_a_program(served: Place) -> None:
    arguments = ("chat", "ada", "--once", "hello", "--key", "only", "-o", "json")
    first = json.loads(await asyncio.to_thread(once, served.url, *arguments))
    assert (first["status"], first["text"], first["turn"]) == ("replied", "you said hello", 1)
    again = json.loads(await asyncio.to_thread(once, served.url, *arguments))
    assert (again["conversation"], again["text"]) == (first["conversation"], "you said hello")
    assert await asyncio.to_thread(once, served.url, "chat", "ada", "--once", "tale 3") == "w0 w1 w2\n"
    failed = json.loads(
        await asyncio.to_thread(once, served.url, "chat", "ada", "--once", "boom", "-o", "json", status=1)
    )
    assert (failed["status"], failed["text"]) == ("failed", None)
    missing = await asyncio.to_thread(once, served.url, "chat", "nobody", "--once", "x", status=3)
    assert missing.startswith("error[not-found]: there is no agent 'nobody'")


async def test_a_stand_in_is_never_taken_for_a_model(served: Place) -> None:
    out = await asyncio.to_thread(once, served.url, "chat", "echo", input="hello\n")
    assert out.count("stand-in") == 2


async def test_who_did_not_answer_and_who_did_instead_is_said(served: Place, site: Site) -> None:
    await site.publish_agent("---\nname: pair\nmodel: [birds:parrot, scripted:echo]\n---\nRepeat.\n")
    await site.until("/v1/agents/pair", holds=lambda found: found["state"] == "ready")
    out = await asyncio.to_thread(once, served.url, "chat", "pair", "--conversation", "two", input="boom\nhello\n")
    said = "birds:parrot did not answer (invalid: the model would not)"
    assert out.count(f"[{said}; scripted:echo did]") == 1
    shown = await asyncio.to_thread(once, served.url, "conversations", "show", "two")
    assert shown.count("birds:parrot did not answer: invalid: the model would not") == 1
    (first, second) = (await site.get("/v1/conversations/two"))["turns"]
    assert (first["models"], list(first["unanswered"])) == (["scripted:echo"], ["birds:parrot"])
    assert (second["models"], second["unanswered"]) == (["birds:parrot"], {})
    failed = await asyncio.to_thread(once, served.url, "chat", "ada", input="boom\n")
    assert f"[{said}]\n[no answer: the model would not]\n" in failed


async def test_a_terminal_shows_the_answer_as_it_is_written(served: Place) -> None:
    def talk() -> None:
        with on_terminal(served.url, "chat", "ada") as typed:
            typed.until(">")
            typed.type("tale 80\r")
            typed.until("w5 w6")
            assert "w79" not in typed.text
            typed.until("w79")
            typed.until(">")
            typed.type("\x1b[A")
            typed.until("tale 80")
            typed.type("\x15/quit\r")
            assert "go on with" in typed.end()

    await asyncio.to_thread(talk)


async def test_ctrl_c_interrupts_the_answer_and_twice_leaves(site: Site) -> None:
    def talk() -> str:
        with on_terminal(site.url, "chat", "ada") as typed:
            conversation = name_of(typed)
            typed.until(">")
            typed.type("tale 2000\r")
            typed.until("w5 w6")
            typed.press()
            typed.until("interrupted")
            typed.until(">")
            typed.type("still there\r")
            typed.until("you said still there")
            typed.until(">")
            typed.type("tale 2000\r")
            typed.until("w5 w6")
            typed.press_until_gone()
            assert "go on with" in typed.text
            return conversation

    conversation = await asyncio.to_thread(talk)
    found = await site.get(f"/v1/conversations/{conversation}")
    assert [turn["status"] for turn in found["turns"]][:2] == ["interrupted", "replied"]


async def test_at_the_prompt_ctrl_d_leaves_and_so_does_ctrl_c_twice(served: Place) -> None:
    def talk() -> None:
        with on_terminal(served.url, "chat", "ada") as typed:
            typed.until(">")
            typed.type("\x04")
            assert "go on with" in typed.end()
        with on_terminal(served.url, "chat", "ada") as typed:
            typed.until(">")
            typed.type("\x03")
            typed.until("again leaves")
            typed.until(">")
            typed.type_until_gone("\x03")
            assert "go on with" in typed.end()

    await asyncio.to_thread(talk)


@pytest.mark.parametrize("terminal", [True, False])
async def test_the_host_is_killed_in_the_middle_of_an_answer_and_the_talk_goes_on(
    mortal: Place, terminal: bool
) -> None:
    async with door(mortal.url) as site:
        await site.ready()
        opened = on_terminal if terminal else piped
        with opened(mortal.url, "chat", "ada", "--conversation", "goes-on") as typed:
            if terminal:
                await asyncio.to_thread(typed.until, ">")
            await asyncio.to_thread(typed.type, "tale 200\n" if not terminal else "tale 200\r")
            await asyncio.to_thread(typed.until, "w5 w6")
            await mortal.kill()
            await asyncio.to_thread(typed.until, "the host is away")
            mortal.start()
            await mortal.ready()
            await asyncio.to_thread(typed.until, "it is back")
            await asyncio.to_thread(typed.until, "w198 w199")
            assert (MARK if terminal else AGAIN) in typed.text
            if terminal:
                await asyncio.to_thread(typed.until, ">")
            await asyncio.to_thread(typed.type, "and now\n" if not terminal else "and now\r")
            await asyncio.to_thread(typed.until, "you said and now")
        # What is shown is written before its turn has ended.
        found = await site.until("/v1/conversations/goes-on", holds=lambda c: len(c["turns"]) == 2 and not c["turn"])
        assert [message["text"] for message in found["messages"]] == ["tale 200", "and now"]
        assert [(turn["status"], turn["messages"]) for turn in found["turns"]] == [("replied", [1]), ("replied", [2])]
        assert found["turns"][0]["text"] == " ".join(f"w{n}" for n in range(200))


async def test_a_line_that_is_said_while_the_host_is_dead_is_said_once(mortal: Place) -> None:
    async with door(mortal.url) as site:
        await site.ready()
        with piped(mortal.url, "chat", "ada", "--conversation", "said-once") as typed:
            await asyncio.to_thread(typed.type, "first\n")
            await asyncio.to_thread(typed.until, "you said first")
            await mortal.kill()
            await asyncio.to_thread(typed.type, "second\n")
            mortal.start()
            await mortal.ready()
            await asyncio.to_thread(typed.until, "you said second")
        found = await site.get("/v1/conversations/said-once")
        assert [message["text"] for message in found["messages"]] == ["first", "second"]


async def asks(site: Site, conversation: str, text: str) -> Any:
    """Somebody wants something noted; the tool that waits for agreement."""
    await site.say(conversation, f"note {text}", 202, wait=0, agent="ada")
    path = f"/v1/conversations/{conversation}"
    held = await site.until(path, holds=lambda c: c["turns"] and [t for t in c["turns"][-1]["tools"] if t["approval"]])
    return held["turns"][-1]["tools"][-1]


EVERYTHING = (
    "agents:read",
    "conversations:read",
    "conversations:write",
    "tools:read",
    "workflows:read",
    "approvals:write",
)


async def test_what_somebody_else_wants_is_agreed_to_in_the_talk(served: Place) -> None:
    ada, bo = [await served.token(name, *EVERYTHING) for name in ("ada", "bo")]
    async with door(served.url, ada) as site:
        for answer, status, noted in (("y", "succeeded", "the tool said: noted milk"), ("n", "denied", "denied by bo")):
            conversation = f"agreed-{answer}"
            await asks(site, conversation, "milk")
            out = await asyncio.to_thread(
                once, served.url, "chat", "ada", "--conversation", conversation, input=f"hm\n{answer}\n",
                THESPIS_TOKEN=bo,
            )  # fmt: skip
            for shown in ("desk.note asks for agreement", "risk: write-reversible", "text: milk", "it is written down"):
                assert shown in out
            assert noted in out
            found = await site.get(f"/v1/conversations/{conversation}")
            assert found["turns"][0]["tools"][0]["status"] == status


async def test_whoever_asked_is_told_that_somebody_else_has_to_agree(served: Place) -> None:
    bo = await served.token("bo-2", *EVERYTHING)

    def talk(typed: Typed) -> str:
        typed.type("note tea\r")
        typed.until("agree?")
        typed.type("y\r")
        typed.until("cannot approve it")
        typed.until("approvals approve ")
        return typed.until("]").removeprefix("pprovals approve ").strip()

    async with door(served.url, bo) as other:
        with on_terminal(served.url, "chat", "ada", "--conversation", "asked") as typed:
            await asyncio.to_thread(typed.until, ">")
            approval = await asyncio.to_thread(talk, typed)
            await other.post(f"/v1/approvals/{approval}/approve")
            await asyncio.to_thread(typed.until, "the tool said: noted tea")


async def test_whoever_asked_agrees_where_the_policy_lets_them(served: Place) -> None:
    def talk() -> str:
        with on_terminal(served.url, "chat", "scribe") as typed:
            typed.until(">")
            for answer, said in (("y", "the tool said: noted salt"), ("n", "denied by local")):
                typed.type("note salt\r")
                typed.until("asks for agreement")
                typed.until("+salt")
                typed.until("agree?")
                typed.type(f"{answer}\r")
                typed.until(said)
                typed.until(">")
            typed.type("\x04")
            return typed.end()

    shown = await asyncio.to_thread(talk)
    for part in (
        "risk: write-reversible, irreversible",
        "because: it stays on the desk",
        "text: salt",
        "it would change:",
    ):
        assert part in shown


async def test_a_pipe_that_ends_at_a_question_leaves_it_waiting(served: Place) -> None:
    arguments = ("chat", "ada", "--once", "note rice", "-o", "json", "--key", "rice")
    found = json.loads(await asyncio.to_thread(once, served.url, *arguments, status=1))
    assert found["status"] == "waiting"
    shown = await asyncio.to_thread(once, served.url, "approvals", "list", "-o", "json")
    assert found["approval"] in [one["approval"] for one in json.loads(shown)]

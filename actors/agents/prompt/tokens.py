"""How many tokens a text is thought to be: the same number everywhere and for ever, whichever model reads it.

A quarter of its UTF-8 bytes, rounded up: English prose has about 4.2 bytes a token with the tokenizers in use, code
and JSON 3 to 3.5, Chinese and Japanese (three bytes a character) about one token a character or less. Budgets of
sections are shares of a window, so an estimate that is off by a fifth is made up for by `context_tokens` being less
than the model's window; what a call really used is in its usage.
"""

from __future__ import annotations

from typing import Final

from events.models import ChatMessage

MESSAGE_OVERHEAD: Final = 4
"""Tokens of the marks around a message."""


def count_tokens(text: str) -> int:
    """Tokens of a text, estimated."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + 3) // 4


def message_tokens(message: ChatMessage) -> int:
    """Tokens of a message of a prompt, estimated, with the marks around it."""
    total = MESSAGE_OVERHEAD + count_tokens(message.text)
    for use in message.tool_uses:
        total += MESSAGE_OVERHEAD + count_tokens(use.name) + count_tokens(use.arguments)
    return total


def head(text: str, tokens: int) -> str:
    """As much of the beginning of a text as fits, to the character."""
    if tokens <= 0:
        return ""
    if text.isascii():
        return text[: tokens * 4]
    return text.encode("utf-8", "surrogatepass")[: tokens * 4].decode("utf-8", "ignore")


def tail(text: str, tokens: int) -> str:
    """As much of the end of a text as fits, to the character."""
    if tokens <= 0:
        return ""
    if text.isascii():
        return text[-tokens * 4 :]
    return text.encode("utf-8", "surrogatepass")[-tokens * 4 :].decode("utf-8", "ignore")


def cut(text: str, tokens: int, where: str) -> tuple[str, int]:
    """A text of at most so many tokens: three quarters from its beginning, the rest from its end, and between them how
    much is missing and `where` the whole is. Returns it and the tokens left out."""
    whole = count_tokens(text)
    if whole <= tokens:
        return text, 0
    mark = f"\n[… {whole} tokens, shortened; the whole is {where} …]\n"
    room = max(0, tokens - count_tokens(mark) - 1)
    first = room * 3 // 4
    short = f"{head(text, first)}{mark}{tail(text, room - first)}"
    return short, max(0, whole - count_tokens(short))

"""Where the value of an argument comes from: verbatim and whole, or from nowhere one knows."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tools.labels import (
    SECRECY,
    TRUST,
    argument_labels,
    at_least,
    is_trusted,
    join,
    parse,
    verbatim_in,
    with_secrecy,
)
from events.errors import InvalidData

LABELS = st.builds(lambda trust, secrecy: f"{trust}/{secrecy}", st.sampled_from(TRUST), st.sampled_from(SECRECY))


@given(LABELS, LABELS, LABELS)
def test_joining_is_the_worst_of_all_in_any_order(a: str, b: str, c: str) -> None:
    assert join(a, b) == join(b, a)
    assert join(a, join(b, c)) == join(join(a, b), c) == join(a, b, c)
    assert join(a, a) == a
    assert is_trusted(join(a, b)) == (is_trusted(a) and is_trusted(b))
    assert all(at_least(join(a, b), parse(one).secrecy) for one in (a, b))
    assert with_secrecy(a, b).partition("/")[0] == a.partition("/")[0]
    assert str(parse(a)) == a


@pytest.mark.parametrize("text", ["", "trusted", "trusted/", "Trusted/public", "trusted/public/x", "untrusted/none"])
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        parse(text)


SAID = 'Please mail "the plan" to bob@example.org, and read https://good.example/a?b=1 or notes/today.txt. (Ask Eve!)'


@pytest.mark.parametrize(
    "value",
    ["bob@example.org", "the plan", "https://good.example/a?b=1", "notes/today.txt", "Ask Eve", "Eve", SAID],
)
def test_what_stands_in_a_trusted_text_as_a_whole_is_trusted(value: str) -> None:
    assert argument_labels({"x": value}, {}, [SAID], "untrusted/private") == {"x": "trusted/private"}


@pytest.mark.parametrize(
    "value",
    [
        "example.org", "bob", "bob@example.or", "good.example", "https://good.example", "https://good.example/a",
        "today.txt", "notes", "plan\u200b", "PLAN", "to", "", " ", "the  plan", "mallory@evil.example", "ask Eve", "Ev",
        "https://good.example/a?b=1&c=2", None, True, 1, [], {}, ["bob@example.org", "mallory@evil.example"],
        {"bob@example.org": "mallory"},
    ],
)  # fmt: skip
def test_parts_of_words_and_what_nobody_wrote_have_the_label_of_the_context(value: Any) -> None:
    assert argument_labels({"x": value}, {}, [SAID], "untrusted/secret") == {"x": "untrusted/secret"}


def test_every_part_of_a_value_must_stand_there() -> None:
    assert argument_labels({"x": ["bob@example.org", "Eve"]}, {}, [SAID], "untrusted/public") == {"x": "trusted/public"}


def test_a_secret_context_makes_a_trusted_value_private_at_most() -> None:
    assert argument_labels({"x": "Eve"}, {}, [SAID], "untrusted/secret") == {"x": "trusted/private"}


def test_a_destination_may_have_a_scheme_nobody_wrote() -> None:
    said = ["look at good.example/news please"]
    roles = {"url": "destination"}
    for url in ("https://good.example/news", "https://good.example/news/"):
        assert argument_labels({"url": url}, roles, said, "untrusted/public") == {"url": "trusted/public"}
        assert argument_labels({"url": url}, {}, said, "untrusted/public") == {"url": "untrusted/public"}
    for url in ("http://good.example/news", "https://good.example/", "https://good.example/news/x"):
        assert argument_labels({"url": url}, roles, said, "untrusted/public") == {"url": "untrusted/public"}


def test_forms_of_the_same_character_are_the_same() -> None:
    composed, apart = "café au lait", unicodedata.normalize("NFD", "café au lait")
    assert composed != apart
    assert argument_labels({"x": apart}, {}, [composed], "untrusted/public") == {"x": "trusted/public"}


@given(st.text(min_size=1, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_a_value_is_found_only_where_it_stands(value: str, before: str, after: str) -> None:
    if verbatim_in(value, before + after):
        assert value in before + after or value == (before + after).strip()


@given(
    st.text("ab", min_size=3, max_size=6), st.text("ab", min_size=1, max_size=3), st.text("ab", min_size=1, max_size=3)
)
def test_a_part_of_a_longer_word_is_never_found(value: str, before: str, after: str) -> None:
    for text in (before + value, value + after, before + value + after):
        if value not in text.split():
            assert not verbatim_in(value, text)

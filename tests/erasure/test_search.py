from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.erasure.search import files_with

WORD = "ada.lovelace+1815@example.org"


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
@pytest.mark.parametrize("after", ["", "a", "ab"])
def test_a_word_is_found_in_whatever_form(tmp_path: Path, before: str, after: str) -> None:
    text = (before + WORD + after).encode()
    forms = [text, b64encode(text), urlsafe_b64encode(text), text.hex().encode(), quote(text).encode()]
    for number, form in enumerate(forms):
        (tmp_path / str(number)).write_bytes(b"...." + form + b"....")
    assert len(files_with([WORD], tmp_path)) == len(forms)


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"ada.lovelace@example.org")
    assert files_with([WORD], tmp_path) == []

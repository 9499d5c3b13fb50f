"""Names of tools and ids of their uses, as the interfaces of models allow them.

Tools of ours have dots in their names (`files.search`); models are told `[A-Za-z0-9_-]{1,64}`. Ids of uses come from
one provider and may be shown to another one, which takes nine letters and digits (Mistral) or what it likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

LONGEST: Final = 64
_OTHER: Final = re.compile(r"[^A-Za-z0-9_-]")
_SHORT: Final = re.compile(r"[A-Za-z0-9]{9}")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class ToolNames:
    """Both ways between names of tools and what models call them. The same names give the same result."""

    def __init__(self, names: Iterable[str]) -> None:
        self._out: dict[str, str] = {}
        self._back: dict[str, str] = {}
        for name in sorted(set(names), key=lambda name: (_OTHER.search(name) is not None, name)):
            shown = self._free(name)
            self._out[name] = shown
            self._back[shown] = name

    def shown(self, name: str) -> str:
        """What a model calls a tool; of one that it is not offered any more, too."""
        return self._out.get(name) or _fitting(name)

    def meant(self, shown: str) -> str:
        """Which tool a model means; a name nobody offered stays as it is."""
        return self._back.get(shown, shown)

    def _free(self, name: str) -> str:
        shown = _fitting(name)
        if shown in self._back:
            mark = sha256(name.encode()).hexdigest()[:8]
            shown = f"{shown[: LONGEST - 9]}_{mark}"
        return shown


def _fitting(name: str) -> str:
    shown = _OTHER.sub("_", name) or "_"
    if len(shown) <= LONGEST:
        return shown
    return f"{shown[: LONGEST - 9]}_{sha256(name.encode()).hexdigest()[:8]}"


def short_id(id: str) -> str:
    """The id itself if it is nine letters and digits, else nine that are derived from it."""
    return id if _SHORT.fullmatch(id) else derived_id(id)


def derived_id(seed: str) -> str:
    """Nine letters and digits, the same for the same seed."""
    number = int.from_bytes(sha256(seed.encode()).digest()[:8])
    letters: list[str] = []
    for _ in range(9):
        number, digit = divmod(number, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return "".join(letters)

"""Looking for planted words in everything there is, however they are written."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote


def spellings(word: str) -> list[bytes]:
    """The word in raw, base64 (at all three alignments), hex and URL form, as one would find it in a larger text."""
    raw = word.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), quote(word, safe="").encode()}
    found.add("".join(f"%{byte:02X}" for byte in raw).encode())
    found.add(word.encode("utf-16-le"))
    for shift in range(3):
        text = b64encode(bytes(shift) + raw)
        # What depends on the neighbours is left out: the first characters, and those of the last three bytes.
        first, last = (0, 2, 3)[shift], (len(raw) + shift) // 3 * 4
        found |= {text[first:last], text[first:last].replace(b"+", b"-").replace(b"/", b"_")}
    return sorted(found)


def files_with(words: Iterable[str], *folders: Path) -> list[str]:
    """`path: spelling` of each file below these folders that holds one of the words."""
    pattern = re.compile(b"|".join(re.escape(spelling) for word in words for spelling in spellings(word)))
    hits: list[str] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            try:
                found = pattern.search(path.read_bytes()) if path.is_file() else None
            except OSError:
                continue
            if found:
                hits.append(f"{path}: {found[0]!r}")
    return hits

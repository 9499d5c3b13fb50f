"""Which paths are taken at all, before any is looked for."""

from __future__ import annotations

import os
import unicodedata
from typing import Final

from actors.tools.tool import ToolError

_LONGEST_NAME: Final = 255
_LONGEST: Final = 4096
_DEEPEST: Final = 64


def parts_of(path: str) -> list[str]:
    """The names of a relative path; "." is none. Raises ToolError (path)."""
    if path.startswith(("/", "~")) or "\\" in path:
        raise _bad(path, "paths are relative to the folder, with /")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _bad(path, "it leads up")
    if unicodedata.normalize("NFC", path) != path:
        raise _bad(path, "its characters are not composed (NFC)")
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for each in path):
        raise _bad(path, "a character in it is not seen")
    if len(parts) > _DEEPEST or len(path.encode()) > _LONGEST or any(len(p.encode()) > _LONGEST_NAME for p in parts):
        raise _bad(path, "it is too long")
    return parts


def plain(path: str) -> str:
    """The path as it is told to others."""
    return "/".join(parts_of(path)) or "."


def twin(name: str, folder: int) -> str:
    """Another entry of an open folder that only differs in case or composition, or ""."""
    wanted = _folded(name)
    return next((each for each in os.listdir(folder) if each != name and _folded(each) == wanted), "")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _bad(path: str, why: str) -> ToolError:
    return ToolError(f"{path!r} is no path here: {why}", code="path")

"""Patterns of files below a root, and which are secret if nothing else is said."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

SECRET: Final = (
    ".env*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.keystore", "*.kdbx", "id_*", ".ssh/**", ".gnupg/**",
    ".aws/**", ".kube/**", ".docker/config.json", ".git/config", ".git-credentials", ".netrc", ".npmrc", ".pypirc",
    ".pgpass", "credentials", "credentials.*", "secrets.*", "*.secret", "token", "*.token",
)  # fmt: skip
_MOST: Final = 20_000


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a relative path, or the end of it, is one of these: `*` is within a name, `**` any depth. Case does not
    matter, so that a disk to which it does not matter shows nothing more."""
    folded = path.casefold()
    return any(_compiled(pattern.casefold()).fullmatch(folded) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    rule, place = "(?:.*/)?", 0
    while place < len(pattern):
        if pattern.startswith("**", place):
            rule += ".*"
            place += 3 if pattern.startswith("**/", place) else 2
            continue
        rule += {"*": "[^/]*", "?": "[^/]"}.get(pattern[place], re.escape(pattern[place]))
        place += 1
    return re.compile(rule, re.DOTALL)


def any_secret(root: Path, patterns: Sequence[str]) -> bool:
    """Whether there is a file like that below; also when there are too many to look at."""
    seen = 0
    for folder, _, files in os.walk(root):
        below = os.path.relpath(folder, root)
        seen += len(files) + 1
        if seen > _MOST or any(matches(os.path.normpath(f"{below}/{name}"), patterns) for name in files):
            return True
    return False

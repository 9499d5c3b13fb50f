"""One page by itself."""

from __future__ import annotations

import re
import time
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from actors.workflows.tasks import TaskError

FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#{1,6} +\S", re.MULTILINE)
LINK = re.compile(r"\[[^\]\n]*\]\(([^()\s]+)[^()\n]*\)")
ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]*:|//|#)", re.IGNORECASE)


class Source(Struct):
    """A file, and the hash of what is to be in it. `pause` is time to watch, in seconds, or to kill the host."""

    root: str
    path: str
    sha256: str
    pause: float = 0.0


class Page(Struct):
    """What is known of a page. `links` are those to other files, as they are written, without `#…`."""

    path: str
    words: int
    headings: int
    links: list[str]


def measure(source: Source) -> Page:
    """Count words and headings, and collect relative links; code does not count as either."""
    time.sleep(source.pause)
    content = (Path(source.root) / source.path).read_bytes()
    if sha256(content).hexdigest() != source.sha256:
        raise TaskError(f"{source.path} changed since it was listed; start another run", kind="changed")
    text = content.decode("utf-8", "replace")
    prose = CODE.sub("", FENCE.sub("", text))
    targets = [target.partition("#")[0] for target in LINK.findall(prose) if not ELSEWHERE.match(target)]
    return Page(source.path, len(text.split()), len(HEADING.findall(prose)), sorted(set(targets)))

"""Turns a page into text for a model: HTML in a child process with limits, plain kinds here."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import Final

import msgspec

from actors.tools.tool import ToolError
from infra.tools.web.child import Asked, Made
from infra.tools.web.visible import shortened, visible

HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_PLAIN: Final = re.compile(
    r"text/[\w.+-]+|application/(json|xml|javascript|yaml|x-yaml|toml|x-ndjson|ndjson|ld\+json)|[\w.-]+/[\w.-]+\+(json|xml)"
)
_CHARSETS: Final = re.compile(
    r"(utf-?8|utf-?16(-?[lb]e)?|us-ascii|ascii|latin-?1|iso-?8859-?\d+|windows-?12\d\d|cp12\d\d|koi8-[ru]|gb2312|gbk|gb18030"
    r"|big5|euc-(jp|kr)|shift[_-]jis|iso-2022-jp|macintosh)"
)


def readable(content_type: str) -> bool:
    """Whether this kind of content is text."""
    return content_type in HTML or bool(_PLAIN.fullmatch(content_type))


def charset_of(name: str) -> str:
    """A charset that names an encoding of text, else ""."""
    plain = name.strip().strip("'\"").lower()
    return plain if _CHARSETS.fullmatch(plain) else ""


def plain(body: bytes, charset: str, most: int) -> Made:
    """Text as it is, without what shows nothing."""
    try:
        text = body.decode(charset_of(charset) or "utf-8", "replace")
    except LookupError:
        text = body.decode("utf-8", "replace")
    text, cut = shortened(visible(text), most)
    return Made("", text, cut)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL") if name in os.environ}


async def convert(page: bytes, asked: Asked, *, timeout: float = 15.0) -> Made:
    """HTML as Markdown or text, by a child process. Raises ToolError (`unreadable`) when it takes too much."""
    asked.charset = charset_of(asked.charset)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "infra.tools.web.child", env=_environment(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout):
            out, _ = await child.communicate(msgspec.json.encode(asked) + b"\n" + page)
    except TimeoutError:
        raise ToolError("the page took too long to read", code="unreadable") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    try:
        return msgspec.json.decode(out, type=Made)
    except msgspec.MsgspecError:
        raise ToolError("the page could not be read", code="unreadable") from None

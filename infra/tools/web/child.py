"""What runs in a child process: HTML becomes Markdown or text, with the hidden parts left out.

A page is hostile input to a parser; here it can neither block nor fill the host. Input: one JSON line of `Asked`, then
the page. Output: JSON of `Made`.
"""

from __future__ import annotations

import re
import resource
import sys
from typing import Any, Final, cast
from urllib.parse import urljoin

import msgspec
from bs4 import BeautifulSoup
from bs4.element import Comment, Tag
from markdownify import MarkdownConverter

from infra.tools.web.visible import shortened, visible


class Asked(msgspec.Struct):
    """How to convert. `to`: markdown or text. `seconds` of processor and `memory` in bytes are all it may use."""

    to: str
    url: str = ""
    charset: str = ""
    most: int = 65536
    seconds: int = 10
    memory: int = 1 << 30


class Made(msgspec.Struct):
    """What came of it; `cut`: there was more."""

    title: str
    text: str
    cut: bool


UNSEEN: Final = (
    "script", "style", "noscript", "template", "iframe", "frame", "object", "embed", "applet", "svg", "math", "canvas",
    "audio", "video", "map", "link", "meta", "base", "datalist", "dialog", "head",
)  # fmt: skip
_HIDING: Final = re.compile(
    r"display:none|visibility:(hidden|collapse)|opacity:0*(\.0*)?(;|$|!)|font-size:0*(\.0+)?(px|em|rem|pt|%)?(;|$|!)"
    r"|content-visibility:hidden|text-indent:-\d{3,}|(left|top|right|bottom):-\d{4,}|clip-path:inset\((50|100)%"
    r"|transform:scale\(0\)|(^|;)(max-)?(height|width):0(px)?(;|$|!)|color:transparent"
)
_BLANK: Final = re.compile(r"\n[ \t]*(\n[ \t]*){2,}")


def hidden(tag: Tag) -> bool:
    """Whether the element says of itself that it is not shown."""
    attributes = cast(dict[str, Any], tag.attrs)
    if "hidden" in attributes or str(attributes.get("aria-hidden", "")).strip().lower() == "true":
        return True
    if tag.name == "input" and str(attributes.get("type", "")).lower() == "hidden":
        return True
    style = re.sub(r"/\*.*?\*/|\s", "", str(attributes.get("style", "")).lower(), flags=re.DOTALL)
    return bool(style and _HIDING.search(style))


class _Markdown(MarkdownConverter):
    """Links absolute and to the web only; an image is its alternative text, so that showing it asks nobody."""

    def convert_a(self, el: Any, text: str, parent_tags: Any) -> str:
        """A link."""
        return super().convert_a(el, text, parent_tags) if el.get("href") else text  # pyright: ignore

    def convert_img(self, el: Any, text: str, parent_tags: Any) -> str:
        """An image."""
        alt = str(el.get("alt") or "").strip()
        return f"[image: {alt}]" if alt else ""


def convert(page: bytes | str, asked: Asked) -> Made:
    """Title and text of a page."""
    encoding = asked.charset or None if isinstance(page, bytes) else None
    try:
        soup = BeautifulSoup(page, "html.parser", from_encoding=encoding)
    except LookupError:
        soup = BeautifulSoup(page, "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    _prune(soup)
    _absolute(soup, asked.url)
    text = ""
    if asked.to == "markdown":
        try:
            text = cast(str, _Markdown(heading_style="ATX", bullets="-").convert_soup(soup))  # pyright: ignore
        except RecursionError:  # nested too deeply for that
            text = ""
    if not text:
        text = soup.get_text("\n", strip=True)
    text = _BLANK.sub("\n\n", visible(text)).strip()
    text, cut = shortened(text, asked.most)
    return Made(visible(title)[:300], text, cut)


def _prune(soup: BeautifulSoup) -> None:
    gone = [tag for tag in soup.find_all(True) if tag.name in UNSEEN or hidden(tag)]
    for tag in gone:
        tag.extract()
    for piece in soup.find_all(
        string=lambda found: isinstance(found, Comment) or type(found).__name__ != "NavigableString"
    ):
        piece.extract()


def _absolute(soup: BeautifulSoup, base: str) -> None:
    for tag in soup.find_all("a", href=True):
        try:
            href = urljoin(base, str(tag["href"]).strip())
        except ValueError:
            href = ""
        if href.startswith(("https://", "http://")) and len(href) <= 2048:
            tag["href"] = visible(href)
        else:
            del tag["href"]
        tag.attrs.pop("title", None)


def main() -> None:
    """Convert what standard input says."""
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Asked)
    resource.setrlimit(resource.RLIMIT_CPU, (asked.seconds, asked.seconds))
    resource.setrlimit(resource.RLIMIT_AS, (asked.memory, asked.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    made = convert(sys.stdin.buffer.read(), asked)
    sys.stdout.buffer.write(msgspec.json.encode(made))


if __name__ == "__main__":
    main()

"""From pages to a report, and to the disk. The same pages make the same report, byte for byte."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import unquote

from msgspec import Struct

from actors.workflows.tasks import TaskError

from .listing import WORKSPACE
from .measuring import Page


class Pages(Struct):
    """Pages of the folder `root`."""

    root: str
    pages: list[Page]


class Broken(Struct):
    """A link that leads nowhere."""

    path: str
    link: str


class Found(Struct):
    """What a report is made of."""

    pages: list[Page]
    broken: list[Broken]


class Summary(Struct):
    """What people are asked to agree to: the figures, and the hash of the report they are of."""

    files: int
    words: int
    headings: int
    broken: int
    sha256: str


class Approved(Struct):
    """A report to be written into the folder `to`, if it is the one with that hash."""

    to: str
    pages: list[Page]
    broken: list[Broken]
    sha256: str


class Written(Struct):
    """Where a report is."""

    path: str
    sha256: str


def broken(where: Pages) -> list[Broken]:
    """The relative links that lead to nothing."""
    root = Path(where.root)
    return [
        Broken(page.path, link)
        for page in where.pages
        for link in page.links
        if not ((root / page.path).parent / unquote(link)).exists()
    ]


def render(pages: list[Page], links: list[Broken]) -> bytes:
    """The report."""
    rows = [f"| {page.path} | {page.words} | {page.headings} |" for page in sorted(pages, key=lambda page: page.path)]
    gone = [f"- {link.path}: {link.link}" for link in sorted(links, key=lambda link: (link.path, link.link))]
    words, headings = sum(page.words for page in pages), sum(page.headings for page in pages)
    lines = [
        "# Digest", "",
        f"{len(pages)} files, {words} words, {headings} headings, {len(links)} broken links.", "",
        "| file | words | headings |", "|---|--:|--:|", *rows, "",
        "## Broken links", "", *(gone or ["None."]), "",
    ]  # fmt: skip
    return "\n".join(lines).encode()


def summarise(found: Found) -> Summary:
    """The figures, and what the report's hash will be."""
    words, headings = sum(page.words for page in found.pages), sum(page.headings for page in found.pages)
    digest = sha256(render(found.pages, found.broken)).hexdigest()
    return Summary(len(found.pages), words, headings, len(found.broken), digest)


def write(approved: Approved) -> Written:
    """Write the report under its hash: it is there whole, or not at all, however often this is done."""
    content = render(approved.pages, approved.broken)
    digest = sha256(content).hexdigest()
    if digest != approved.sha256:
        raise TaskError(f"the report {digest} is not the one approved, {approved.sha256}", kind="not-approved")
    folder = (WORKSPACE / approved.to).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"digest-{digest[:16]}.md"
    with NamedTemporaryFile(dir=folder, prefix=".digest-", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return Written(str(target), digest)

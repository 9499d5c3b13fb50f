"""Definitions, of workflows and of agents: published from a file, listed with those that are wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from events.ids import random_id
from gateway.cli.http import Api, call, path, with_query
from gateway.cli.problems import tell
from gateway.cli.reading import rows
from gateway.cli.retrying import retrying
from gateway.problems import NotValid


def publish(
    noun: str, file: str, content_type: str, *, key: str | None, url: str | None, data: str | None
) -> dict[str, Any]:
    """Publish a file (- for standard input) at `/v1/NOUN`; the answer. What is wrong with it goes to standard error.

    Raises NotValid, and what the server answers.
    """
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    where, used = with_query(path(noun), {"file": file}), key or random_id()

    async def send(api: Api) -> dict[str, Any]:
        return await retrying(lambda: api.post(where, raw=content, content_type=content_type, key=used))

    try:
        return call(url, data, send)
    except NotValid as error:
        tell(error.extra.get("problems", []), err=True)
        raise


def listed(noun: str, limit: int, *, url: str | None, data: str | None) -> list[dict[str, Any]]:
    """The rows of `/v1/NOUN`, at most `limit`. What is wrong with the files of a workspace goes to standard error."""

    async def read(api: Api) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        broken = (await api.get(path(noun), {"limit": 1}))["broken"]
        return await rows(api, path(noun), noun, limit, {}), broken

    found, broken = call(url, data, read)
    for file in broken:
        tell(file["problems"], err=True)
    return found

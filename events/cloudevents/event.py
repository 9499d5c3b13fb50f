"""The event as it comes in, and what is kept of it beside its data."""

from __future__ import annotations

from typing import Final

import msgspec

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"

MAX_SIZE: Final = 1024 * 1024
"""Bytes of data, unless the caller says otherwise."""
MAX_DEPTH: Final = 64
"""Levels of nested arrays and objects, unless the caller says otherwise."""
MAX_ATTRIBUTES: Final = 16 * 1024
"""Bytes of all attributes together."""
MAX_IDENTITY: Final = 1024
"""Bytes of source and id together: they are a key in the log."""

TEXT, BASE64, NONE = "text", "base64", "none"


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent. `data` is JSON; `encoding` says what it stands for: "" the JSON value itself, `text` a string that
    was plain text, `base64` bytes, `none` that there was no data. Extension values are canonical strings.
    """

    id: str
    source: str
    type: str
    data: bytes = b"null"
    time: str | None = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: dict[str, str] = {}
    encoding: str = ""


class Meta(msgspec.Struct, omit_defaults=True):
    """What the log keeps of an outside event beside its data: `Event.meta`."""

    source: str = ""
    id: str = ""
    time: str | None = None
    subject: str | None = None
    dataschema: str | None = None
    datacontenttype: str | None = None
    encoding: str = ""
    extensions: dict[str, str] = {}

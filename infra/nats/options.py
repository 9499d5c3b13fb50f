"""Where the NATS server is and who we are, from one URL and the environment."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from events.errors import InvalidSetting

SCHEMES = ("nats", "tls", "ws", "wss")

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def options(url: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Arguments for `nats.aio.client.Client.connect`.

    `url` is one or several (separated by commas) of `nats://[user:password@ | token@]host[:port]` or `tls://…`, with
    `?nkey=FILE` naming a file with an nkey seed, and `?inbox=PREFIX` the subjects that replies come to: `_INBOX_<user>`
    unless given, so that a user may be kept from reading the replies of others. NATS_NKEY_SEED is a seed itself,
    NATS_CA a file of certificates to trust, NATS_CERT and NATS_KEY a client certificate. Raises InvalidSetting.
    """
    servers: list[str] = []
    out: dict[str, Any] = {}
    for part in filter(None, (text.strip() for text in url.split(","))):
        parts = urlsplit(part if "://" in part else f"nats://{part}")
        try:
            host, port = parts.hostname, parts.port or 4222
        except ValueError:
            host, port = None, 0
        if parts.scheme not in SCHEMES or not host:
            raise InvalidSetting("NATS_URL is not a NATS address", hint="e.g. nats://user:password@127.0.0.1:4222")
        shown = f"[{host}]" if ":" in host else host
        servers.append(f"{parts.scheme}://{shown}:{port}")
        if parts.password is not None:
            out["user"], out["password"] = unquote(parts.username or ""), unquote(parts.password)
        elif parts.username:
            out["token"] = unquote(parts.username)
        query = parse_qs(parts.query)
        for file in query.get("nkey", []):
            out["nkeys_seed_str"] = _seed(file)
        for prefix in query.get("inbox", []):
            out["inbox_prefix"] = _prefix(prefix)
        if parts.scheme in ("tls", "wss") or environment.get("NATS_CA"):
            out["tls"] = _tls(environment)
    if not servers:
        raise InvalidSetting("NATS_URL is empty", hint="e.g. nats://127.0.0.1:4222")
    if seed := environment.get("NATS_NKEY_SEED"):
        out["nkeys_seed_str"] = seed
    if "user" in out:
        out.setdefault("inbox_prefix", f"_INBOX_{_UNSAFE.sub('', out['user'])}")
    out["servers"] = servers
    return out


def redacted(url: str) -> str:
    """The addresses in `url` without secrets, for messages."""
    return ",".join(part.split("://")[-1].rpartition("@")[2].partition("?")[0] for part in url.split(","))


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise InvalidSetting(f"{text!r} in NATS_URL is not a prefix of subjects", hint="e.g. ?inbox=_INBOX_shop")
    return text


def _seed(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"the nkey seed file {file} cannot be read: {error}") from None


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=environment.get("NATS_CA") or None)
        if certificate := environment.get("NATS_CERT"):
            context.load_cert_chain(certificate, environment.get("NATS_KEY") or None)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(f"NATS_CA, NATS_CERT or NATS_KEY cannot be used: {error}") from None
    return context

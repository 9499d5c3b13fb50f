"""Addresses of tools: names may have letters that addresses cannot."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._:~@+=,;!$'()&*/-]")
LONGEST: Final = 150


def tool_address(name: str) -> str:
    """The address of the tool of that name; no two names share one."""
    escaped = _UNFIT.sub(lambda m: "".join(f"%{byte:02X}" for byte in m.group().encode()), name)
    if len(escaped) > LONGEST:
        escaped = f"{escaped[:110]}~{blake2b(name.encode(), digest_size=16).hexdigest()}"
    return f"tool/{escaped or '%'}"

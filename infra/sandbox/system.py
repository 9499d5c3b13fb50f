"""What a command may read of this machine: programs and their libraries, and of `/etc` what holds no secret."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

SYSTEM: Final = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
    *(f"/etc/{name}" for name in (
        "alternatives", "bash.bashrc", "ca-certificates", "fonts", "gai.conf", "group", "host.conf", "hosts",
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "magic", "mime.types", "nsswitch.conf", "passwd",
        "profile", "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
    )),
)  # fmt: skip
NETWORK: Final = ("/etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf")
"""Besides, where the network is on."""

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "TZ": "UTC",
}
"""All there is, besides HOME, TMPDIR and PWD."""

HERE: Final = Path(__file__).resolve().parent
LAUNCHER: Final = str(HERE / "inside" / "launcher.py")


def python() -> str:
    """The interpreter outside of any virtual environment."""
    base: str = getattr(sys, "_base_executable", "") or sys.executable
    return os.path.realpath(base)


def python_home() -> list[str]:
    """What it needs to start, and the files of the launcher."""
    homes = {os.path.realpath(sys.base_prefix), os.path.dirname(os.__file__), os.path.dirname(python())}
    return [*sorted(homes), str(HERE.parent / "__init__.py"), str(HERE / "__init__.py"), str(HERE / "inside")]

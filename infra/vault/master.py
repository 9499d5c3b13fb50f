"""The master key: a file of 32 random bytes that wraps every key in the database. A dump alone reads nothing."""

from __future__ import annotations

import os
from pathlib import Path

from events.errors import InvalidSetting
from infra.vault.cipher import KEY, new_key


def read_master(path: Path) -> bytes:
    """The key in a file that is there. Raises InvalidSetting."""
    try:
        found = path.read_bytes()
        mode = path.stat().st_mode & 0o077
    except OSError as error:
        raise InvalidSetting(
            f"the master key {path} cannot be read: {error.strerror}",
            hint="personal fields are wrapped by it; put it back, or name it with THESPIS_MASTER_KEY_FILE",
        ) from error
    if len(found) != KEY:
        raise InvalidSetting(f"the master key {path} has {len(found)} bytes, not {KEY}", hint="restore the file")
    if mode:
        raise InvalidSetting(f"the master key {path} can be read by others", hint=f"chmod 600 {path}")
    return found


def make_master(path: Path) -> bytes:
    """The key in a file, made if it is not there; of several that make it at once, one wins. Raises InvalidSetting."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(new_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        _sync(path.parent)
    return read_master(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

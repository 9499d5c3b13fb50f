"""Opening what is below a folder, and nothing else, whatever others do to it meanwhile.

Nothing is looked up twice: what is checked is what was opened. openat2(2) lets the kernel refuse links, other mounts
and ways out in one step; where there is none, every folder is opened in turn without following.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from actors.tools.tool import ToolError
from infra.tools.files.names import parts_of

_SYS_OPENAT2: Final = 437
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 1, 2, 4, 8
_TRIES: Final = 64
"""The kernel asks to try again when something was moved during the look-up."""
_SYS_RENAMEAT2: Final = {"x86_64": 316, "aarch64": 276}
_NOREPLACE: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Confined:
    """A folder. `openat2=False` leaves that call unused."""

    def __init__(self, root: Path, *, openat2: bool = True) -> None:
        self.root = root
        self._fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._device = os.fstat(self._fd).st_dev
        self._openat2 = openat2 and self._has_openat2()

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            os.close(self._fd)

    @contextmanager
    def folder(self, path: str, *, make: bool = False) -> Generator[int]:
        """A folder, open for reading. `make` what is missing of it. Raises ToolError."""
        parts = parts_of(path)
        if make:
            self._make(parts)
        place = self._open(parts, os.O_RDONLY | os.O_DIRECTORY, path)
        try:
            yield place
        finally:
            os.close(place)

    @contextmanager
    def parent(self, path: str, *, make: bool = False) -> Generator[tuple[int, str]]:
        """(the folder of a path, opened; its last name). Raises ToolError."""
        parts = parts_of(path)
        if not parts:
            raise ToolError("the folder itself is no file", code="path")
        with self.folder("/".join(parts[:-1]), make=make) as place:
            yield place, parts[-1]

    def file(self, folder: int, name: str, path: str) -> int:
        """A regular file of an open folder, open for reading. Raises ToolError, FileNotFoundError.

        It is opened without effect first, because opening a device or a pipe may already do something.
        """
        seen = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            found = os.fstat(seen)
            if not stat.S_ISREG(found.st_mode):
                raise ToolError(f"{path} is {_kind(found.st_mode)}, not a file", code="path")
            if found.st_dev != self._device:
                raise ToolError(f"{path} is on another disk", code="path")
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(seen)
        if not os.path.samestat(found, os.fstat(opened)):
            os.close(opened)
            raise ToolError(f"{path} was changed meanwhile", code="changed")
        return opened

    def _make(self, parts: list[str]) -> None:
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            with self.folder("/".join(parts[: depth - 1])) as above, suppress(FileExistsError):
                try:
                    os.mkdir(parts[depth - 1], 0o755, dir_fd=above)
                except OSError as error:
                    if isinstance(error, FileExistsError):
                        raise
                    raise failure(error, path) from None

    def _open(self, parts: list[str], flags: int, path: str) -> int:
        try:
            return self._at_once(parts, flags) if self._openat2 else self._step_by_step(parts, flags)
        except OSError as error:
            raise failure(error, path) from None

    def _at_once(self, parts: list[str], flags: int) -> int:
        resolve = _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH
        for _ in range(_TRIES):
            fd = _openat2(self._fd, "/".join(parts) or ".", flags | os.O_CLOEXEC, resolve)
            if fd >= 0:
                return fd
            if ctypes.get_errno() != errno.EAGAIN:
                break
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def _step_by_step(self, parts: list[str], flags: int) -> int:
        place = os.open(".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        for part in parts:
            below = place
            try:
                place = os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=below)
            except NotADirectoryError:
                link = stat.S_ISLNK(os.stat(part, dir_fd=below, follow_symlinks=False).st_mode)
                raise OSError(errno.ELOOP if link else errno.ENOTDIR, part) from None
            finally:
                os.close(below)
            if os.fstat(place).st_dev != self._device:
                os.close(place)
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return place

    def _has_openat2(self) -> bool:
        fd = _openat2(self._fd, ".", os.O_PATH | os.O_CLOEXEC, _BENEATH)
        if fd >= 0:
            os.close(fd)
        return fd >= 0


def failure(error: OSError, path: str) -> ToolError:
    """What a person is told."""
    if error.errno in (errno.ELOOP, errno.EXDEV):
        return ToolError(f"{path} leads elsewhere, by a link or to another disk", code="path")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ToolError(f"{path} is not there", code="not-found")
    return ToolError(f"{path}: {os.strerror(error.errno or 0)}", code="failed")


def move_new(source: int, name: str, target: int, new: str) -> None:
    """Rename without replacing anything. Raises OSError."""
    number = _SYS_RENAMEAT2.get(os.uname().machine, -1)
    words = ctypes.c_char_p(os.fsencode(name)), ctypes.c_char_p(os.fsencode(new))
    done = _libc.syscall(
        ctypes.c_long(number), ctypes.c_long(source), words[0], ctypes.c_long(target), words[1],
        ctypes.c_long(_NOREPLACE),
    )  # fmt: skip
    if done == 0:
        return
    problem = ctypes.get_errno()
    if problem not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(problem, os.strerror(problem))
    os.link(name, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)  # a disk that cannot
    os.unlink(name, dir_fd=source)


def _openat2(folder: int, path: str, flags: int, resolve: int) -> int:
    how = (ctypes.c_uint64 * 3)(flags, 0, resolve)
    words = ctypes.c_long(_SYS_OPENAT2), ctypes.c_long(folder), ctypes.c_char_p(os.fsencode(path))
    done: int = _libc.syscall(*words, how, ctypes.c_long(ctypes.sizeof(how)))
    return done


def _kind(mode: int) -> str:
    names = (
        (stat.S_ISLNK, "a link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for test, name in names if test(mode)), "a device")

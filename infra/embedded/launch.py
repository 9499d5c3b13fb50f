"""Becomes a server process: `python -I -S launch.py [--as MODE] [--own DIR] --parent PID --signal NUMBER -- COMMAND…`.

A program of its own because what it does may only be done between fork and exec of a process without threads. It
imports the standard library alone, and does three things on the way to `exec`:

* The kernel is asked to send the server SIGNAL should the process that started it die (Linux).
* Postgres refuses to run as uid 0. With `--as other`, root (or a uid without a name) becomes somebody else: inside a
  user namespace, where root appears as an ordinary account while files stay root's; where that is not permitted, root
  becomes an unprivileged account that keeps the one capability to reach files, so that no directory need be opened up.
* What is below DIR is given to whoever the server runs as, where it is not theirs already.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import signal
import sys
from collections.abc import Sequence

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
_REACH_FILES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""

_linux = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


def account() -> tuple[int, int]:
    """(uid, gid) of an account without privileges: `nobody`, or any that is not root."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        entry = next((e for e in pwd.getpwall() if e.pw_uid), None)
    return (entry.pw_uid, entry.pw_gid) if entry else (65534, 65534)


def enter_namespace(uid: int, gid: int) -> None:
    """Enter a user namespace in which this process is `uid`, while to the rest of the system it stays who it is."""
    outer = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for file, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer[0]} 1"), ("gid_map", f"{gid} {outer[1]} 1")):
        with open(f"/proc/self/{file}", "w") as out:
            out.write(text)
    if os.geteuid() != uid:
        raise OSError(errno.EPERM, "the user namespace has no effect")


def namespace_permitted(uid: int, gid: int) -> bool:
    """Whether `enter_namespace` would succeed; tried in a child, because there is no way back."""
    if not _linux:
        return False
    child = os.fork()
    if not child:
        code = 1
        try:
            enter_namespace(uid, gid)
            code = 0
        except OSError:
            pass
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def drop_to(uid: int, gid: int) -> None:
    """From root to an account, keeping the right to reach files where the system lets us."""
    os.setgroups([])
    if _linux:
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if not _linux:
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    keep = sum(1 << capability for capability in _REACH_FILES)
    data = (ctypes.c_uint32 * 6)(keep, keep, keep, 0, 0, 0)
    if _libc.capset(header, data) == 0:
        for capability in _REACH_FILES:
            _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def give(directory: str, uid: int, gid: int) -> None:
    """Make everything below a directory belong to (uid, gid), where it does not yet. Links are not followed."""
    if not os.path.lexists(directory) or os.lstat(directory).st_uid == uid:
        return
    for folder, _, files in os.walk(directory, topdown=False):
        for name in [*(os.path.join(folder, file) for file in files), folder]:
            os.chown(name, uid, gid, follow_symlinks=False)


def become(mode: str, own: str | None) -> None:
    """Stop being root, or nameless, by the way `mode` allows: `other` (any), `namespace`, `account`; `self`: do not."""
    me, group = os.geteuid(), os.getegid()
    nameless = not any(entry.pw_uid == me for entry in pwd.getpwall())
    if mode == "self" or (mode == "other" and me != 0 and not nameless):
        return
    uid, gid = account()
    if mode != "account" and namespace_permitted(uid, gid):
        if own and me == 0:
            give(own, me, group)
        enter_namespace(uid, gid)
    elif mode == "namespace":
        raise OSError(errno.EPERM, "user namespaces are not permitted here")
    elif me == 0:
        if own:
            give(own, uid, gid)
        drop_to(uid, gid)


def main(arguments: Sequence[str]) -> None:
    """See the top of this file."""
    cut = list(arguments).index("--")
    options = dict(zip(arguments[:cut:2], arguments[1:cut:2], strict=True))
    command = list(arguments[cut + 1 :])
    try:
        become(options.get("--as", "self"), options.get("--own"))
    except OSError as error:
        sys.exit(f"cannot run {os.path.basename(command[0])} as another user: {error.strerror}")
    if _linux:  # last, because the kernel forgets it when the identity changes
        _libc.prctl(_PR_SET_PDEATHSIG, int(options["--signal"]), 0, 0, 0)
        if os.getppid() != int(options["--parent"]):
            os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])

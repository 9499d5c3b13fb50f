"""Functions for child processes to import."""

from __future__ import annotations

import os
import signal
import time

import msgspec

from actors.workflows.tasks import TaskError
from infra.tasks.context import Context


class Numbers(msgspec.Struct):
    a: int
    b: int = 0


def add(numbers: Numbers) -> int:
    return numbers.a + numbers.b


def pid(_: object) -> int:
    return os.getpid()


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path: str) -> str:
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def refuse(_: object) -> None:
    raise TaskError("not today", kind="tired", data={"hours": 3})


def count(_: object, context: Context) -> str:
    print("this goes to the log, not into the pipe")
    context.usage(tokens=3, cost="0.10")
    context.usage(tokens=4)
    context.progress({"done": 1})
    return context.key


def spin(_: object, context: Context) -> str:
    while not context.cancelled:
        time.sleep(0.001)
    context.check()
    return "unreachable"


def hang(_: object) -> None:
    while True:
        time.sleep(0.01)

"""Inside a child process: calls one function after the other, and listens to the parent meanwhile."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from queue import SimpleQueue
from typing import Any, BinaryIO

import msgspec

from actors.workflows.tasks import TaskError
from infra.tasks import frames
from infra.tasks.context import Context


class _Serving:
    """`_calls` are those to make; `_context` is that of the one under way."""

    def __init__(self, source: BinaryIO, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._calls: SimpleQueue[frames.Call] = SimpleQueue()
        self._context: Context | None = None
        self._writing = threading.Lock()

    def listen(self) -> None:
        """In a thread: take what the parent says; without a parent there is nothing left to do."""
        while True:
            head = self._source.read(4)
            body = self._source.read(frames.LENGTH.unpack(head)[0]) if len(head) == 4 else b""
            if not body:
                os._exit(0)
            message = frames.decode_down(body)
            if isinstance(message, frames.Call):
                self._calls.put(message)
            elif isinstance(message, frames.Stop) and self._context is not None:
                self._context.cancelled = True

    def work(self) -> None:
        """In the main thread: make the calls."""
        while True:
            self._say(self._made(self._calls.get()))

    def _made(self, call: frames.Call) -> frames.Returned:
        context = self._context = Context(
            call.task, call.tenant, call.run, call.step, call.attempt, call.key, self._said
        )
        try:
            _know(call.packages)
            function, kind = pickle.loads(call.function), pickle.loads(call.input_type)
            try:
                value = msgspec.json.decode(call.input, type=kind)
            except msgspec.ValidationError as error:
                raise TaskError(f"the input of {call.task}: {error}", kind="invalid") from None
            output = function(value, context) if call.wants_context else function(value)
            return frames.Returned(msgspec.json.encode(output), used=context.used())
        except TaskError as error:
            return frames.Returned(kind=error.kind, message=str(error), data=_json(error.data), used=context.used())
        except Exception as error:
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return frames.Returned(kind="error", message=text, used=context.used())
        finally:
            self._context = None

    def _said(self, what: str, data: Any) -> None:
        self._say(frames.Said(what, _json(data)))

    def _say(self, message: Any) -> None:
        data = memoryview(frames.frame(message))
        with self._writing:
            while data:
                data = data[os.write(self._sink, data) :]


def serve(source: BinaryIO, sink: int) -> None:
    """Serve the parent at the other end of these pipes."""
    serving = _Serving(source, sink)
    threading.Thread(target=serving.listen, daemon=True).start()
    serving.work()


def _know(packages: dict[str, list[str]]) -> None:
    """Make packages importable that the parent loaded by their directory, under the names they have there."""
    for name, directories in packages.items():
        if name not in sys.modules:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = directories
            sys.modules[name] = module_from_spec(spec)


def _json(data: Any) -> bytes:
    try:
        return msgspec.json.encode(data)
    except TypeError:
        return msgspec.json.encode(repr(data))

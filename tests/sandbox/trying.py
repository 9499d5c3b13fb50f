#!/usr/bin/python3
"""A foreign program that tries what it is told to, and says what came of it. The standard library alone.

It is told by lines of JSON {"act", "with"}; started as a browser (`--remote-debugging-pipe`) by DevTools messages; as
`--mcp` by calls of the tool `try`, as an MCP server of the older protocol.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def write(path: str) -> str:
    with open(path, "w") as file:
        file.write("written")
    return "written"


def tcp(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), 10) as there:
        return there.recv(100).decode()


def udp(port: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.settimeout(2)
        there.connect(("127.0.0.1", port))
        there.send(b"hello")
        return there.recv(100).decode()


def unix(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as there:
        there.settimeout(10)
        there.connect(path)
        return there.recv(100).decode()


def outside(address: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there:
        there.connect((address, 9))  # nothing is sent: a route is enough
    return "there is a route"


def through(port: int, url: str) -> str:
    """A page, by a proxy."""
    with socket.create_connection(("127.0.0.1", port), 10) as there:
        there.sendall(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while piece := there.recv(65536):
            answer += piece
    return answer.decode().partition(" ")[2][:3] or "no answer"


def processes() -> str:
    return " ".join(sorted(name for name in os.listdir("/proc") if name.isdigit()))


def child(number: str) -> str:
    """One that leaves its parent and its group, and stays."""
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.execv("/bin/sleep", ["sleep", number])
        os._exit(0)
    os.wait()
    return "left behind"


def environment() -> str:
    return json.dumps(dict(os.environ))


ACTS = {act.__name__: act for act in (read, write, tcp, udp, unix, outside, through, processes, child, environment)}


def tried(act: str, given: list[Any]) -> dict[str, Any]:
    try:
        return {"done": True, "said": ACTS[act](*given)}
    except OSError as error:
        return {"done": False, "said": f"{type(error).__name__}: {error}"}


def lines() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(tried(asked["act"], asked["with"])), flush=True)


def browser() -> None:
    rest = b""
    while piece := os.read(3, 65536):
        *messages, rest = (rest + piece).split(b"\0")
        for message in messages:
            asked = json.loads(message)
            answer = {"id": asked["id"], "result": tried(asked["method"], asked["params"]["with"])}
            os.write(4, json.dumps(answer).encode() + b"\0")


def mcp() -> None:
    schema = {"type": "object", "properties": {"act": {"type": "string"}, "with": {"type": "array"}}}
    for line in sys.stdin:
        asked = json.loads(line)
        params: Any = asked.get("params") or {}
        match asked["method"]:
            case "initialize":
                info = {"name": "prying", "version": "1"}
                version = params["protocolVersion"]
                result: Any = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                result = {"tools": [{"name": "try", "description": "Tries.", "inputSchema": schema}]}
            case "tools/call":
                given = params["arguments"]
                said = json.dumps(tried(given["act"], given["with"]))
                result = {"content": [{"type": "text", "text": said}]}
            case _:
                continue
        if "id" in asked:
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)


if __name__ == "__main__":
    if "--mcp" in sys.argv:
        mcp()
    elif "--remote-debugging-pipe" in sys.argv:
        browser()
    else:
        lines()

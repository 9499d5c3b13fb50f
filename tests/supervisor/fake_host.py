"""A host process reduced to what its supervisor sees of it: arguments, environment, /readyz, signals, its end.

`FAIL` in the environment names a file; while it exists, the process ends at once, with what the file says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        seen = {"pid": os.getpid(), "argv": sys.argv, "env": dict(os.environ)}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--workspace", default="")
    given = parser.parse_args()
    fail = Path(os.environ.get("FAIL", "/nonexistent"))
    if fail.exists():
        print(fail.read_text())
        sys.exit(3)
    ThreadingHTTPServer(("127.0.0.1", given.port), Answer).serve_forever()


if __name__ == "__main__":
    main()

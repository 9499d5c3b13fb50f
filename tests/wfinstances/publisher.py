"""A program from outside: publishes recordings in time order with plain nats-py, and prints each acknowledgement.

python publisher.py RECORDING.json…        with NATS_URL in the environment
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import nats
from recording import BASE, read


async def main(paths: list[str]) -> None:
    recordings = [read(Path(path)) for path in paths]
    client = await nats.connect(os.environ["NATS_URL"])
    begin = datetime.fromisoformat(BASE)
    events = [pair for recording in recordings for pair in recording.events]
    for (at, _, _), event in sorted(events, key=lambda pair: pair[0]):
        data = json.dumps(event.pop("data")).encode()
        time = (begin + timedelta(microseconds=at)).isoformat(timespec="microseconds") + "Z"
        headers = {f"ce-{name}": quote(value) for name, value in event.items()}
        headers |= {"ce-specversion": "1.0", "ce-time": time, "content-type": "application/json"}
        answer = await client.request(f"pub.default.{event['type']}", data, timeout=10, headers=headers)
        sys.stdout.write(json.dumps({"source": event["source"]} | json.loads(answer.data)) + "\n")
    await client.close()


asyncio.run(main(sys.argv[1:]))

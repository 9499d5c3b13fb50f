"""Every command: one line here, one file beside it.

`noun verb` lives in `noun_verb.py` and its click command is called `command`. The words here are the ones `--help`
shows, so that help imports no command.
"""

from __future__ import annotations

from typing import Final

COMMANDS: Final[dict[str, dict[str, str]]] = {
    "Run": {
        "up": "Start Postgres, NATS and a host on this machine.",
        "host": "Run one host against a Postgres and a NATS that are already there.",
        "worker": "Perform steps of workflows that name a queue.",
        "demo": "Move money while killing the host, then prove that none was lost.",
        "new": "Write a small workspace: an actor, a projection and a passing test.",
        "doctor": "Check this machine and the running instance, and say what to do.",
    },
    "Use": {
        "publish": "Publish events: one, or a stream of CloudEvents.",
        "ask": "Send a message to an actor and print its answer.",
        "tell": "Send a message to an actor and wait for its commit only.",
        "events": "Look at events and their types.",
        "events list": "List events in the order they happened.",
        "events tail": "Follow events as they are committed.",
        "events show": "Show one event in full.",
        "events schema": "Print the JSON Schema or AsyncAPI document of the known types.",
        "actors": "Look at actors and operate them.",
        "actors list": "List actors.",
        "actors show": "Show an actor's state, now or at a version.",
        "actors query": "Ask an actor's query function; nothing is recorded.",
        "actors fork": "Begin a new actor from another one's past.",
        "actors park": "Stop an actor until it is resumed.",
        "actors resume": "Let a parked actor go on.",
        "inbox": "See what needs a person, and close it.",
        "inbox list": "List what needs a person.",
        "inbox show": "Show one item and its ways out.",
        "inbox resolve": "Close an item: resume, settle, send again or dismiss.",
        "effects": "Settle effects that nobody knows the outcome of.",
        "effects resolve": "Say what became of an unknown effect.",
        "replay": "Go through an actor's history event by event, or verify all of it.",
        "projections": "Query read models and rebuild them.",
        "projections list": "List projections and how far behind they are.",
        "projections show": "Query the rows of a projection.",
        "projections rebuild": "Rebuild a projection from the log beside the live one.",
        "projections builds": "List the builds of a projection, and the switches between them.",
        "projections switch": "Let readers of a projection see another build.",
        "projections drop": "Remove a build of a projection that readers do not see.",
        "projections parked": "List keys of a projection that wait for a person.",
        "projections free": "Fold what waits for a parked key again, or let it go.",
        "lineage": "Show what caused an event and what it caused.",
    },
    "Operate": {
        "consumers": "List who reads the log and the bus, and how far behind they are.",
        "log": "Export, import and verify the log.",
        "log verify": "Prove that the log is whole, and all that belongs to it.",
        "log export": "Write the log as NDJSON of full envelopes.",
        "log import": "Read an export into an empty log.",
        "log status": "Show how much there is, and where.",
        "log archive": "Move old events to where they take less room.",
        "log prune": "Forget old messages now.",
        "tokens": "Make and revoke bearer tokens.",
        "tokens create": "Make a token; it is shown once.",
        "tokens list": "List tokens.",
        "tokens revoke": "Revoke a token for good.",
        "subjects": "See whose fields are sealed, and erase them.",
        "subjects list": "List people with sealed fields.",
        "subjects show": "Show what is sealed for a person, and where.",
        "subjects erase": "Destroy a person's key: its fields can never be read again.",
        "completion": "Print the completion script of a shell.",
    },
}
"""Section of `--help` → command path → its one line."""

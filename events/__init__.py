"""The language of the system: names, envelopes, the registry of types, the ports to log and bus, the error tree."""

from events.address import DEFAULT_TENANT, PARTITIONS, address, partition_of
from events.bus import Bus
from events.envelope import Answer, Event, Message, Raw
from events.errors import Refused, ThespisError
from events.registry import Registry, Type, versioned
from events.store import Append, Appended, EventStore, NewEvent, Status, Verdict
from events.subjects import Erased, subject

__all__ = [
    "DEFAULT_TENANT",
    "PARTITIONS",
    "Answer",
    "Append",
    "Appended",
    "Bus",
    "Erased",
    "Event",
    "EventStore",
    "Message",
    "NewEvent",
    "Raw",
    "Refused",
    "Registry",
    "Status",
    "ThespisError",
    "Type",
    "Verdict",
    "address",
    "partition_of",
    "subject",
    "versioned",
]

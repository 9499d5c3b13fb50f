"""An application, and a process that follows it, as anybody writes them with the library. Nothing here knows of us.

`main` teaches two dogs a trick, where the environment says, and prints what came of it.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import AggregateNotFoundError, Application, ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, DomainEventProtocol, event
from eventsourcing.system import ProcessApplication, SingleThreadedRunner, System


class Dog(Aggregate):
    @event("Registered")
    def __init__(self, name: str) -> None:
        self.name = name
        self.tricks: list[str] = []

    @event("TrickAdded")
    def add_trick(self, trick: str) -> None:
        self.tricks.append(trick)


class DogSchool(Application[UUID]):
    def register(self, name: str, **cause: str) -> UUID:
        dog = Dog(name)
        self.save(dog, **cause)
        return dog.id

    def add_trick(self, id: UUID, trick: str, **cause: str) -> int:
        dog: Dog = self.repository.get(id)
        dog.add_trick(trick)
        return self.save(dog, **cause)[-1].notification.id

    def tricks(self, id: UUID) -> list[str]:
        dog: Dog = self.repository.get(id)
        return dog.tricks


class Fame(Aggregate):
    """How many dogs know a trick."""

    def __init__(self, trick: str) -> None:
        self.trick = trick
        self.dogs = 0

    @staticmethod
    def create_id(trick: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"/tricks/{trick}")

    @event("Spread")
    def spread(self) -> None:
        self.dogs += 1


class Gossip(ProcessApplication[UUID]):
    @singledispatchmethod
    def policy(self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]) -> None:
        """Most of what happens is not worth talking about."""

    @policy.register
    def _(self, domain_event: Dog.TrickAdded, processing_event: ProcessingEvent[UUID]) -> None:
        trick: str = domain_event.trick
        try:
            fame: Fame = self.repository.get(Fame.create_id(trick))
        except AggregateNotFoundError:
            fame = Fame(trick)
        fame.spread()
        processing_event.collect_events(fame)

    def dogs(self, trick: str) -> int:
        fame: Fame = self.repository.get(Fame.create_id(trick))
        return fame.dogs


SYSTEM = System(pipes=[[DogSchool, Gossip]])


def lesson(runner: Any) -> dict[str, Any]:
    school = runner.get(DogSchool)
    fido = school.register("Fido", correlation="lesson-1", causation="the-bell")
    rex = school.register("Rex")
    last = 0
    for dog in (fido, rex):
        last = school.add_trick(dog, "roll over")
    return {
        "fido": str(fido),
        "last": last,
        "tricks": school.tricks(fido),
        "dogs": runner.get(Gossip).dogs("roll over"),
        "fame": str(Fame.create_id("roll over")),
    }


def main() -> None:
    with SingleThreadedRunner[UUID](SYSTEM) as runner:
        print(json.dumps(lesson(runner)))

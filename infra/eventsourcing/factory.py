"""The library's infrastructure factory: `PERSISTENCE_MODULE=infra.eventsourcing`.

| variable | is |
|---|---|
| DATABASE_URL | the database of the log; else that of the instance in THESPIS_DATA, or in ./.thespis |
| THESPIS_TENANT | the tenant whose log it is, `default` unless said |
| CREATE_TABLE | `no` leaves the database as it is; else it is brought up to this code |

Each may have the application's name before it, as with the library's own variables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from eventsourcing.dcb.api import DCBRecorder
from eventsourcing.dcb.persistence import DCBInfrastructureFactory
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    ProcessRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool

from events.address import DEFAULT_TENANT, check_tenant
from events.errors import InvalidName
from infra.eventsourcing.dcb import LogDCBRecorder
from infra.eventsourcing.log import Log
from infra.eventsourcing.place import Place
from infra.eventsourcing.recorders import (
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogProcessRecorder,
    LogTrackingRecorder,
)
from infra.eventsourcing.records import LogRecordsRecorder
from infra.eventsourcing.thread import LoopThread

TRecorder = TypeVar("TRecorder", bound=LogTrackingRecorder)


class _Run(msgspec.Struct):
    database_url: str = ""


class LogFactory(InfrastructureFactory[LogTrackingRecorder], DCBInfrastructureFactory[LogTrackingRecorder]):
    """Recorders of one application. They share a thread and its connections until the factory is closed."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        try:
            tenant = check_tenant(self.env.get("THESPIS_TENANT", DEFAULT_TENANT))
        except InvalidName as error:
            raise InfrastructureFactoryError(f"THESPIS_TENANT: {error.message}") from error
        log = Log(_database(self.env))
        self._place = Place(log, LoopThread(log.close), tenant, self.env.name)
        self._migrated = False

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Events of aggregates; with another purpose records beside the log, such as snapshots."""
        place = self._ready()
        return LogAggregateRecorder(place) if purpose == "events" else LogRecordsRecorder(place, purpose)

    def application_recorder(self) -> ApplicationRecorder:
        """Events of aggregates in the order of the application."""
        return self._class(self.APPLICATION_RECORDER_TOPIC, LogApplicationRecorder)(self._ready())

    def tracking_recorder(self, tracking_recorder_class: type[TRecorder] | None = None) -> TRecorder:
        """How far others were followed; a class of one's own may keep a read model with it."""
        made = tracking_recorder_class or self._class(self.TRACKING_RECORDER_TOPIC, LogTrackingRecorder)
        return cast(TRecorder, made(self._ready()))

    def process_recorder(self) -> ProcessRecorder:
        """Events together with how far others were followed."""
        return self._class(self.PROCESS_RECORDER_TOPIC, LogProcessRecorder)(self._ready())

    def dcb_recorder(self) -> DCBRecorder:
        """Events of decisions that cross aggregates."""
        return LogDCBRecorder(self._ready())

    def _class(self, variable: str, default: type[Any]) -> type[Any]:
        topic = self.env.get(variable)
        made: Any = resolve_topic(topic) if topic else default
        if not isinstance(made, type) or not issubclass(made, default):
            raise InfrastructureFactoryError(f"{variable} names {topic!r}, which is no {default.__name__}")
        return made

    def _ready(self) -> Place:
        place = self._place
        if not self._migrated and strtobool(self.env.get("CREATE_TABLE") or "yes"):
            place.thread.call(place.log.migrate())
            self._migrated = True
        return place

    def close(self) -> None:
        """Finish what is under way, then end the thread and its connections."""
        self._place.thread.close()


def _database(env: Environment) -> str:
    url = env.get("DATABASE_URL")
    if url:
        return url
    data = Path(env.get("THESPIS_DATA") or ".thespis")
    try:
        run = msgspec.json.decode((data / "run.json").read_bytes(), type=_Run)
    except (OSError, msgspec.MsgspecError) as error:
        raise InfrastructureFactoryError(
            f"no database: DATABASE_URL is not set, and no instance runs in {data} ({type(error).__name__}); "
            "set DATABASE_URL, or THESPIS_DATA to the directory of a running `thespis up`"
        ) from error
    if not run.database_url:
        raise InfrastructureFactoryError(f"{data}/run.json names no database; set DATABASE_URL")
    return run.database_url

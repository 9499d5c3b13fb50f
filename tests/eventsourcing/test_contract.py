"""The suites the library ships for persistence modules, run against this one on a real Postgres.

`test_shipped.py` holds the classes here against what is shipped, so that nothing is left out without a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar
from unittest import TestCase

import pytest
from eventsourcing.dcb import tests as dcb
from eventsourcing.dcb.api import DCBRecorder
from eventsourcing.dcb.msgpack import MessagePackMapper
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.tests import application, persistence, projection
from eventsourcing.utils import Environment, get_topic

from infra.eventsourcing import LogFactory
from infra.eventsourcing.recorders import (
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogProcessRecorder,
    LogTrackingRecorder,
)
from tests.eventsourcing.counters import EventCounters


class OverTheLog(TestCase):
    """Each test has an empty log and a factory."""

    factory: Any

    @pytest.fixture(autouse=True)
    def _factory(self, environment: dict[str, str]) -> Iterator[None]:
        self.factory = InfrastructureFactory.construct(Environment("Contract", environment))
        yield
        self.factory.close()


class TestEventsOfAggregates(OverTheLog, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder()


class TestSnapshots(OverTheLog, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder(purpose="snapshots")


class TestEventsOfAnApplication(OverTheLog, persistence.ApplicationRecorderTestCase[ApplicationRecorder]):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestEventsOfAProcess(OverTheLog, persistence.ApplicationRecorderTestCase[ProcessRecorder]):
    def create_recorder(self) -> ProcessRecorder:
        return self.factory.process_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTracking(OverTheLog, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.factory.tracking_recorder()


class TestTrackingOfAProcess(OverTheLog, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.factory.process_recorder()


class TestProcess(OverTheLog, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.factory.process_recorder()


class TestIdsDoNotInterleave(OverTheLog, persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()


class TestFactory(persistence.InfrastructureFactoryTestCase[LogFactory]):
    @pytest.fixture(autouse=True)
    def _environment(self, environment: dict[str, str]) -> None:
        self.env = Environment("Contract", environment)

    def expected_factory_class(self) -> type[LogFactory]:
        return LogFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return LogAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return LogApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return LogTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return EventCounters

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return LogProcessRecorder


@pytest.mark.usefixtures("environment")
class TestExampleApplication(application.ExampleApplicationTestCase):
    expected_factory_topic = get_topic(LogFactory)


@pytest.mark.usefixtures("environment")
class TestApplication(application.ApplicationTestCase):
    @pytest.mark.filterwarnings("default::DeprecationWarning")
    def test_application_log(self) -> None:
        super().test_application_log()  # which is about a deprecated attribute


class TestEventCountersView(OverTheLog, projection.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> projection.EventCountersView:
        return self.factory.tracking_recorder(EventCounters)


@pytest.mark.usefixtures("environment")
class TestProjectionOfAggregates(projection.AggregateEventCountersProjectionTestCase):
    view_class = EventCounters


@pytest.mark.usefixtures("environment")
class TestProjectionOfDecisions(projection.TaggedDecisionCountersProjectionTestCase):
    view_class = EventCounters
    env: ClassVar[dict[str, str]] = {"MAPPER_TOPIC": get_topic(MessagePackMapper)}


@pytest.mark.usefixtures("environment")
class TestEventSourcedProjection(projection.EventSourcedProjectionTestCase):
    pass


class TestDecisions(OverTheLog, dcb.DCBRecorderTestCase):
    def create_recorder(self) -> DCBRecorder:
        return self.factory.dcb_recorder()

    def test_append_read(self) -> None:
        self._test_append_read(self.create_recorder())

    def test_append_subscribe(self) -> None:
        self._test_append_subscribe(self.create_recorder())

"""What we know: read models folded from the log. Each is one file and one line in `PROJECTIONS`."""

from projections import (
    actors,
    agents,
    approvals,
    assets,
    budgets,
    conversations,
    costs,
    events,
    inbox,
    lineage,
    policies,
    runs,
    throughput,
    tools,
    variables,
    workflows,
)
from projections.core.chronicle import Chronicle
from projections.core.comparison import Comparison
from projections.core.definition import Layout, Projection, Ref, Row, Table
from projections.core.fold import replay
from projections.core.parking import Outcome
from projections.core.placement import assigned, singleton_address
from projections.core.port import Build, Page, ParkedKey, ReadModelStore, Source, Switch
from projections.core.projector import Projector, Status
from projections.core.query import Filter, Order, Query, parse_filter, parse_order
from projections.core.rows import Rows
from projections.core.source import StoreSource

PROJECTIONS = [
    actors.PROJECTION,
    agents.PROJECTION,
    approvals.PROJECTION,
    assets.PROJECTION,
    budgets.PROJECTION,
    conversations.PROJECTION,
    costs.PROJECTION,
    events.PROJECTION,
    inbox.PROJECTION,
    lineage.PROJECTION,
    policies.PROJECTION,
    runs.PROJECTION,
    throughput.PROJECTION,
    tools.PROJECTION,
    variables.PROJECTION,
    workflows.PROJECTION,
]
"""The read models that come with the system; a workspace's own are added to them by name."""

__all__ = [
    "PROJECTIONS",
    "Build",
    "Chronicle",
    "Comparison",
    "Filter",
    "Layout",
    "Order",
    "Outcome",
    "Page",
    "ParkedKey",
    "Projection",
    "Projector",
    "Query",
    "ReadModelStore",
    "Ref",
    "Row",
    "Rows",
    "Source",
    "Status",
    "StoreSource",
    "Switch",
    "Table",
    "assigned",
    "parse_filter",
    "parse_order",
    "replay",
    "singleton_address",
]

"""PostgreSQL and NATS without installing or configuring anything."""

from infra.embedded.nats import EmbeddedNats
from infra.embedded.postgres import EmbeddedPostgres

__all__ = ["EmbeddedNats", "EmbeddedPostgres"]

"""PostgreSQL and NATS without installing or configuring anything."""

from infra.embedded.directory import DataDirectory, hold
from infra.embedded.nats import EmbeddedNats
from infra.embedded.postgres import EmbeddedPostgres
from infra.embedded.servers import EmbeddedServers

__all__ = ["DataDirectory", "EmbeddedNats", "EmbeddedPostgres", "EmbeddedServers", "hold"]

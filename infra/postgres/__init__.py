"""The log in PostgreSQL: the adapter of `events.store.EventStore`."""

from infra.postgres.migrate import migrate
from infra.postgres.store import PostgresStore, open_store

__all__ = ["PostgresStore", "migrate", "open_store"]

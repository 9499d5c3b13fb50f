"""A persistence module for applications written with the library `eventsourcing`: see README.md."""

from infra.eventsourcing.factory import LogFactory

__all__ = ["LogFactory"]

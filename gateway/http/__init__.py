"""The HTTP door: CloudEvents in, actors, projections and the log out."""

from gateway.http.door import Check, Door
from gateway.http.heads import Heads
from gateway.http.metrics import Metrics, Sample
from gateway.http.serve import Server

__all__ = ["Check", "Door", "Heads", "Metrics", "Sample", "Server"]

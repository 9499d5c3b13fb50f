"""The register of people as a workspace."""

from .people import plugin

__all__ = ["plugin"]

"""Channels: where messages come from and answers go to. Pure halves; sockets are in `infra`."""

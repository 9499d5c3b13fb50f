"""The librarian: `librarian.agent.md` and its rules in `default.policy.yaml`; its tools come with the system."""

from actors import Plugin

plugin = Plugin()

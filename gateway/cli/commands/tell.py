"""`thespis tell`."""

from __future__ import annotations

from gateway.cli.sending import message_command

command = message_command(
    "tell",
    """Send MESSAGE to the actor ADDRESS and wait for its commit only, not for a reply.

    BODY is JSON text, @FILE, or - for standard input.

    Example: thespis tell account/1 Deposit '{"amount": 5}'
    """,
)

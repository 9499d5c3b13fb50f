"""`thespis ask`."""

from __future__ import annotations

from gateway.cli.sending import message_command

command = message_command(
    "ask",
    """Send MESSAGE to the actor ADDRESS and print its answer, which comes after the commit.

    BODY is JSON text, @FILE, or - for standard input.

    Example: thespis ask account/1 Deposit '{"amount": 5}'
    """,
)

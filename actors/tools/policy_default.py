"""The policy that comes along, and is published as `policy/default` where nobody has published another."""

from __future__ import annotations

from typing import Final

DEFAULT: Final = """\
# What tools may do. Of all rules that apply the strictest wins; what none allows is denied.
name: default
description: Reading here is free; what changes something waits for a person; nothing secret leaves.

grants:
  # An agent's definition names its tools; narrow it down here for agents, roles and tenants.
  - "*"

sandbox:
  privileged: landlock

guards:
  - encoding
  - injection
  - secrets

rules:
  - id: read-local
    decision: allow
    when: {risk: read-local}

  - id: read-network
    decision: allow
    when: {risk: read-network, trusted: [destination, command]}
  - id: read-network-untrusted
    decision: deny
    when: {risk: read-network, untrusted: [destination, command]}
    why: the address does not come from somebody trusted

  - id: write-reversible
    decision: ask
    when: {risk: write-reversible}
    why: it changes something here

  - id: write-external
    decision: ask
    when: {risk: write-external}
    why: it changes something that cannot be taken back
  - id: privileged
    decision: ask
    when: {risk: privileged}
    why: it may do anything
  - id: untrusted-target
    decision: deny
    when: {risk: [write-external, privileged], untrusted: [destination, command]}
    why: a destination or a command does not come from somebody trusted

  - id: nothing-secret-leaves
    decision: deny
    when: {risk: [read-network, write-external, privileged], carries: secret}
    why: it would carry something secret away
  - id: nothing-secret-to-others
    decision: deny
    when: {via: mcp, carries: secret}
    why: it would hand something secret to a program of others
"""
"""As a file, so that it can be read, copied and changed."""

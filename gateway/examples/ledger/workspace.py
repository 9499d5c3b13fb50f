"""The ledger: accounts, transfers between them, and what everybody has."""

from actors import Plugin

from .account import account
from .balances import balances
from .transfer import transfer

plugin = Plugin(kinds=[account, transfer], projections=[balances])

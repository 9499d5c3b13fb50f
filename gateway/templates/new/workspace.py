"""What this workspace brings. A new actor or projection is a file beside this one, and a name in these lists."""

from actors import Plugin

from .counter import counter
from .totals import totals

plugin = Plugin(kinds=[counter], projections=[totals])

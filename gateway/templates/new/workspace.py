"""What this workspace brings. A new actor or projection is a file in `counters`, and a name in these lists.

Files of the workspace are imported with a dot: it is loaded by its path, whatever the directory is called.
"""

from actors import Plugin

from .counters import counter, totals

plugin = Plugin(kinds=[counter], projections=[totals])

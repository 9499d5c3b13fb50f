"""For hosts that are processes of their own: `thespis host --workspace …/torture`, with the file of calls named in
`THESPIS_TORTURE_CALLS`."""

import os

from gateway.torture.kinds import plugin_of
from gateway.torture.outside import CALLS, FileOutside

plugin = plugin_of(FileOutside(os.environ[CALLS]))

"""What you test your own actors with: given/when/then without a system, and a clock that waits for nobody."""

from actors.testing.clock import VirtualClock, VirtualTimeLoop, run_virtual
from actors.testing.scenario import Scenario, given

__all__ = ["Scenario", "VirtualClock", "VirtualTimeLoop", "given", "run_virtual"]

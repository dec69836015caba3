"""A simulated Proxmox Backup Server, 3.2 to 4.2: the API over TLS, wrong on request, and the truth beside it.

For tests (`with Simulator() as pbs:`) and from the command line (`python -m tests.pbs_simulator --help`). Standard
library only; it shares no code with what it tests, so that one cannot hide the other's mistake.
"""

from .latency import Latency
from .simulator import Simulator
from .sizes import SIZES, Size
from .versions import KNOWN, Version
from .world import DISABLED, EXPIRED, FULL, MONITOR, OWN, TOKEN_ONLY, Setting

__all__ = [
    "DISABLED",
    "EXPIRED",
    "FULL",
    "KNOWN",
    "MONITOR",
    "OWN",
    "SIZES",
    "TOKEN_ONLY",
    "Latency",
    "Setting",
    "Simulator",
    "Size",
    "Version",
]

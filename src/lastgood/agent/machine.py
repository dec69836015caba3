"""What this machine is: said in every hello."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path

from lastgood import __version__
from lastgood.errors import LastgoodError
from lastgood.model.host import AgentInfo
from lastgood.tools.restic.driver import Restic
from lastgood.wire.frames import PROTOCOL

ABILITIES = ("stacks",)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def info(restic: Restic) -> AgentInfo:
    """This agent and its machine; ``restic_version`` is None if restic is missing or too old to be used."""
    try:
        version = ".".join(map(str, await restic.version()))
    except LastgoodError:
        version = None
    machine = platform.machine()
    return AgentInfo(
        agent_version=__version__,
        restic_version=version,
        os=platform.system().lower(),
        arch=_ARCHITECTURES.get(machine, machine),
        protocol=PROTOCOL,
        boot_at=_boot_at(Path("/proc/stat")),
        abilities=ABILITIES,
    )


def _boot_at(proc_stat: Path) -> datetime | None:
    """When the kernel started, to the minute: it computes the second anew from the clock each time it is asked."""
    try:
        lines = proc_stat.read_text("ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(" ")
        if name == "btime" and value.strip().isdigit():
            return datetime.fromtimestamp(int(value) // 60 * 60, UTC)
    return None

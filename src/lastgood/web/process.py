"""What the kernel and the installation say of this process: memory, files, processor time, and which build it is.

Reads /proc, so call it from a worker thread. Goes out: ``ProcessFacts`` and ``Build`` for the own metrics. The one
rule: what a platform does not tell is None and stops nothing. Format: proc(5) of Linux.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import msgspec

from lastgood import __version__
from lastgood.metrics.own_facts import UNKNOWN_COMMIT, Build, ProcessFacts
from lastgood.metrics.pack import LIBRARY

COMMIT_FILE = Path(__file__).parent.parent / "COMMIT"
"""Written by whoever builds an image or a package; holds the commit and nothing else."""

_START_TICKS = 19
"""Place of starttime (field 22) among the fields after the program's name."""


def read_process(proc: Path = Path("/proc")) -> ProcessFacts:
    """This process as the kernel sees it now."""
    virtual, resident = _memory(proc)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return ProcessFacts(
        cpu_seconds=time.process_time(),
        resident_bytes=resident,
        virtual_bytes=virtual,
        open_files=_open_files(proc),
        most_files=None if limit == resource.RLIM_INFINITY else limit,
        started_seconds=_started(proc),
    )


def _memory(proc: Path) -> tuple[int | None, int | None]:
    try:
        pages = (proc / "self/statm").read_text().split()
    except OSError:
        return None, None
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages[0]) * size, int(pages[1]) * size


def _open_files(proc: Path) -> int | None:
    try:
        # The folder is itself open while it is read.
        return sum(1 for _ in (proc / "self/fd").iterdir()) - 1
    except OSError:
        return None


def _started(proc: Path) -> float | None:
    try:
        # The name stands in brackets and may hold blanks and brackets of its own.
        fields = (proc / "self/stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = next(line for line in (proc / "stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, StopIteration):
        return None
    return int(boot.split()[1]) + int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")


def read_build(commit_file: Path = COMMIT_FILE) -> Build:
    """Which build this is; the commit comes from its file, else from what the installer noted, else it is unknown."""
    return Build(
        version=__version__,
        commit=_commit_from(commit_file) or _commit_installed() or UNKNOWN_COMMIT,
        python=platform.python_version(),
        compression=LIBRARY,
    )


def _commit_from(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _commit_installed() -> str | None:
    """The commit in PEP 610's record, which is there after an installation straight from a repository."""
    try:
        record = distribution("lastgood").read_text("direct_url.json")
        noted = msgspec.json.decode(record or "{}", type=dict[str, object]).get("vcs_info")
    except (PackageNotFoundError, msgspec.DecodeError):
        return None
    commit = noted.get("commit_id") if isinstance(noted, dict) else None
    return commit if isinstance(commit, str) else None

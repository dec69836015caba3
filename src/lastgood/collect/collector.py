"""What a collector is: a name, some probes with a clock of their own, and a picture of all it knows.

The timetable runs the probes (``collect/timetable.py``), in the hub and in the stand-alone exporters alike. The one
rule: one fault costs one probe, and what was known before it stays, with its age.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from lastgood.model.collected import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question with its own interval. ``collect`` yields reports as they come, and raises CollectError.

    ``wanted`` may be set by anybody who knows that there is something new to see: then it does not wait.
    ``deadline`` bounds one whole round.
    """

    name: str
    interval: timedelta
    deadline: timedelta
    collect: Callable[[], AsyncIterator[Report]]
    wanted: asyncio.Event = field(default_factory=asyncio.Event)


class Memory(Protocol):
    """What a collector keeps over a restart (counters, marks): the hub's database, or a file of the exporter."""

    async def load(self) -> bytes | None: ...

    async def save(self, held: bytes) -> None: ...


class Collector(Protocol):
    """``name`` is ``pbs`` or ``pbs/NAME``; ``picture`` the newest immutable picture, None before there is one.

    ``heard`` is called on the loop after ``picture`` was replaced.
    """

    @property
    def name(self) -> str: ...

    @property
    def probes(self) -> Sequence[Probe]: ...

    @property
    def picture(self) -> Any: ...

    def hear(self, heard: Callable[[], None]) -> None: ...

    async def begin(self) -> None:
        """Read its memory; before the first probe."""

    async def end(self) -> None:
        """Save its memory and close connections; after the last probe."""

"""What one simulated server consists of besides its sockets: world, faults, planned events, pace, statistics."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from . import events
from .faults import Faults
from .latency import Latency, Pace
from .stats import Stats
from .timeline import Timeline
from .world import Setting, World


class Site:
    def __init__(self, setting: Setting, latency: Latency, auth_delay_scale: float) -> None:
        self._setting = setting
        self._latency = latency
        self.auth_delay_scale = auth_delay_scale
        self.go_down: Callable[[float], None] = lambda seconds: None  # set by who owns the sockets
        self.downs = 0
        self.reset()

    def reset(self) -> None:
        """As it was at the start."""
        self.world = World(self._setting)
        self.faults = Faults(self._setting.seed)
        self.timeline = Timeline()
        self.pace = Pace(self._latency, self._setting.seed)
        self.stats = Stats()

    def turn(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """A place among those served at once."""
        return self.pace.queue or contextlib.nullcontext()

    def plan(self, told: Any) -> None:
        for planned in self.timeline.read(told, self.world.now):
            self.timeline.add(planned, self.stats.requests.total())
        self.catch_up()

    def catch_up(self) -> None:
        """Carry out what is due by the clock or by the number of requests."""
        if self.timeline.planned:
            for event in self.timeline.due(self.world.now, self.stats.requests.total()):
                self._happen(event)

    def timeline_before(self, path: str) -> None:
        """What happens before this request is answered; ConnectionError if the server goes away by it."""
        downs = self.downs
        self.catch_up()
        if self.timeline.planned:
            for event in self.timeline.asked(path):
                self._happen(event)
        if self.downs != downs:
            raise ConnectionAbortedError("the server goes away")

    def timeline_after(self, path: str) -> None:
        if self.timeline.planned:
            self.timeline.answered(path)

    def _happen(self, event: events.Event) -> None:
        events.happen(self.world, event)
        if event.kind == "upgrade":
            self.downs += 1
            self.go_down(float(event.told.get("down_s", 20)))

"""What only events tell of containers: who asked for an end, who crashed and how often, what went with its engine.

Events and moments come in; ``ending`` and ``crashes`` are asked for each container. The one rule: an event is taken
once, by its container, action and nanosecond, for the stream is asked again from before it broke. Endings of
containers that do not run are kept over a restart of the agent (``held``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lastgood.model.docker import Ending
from lastgood.tools.docker.shapes import Event

WINDOW_SECONDS = 600.0
"""Crashes older than this are forgotten."""

MOST_CRASHES = 100
WITH_ENGINE_SECONDS = 20.0
"""What ended so shortly before its engine went away went down with it."""

MOST_SEEN = 4_096
_KEEPING_ON = frozenset({"1", "10", "12", "28", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "HUP", "USR1", "USR2"})
"""Signals that ask a process to do something else than to end."""


@dataclass(slots=True)
class _Life:
    """One container, by its full id. ``asked`` is whether a signal that ends it is under way."""

    asked: bool = False
    ending: Ending | None = None
    ended_at: float = 0.0
    crashes: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_CRASHES))


class Lives:
    """The containers of one engine. Moments are seconds since 1970 by the engine's clock."""

    def __init__(self, held: Mapping[str, Ending] | None = None) -> None:
        self._lives: dict[str, _Life] = {key: _Life(ending=ending) for key, ending in (held or {}).items()}
        self._seen: dict[tuple[str, str, int], None] = {}

    def take(self, event: Event) -> bool:
        """Whether the event is news."""
        mark = (event.actor.id, event.action, event.nanoseconds)
        if mark in self._seen:
            return False
        self._seen[mark] = None
        if len(self._seen) > MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        if event.type == "container":
            self._happened(event)
        return True

    def _happened(self, event: Event) -> None:
        life = self._lives.setdefault(event.actor.id, _Life())
        match event.action:
            case "kill":
                signal = event.actor.attributes.signal if event.actor.attributes else None
                life.asked = life.asked or signal not in _KEEPING_ON
            case "stop":
                self._excuse(life, Ending.ASKED)
            case "die" | "died":  # Podman says died
                self._died(life, event)
            case "start":
                life.asked, life.ending = False, None
            case "destroy" | "remove":
                del self._lives[event.actor.id]

    def _died(self, life: _Life, event: Event) -> None:
        at = event.nanoseconds / 1e9 or float(event.time)
        told = event.actor.attributes
        code = None if told is None else told.exit_code or told.contained
        life.ended_at = at
        if life.asked:
            life.ending = Ending.ASKED
        elif code not in (None, "0"):
            life.ending = Ending.CRASHED
            life.crashes.append(at)
        else:
            life.ending = None
        life.asked = False

    def _excuse(self, life: _Life, ending: Ending) -> None:
        """Its end is explained after all: what was taken for a crash was none."""
        if life.ending is Ending.CRASHED and life.crashes and life.crashes[-1] == life.ended_at:
            life.crashes.pop()
        life.ending = ending

    def engine_went(self, at: float, running: Collection[str]) -> None:
        """The engine is gone: what ended with it, or ran until then, is one incident and no crash."""
        for key in running:
            self._lives.setdefault(key, _Life())
        for key, life in self._lives.items():
            if key in running and life.ending is None:
                life.ending, life.asked = Ending.ENGINE, False
            elif life.ended_at and at - life.ended_at < WITH_ENGINE_SECONDS:
                self._excuse(life, Ending.ENGINE)

    def ending(self, container_id: str) -> Ending | None:
        """Why a container that does not run has ended; None where nobody saw."""
        life = self._lives.get(container_id)
        return None if life is None else life.ending

    def crashes(self, container_id: str, now: float) -> int:
        """How often it crashed within the window."""
        life = self._lives.get(container_id)
        if life is None:
            return 0
        while life.crashes and now - life.crashes[0] > WINDOW_SECONDS:
            life.crashes.popleft()
        return len(life.crashes)

    def forget_all_but(self, ids: Collection[str]) -> None:
        """These containers are all there are."""
        for gone in [key for key in self._lives if key not in ids]:
            del self._lives[gone]

    def held(self) -> dict[str, Ending]:
        """What an agent that starts anew should know."""
        return {key: life.ending for key, life in self._lives.items() if life.ending is not None}

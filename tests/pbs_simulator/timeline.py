"""Events that wait: for a moment of the simulated clock, a number of requests, or the gap between two calls.

An event of the list is ``{"do": {"kind": ...}, "when": {...}}``; ``when`` is one of ``at`` (epoch), ``after_s``
(simulated seconds from now), ``after_requests``, ``between`` (two path patterns: once the first was
answered, before the second is), or left out for at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .events import Event, read_event
from .faults import pattern
from .refusal import Mistake


@dataclass
class Planned:
    event: Event
    at: float | None = None
    after_requests: int | None = None
    first: re.Pattern[str] | None = None
    second: re.Pattern[str] | None = None
    armed: bool = False


class Timeline:
    def __init__(self) -> None:
        self.planned: list[Planned] = []

    def read(self, told: Any, now: int) -> list[Planned]:
        if not isinstance(told, list):
            raise Mistake("events are a JSON list; put [ and ] around them")
        return [_planned(each, now) for each in told]

    def add(self, planned: Planned, requests: int) -> None:
        if planned.after_requests is not None:
            planned.after_requests += requests
        self.planned.append(planned)

    def due(self, now: int, requests: int) -> list[Event]:
        def is_due(one: Planned) -> bool:
            if one.at is not None:
                return now >= one.at
            return one.after_requests is not None and requests > one.after_requests

        return self._take([one for one in self.planned if is_due(one)])

    def asked(self, path: str) -> list[Event]:
        return self._take([one for one in self.planned if one.armed and one.second and one.second.fullmatch(path)])

    def answered(self, path: str) -> None:
        for one in self.planned:
            if one.first and one.first.fullmatch(path):
                one.armed = True

    def _take(self, taken: list[Planned]) -> list[Event]:
        if taken:
            self.planned = [one for one in self.planned if one not in taken]
        return [one.event for one in taken]


def _planned(told: Any, now: int) -> Planned:
    if not isinstance(told, dict) or not isinstance(told.get("do"), dict) or set(told) - {"do", "when"}:
        raise Mistake(f'an event is {{"do": {{...}}, "when": {{...}}}}, not {told!r}')
    event = read_event(told["do"])
    when = told.get("when", {"at": now})
    if not isinstance(when, dict) or len(when) != 1:
        raise Mistake(f"when is {when!r}; say one of at, after_s, after_requests, between")
    [(kind, value)] = when.items()
    if kind == "at" and isinstance(value, int | float):
        return Planned(event, at=value)
    if kind == "after_s" and isinstance(value, int | float):
        return Planned(event, at=now + value)
    if kind == "after_requests" and isinstance(value, int):
        return Planned(event, after_requests=value)
    if kind == "between" and isinstance(value, list) and len(value) == 2:
        return Planned(event, first=pattern(str(value[0])), second=pattern(str(value[1])))
    raise Mistake(f"when says {kind} {value!r}; say a number for at, after_s, after_requests, two paths for between")

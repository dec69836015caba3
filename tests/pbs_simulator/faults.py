"""Fault rules: which answer goes wrong, when, and how. The first rule that fits and is due wins.

A rule is ``{"match": {"path", "query"}, "when": {"nth", "times", "probability", "after_s"}, "do": {...}}``; all parts
but ``do`` may be left out. In ``path`` a ``*`` does not cross a slash and ``**`` does, ``query`` must be contained.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from .refusal import Mistake

# What can go wrong, with the arguments each kind takes.
KINDS: dict[str, tuple[str, ...]] = {
    "status": ("body", "content_type"),
    "hang": ("where",),
    "drip": (),
    "truncate": ("chunked",),
    "reset": (),
    "corrupt": ("key",),
    "oversize": (),
    "delay": (),
    "close_idle": (),
}
CORRUPTIONS = ("json", "type", "null", "duplicate", "huge")


@dataclass(frozen=True)
class Fault:
    kind: str
    value: Any
    more: dict[str, Any]


@dataclass
class Rule:
    path: re.Pattern[str]
    query: dict[str, str]
    nth: int
    times: int | None
    probability: float
    after_s: float
    fault: Fault
    since: float = field(default_factory=time.monotonic)
    met: int = 0
    done: int = 0

    def fits(self, path: str, query: dict[str, list[str]]) -> bool:
        return bool(self.path.fullmatch(path)) and all(
            value in query.get(key, ()) for key, value in self.query.items()
        )

    def due(self, rng: random.Random) -> bool:
        """Count one matching request, and say whether it is hit."""
        if time.monotonic() - self.since < self.after_s:
            return False
        self.met += 1
        if self.met < self.nth or (self.times is not None and self.done >= self.times):
            return False
        if self.probability < 1 and rng.random() >= self.probability:
            return False
        self.done += 1
        return True


class Faults:
    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.rules: list[Rule] = []

    def replace(self, told: Any) -> None:
        """Take a list of rules; Mistake, and nothing changed, if one of them makes no sense."""
        if not isinstance(told, list):
            raise Mistake("fault rules are a JSON list; put [ and ] around them")
        self.rules = [_rule(each) for each in told]

    def pick(self, path: str, query: str) -> Fault | None:
        if not self.rules:
            return None
        asked = parse_qs(query, keep_blank_values=True)
        hit = next((rule for rule in self.rules if rule.fits(path, asked) and rule.due(self._rng)), None)
        return hit.fault if hit else None


def _rule(told: Any) -> Rule:
    parts = _only(told, "a fault rule", ("match", "when", "do"))
    match = _only(parts.get("match", {}), "match", ("path", "query"))
    when = _only(parts.get("when", {}), "when", ("nth", "times", "probability", "after_s"))
    return Rule(
        pattern(match.get("path", "**")),
        {key: str(value) for key, value in match.get("query", {}).items()},
        when.get("nth", 1),
        when.get("times"),
        when.get("probability", 1.0),
        when.get("after_s", 0.0),
        _fault(parts.get("do")),
    )


def _fault(told: Any) -> Fault:
    if not isinstance(told, dict) or not told:
        raise Mistake(f"do is {told!r}; say one of {', '.join(KINDS)}")
    kind = next((name for name in told if name in KINDS), None)
    if kind is None:
        raise Mistake(f"no fault is called {next(iter(told))!r}; say one of {', '.join(KINDS)}")
    more = _only({key: value for key, value in told.items() if key != kind}, kind, KINDS[kind])
    value = told[kind]
    if kind == "corrupt" and value not in CORRUPTIONS:
        raise Mistake(f"nothing is corrupted as {value!r}; say one of {', '.join(CORRUPTIONS)}")
    if kind == "truncate" and not (isinstance(value, int | float) and 0 <= value < 1):
        raise Mistake(f"truncate is {value!r}; say the part that is still sent, from 0 to below 1")
    if kind not in ("corrupt", "close_idle") and not isinstance(value, int | float):
        raise Mistake(f"{kind} is {value!r}; say a number")
    return Fault(kind, value, more)


def _only(told: Any, name: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise Mistake(f"{name} is {told!r}; say an object")
    odd = [key for key in told if key not in known]
    if odd:
        raise Mistake(f"{name} has no {odd[0]!r}; it takes {', '.join(known) or 'nothing more'}")
    return told


def pattern(glob: str) -> re.Pattern[str]:
    """``*`` within one step of the path, ``**`` across steps."""
    parts = re.split(r"(\*\*|\*)", glob)
    wild = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in parts))

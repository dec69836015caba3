"""Runs that people asked for and that have not begun yet: sent to their agent, waiting in its line, or on the way.

``service/commands.py`` puts wishes in and sends them; what is learned takes them out. The one rule: a wish that left
us is kept until its run was heard of, for a connection that breaks tells nobody what arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lastgood.model.job import RunKind, RunStart
from lastgood.wire.frames import RestoreWish, RunNow

GIVEN_UP_AFTER = timedelta(minutes=15)
"""How long a wish waits for an agent that is away; then whoever asked is told that it was lost."""

MOST_OF_A_HOST = 100
KEYS_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to be run. Source or repository says on what; the host follows from it, or is named."""

    kind: RunKind
    source_id: str | None = None
    repository_id: str | None = None
    host_id: str | None = None
    check_subset: str | None = None
    restore: RestoreWish | None = None


@dataclass(slots=True)
class Waiting:
    """One wish that was sent; ``sent_over`` is when the connection was greeted by which it went last."""

    host_id: str
    frame: RunNow
    repository_id: str | None
    asked_at: datetime
    by: str
    sent_over: datetime | None = None

    def start(self) -> RunStart:
        """The run as it would begin, for those who show it."""
        return RunStart(
            id=self.frame.run_id,
            kind=self.frame.kind,
            host_id=self.host_id,
            started_at=self.asked_at,
            source_id=self.frame.source_id,
            repository_id=self.repository_id,
        )


class Wishes:
    """By run id, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._of_host: dict[str, dict[str, Waiting]] = {}
        self._keys: dict[str, str] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._waiting

    def add(self, waiting: Waiting) -> None:
        self._waiting[waiting.frame.run_id] = waiting
        self._of_host.setdefault(waiting.host_id, {})[waiting.frame.run_id] = waiting

    def pop(self, run_id: str) -> Waiting | None:
        """It was heard of, or is wanted no more."""
        waiting = self._waiting.pop(run_id, None)
        if waiting is not None:
            of_host = self._of_host[waiting.host_id]
            del of_host[run_id]
            if not of_host:
                del self._of_host[waiting.host_id]
        return waiting

    def heard_of(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            self.pop(run_id)

    def of_host(self, host_id: str) -> list[Waiting]:
        return list(self._of_host.get(host_id, {}).values())

    def forget_host(self, host_id: str) -> None:
        """The host is no more, and with it what waited for it."""
        for one in self.of_host(host_id):
            self.pop(one.frame.run_id)

    def like(self, kind: RunKind, repository_id: str | None) -> Waiting | None:
        """A wish of this kind that waits for the same repository."""
        alike = (one for one in self if one.frame.kind is kind and one.repository_id == repository_id)
        return next(alike, None)

    def overdue(self, now: datetime, is_connected: Callable[[str], bool]) -> list[Waiting]:
        """Those whose agent was away for too long."""
        return [one for one in self if now - one.asked_at >= GIVEN_UP_AFTER and not is_connected(one.host_id)]

    def __iter__(self) -> Iterator[Waiting]:
        return iter(list(self._waiting.values()))

    # --- requests that are told again ---------------------------------------------------------------------------

    def by_key(self, key: str) -> str | None:
        """The run that an earlier request with this key asked for."""
        return self._keys.get(key)

    def remember(self, key: str, run_id: str) -> None:
        self._keys[key] = run_id
        while len(self._keys) > KEYS_REMEMBERED:
            del self._keys[next(iter(self._keys))]

    def forget(self, key: str) -> None:
        self._keys.pop(key, None)

"""What composes write while they work: the newest lines of each deploy under way, in memory only.

Sessions tell, pages and commands ask. The one rule: nothing here is evidence, and all of it is bounded: lines of a
deploy that nobody has asked for are dropped, as are those of another host than the one that was asked.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from lastgood.wire.frames import DeployWords

MOST_LINES = 500
LONGEST_LINE = 2_001
MOST_DEPLOYS = 1_000


@dataclass(slots=True)
class _Heard:
    host_id: str
    next: int = 0
    lines: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=MOST_LINES))


class Words:
    """By deploy id."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}

    def expect(self, deploy_id: str, host_id: str) -> None:
        """Lines of this deploy are worth keeping, if this host tells them."""
        self._heard.setdefault(deploy_id, _Heard(host_id))
        while len(self._heard) > MOST_DEPLOYS:
            del self._heard[next(iter(self._heard))]

    def told(self, host_id: str, frame: DeployWords) -> None:
        """For sessions: an agent passed on what compose wrote."""
        heard = self._heard.get(frame.id)
        if heard is None or heard.host_id != host_id:
            return
        for number, line in enumerate(frame.lines[:MOST_LINES], frame.first):
            if number >= heard.next:
                heard.lines.append((number, line[:LONGEST_LINE]))
                heard.next = number + 1

    def since(self, deploy_id: str, number: int = 0) -> tuple[list[str], int]:
        """The lines from ``number`` on as far as they are held, and the number to ask with next."""
        heard = self._heard.get(deploy_id)
        if heard is None:
            return [], number
        return [line for at, line in heard.lines if at >= number], max(heard.next, number)

    def over(self, deploy_id: str) -> None:
        """It has ended; its whole log is with its report."""
        self._heard.pop(deploy_id, None)

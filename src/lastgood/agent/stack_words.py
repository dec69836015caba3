"""What compose wrote during one deploy: bounded, masked, some of it told while it goes on.

Lines come in by ``add``; ``news`` and ``masked`` give those not told yet, ``text`` head and tail of all. The one
rule: no line is told unmasked, and masking costs nothing for lines that nobody will see.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

from lastgood.agent.ending import LOG_BYTES
from lastgood.tools.restic.redact import Redactor

HEAD_LINES, TAIL_LINES = 100, 300
LINE_CHARACTERS = 2_000
NEWS_LINES = 200
NEWS_CHARACTERS = 32_000
_SAYS_WHY = re.compile(r"\b(?:error|invalid|unsupported|additional property|no such)\b", re.IGNORECASE)
_HELD_CHARACTERS = 8_000
"""Of a line before it is masked: more than what is shown, so that no secret is cut in two unseen."""


class StackWords:
    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._redact = Redactor()
        self._head: list[str] = []
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._seen = 0
        self._told = 0

    def mask(self, secrets: Iterable[str]) -> None:
        """These values are shown to nobody from now on."""
        self._secrets.update(secrets)
        self._redact = Redactor(self._secrets)

    def add(self, line: str) -> None:
        (self._head if len(self._head) < HEAD_LINES else self._tail).append(line[:_HELD_CHARACTERS])
        self._seen += 1

    def news(self) -> tuple[int, list[str]]:
        """How many lines there were, and those since the last time, not masked yet; of very many only the last."""
        fresh = self._seen - self._told
        self._told = self._seen
        return self._seen, [*self._head, *self._tail][-min(fresh, NEWS_LINES) :] if fresh else []

    def masked(self, seen: int, held: list[str]) -> tuple[int, tuple[str, ...]]:
        """The number of the first line and the lines as they may be told; for any thread, for it takes its time."""
        lines: list[str] = []
        size = 0
        for line in reversed(held):
            shown = self._shown(line)
            size += len(shown)
            if size > NEWS_CHARACTERS:
                break
            lines.append(shown)
        return seen - len(lines), tuple(reversed(lines))

    def last(self) -> str:
        """The last line that says something of an error, else the last one; for a sentence."""
        held = [*self._head, *self._tail]
        for line in reversed(held):
            if _SAYS_WHY.search(line):
                return self._shown(line)[:500]
        return self._shown(held[-1])[:500] if held else ""

    def text(self) -> str:
        """Head and tail, at most 64 KiB."""
        left_out = self._seen - len(self._head) - len(self._tail)
        between = [f"… {left_out} lines left out …"] if left_out else []
        lines = [*map(self._shown, self._head), *between, *map(self._shown, self._tail)]
        raw = "\n".join(lines).encode("utf-8", "replace")
        if len(raw) > LOG_BYTES:
            half = LOG_BYTES // 2 - 8
            raw = raw[:half] + "\n…\n".encode() + raw[-half:]
        return raw.decode("utf-8", "ignore")

    def _shown(self, line: str) -> str:
        masked = self._redact(line)
        return masked if len(masked) <= LINE_CHARACTERS else f"{masked[:LINE_CHARACTERS]}…"

"""Raw output cut into lines, cleaned, and kept within bounds.

Chunks of a stream come in, clean lines go to ``output``. Nothing here may grow with the length of a run:
a line has a greatest length, a log keeps its head and its tail.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

# restic clears its terminal line with ESC[2K even where there is no terminal.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")

LINE_BYTES = 4 * 1024 * 1024
LOG_LINE_CHARACTERS = 2_000


def without_escapes(text: str) -> str:
    """``text`` without terminal escape sequences and carriage returns."""
    return _ANSI.sub("", text).replace("\r", "")


class LineSplitter:
    """Cuts a stream of chunks into decoded, cleaned lines; of a line that is too long the rest is dropped."""

    def __init__(self, limit: int = LINE_BYTES) -> None:
        self._limit = limit
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Every line that ``chunk`` completes."""
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            self._keep(piece)
            yield self._take()
        self._keep(rest)

    def close(self) -> Iterator[str]:
        """The last line, if it had no line end."""
        if self._pending:
            yield self._take()

    def _keep(self, piece: bytes) -> None:
        self._pending += piece[: max(0, self._limit - len(self._pending))]

    def _take(self) -> str:
        line = without_escapes(self._pending.decode("utf-8", "replace"))
        self._pending.clear()
        return line


class HeadTail:
    """A log of bounded size: the first lines, the last lines, and how many were left out between them."""

    def __init__(self, head_lines: int = 100, tail_lines: int = 200) -> None:
        self._head_lines = head_lines
        self._head: list[str] = []
        self._tail: deque[str] = deque(maxlen=tail_lines)
        self.lines_seen = 0

    def add(self, line: str) -> None:
        """Keep ``line``, cut to a readable length."""
        self.lines_seen += 1
        kept = line if len(line) <= LOG_LINE_CHARACTERS else f"{line[:LOG_LINE_CHARACTERS]}…"
        if len(self._head) < self._head_lines:
            self._head.append(kept)
        else:
            self._tail.append(kept)

    @property
    def head(self) -> tuple[str, ...]:
        """The first lines."""
        return tuple(self._head)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines, without those already in the head."""
        return tuple(self._tail)

    @property
    def left_out(self) -> int:
        """How many lines between head and tail were dropped."""
        return self.lines_seen - len(self._head) - len(self._tail)

    def text(self) -> str:
        """Head and tail as one text, for a search in it."""
        return "\n".join((*self._head, *self._tail))

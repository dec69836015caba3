"""Questions to agents that somebody waits for, and their answers.

Whoever asks expects an answer under an id of its own; sessions hand over what agents say. The one rule: an answer
counts only from the host that was asked; one that nobody waits for any more is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from lastgood.wire.frames import Tested


class Answers:
    """The open questions of this process; each is closed by who asked it."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, asyncio.Future[Tested]]] = {}

    @contextmanager
    def expected(self, question: str, host_id: str) -> Iterator[asyncio.Future[Tested]]:
        """The future of an answer, for as long as the block runs."""
        answer: asyncio.Future[Tested] = asyncio.get_running_loop().create_future()
        self._open[question] = (host_id, answer)
        try:
            yield answer
        finally:
            del self._open[question]
            answer.cancel()

    def told(self, host_id: str, frame: Tested) -> None:
        """For sessions: an agent answered."""
        asked, answer = self._open.get(frame.answer_to, ("", None))
        if answer is not None and asked == host_id and not answer.done():
            answer.set_result(frame)

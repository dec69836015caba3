"""Scrapes for ``bench/pbs.py``: what is looked at in a page, and a thread that gets one after the other."""

from __future__ import annotations

import http.client
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from pbs_programs import Program, waits

PROBES = 4
_PENDING = re.compile(rb"^pbs_pending_groups(?:\{[^}]*\})? (\S+)", re.MULTILINE)
_UP = re.compile(rb"^pbs_up(?:\{[^}]*\})? 1", re.MULTILINE)
_WELL = re.compile(rb"^pbs_collector_success\{[^}]*\} 1", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """What is looked at in a page. ``is_picture``: every group was listed, and every probe was well. ``own_ms`` is
    without the longest time for which one of its threads stood ready and other programs had the processor."""

    ms: float
    own_ms: float
    wire_bytes: int
    text_bytes: int
    samples: int
    groups: int
    is_ended: bool
    is_up: bool
    is_picture: bool

    @classmethod
    def got(cls, program: Program) -> Page:
        """OSError or HTTPException."""
        before = waits(program.pid)
        took, body, text = program.get()
        # Where one of its threads is stopped that has the interpreter, all of them are.
        waited = 1000 * max(now - before.get(thread, 0.0) for thread, now in waits(program.pid).items())
        pending, whole = _PENDING.search(text), text.endswith(b"# EOF\n")
        is_up = _UP.search(text) is not None
        is_calm = pending is not None and float(pending[1]) == 0
        return cls(
            ms=took,
            own_ms=max(0.0, took - waited),
            wire_bytes=len(body),
            text_bytes=len(text),
            samples=text.count(b"\n") - text.count(b"\n#"),
            groups=text.count(b"\npbs_snapshot_count{"),
            is_ended=whole,
            is_up=is_up,
            is_picture=is_up and is_calm and len(_WELL.findall(text)) >= PROBES,
        )


@dataclass
class Scraper:
    """Scrapes again and again from a thread; ``turn`` lets only one scraper of all be at it."""

    program: Program
    turn: threading.Lock
    every: float
    """Seconds between two scrapes; at least four times what the last one and its reading took."""

    pages: list[Page] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            with self.turn:
                began = time.perf_counter()
                try:
                    self.pages.append(Page.got(self.program))
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(f"{type(error).__name__}: {error}")
                took = time.perf_counter() - began
            pause = max(self.every, 4 * took)

    def figures(self, since: int = 0) -> dict[str, Any]:
        """Of the pages from ``since`` on. A partial one lacks its end, or groups that an earlier one had."""
        pages = self.pages[since:]
        times = sorted(page.ms for page in pages)
        own = sorted(page.own_ms for page in pages)
        most = partial = 0
        for page in pages:
            partial += not page.is_ended or page.groups < most
            most = max(most, page.groups)
        return {
            "scrapes": len(times),
            "p50_ms": round(times[len(times) // 2], 1),
            "p99_ms": round(times[min(len(times) - 1, len(times) * 99 // 100)], 1),
            "longest_ms": round(times[-1], 1),
            "longest_own_ms": round(own[-1], 1),
            "empty_pages": sum(page.samples == 0 for page in pages),
            "partial_pages": partial,
            "failed": len(self.failed),
        }

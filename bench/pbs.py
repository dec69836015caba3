"""What the exporter of a Proxmox Backup Server costs, and how soon it tells: on the simulator, in real processes.

    python bench/pbs.py --json                                     small, medium, large; 0, 20, 200 ms a call
    python bench/pbs.py --sizes medium --latencies 20 --parts first
    python bench/pbs.py --parts peers --peer NAME=COMMAND ...      other exporters beside ours, in the same run

``first``: from the start of ``lastgood exporter pbs`` until its page tells of every group. ``steady``: requests,
bytes, processor and memory a minute after that, while guests are backed up; those of one size run side by side.
``peers``: ours and others on a server that all of them can read, with ordinary datastores and, but for one scrape,
comments in ASCII; they ask at each scrape, so their minute is one scrape. Scrapes go on all the while; ``waited`` and
``own`` show what a busy machine adds to times. ``TARGETS`` are to be reached at 20 ms a call.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pbs_pages import Page, Scraper
from pbs_programs import Pbs, Program, exporter, rival, simulated, until, waited_seconds

TARGETS = {
    "medium": {"picture_seconds": 5.0, "mb_a_minute": 1.0, "longest_ms": 50.0},
    "large": {"picture_seconds": 180.0, "peak_mb": 700.0, "longest_ms": 1000.0},
}
AT_LATENCY_MS = 20
BACKUPS_A_MINUTE = 3
PARTS = ("first", "steady", "peers")
RIVAL_SCRAPES = 20
RIVAL_SECONDS = 120.0


@dataclass
class Marks:
    """Where counters stood."""

    at: float
    requests: int
    raw: int
    wire: int
    cpu: float

    @classmethod
    def now(cls, pbs: Pbs, program: Program, *, deflated: bool) -> Marks:
        return replace(cls.of(pbs.ask("/stats"), deflated=deflated), cpu=program.cpu_seconds())

    @classmethod
    def of(cls, stats: dict[str, Any], *, deflated: bool) -> Marks:
        """Of a server alone."""
        wire = stats["bytes_deflated"] if deflated else stats["bytes_raw"]
        return cls(time.monotonic(), stats["requests_total"], stats["bytes_raw"], wire, cpu=0.0)

    def until(self, later: Marks) -> dict[str, float]:
        return {
            "requests": later.requests - self.requests,
            "mb": round((later.wire - self.wire) / 1e6, 3),
            "mb_inflated": round((later.raw - self.raw) / 1e6, 3),
            "cpu_seconds": round(later.cpu - self.cpu, 2),
        }

    def a_minute(self, later: Marks) -> dict[str, float]:
        minutes = (later.at - self.at) / 60
        return {f"{name}_a_minute": round(told / minutes, 3) for name, told in self.until(later).items()}


class Ours:
    """One exporter on one server, scraped until ``stop``."""

    def __init__(self, pbs: Pbs, turn: threading.Lock, exits: contextlib.ExitStack) -> None:
        self.pbs = pbs
        self.figures: dict[str, Any] = {}
        self._began = time.monotonic()
        self._idle = replace(Marks.of(pbs.ask("/stats"), deflated=True), at=self._began)
        self.program = exits.enter_context(exporter(pbs))
        self._listened = time.monotonic()
        self._waited = self._waits()
        self.scraper = Scraper(self.program, turn, every=0.1)

    def _waits(self) -> tuple[float, float]:
        return waited_seconds(self.program.pid), waited_seconds(self.pbs.pid)

    def first(self) -> None:
        """Wait for the whole picture."""
        until(lambda: any(page.is_picture for page in self.scraper.pages), "a whole picture")
        ended, waits = time.monotonic(), self._waits()
        _, most = self.program.memory_mb()
        self.figures["first"] = {
            "start_seconds": round(self._listened - self._began, 2),
            "picture_seconds": round(ended - self._listened, 2),
            "waited_seconds": round(waits[0] - self._waited[0], 2),
            "server_waited_seconds": round(waits[1] - self._waited[1], 2),
            **self._idle.until(Marks.now(self.pbs, self.program, deflated=True)),
            "peak_mb": round(most),
            **self.scraper.figures(),
        }

    def begin_steady(self) -> None:
        self.scraper.every = 3.0
        self._since = len(self.scraper.pages)
        self._before = Marks.now(self.pbs, self.program, deflated=True)

    def end_steady(self) -> None:
        figures = self._before.a_minute(Marks.now(self.pbs, self.program, deflated=True))
        now, most = self.program.memory_mb()
        told = self.scraper.pages[-1]
        self.figures["steady"] = {
            **figures,
            "resident_mb": round(now),
            "peak_mb": round(most),
            **self.scraper.figures(self._since),
        }
        self.figures["page"] = {
            "samples": told.samples,
            "groups": told.groups,
            "groups_missing": self.pbs.readable_groups() - told.groups,
            "mb": round(told.text_bytes / 1e6, 2),
            "wire_mb": round(told.wire_bytes / 1e6, 2),
        }


def of_size(size: str, latencies: Sequence[float], parts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Ours at each latency: the first pictures one after the other, the steady state side by side."""
    turn = threading.Lock()
    with contextlib.ExitStack() as exits:
        running: dict[float, Ours] = {}
        for latency in latencies:
            ours = running[latency] = Ours(exits.enter_context(simulated(size, latency)), turn, exits)
            ours.first()
            ours.scraper.every = 3.0
            show(f"{size}, {latency:g} ms, first picture", ours.figures["first"])
        if "steady" in parts:
            steadily(list(running.values()), seconds)
            for latency, ours in running.items():
                show(f"{size}, {latency:g} ms, steady", ours.figures["steady"] | ours.figures["page"])
        for ours in running.values():
            ours.scraper.stop()
    return {f"{latency:g}_ms": ours.figures for latency, ours in running.items()}


def steadily(running: Sequence[Ours], seconds: float) -> None:
    for ours in running:
        ours.begin_steady()
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        for ours in running:
            ours.pbs.back_up(number)
        number += 1
        time.sleep(60 / BACKUPS_A_MINUTE)
    time.sleep(60 / BACKUPS_A_MINUTE)  # the last backup is to be seen as well
    for ours in running:
        ours.end_steady()


def against(size: str, latency: float, peers: Sequence[tuple[str, str]], seconds: float) -> dict[str, Any]:
    """Ours and others in turn on one server that all of them can read."""
    told: dict[str, Any] = {}
    with simulated(size, latency, plain=True) as pbs:
        unread = {name: why for name, command in peers if (why := of_any_text(pbs, command))}
        pbs.ascii_only()
        with contextlib.ExitStack() as exits:
            ours = Ours(pbs, threading.Lock(), exits)
            ours.first()
            steadily([ours], seconds)
            ours.scraper.stop()
            told["ours"] = ours.figures
        show(f"{size}, {latency:g} ms, all ordinary, ours", ours.figures["first"] | ours.figures["steady"])
        for name, command in peers:
            with rival(command, pbs) as program:
                told[name] = theirs = of_rival(pbs, program)
            theirs["any_text"] = unread.get(name, "read")
            theirs["times_ours"] = ratios(theirs, ours.figures["steady"])
            show(f"{size}, {latency:g} ms, all ordinary, {name}", theirs)
    return told


def of_any_text(pbs: Pbs, command: str) -> str | None:
    """Why a scrape does not come while comments hold more than ASCII; None if it does."""
    with rival(command, pbs) as program:
        try:
            program.get()
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"[:120]
    return None


def of_rival(pbs: Pbs, program: Program) -> dict[str, Any]:
    pages: list[Page] = []
    failed: list[str] = []
    before, end = Marks.now(pbs, program, deflated=False), time.monotonic() + RIVAL_SECONDS
    while len(pages) + len(failed) < RIVAL_SCRAPES and (time.monotonic() < end or not pages + failed):
        try:
            pages.append(Page.got(program))
        except (OSError, http.client.HTTPException) as error:
            failed.append(f"{type(error).__name__}: {error}")
    tries = len(pages) + len(failed)
    spent = before.until(Marks.now(pbs, program, deflated=False))
    times = sorted(page.ms for page in pages)
    now, most = program.memory_mb()
    figures: dict[str, Any] = {f"{name}_a_minute": round(cost / tries, 3) for name, cost in spent.items()}
    figures |= {"resident_mb": round(now), "peak_mb": round(most), "scrapes": tries, "failed": len(failed)}
    if times:
        figures |= {
            "first_ms": round(pages[0].ms, 1),
            "p50_ms": round(times[len(times) // 2], 1),
            "p99_ms": round(times[-1 if len(times) < 100 else len(times) * 99 // 100], 1),
            "up": pages[-1].is_up,
            "samples": pages[-1].samples,
            "page_mb": round(pages[-1].text_bytes / 1e6, 2),
        }
    return figures | ({"why": failed[-1][:120]} if failed else {})


def ratios(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, float]:
    names = ("p50_ms", "p99_ms", "requests_a_minute", "mb_a_minute", "cpu_seconds_a_minute", "peak_mb")
    return {name: round(theirs[name] / ours[name], 2) for name in names if name in theirs and ours[name]}


def missed(told: dict[str, Any]) -> list[str]:
    """What of ``TARGETS`` was not reached, where it was measured."""
    found = []
    for size, targets in TARGETS.items():
        figures = told.get(size, {}).get(f"{AT_LATENCY_MS}_ms", {})
        for part in ("first", "steady"):
            for name, most in targets.items():
                reached = figures.get(part, {})
                if reached.get(name, 0) > most:
                    own = f", own {reached['longest_own_ms']}" if name == "longest_ms" else ""
                    found.append(f"{size} {part} {name} {reached[name]} > {most}{own}")
            for name in ("empty_pages", "partial_pages", "failed"):
                if figures.get(part, {}).get(name):
                    found.append(f"{size} {part} {name} {figures[part][name]}")
        if figures.get("page", {}).get("groups_missing"):
            found.append(f"{size} lacks {figures['page']['groups_missing']} groups")
    return found


def show(name: str, figures: dict[str, Any]) -> None:
    print(f"{name}: {'  '.join(f'{key} {figure}' for key, figure in figures.items())}", flush=True)


def peer(text: str) -> tuple[str, str]:
    name, equals, command = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("say NAME=COMMAND")
    return name, command


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--sizes", nargs="+", default=["small", "medium", "large"])
    arguments.add_argument("--latencies", nargs="+", type=float, default=[0, 20, 200], help="milliseconds a call")
    arguments.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments.add_argument("--seconds", type=float, default=380.0, help="of the steady state: three medium rounds")
    arguments.add_argument("--peer", action="append", default=[], type=peer, metavar="NAME=COMMAND")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    told: dict[str, Any] = {"load_average": [round(os.getloadavg()[0], 1)]}
    for size in chosen.sizes:
        if {"first", "steady"} & set(chosen.parts):
            told[size] = of_size(size, chosen.latencies, chosen.parts, chosen.seconds)
        if "peers" in chosen.parts and chosen.peer and size != "small":
            told.setdefault("peers", {})[size] = against(size, AT_LATENCY_MS, chosen.peer, chosen.seconds)
    told["load_average"].append(round(os.getloadavg()[0], 1))
    told["missed"] = missed(told)
    print("\n".join(told["missed"]) or "every target that was measured was reached", file=sys.stderr)
    if chosen.json:
        print(json.dumps({"bench": "pbs", "targets": TARGETS} | told))


if __name__ == "__main__":
    main()

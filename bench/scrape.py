"""What a scrape costs: ours against prometheus_client, client_golang and a hand-written Go appender, in one run.

    python bench/scrape.py --json                      100, 10,000 and 100,000 hosts
    python bench/scrape.py --hosts 10000 --no-peers

``?vocabulary=rm``, gzip, the format that Prometheus asks for. In process: CPU of one body after some hosts have made
a backup. Over HTTP: a server in a process of its own, its CPU a scrape, and the time until the last byte, with 1 and
4 scrapers; ours with the gate of a token, 0.1 % of the hosts changed before each scrape. Go peers are built if a Go
toolchain is found. ``TARGETS`` are the design's at 100,000 hosts. The last line of ``--json`` is one object.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from crowd import backed_up, crowd
from judge import resident
from rivals import Rival, client_body, go_peers, serve_prometheus_client
from scraped import ahead_pause, served_by_us, timings

from lastgood.metrics import VOCABULARIES
from lastgood.metrics.entities import instant
from lastgood.metrics.own_facts import Build, OwnFacts
from lastgood.metrics.pack import LIBRARY
from lastgood.metrics.page import Page, Wanted
from lastgood.metrics.reading import Reading, columns_of
from lastgood.metrics.text import Format

TARGETS = {"ns_a_host": 150.0, "times_client_golang": 100.0, "bytes_a_host": 1200.0}
SHARES = (0.0, 0.001, 0.01, 1.0)
OWN = OwnFacts(build=Build(version="bench"))
INTERVAL_SECONDS = 15.0


def cpu_ms(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


class Ours:
    """The pages of a fleet without server and threads."""

    def __init__(self, fleet: Any, names: tuple[str, ...]) -> None:
        columns = columns_of(VOCABULARIES)
        self.fleet, self.wanted = fleet, Wanted(names, Format.OPENMETRICS)
        self.reading, self.page = Reading(VOCABULARIES, columns), Page(VOCABULARIES, columns)

    def body(self) -> Any:
        self.reading.begin(self.wanted.names, self.fleet)
        while self.reading.behind:
            self.reading.read(self.fleet, 16)
            if self.reading.held >= 4096:
                self.page.apply(self.reading.take_some())
        self.page.apply(self.reading.take(self.fleet))
        return self.page.make(self.wanted, instant(self.fleet), lambda: OWN).body

    def after(self, rng: random.Random, count: int) -> float:
        """CPU of the body after so many hosts have changed; the change itself is not counted."""
        changes = backed_up(self.fleet, rng, count) if count else None
        if changes is not None:
            for kind, ids in (
                ("host", changes.hosts),
                ("source", changes.sources),
                ("repository", changes.repositories),
            ):
                self.reading.changed(kind, ids)
        return cpu_ms(self.body)


def in_process(hosts: int, rounds: int) -> dict[str, Any]:
    fleet = crowd(hosts)
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 100_000)  # as the hub does
    before, rng = resident(), random.Random(1)
    ours = Ours(fleet, ("rm",))
    first = cpu_ms(ours.body)
    gc.collect()
    figures: dict[str, Any] = {
        "first_ms": round(first, 1),
        "bytes_a_host": round((resident() - before) / hosts),
        "gzip_bytes": ours.body().size,
    }
    for share in SHARES:
        spent = statistics.median(
            ours.after(rng, math.ceil(hosts * share)) for _ in range(rounds if share < 1 else 2)
        )
        figures[f"changed_{share:.1%}_ms"] = round(spent, 3)
        figures[f"changed_{share:.1%}_ns_a_host"] = round(spent * 1e6 / hosts)
    figures["share_of_interval"] = figures["changed_0.1%_ms"] / 1000 / INTERVAL_SECONDS
    if hosts == 10_000:
        figures["backup"] = of_backup(fleet, rng, rounds)
    return figures


def of_backup(fleet: Any, rng: random.Random, rounds: int) -> dict[str, Any]:
    ours = Ours(fleet, ("backup",))
    first = cpu_ms(ours.body)
    lines = b"".join(gzip.decompress(b"".join(ours.body().buffers)).splitlines(keepends=True)).count(b"\nbackup_")
    spent = statistics.median(ours.after(rng, len(fleet.hosts) // 1000) for _ in range(rounds))
    return {
        "samples": lines,
        "first_ns_a_sample": round(first * 1e6 / lines),
        "changed_0.1%_ms": round(spent, 3),
        "changed_0.1%_ns_a_sample": round(spent * 1e6 / lines, 1),
    }


def over_http(hosts: int, rounds: int, rivals: list[Rival]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with served_by_us(hosts) as server:
        for scrapers in (1, 4):
            for name, changed, pause in (
                ("unchanged", 0, 0.0),
                ("changed_at_once", max(hosts // 1000, 1), 0.0),
                ("changed_ahead", max(hosts // 1000, 1), ahead_pause(hosts)),
            ):
                figures[f"ours_{name}_{scrapers}"] = timings(server, scrapers, rounds, changed, pause)
    for rival in rivals:
        with rival.served(hosts) as server:
            for scrapers in (1, 4):
                few = max(2, rounds // (20 if hosts > 10_000 else 4))
                figures[f"{rival.name}_{scrapers}"] = timings(server, scrapers, few)
    return figures


def one(hosts: int, rounds: int, rivals: list[Rival]) -> dict[str, Any]:
    figures: dict[str, Any] = {"ours": in_process(hosts, rounds)}
    mine = figures["ours"]["changed_0.1%_ms"]
    for rival in rivals:
        spent = rival.body_ms(hosts)
        figures[rival.name] = {"ms": round(spent, 1), "times_ours": round(spent / mine, 1)}
    figures["http"] = http = over_http(hosts, rounds, rivals)
    for rival in rivals:
        for scrapers in (1, 4):
            theirs = http[f"{rival.name}_{scrapers}"]["p50_ms"]
            for name in ("changed_at_once", "changed_ahead"):
                key = f"times_ours_{name}_{scrapers}"
                figures[rival.name][key] = round(theirs / http[f"ours_{name}_{scrapers}"]["p50_ms"], 1)
    return figures


def show(name: str, figures: dict[str, Any], indent: int = 4) -> None:
    plain = {key: figure for key, figure in figures.items() if not isinstance(figure, dict)}
    print(f"{' ' * (indent - 4)}{name}: {'  '.join(f'{key} {figure:,}' for key, figure in plain.items())}")
    for key, inner in figures.items():
        if isinstance(inner, dict):
            show(key, inner, indent + 4)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--hosts", type=int, nargs="+", default=[100, 10_000, 100_000])
    arguments.add_argument("--rounds", type=int, default=40)
    arguments.add_argument("--no-peers", action="store_true")
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--serve", choices=["prometheus_client"], help=argparse.SUPPRESS)
    arguments.add_argument("--body", choices=["prometheus_client"], help=argparse.SUPPRESS)
    arguments.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.serve:
        serve_prometheus_client(crowd(chosen.hosts[0]))
    elif chosen.body:
        print(cpu_ms(client_body(crowd(chosen.hosts[0]))))
    else:
        rivals = [] if chosen.no_peers else [Rival("prometheus_client", None), *go_peers()]
        told: dict[str, Any] = {"library": LIBRARY, "load_average": round(os.getloadavg()[0], 2)}
        for hosts in chosen.hosts:
            told[str(hosts)] = one(hosts, chosen.rounds, rivals)
            show(f"{hosts} hosts", told[str(hosts)])
            sys.stdout.flush()
        if chosen.json:
            print(json.dumps({"bench": "scrape", "targets": TARGETS} | told))


if __name__ == "__main__":
    main()

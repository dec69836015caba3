"""What making one page costs: rm a host and backup a sample, beside prometheus_client over the same samples.

    python -m bench.scrape [--hosts 10000 100000] [--rounds 3] [--json]

CPU of this process, the median of the rounds; each fleet has one source a host. --json ends with one object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from tests.builders import a_fleet

from lastgood.fleet.fleet import FleetView
from lastgood.metrics import VOCABULARIES
from lastgood.metrics.family import Histogram, Type
from lastgood.metrics.own_facts import Build, OwnFacts
from lastgood.metrics.pack import PACKER
from lastgood.metrics.text import Format, chunks
from lastgood.metrics.vocabulary import Vocabulary, sections

OWN = OwnFacts(build=Build(version="bench"))
BY_NAME = {vocabulary.name: vocabulary for vocabulary in VOCABULARIES}


def cpu_ms(work: Callable[[], Any], rounds: int) -> float:
    """The median CPU time of the rounds, after one that is not counted."""
    work()
    spent = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        spent.append((time.process_time() - begun) * 1000)
    return statistics.median(spent)


def packed(pieces: Iterator[bytes]) -> bytes:
    return b"".join(PACKER.member([PACKER.piece(piece) for piece in pieces]).buffers)


class Peer:
    """The same families for prometheus_client, as its custom collectors are written."""

    def __init__(self, vocabulary: Vocabulary, view: FleetView) -> None:
        self._vocabulary, self._view = vocabulary, view

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        view = self._view
        for family in self._vocabulary.fleet:
            kinds = {Type.GAUGE: GaugeMetricFamily, Type.COUNTER: CounterMetricFamily}
            made: Any = kinds.get(family.type, HistogramMetricFamily)(
                family.name, family.help, labels=family.label_names
            )
            for i in family.entity.ids(view):
                value = family.value(view, i)
                if value is None:
                    continue
                labels = () if family.labels is None else family.labels(view, i)
                if isinstance(value, Histogram):
                    total, buckets = 0, []
                    for bound, count in zip([*family.bounds, "+Inf"], value.counts, strict=True):
                        total += count
                        buckets.append((str(bound), total))
                    made.add_metric(labels, buckets, value.sum)
                else:
                    made.add_metric(labels, value)
            yield made


def measure(vocabulary: Vocabulary, view: FleetView, rounds: int) -> dict[str, float]:
    def pieces() -> Iterator[bytes]:
        return chunks(sections([vocabulary], view, OWN), Format.OPENMETRICS)

    body = b"".join(pieces())
    samples = sum(1 for line in body.split(b"\n") if line and not line.startswith(b"#"))
    registry = CollectorRegistry()
    registry.register(Peer(vocabulary, view))
    plain, small = cpu_ms(lambda: b"".join(pieces()), rounds), cpu_ms(lambda: packed(pieces()), rounds)
    peer = cpu_ms(lambda: generate_latest(registry), 1)
    return {
        "samples": samples,
        "bytes": len(body),
        "gzip_bytes": len(packed(pieces())),
        "plain_ms": round(plain, 1),
        "gzip_ms": round(small, 1),
        "peer_plain_ms": round(peer, 1),
        "gzip_ns_a_host": round(small * 1e6 / len(view.hosts)),
        "gzip_ns_a_sample": round(small * 1e6 / samples),
        "peer_over_plain": round(peer / plain, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for hosts in options.hosts:
        fleet = a_fleet(hosts)
        freeze = cpu_ms(fleet.view, options.rounds)
        view = fleet.view()
        figures[str(hosts)] = {"freeze_ms": round(freeze, 1)}
        for name in ("rm", "backup"):
            figures[str(hosts)][name] = measure(BY_NAME[name], view, options.rounds)
            print(f"{hosts:>7} hosts, {name}:")
            for word, figure in figures[str(hosts)][name].items():
                print(f"    {word:<18} {figure:>14,}")
    if options.json:
        print(json.dumps({"bench": "scrape", "hosts": figures}))


if __name__ == "__main__":
    main()

"""The peers of ``bench/scrape.py``: the same samples by prometheus_client and by Go programs (``bench/peers``)."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import start_http_server
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily, Metric
from scraped import Server

from lastgood.metrics import rm
from lastgood.metrics.family import Histogram

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Rival:
    """``program`` is the built Go program with its kind; None is prometheus_client."""

    name: str
    program: tuple[str, str] | None

    def command(self, hosts: int, *more: str) -> list[str]:
        if self.program is None:
            return [sys.executable, str(HERE / "scrape.py"), "--hosts", str(hosts), *more]
        return [self.program[0], "-kind", self.program[1], "-hosts", str(hosts), *more]

    def body_ms(self, hosts: int) -> float:
        """CPU of one gzip body."""
        more = ["--body", "prometheus_client"] if self.program is None else []
        done = subprocess.run(self.command(hosts, *more), check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(done.stdout.splitlines()[-1])
        return float(told if self.program is None else told["cpu_ms"])

    @contextlib.contextmanager
    def served(self, hosts: int) -> Iterator[Server]:
        more = ["--serve", "prometheus_client"] if self.program is None else ["-listen", "127.0.0.1:0"]
        with subprocess.Popen(self.command(hosts, *more), stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield Server(process.stdout.readline().strip(), process.pid, self.program is None)
            finally:
                process.terminate()


def go_peers() -> list[Rival]:
    """The Go programs, if this machine can build them."""
    if shutil.which("go") is None:
        print("no Go toolchain: without client_golang and the Go appender", file=sys.stderr)
        return []
    built = str(Path(tempfile.mkdtemp(prefix="bench-peers-")) / "peers")
    done = subprocess.run(["go", "build", "-o", built, "."], cwd=HERE / "peers", capture_output=True, text=True)
    if done.returncode:
        print(f"the Go peers could not be built: {done.stderr[-300:]}", file=sys.stderr)
        return []
    return [Rival("client_golang", (built, "client")), Rival("go_appender", (built, "append"))]


class Collector:
    """The rm families for prometheus_client, as its custom collectors are written."""

    def __init__(self, fleet: Any) -> None:
        self._view = fleet.view()

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        view = self._view
        for family in rm.families():
            made: Any = (HistogramMetricFamily if family.bounds else GaugeMetricFamily)(
                family.name, family.help, labels=family.label_names
            )
            for thing_id in family.entity.ids(view):
                value = family.value(view, thing_id)
                labels = () if family.labels is None else family.labels(view, thing_id)
                if isinstance(value, Histogram):
                    total, buckets = 0, []
                    for bound, count in zip([*family.bounds, "+Inf"], value.counts, strict=True):
                        total += count
                        buckets.append((str(bound), total))
                    made.add_metric(labels, buckets, value.sum)
                elif value is not None:
                    made.add_metric(labels, value)
            yield made


def _registry(fleet: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Collector(fleet))
    return registry


def client_body(fleet: Any) -> Callable[[], bytes]:
    """Its text, compressed as its own server does."""
    registry = _registry(fleet)
    return lambda: gzip.compress(generate_latest(registry))


def serve_prometheus_client(fleet: Any) -> None:
    server, _ = start_http_server(0, "127.0.0.1", _registry(fleet))
    print(f"127.0.0.1:{server.server_port}", flush=True)
    threading.Event().wait()

"""``lastgood exporter pbs``: the collectors of Proxmox Backup Servers behind the port of the published exporter.

Comes in: ``ExporterSettings``. Goes out: an ``Exporter``. The one rule: names, port and paths are those of the
published one; what it has not stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lastgood.auth.gate import Gate
from lastgood.clock import Clock
from lastgood.collect.collector import Collector, Memory
from lastgood.config.exporter import ExporterSettings
from lastgood.config.servers import PbsServer
from lastgood.exporter.exporter import Exporter, Page, main_page
from lastgood.exporter.memory import FileMemory, NoMemory
from lastgood.metrics import pbs
from lastgood.metrics.pbs import natrontech

Make = Callable[[PbsServer, Memory, Clock], Collector]


def collector_name(server: PbsServer) -> str:
    return f"pbs/{server.name}" if server.name else "pbs"


def pbs_exporter(settings: ExporterSettings, state: Path | None, clock: Clock, make: Make) -> Exporter:
    """The exporter of these servers; without a ``state`` folder their counters begin anew."""
    collectors = []
    for server in settings.servers.pbs:
        memory = NoMemory() if state is None else FileMemory(state, collector_name(server))
        collectors.append(make(server, memory, clock))
    pages = [main_page(pbs.VOCABULARY)]
    if settings.metrics.natrontech:
        words = "for Prometheus, by the names of natrontech/pbs-exporter"
        pages.append(Page(path=natrontech.PATH, words=words, vocabularies=(natrontech.VOCABULARY,)))
    metrics = settings.metrics
    gate = Gate(token=metrics.token, networks=metrics.networks, auth=False)
    return Exporter(title="PBS exporter", collectors=collectors, pages=pages, gate=gate, clock=clock)

"""The large server: forty datastores, twenty thousand groups, a million snapshots."""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lastgood.collect.pbs import PbsCollector
from lastgood.config.servers import SNAPSHOT_ROWS, PbsServer
from lastgood.model.collected import SourcesTold
from lastgood.secret import Secret
from tests.collect.pbs.against_truth import differences
from tests.collect.pbs.rig import Kept
from tests.pbs_simulator.test_command import ended, started

pytestmark = pytest.mark.slow


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def truth_of(told: dict[str, Any]) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{told['control_port']}/truth") as response:
        return dict(json.loads(response.read()))


async def test_a_large_server_is_whole_within_three_minutes_and_700_mb() -> None:
    program, told = started("--size", "large", "--latency-ms", "20")
    try:
        now = datetime.fromtimestamp(told["now"], UTC)
        server = PbsServer(
            name="large",
            endpoint=told["url"],
            token_id=told["token_id"],
            token_secret=Secret(told["token"].partition(":")[2]),
            fingerprint=told["pin"],
        )
        collector = PbsCollector(server, Kept(), clock=lambda: now)
        await collector.begin()
        try:
            await _measured(collector, told)
        finally:
            await collector.end()
    finally:
        ended(program)


async def _measured(collector: PbsCollector, told: dict[str, Any]) -> None:
    probes = {probe.name: probe for probe in collector.probes}
    whole: set[str] = set()
    began, base = time.monotonic(), peak_mb()
    for name in ("medium", "fast", "slow"):
        async for report in probes[name].collect():
            if isinstance(report, SourcesTold) and report.whole:
                whole.add(report.repository_id)
    took = time.monotonic() - began
    picture = collector.picture
    assert picture is not None
    received, began = picture.traffic.received_bytes, time.monotonic()
    for name in ("medium", "fast", "fast", "fast", "fast"):
        async for _ in probes[name].collect():
            pass
    steady = time.monotonic() - began
    picture = collector.picture
    assert picture is not None
    again = (picture.traffic.received_bytes - received) / 2 / 1e6
    print(  # noqa: T201 - the figure is wanted
        f"large: whole after {took:.0f} s, {received / 1e6:.0f} MB; then {again:.2f} MB a minute, {steady:.1f} s of "
        f"every two minutes; peak {peak_mb():.0f} MB, {base:.0f} MB before"
    )
    assert picture.pending_groups == 0
    assert len(whole) == sum(store.up is True for store in picture.datastores.values())
    kept = sum(len(group.snapshots) for group in picture.groups.values())
    assert kept <= SNAPSHOT_ROWS
    assert picture.truncated == sum(group.finished or 0 for group in picture.groups.values()) - kept > 900_000
    for name in ("medium", "fast"):
        async for _ in probes[name].collect():
            pass
    assert differences(collector.picture or picture, truth_of(told))[:5] == []
    assert took < 180
    assert again < 1
    assert peak_mb() - base < 700

"""The large server: a million snapshots, quick to start, small in memory, fast enough to measure others by."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

import pytest

from .asking import session, store_path
from .test_command import client_of, ended, started

pytestmark = pytest.mark.slow


def test_large_starts_in_three_seconds_and_stays_below_400_mb_after_a_full_sweep() -> None:
    began = time.monotonic()
    program, told = started("--size", "large")
    took = time.monotonic() - began
    try:
        rows = size = 0
        with session(client_of(told)) as get:
            for store in get("admin/datastore").data:
                namespaces = get(store_path(store["store"], "namespace"))
                for ns in namespaces.data if namespaces.status == 200 else ():
                    body = get(store_path(store["store"], "snapshots", ns=ns["ns"])).body
                    rows += body.count(b'"backup-time"')
                    size += len(body)
            tasks = get("nodes/localhost/tasks?limit=0").body.count(b'"upid"')
        with urllib.request.urlopen(f"http://127.0.0.1:{told['control_port']}/truth") as response:
            groups = json.loads(response.read())["groups"]
        status = Path(f"/proc/{program.pid}/status").read_text()
        peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    finally:
        ended(program)
    print(f"large: start {took:.2f} s, peak {peak:.0f} MB, {rows} rows, {size / 1e6:.0f} MB")  # noqa: T201
    assert rows == sum(group["rows"] for group in groups if group["readable"]) > 990_000
    assert len(groups) == 20_000
    assert tasks == 60_000
    assert 600e6 < size < 900e6
    assert took < 3
    assert peak < 400

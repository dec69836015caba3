"""Upkeep on an append-only REST server: what can be done there is done, what cannot is told, whatever restic says."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lastgood.model.retention import Retention
from lastgood.tools.restic import upkeep
from lastgood.tools.restic.causes import Cause
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.orders import ForgetOrder
from tests.tools.restic.conftest import PASSWORD, Bench
from tests.tools.restic.test_upkeep import limits

SERVER = "LASTGOOD_TEST_REST_SERVER"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get(SERVER), reason=f"{SERVER} names no rest-server; scripts/test fetches one"),
]


@pytest.fixture
def served(bench: Bench, tmp_path: Path) -> Iterator[Place]:
    """The bench's repository behind a server that takes everything and gives nothing away."""
    folder = tmp_path / "served"
    folder.mkdir()
    shutil.move(bench.repository, folder / "vault")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [os.environ[SERVER], "--append-only", "--no-auth", "--path", str(folder), "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not _listens(port):
            assert process.poll() is None, "the server ended at once"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)
        yield replace(bench.place, url=f"rest:http://127.0.0.1:{port}/vault/", password=PASSWORD)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_forget_that_removed_nothing_is_a_failure_and_everything_else_works(
    bench: Bench, served: Place
) -> None:
    for _ in range(2):
        done = await bench.restic.backup(served, bench.order(tags=["lg:mine"]))
        assert done.outcome == "success"
    assert (await upkeep.check(bench.restic, served, limits(), "100%")).found.cause is Cause.OK
    order = ForgetOrder(host="web-1", tag="lg:mine", keep=Retention(last=1))
    forgotten = await upkeep.forget(bench.restic, served, order, limits(180.0))
    assert forgotten.found.cause is Cause.NOT_REMOVED
    assert (forgotten.removed, forgotten.remaining) == ((), 2)
    assert len(await bench.restic.snapshots(served)) == 2
    assert (await upkeep.prune(bench.restic, served, limits())).found.cause is Cause.OK
    assert await bench.restic.lock_ids(served) == [], "locks may be removed there"

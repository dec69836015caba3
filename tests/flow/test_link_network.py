"""Three agents and a hub while the network between them is slow, half open, and cut: nothing is lost or doubled.

One agent lives in a network namespace of its own, joined to the hub's by a pair of virtual interfaces, so that a real
kernel drops real packets. The times are those of the design and not turned down: a silent agent is offline after 90
seconds, and back within 60 seconds of the network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lastgood.model.job import Schedule
from tests.flow.field import Field, Machine, a_field, all_told, may_make_networks, minutes_ago
from tests.flow.hub import until
from tests.flow.test_kill_hub import quiet_port

EVERY_MINUTE = Schedule(cron="* * * * *", zone="UTC")
NOTICED_SECONDS, BACK_SECONDS = 90.0, 60.0
POLL_SECONDS = 1.0

pytestmark = pytest.mark.slow


class Cable:
    """The hub's end and the far end of a cable between this machine and a namespace."""

    def __init__(self) -> None:
        number = os.getpid() % 10_000
        self.namespace, self.near, self.far = f"lastgood{number}", f"lgn{number}", f"lgf{number}"
        self.hub_address, self.far_address = f"10.213.{number % 250}.1", f"10.213.{number % 250}.2"

    def plug(self) -> None:
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.namespace)
        run("ip", "address", "add", f"{self.hub_address}/30", "dev", self.near)
        run("ip", "link", "set", self.near, "up")
        self._within("ip", "address", "add", f"{self.far_address}/30", "dev", self.far)
        self._within("ip", "link", "set", self.far, "up")
        self._within("ip", "link", "set", "lo", "up")

    def unplug(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", self.near], check=False, capture_output=True)

    @contextmanager
    def slow(self) -> Iterator[None]:
        """64 kbit a second in both directions, with a long queue: hundreds of milliseconds a round."""
        shape = ("tbf", "rate", "64kbit", "burst", "1600", "latency", "800ms")
        with self._shaped(*shape):
            yield

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Every packet is dropped without a word on both ends: neither side can know that the other is gone."""
        with self._shaped("pfifo", "limit", "0"):
            yield

    @contextmanager
    def cut(self) -> Iterator[None]:
        """The cable is pulled: both ends see it."""
        run("ip", "link", "set", self.near, "down")
        try:
            yield
        finally:
            run("ip", "link", "set", self.near, "up")

    @contextmanager
    def _shaped(self, *shape: str) -> Iterator[None]:
        run("tc", "qdisc", "add", "dev", self.near, "root", *shape)
        self._within("tc", "qdisc", "add", "dev", self.far, "root", *shape)
        try:
            yield
        finally:
            run("tc", "qdisc", "delete", "dev", self.near, "root")
            self._within("tc", "qdisc", "delete", "dev", self.far, "root")

    def _within(self, *words: str) -> None:
        run("ip", "netns", "exec", self.namespace, *words)


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@pytest.fixture
def cable() -> Iterator[Cable]:
    if (reason := may_make_networks()) is not None:
        pytest.skip(reason)
    made = Cable()
    try:
        made.plug()
        yield made
    finally:
        made.unplug()


def how_long(holds: bool, field: Field, machine: Machine, most: float) -> float:
    """Seconds until the hub calls the agent connected, or no longer; AssertionError past ``most`` seconds."""
    began = time.monotonic()
    until(
        lambda: field.host(machine)["connected"] is holds,
        f"{machine.name} is {'back' if holds else 'noticed to be gone'}",
        most,
    )
    return time.monotonic() - began


def waited(field: Field, machine: Machine, more: int) -> None:
    """So many more runs of a machine are told."""

    def told() -> int:
        return sum(run["source_id"] == machine.source.id and run["outcome"] is not None for run in field.runs())

    before = told()
    until(lambda: told() >= before + more, f"{more} more runs of {machine.name}", 150)


def test_three_agents_lose_and_double_nothing_while_the_network_is_slow_half_open_and_cut(
    tmp_path: Path, cable: Cable
) -> None:
    began = minutes_ago(1)
    machines = [Machine(name, tmp_path / name, began, EVERY_MINUTE) for name in ("near-1", "near-2", "far")]
    far = machines[2]
    far.within = ("ip", "netns", "exec", cable.namespace)
    with a_field(tmp_path, f"0.0.0.0:{quiet_port()}", machines) as field:
        far.configure(f"http://{cable.hub_address}:{field.port}", field.hub_key)
        field.start_hub()
        field.await_hub()
        for machine in machines:
            machine.start()
        field.all_connected()

        with cable.slow():
            waited(field, far, 1)
            assert field.host(far)["connected"]

        with cable.deaf():
            half_open = how_long(False, field, far, NOTICED_SECONDS + 2 * POLL_SECONDS)
            assert [field.host(machine)["connected"] for machine in machines[:2]] == [True, True]
        healed = how_long(True, field, far, BACK_SECONDS)

        with cable.cut():
            pulled = how_long(False, field, far, NOTICED_SECONDS + 2 * POLL_SECONDS)
            waited(field, machines[0], 1)
        plugged = how_long(True, field, far, BACK_SECONDS)

        waited(field, far, 1)
        for machine in machines:
            assert machine.end() == 0
        outcomes = all_told(field)
        spooled = [run for run in field.runs() if run["source_id"] == far.source.id]
        sys.stdout.write(
            f"half open noticed after {half_open:.0f} s, back after {healed:.0f} s; "
            f"cut noticed after {pulled:.0f} s, back after {plugged:.0f} s; {dict(outcomes)}, {len(spooled)} far\n"
        )
        minutes = {run["due_at"] for run in spooled}
        assert outcomes.total() == outcomes["success"] + outcomes["cancelled"]
        assert outcomes["cancelled"] <= len(machines), "only what the end of the story interrupted"
        assert len(minutes) == len(spooled) >= 3
        assert field.log().count("Traceback") == 0

"""`python -m tests.pbs_simulator`: a simulated Proxmox Backup Server until Ctrl-C.

Prints one JSON line with ports, certificate pin, CA file and tokens, then serves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path

from .clock import START
from .latency import DISKS, Latency
from .refusal import Mistake
from .simulator import introduction, serving
from .site import Site
from .sizes import SIZES, size_named
from .versions import KNOWN, Version
from .world import Setting

EXAMPLES = """examples:
  python -m tests.pbs_simulator
  python -m tests.pbs_simulator --size medium --latency-ms 20 --disk hdd --pbs-version 4.0.16
  python -m tests.pbs_simulator --port 8007 --control-port 8008 --auth-delay-scale 0

then, with the ports, the token and the CA file of the line it prints:
  curl --cacert CA_FILE -H 'Authorization: PBSAPIToken=TOKEN' https://127.0.0.1:8007/api2/json/version
  curl http://127.0.0.1:8008/truth
  curl http://127.0.0.1:8008/events -d '[{"do": {"kind": "maintenance", "store": "main", "mode": "offline"}}]'
  curl http://127.0.0.1:8008/faults -d '[{"match": {"path": "**/groups"}, "when": {"nth": 3}, "do": {"hang": 30}}]'
"""


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        site = _site(given)
        return asyncio.run(_serve(site, given.port, given.control_port))
    except ValueError as error:  # Mistake is one
        sys.stderr.write(f"{error}\n")
        return 2


def _site(given: argparse.Namespace) -> Site:
    setting = Setting(
        size=size_named(given.size),
        seed=given.seed,
        version=Version.parse(given.pbs_version),
        now=given.now,
        speed=given.speed,
        expired=given.expired,
        wrong_name=given.wrong_name,
    )
    per_group, per_snapshot = DISKS[given.disk]
    latency = Latency(
        given.latency_ms,
        given.jitter_ms,
        per_group if given.per_group_us is None else given.per_group_us,
        per_snapshot if given.per_snapshot_us is None else given.per_snapshot_us,
        given.bandwidth_kbps,
        given.at_once,
    )
    site = Site(setting, latency, given.auth_delay_scale)
    try:
        if given.faults:
            site.faults.replace(json.loads(given.faults.read_text()))
        if given.events:
            site.plan(json.loads(given.events.read_text()))
    except OSError as error:
        raise Mistake(f"{error.filename} cannot be read ({error.strerror}); check the path") from error
    return site


async def _serve(site: Site, port: int, control_port: int) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with tempfile.TemporaryDirectory(prefix="pbs-simulator-") as folder:
        ca_file = Path(folder, "ca.pem")
        ca_file.write_text(site.world.certificate().pem)
        async with serving(site, port, control_port) as ports:
            sys.stdout.write(json.dumps(introduction(site, *ports, ca_file)) + "\n")
            sys.stdout.flush()
            await stopped.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.pbs_simulator",
        description="A simulated Proxmox Backup Server, for tests and benchmarks.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--size", default="small", help=f"{', '.join(SIZES)} or a .json file (default small)")
    add("--seed", type=int, default=1, help="one seed, one world (default 1)")
    add("--port", type=int, default=0, help="of the API, on 127.0.0.1 (default: any)")
    add("--control-port", type=int, default=0, help="where /truth, /stats, /faults, /events are (default: any)")
    add("--pbs-version", default="4.1.8", help=f"such as {', '.join(KNOWN)} (default 4.1.8)")
    add("--now", type=int, default=START, help="the server's clock at the start, epoch seconds")
    add("--speed", type=float, default=0.0, help="how fast that clock runs; 0: it stands still (default)")
    add("--latency-ms", type=float, default=0.0, help="for every call")
    add("--jitter-ms", type=float, default=0.0, help="up to so much more")
    add("--disk", choices=sorted(DISKS), default="none", help="what reading groups and snapshots costs")
    add("--per-group-us", type=float, help="instead of the disk's")
    add("--per-snapshot-us", type=float, help="instead of the disk's")
    add("--bandwidth-kbps", type=float, default=0.0, help="of each answer (default: no limit)")
    add("--at-once", type=int, default=0, help="how many requests are served at once; more wait (default: no limit)")
    add("--auth-delay-scale", type=float, default=1.0, help="times the 3 s of a 401 and 0.5 s of a 403")
    add("--expired", action="store_true", help="show a certificate that has expired")
    add("--wrong-name", action="store_true", help="show a certificate of another host")
    add("--faults", type=Path, help="file with fault rules, as for POST /faults")
    add("--events", type=Path, help="file with events, as for POST /events")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.kopia_server`: a simulated Kopia server until Ctrl-C.

Prints one JSON line with ports, fingerprint and passwords, then serves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from tests.kopia_fake.plan import SIZES
from tests.kopia_fake.scenario import VERSIONS, Scenario

from .settings import FOUR_HOURS, Settings
from .simulator import introduction, serving
from .site import Site

EXAMPLES = """examples:
  python -m tests.kopia_server --size M
  python -m tests.kopia_server --tls --port 51515 --control-port 51516

then, with the password of the line it prints:
  curl -u server-control:control-secret http://127.0.0.1:51515/api/v1/control/sources
  curl http://127.0.0.1:51516/truth
  curl http://127.0.0.1:51516/events -d '[{"kind": "begin", "source": "root@host0000:/data/00000"}]'
  curl http://127.0.0.1:51516/notify -d '{"url": "http://127.0.0.1:8080/hook", "error": "it broke"}'
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kopia_server", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="S", choices=sorted(SIZES))
    parser.add_argument("--seed", type=int, default=1, help="one seed, one world (default 1)")
    parser.add_argument("--kopia-version", default="0.23.1", choices=VERSIONS)
    parser.add_argument("--port", type=int, default=0, help="of the API, on 127.0.0.1 (default: any)")
    parser.add_argument("--control-port", type=int, default=0, help="where /truth, /events are (default: any)")
    parser.add_argument("--tls", action="store_true", help="with a self-signed certificate")
    parser.add_argument("--no-ui", action="store_true")
    parser.add_argument("--refresh-seconds", type=int, default=FOUR_HOURS)
    given = parser.parse_args(arguments)
    scenario = Scenario(version=given.kopia_version, seed=given.seed, size=given.size)
    settings = Settings(scenario, tls=given.tls, ui=not given.no_ui, refresh_seconds=given.refresh_seconds)
    return asyncio.run(_serve(Site(settings), given.port, given.control_port))


async def _serve(site: Site, port: int, control_port: int) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving(site, port, control_port) as ports:
        told = introduction(site, *ports)
        if told["fingerprint"]:
            sys.stderr.write(f"SERVER CERT SHA256: {told['fingerprint']}\n")
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

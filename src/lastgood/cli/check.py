"""Small questions: the settings in force, the health of a running hub, the version."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from lastgood.cli.options import ConfigFile, Debug, load_settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_config(config: ConfigFile = None, as_json: Json = False, debug: Debug = False) -> None:
    """Print the effective settings, secrets masked, and where each value came from.

    Example: lastgood check-config --config /etc/lastgood/lastgood.toml
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lastgood.config.load import render_check

    rows = render_check(load_settings(config))
    if as_json:
        typer.echo(json.dumps([row._asdict() for row in rows]))
        return
    table = Table("setting", "value", "from", box=None, pad_edge=False, highlight=False)
    for row in rows:
        table.add_row(*(Text(part) for part in row))
    # A pipe has no width: nothing may be cut off there.
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def healthz(
    url: Annotated[str | None, typer.Argument(help="Address of the hub; default: the one in the settings.")] = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Ask a running hub whether it is ready; exit 0 if it is, 1 if not. For container health checks.

    Example: lastgood healthz http://127.0.0.1:8080
    """
    import httpx

    from lastgood.errors import Unreachable

    # Our own socket is asked without a proxy and by an address that its certificate does not name; nothing secret is
    # sent there.
    is_own = url is None
    if url is None:
        server = load_settings(config).settings.server
        url = f"{'http' if server.tls_cert is None else 'https'}://{server.listen.reachable}"
    try:
        answer = httpx.get(f"{url.rstrip('/')}/-/ready", timeout=5.0, verify=not is_own, trust_env=not is_own)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"The hub at {url} does not answer ({error}); is it running?") from error
    if answer.status_code != httpx.codes.OK:
        raise Unreachable(f"The hub at {url} is not ready: {answer.text.strip()[:200]}")
    typer.echo("ready")


def version(as_json: Json = False) -> None:
    """Print the version.

    Example: lastgood version --json
    """
    import platform

    from lastgood import __version__

    if as_json:
        typer.echo(json.dumps({"version": __version__, "python": platform.python_version()}))
    else:
        typer.echo(f"lastgood {__version__}")

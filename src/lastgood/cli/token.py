"""``lastgood token``: API tokens, by which Prometheus and other programs are let in, asked of the hub's API.

The one rule: a token's text is printed once, alone on standard output, so that it can go straight into a file; it is
never an argument.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Hub, Json, NoSuch
from lastgood.cli.options import ConfigFile, Debug

app = typer.Typer(help="API tokens, by which Prometheus and other programs are let in.", no_args_is_help=True)

COLUMNS = (
    ("NAME", "name"),
    ("STATUS", "status"),
    ("ROLE", "role"),
    ("HOSTS", "hosts"),
    ("LAST USED", "used_at"),
    ("FROM", "used_from"),
    ("EXPIRES", "expires_at"),
    ("BEGINS", "begins"),
)
Named = Annotated[str, typer.Argument(metavar="TOKEN", help="Its name or id.")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="UNTIL", help="It ends after 90d, or at 2026-05-01; else never.")
]


@app.callback()
def _group() -> None:
    """API tokens, by which programs are let in."""


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the token is called.")],
    role: Annotated[str, typer.Option("--role", help="scraper for Prometheus; lastgood role list shows them all.")],
    hosts: Annotated[
        list[str] | None, typer.Option("--host", metavar="HOST", help="It sees and does this host only; repeat it.")
    ] = None,
    expires: Expires = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Make an API token and print it; it is told this once.

    Example: lastgood token create prometheus-scraper --role scraper > /etc/prometheus/lastgood.token
    """
    from lastgood.cli.ask import asked_hub

    body: dict[str, Any] = {"name": name, "role": role, "expires_at": _until(expires)}
    with asked_hub(data_dir, config) as hub:
        if hosts:
            body["hosts"] = [hub.find("/hosts", host, "host")["id"] for host in hosts]
        _tell(hub.post("/tokens", body))


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that were revoked lately as well.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """List the API tokens; their texts are nowhere to be had.

    Example: lastgood token list
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir, config) as hub:
        rows = [row for row in hub.every("/tokens") if everything or row["status"] != "revoked"]
    if not as_json:
        rows = [{**row, "hosts": _hosts(row)} for row in rows]
    show(rows, COLUMNS, as_json=as_json, nothing="There is no API token; make one: lastgood token create")


@app.command("rotate")
def rotate(
    token: Named,
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="TIME", help="For how long the old text is still taken.")
    ] = "24h",
    expires: Expires = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Give a token another text and print it; the old one is taken for a while, so that nothing is refused.

    Example: lastgood token rotate prometheus-scraper --overlap 2h
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.durations import span

    seconds = 0.0 if overlap.strip() in ("0", "none") else span(overlap).total_seconds()
    body: dict[str, Any] = {"overlap_seconds": seconds}
    if expires is not None:
        body["expires_at"] = _until(expires)
    with asked_hub(data_dir, config) as hub:
        _tell(hub.post(f"/tokens/{_find(hub, token)['id']}/rotate", body))


@app.command("revoke")
def revoke(token: Named, data_dir: DataDir = None, config: ConfigFile = None, debug: Debug = False) -> None:
    """End a token at once and for good.

    Example: lastgood token revoke prometheus-scraper
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir, config) as hub:
        hub.delete(f"/tokens/{_find(hub, token)['id']}")
    typer.echo("Revoked; whoever shows it is turned away from now on.", err=True)


def _find(hub: Hub, named: str) -> dict[str, Any]:
    """The token in use of this name or id; a name of revoked ones may have been given again."""
    held = [row for row in hub.every("/tokens") if row["status"] != "revoked"]
    for row in held:
        if named == row["id"] or named.casefold() == row["name"].casefold():
            return row
    raise NoSuch(f"There is no API token {named!r} in use; lastgood token list shows them.")


def _until(expires: str | None) -> str | None:
    from lastgood.cli.durations import moment
    from lastgood.clock import now

    return None if expires in (None, "never") else moment(str(expires), now()).isoformat()


def _hosts(row: dict[str, Any]) -> str:
    if row["hosts"] is None:
        return "all"
    return ", ".join(host["name"] or host["id"] for host in row["hosts"])


def _tell(made: dict[str, Any]) -> None:
    typer.echo(made["text"])
    typer.echo("This is the only time that it is told.", err=True)

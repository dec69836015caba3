"""``lastgood coverage``: which volumes and bind mounts of containers are backed up, and which need not be."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import ConfigFile, Debug

app = typer.Typer(help="Which data of containers is backed up.", no_args_is_help=True)

COLUMNS = (
    ("HOST", "host"),
    ("SUBJECT", "subject"),
    ("ANSWER", "answer"),
    ("LAST GOOD", "last_good_at"),
    ("BECAUSE", "because"),
)
Host = Annotated[str, typer.Option("--host", metavar="HOST", help="The host, by name or id.")]
Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="As coverage list shows it: volume:NAME, bind:PATH.")]


@app.callback()
def _group() -> None:
    """Which data of containers is backed up."""


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also what is backed up, seen or excluded.")] = False,
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Of this host, by name or id.")] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """List the volumes and bind mounts of which no backup is known.

    Example: lastgood coverage list --host web-1
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir, config) as hub:
        query: dict[str, Any] = {} if all_ else {"answer": "never"}
        if host is not None:
            query["host_id"] = hub.find("/hosts", host, "host")["id"]
        rows = list(hub.every("/coverage", **query))
    show(rows, COLUMNS, as_json=as_json, nothing="There is none." if all_ else "There is none without a backup.")


@app.command("exclude")
def exclude(
    subject: Subject,
    host: Host,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it needs no backup.")],
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Say that a volume or bind mount needs no backup, and why.

    Example: lastgood coverage exclude volume:shop_cache --host web-1 --reason "made anew at each start"
    """
    _tell(host, "exclude", {"subject": subject, "reason": reason}, data_dir, config)
    typer.echo("Excluded.", err=True)


@app.command("include")
def include(
    subject: Subject,
    host: Host,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Take back that a volume or bind mount needs no backup.

    Example: lastgood coverage include volume:shop_cache --host web-1
    """
    _tell(host, "include", {"subject": subject}, data_dir, config)
    typer.echo("Counted again.", err=True)


def _tell(host: str, what: str, body: dict[str, str], data_dir: Any, config: Any) -> None:
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir, config) as hub:
        host_id = hub.find("/hosts", host, "host")["id"]
        hub.post(f"/hosts/{quote(host_id, safe='')}/coverage/{what}", body)

"""``lastgood enrol-code``: one-time codes by which machines become hosts."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import Debug

app = typer.Typer(help="One-time codes by which machines become hosts.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """One-time codes by which machines become hosts."""


@app.command("create")
def create(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What the host will be called; else its own name.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="A host that is here already: a new agent for it, same sources."),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a code and print the line to run on the machine.

    It works once, within an hour.

    Example: lastgood enrol-code create --name web-1
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.errors import ConfigError

    if name is not None and host is not None:
        raise ConfigError("A code is for a new --name or for a --host that is here already, not for both.")
    with asked_hub(data_dir) as hub:
        host_id = None if host is None else hub.find("/hosts", host, "host")["id"]
        made = hub.post("/enrol-codes", {"name": name, "host_id": host_id})
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False))
        return
    typer.echo(made["command"])
    typer.echo("Run this as root on the machine within an hour; it works once.", err=True)
    if "://127.0.0.1" in made["command"] or "://localhost" in made["command"]:
        typer.echo(
            "The hub's address is this machine's own; for another machine set server.base_url to the address by "
            "which it reaches the hub.",
            err=True,
        )


@app.command("list")
def list_codes(data_dir: DataDir = None, as_json: Json = False, debug: Debug = False) -> None:
    """List the codes of the last hour, without their secret.

    A code itself is shown only once, when it is made.

    Example: lastgood enrol-code list
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir) as hub:
        rows = list(hub.every("/enrol-codes"))
    columns = (("ID", "id"), ("NAME", "name"), ("MADE BY", "created_by"), ("EXPIRES", "expires_at"))
    show(rows, (*columns, ("USED", "used_at")), as_json=as_json, nothing="No code was made within the last hour.")


@app.command("revoke")
def revoke(
    code: Annotated[str, typer.Argument(metavar="ID", help="The code's id, as list shows it.")],
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Make an unused code worthless.

    Example: lastgood enrol-code revoke 01J9ZK4V7Q8R5M2N6P3T0W1X4Y
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir) as hub:
        hub.delete(f"/enrol-codes/{code}")
    typer.echo("Revoked.")

"""``lastgood role``: what users and API tokens may do, asked of the hub's API.

The one rule: which permissions there are is asked of the hub and not known here.
"""

from __future__ import annotations

from typing import Annotated

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import ConfigFile, Debug

app = typer.Typer(help="What users and API tokens may do.", no_args_is_help=True)

COLUMNS = (("ROLE", "name"), ("BUILT IN", "built_in"), ("PERMISSIONS", "permissions"))
Named = Annotated[str, typer.Argument(metavar="ROLE", help="Its name: small letters, digits, dots and dashes.")]


@app.callback()
def _group() -> None:
    """What users and API tokens may do."""


@app.command("create")
def create(
    name: Named,
    permissions: Annotated[
        list[str],
        typer.Option("--may", metavar="PERMISSION", help="A permission, for example backup.run; repeat it."),
    ],
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Make a custom role, or give one of this name other permissions.

    Example: lastgood role create night-shift --may fleet.read --may backup.run --may alert.write
    """
    from urllib.parse import quote

    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir, config) as hub:
        made = hub.put(f"/roles/{quote(name, safe='')}", {"permissions": permissions})
    typer.echo(f"{made['name']} may: {', '.join(made['permissions'])}", err=True)


@app.command("list")
def list_(
    permissions: Annotated[
        bool, typer.Option("--permissions", help="List the permissions there are, with what each of them allows.")
    ] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """List the roles, or the permissions there are.

    Example: lastgood role list --permissions
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir, config) as hub:
        found = hub.get("/roles")
    if permissions:
        rows = [{"name": name, "allows": allows} for name, allows in found["permissions"].items()]
        show(rows, (("PERMISSION", "name"), ("ALLOWS TO", "allows")), as_json=as_json, nothing="There are none.")
    else:
        show(found["items"], COLUMNS, as_json=as_json, nothing="There are none.")


@app.command("remove")
def remove(name: Named, data_dir: DataDir = None, config: ConfigFile = None, debug: Debug = False) -> None:
    """Remove a custom role that no user and no API token has.

    Example: lastgood role remove night-shift
    """
    from urllib.parse import quote

    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir, config) as hub:
        hub.delete(f"/roles/{quote(name, safe='')}")
    typer.echo("Removed.", err=True)

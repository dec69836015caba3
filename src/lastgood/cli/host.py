"""``lastgood host``: the machines with agents, and those that wait to become one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import Debug

if TYPE_CHECKING:
    from lastgood.cli.ask import Hub

app = typer.Typer(help="Machines with agents, and those that wait to become one.", no_args_is_help=True)

HostName = Annotated[str, typer.Argument(metavar="HOST", help="Name or id of a host.")]
PendingName = Annotated[str, typer.Argument(metavar="ID|NAME", help="A machine that waits, as list --pending shows.")]


@app.callback()
def _group() -> None:
    """Machines with agents, and those that wait to become one."""


@app.command("list")
def list_hosts(
    pending: Annotated[bool, typer.Option("--pending", help="Those that announced themselves and wait.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List all hosts, or the machines that wait for approval.

    Example: lastgood host list --pending
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir) as hub:
        rows = list(hub.every("/pending-hosts" if pending else "/hosts"))
    columns: tuple[tuple[str, str], ...] = (
        ("ID", "id"),
        ("NAME", "name"),
        ("ONLINE", "online"),
        ("WORST SOURCE", "state"),
        ("SOURCES", "sources"),
        ("LAST HEARD", "seen_at"),
    )
    if pending:
        columns = (("ID", "id"), ("NAME", "name"), ("FINGERPRINT", "fingerprint"), ("FROM", "address"))
    nothing = (
        "No machine waits for approval." if pending else "No host is enrolled yet; see: lastgood enrol-code create"
    )
    show(rows, columns, as_json=as_json, nothing=nothing)


@app.command("approve")
def approve(
    machine: PendingName,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="SHA256:...", help="The one that the machine itself shows."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name for it.")] = None,
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Make a waiting machine a host, by its fingerprint.

    Compare the one that the machine itself shows with the one that the hub shows for it.

    Example: lastgood host approve web-1 --fingerprint SHA256:uS3x...
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text
    from lastgood.errors import ConfigError

    with asked_hub(data_dir) as hub:
        found = _waiting(hub, machine)
        if fingerprint is None:
            typer.echo(f"{text(found['name'])}, from {text(found['address'])}: {found['fingerprint']}")
            if not sys.stdin.isatty():
                raise ConfigError(
                    "Compare this fingerprint with the one that the machine itself shows, and give it with "
                    "--fingerprint."
                )
            typer.confirm("Does the machine itself show this very fingerprint?", abort=True)
            fingerprint = str(found["fingerprint"])
        host = hub.post(f"/pending-hosts/{found['id']}/approve", {"fingerprint": fingerprint, "name": name})
    typer.echo(f"{text(host['name'])} is a host now (id {host['id']}).")


@app.command("reject")
def reject(machine: PendingName, data_dir: DataDir = None, debug: Debug = False) -> None:
    """Turn a waiting machine away.

    It is told so, and may announce itself again a day later.

    Example: lastgood host reject 01J9ZK4V7Q8R5M2N6P3T0W1X4Y
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text

    with asked_hub(data_dir) as hub:
        found = _waiting(hub, machine)
        hub.post(f"/pending-hosts/{found['id']}/reject")
    typer.echo(f"{text(found['name'])} was turned away.")


@app.command("rename")
def rename(
    host: HostName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Call a host something else. Its id stays, and so does the name inside its snapshots.

    Example: lastgood host rename web-1 web-old
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text

    with asked_hub(data_dir) as hub:
        found = hub.find("/hosts", host, "host")
        made = hub.patch(f"/hosts/{found['id']}", {"name": name})
    typer.echo(f"{text(found['name'])} is called {text(made['name'])} now.")


@app.command("remove")
def remove(
    host: HostName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Forget a host and its sources, and send its agent away for good. No backup is touched.

    Example: lastgood host remove web-old --yes
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text
    from lastgood.errors import ConfigError

    with asked_hub(data_dir) as hub:
        found = hub.find("/hosts", host, "host")
        if not yes:
            typer.echo(
                f"{text(found['name'])} goes with its {found['sources']} sources; their snapshots stay in the "
                "repositories."
            )
            if not sys.stdin.isatty():
                raise ConfigError("Nothing was removed; say --yes to remove it.")
            typer.confirm("Remove it?", abort=True)
        hub.delete(f"/hosts/{found['id']}")
    typer.echo(f"{text(found['name'])} was removed.")


def _waiting(hub: Hub, named: str) -> dict[str, Any]:
    """The machine of this id or name; raises NoSuch."""
    from lastgood.cli.ask import NoSuch

    rows = list(hub.every("/pending-hosts"))
    found = [row for row in rows if row["id"] == named]
    found = found or [row for row in rows if row["name"].casefold() == named.casefold()]
    if not found:
        raise NoSuch(f"No machine {named!r} waits for approval; lastgood host list --pending shows them.")
    if len(found) > 1:
        raise NoSuch(f"Several machines call themselves {named!r}; say which one by its id.")
    return found[0]

"""``lastgood alert``: what is wrong now, who takes care of it, and what is told to nobody for a while."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from lastgood.cli.ask import DataDir, Hub, Json
from lastgood.cli.options import ConfigFile, Debug

app = typer.Typer(help="What is wrong now, and who is told of it.", no_args_is_help=True)

COLUMNS = (
    ("ID", "id"),
    ("SEVERITY", "severity"),
    ("SINCE", "opened_at"),
    ("HEED", "heed"),
    ("ALERT", "message"),
)
Host = Annotated[str | None, typer.Option("--host", metavar="HOST", help="All of this host, by name or id.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="[ALERT]...", help="Ids, as alert list shows them.")]


@app.callback()
def _group() -> None:
    """What is wrong now."""


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="The history too, newest first.")] = False,
    host: Host = None,
    as_json: Json = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """List the open alerts, newest first.

    Example: lastgood alert list --host web-1
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir, config) as hub:
        query: dict[str, Any] = {"status": "all" if all_ else "open"}
        if host is not None:
            query["host_id"] = hub.find("/hosts", host, "host")["id"]
        rows = [{**row, "heed": _heed(row)} for row in hub.every("/alerts", **query)]
    show(rows, COLUMNS, as_json=as_json, nothing="Nothing is open.")


@app.command("ack")
def ack(
    alerts: Ids = None,
    host: Host = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Say that you take care of alerts; they stay open until their condition is over.

    Example: lastgood alert ack 01KKP3FDG0542VZ9S60M0B8CC9
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir, config) as hub:
        ids = _ids(hub, alerts, host)
        for alert_id in ids:
            hub.post(f"/alerts/{quote(alert_id, safe='')}/acknowledge")
    typer.echo(f"Acknowledged: {len(ids)}.", err=True)


@app.command("snooze")
def snooze(
    alerts: Ids = None,
    host: Host = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="UNTIL", help="For how long or until when: 3d, 2026-05-01.")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End the snooze; channels are told of what is open.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Tell nobody of alerts for a while; with --host also of those that open on it meanwhile.

    They stay open and shown. When the time is over, channels are told of what is still open.

    Example: lastgood alert snooze --host LAPTOP --for 3d
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.durations import moment
    from lastgood.cli.tables import text
    from lastgood.clock import now

    if (for_ is None) != end:
        raise typer.BadParameter("Say for how long with --for 3d, or end it with --end.")
    if bool(alerts) == (host is not None):
        raise typer.BadParameter("Name alerts by their ids, or a host with --host.")
    body = None if for_ is None else {"until": moment(for_, now()).isoformat()}
    with asked_hub(data_dir, config) as hub:
        paths = [f"/alerts/{quote(alert_id, safe='')}" for alert_id in alerts or ()]
        if host is not None:
            paths = [f"/hosts/{hub.find('/hosts', host, 'host')['id']}"]
        for path in paths:
            answer = hub.delete(f"{path}/snooze") if body is None else hub.post(f"{path}/snooze", body)
    typer.echo("The snooze is over." if body is None else f"Snoozed until {text(answer['snoozed_until'])}.", err=True)


def _ids(hub: Hub, alerts: list[str] | None, host: str | None) -> list[str]:
    if bool(alerts) == (host is not None):
        raise typer.BadParameter("Name alerts by their ids, or a host with --host.")
    if host is None:
        return list(alerts or ())
    host_id = hub.find("/hosts", host, "host")["id"]
    return [row["id"] for row in hub.every("/alerts", host_id=host_id)]


def _heed(row: dict[str, Any]) -> str | None:
    if row["resolved_at"] is not None:
        return f"resolved {row['resolved_at']}"
    if row["snoozed_until"] is not None:
        return f"snoozed until {row['snoozed_until']}"
    return f"acknowledged by {row['acknowledged_by']}" if row["acknowledged_by"] else None

"""``lastgood channel``: where notices go, asked of the hub's API.

The one rule: an address may hold a secret, so it is read from a file, standard input or a hidden prompt, never from
the command line, where every user of the machine could read it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import ConfigFile, Debug

app = typer.Typer(help="Where notices go: webhooks, and every service that Apprise knows.", no_args_is_help=True)

COLUMNS = (
    ("NAME", "name"),
    ("KIND", "kind"),
    ("HEARS OF", "severity"),
    ("STATUS", "status"),
    ("UNDELIVERED", "undelivered"),
    ("ADDRESS", "address"),
)
NOTICES = (
    ("CHANNEL", "channel"),
    ("STATUS", "status"),
    ("NOTICE", "title"),
    ("ATTEMPTS", "attempts"),
    ("RECEIPT", "receipt"),
    ("ERROR", "error"),
)
Named = Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name or id.")]
Severity = Annotated[str | None, typer.Option("--severity", help="The least it hears of: info, warning or critical.")]
UrlFile = Annotated[
    str | None,
    typer.Option("--url-file", metavar="FILE", help="File with the address, - for standard input; else it is asked."),
]


@app.callback()
def _group() -> None:
    """Where notices go."""


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What the channel is called.")],
    kind: Annotated[str, typer.Option("--kind", help="webhook, or apprise for ntfy, mail, chats and more.")],
    url_file: UrlFile = None,
    severity: Severity = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Add a channel; if anything is open, it gets one digest of that.

    A webhook's secret is printed once, on standard output.

    Example: lastgood channel add phone --kind apprise --url-file ntfy.txt --severity warning
    """
    from lastgood.cli.ask import asked_hub

    url = _address(url_file)
    body: dict[str, Any] = {"name": name, "kind": _word(kind, "--kind", ("webhook", "apprise")), "url": url}
    if severity is not None:
        body["severity"] = _severity(severity)
    with asked_hub(data_dir, config) as hub:
        answer = hub.post("/channels", body)
    _tell_secret(answer)
    typer.echo(f"{answer['channel']['name']} is on; send a test with: lastgood channel test {name}", err=True)


@app.command("list")
def list_(
    undelivered: Annotated[bool, typer.Option("--undelivered", help="List notices that were not delivered.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """List the channels, or the notices that were not delivered.

    Example: lastgood channel list --undelivered
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir, config) as hub:
        if undelivered:
            rows = list(hub.every("/notices", status="undelivered"))
        else:
            rows = [{**row, "status": _status(row)} for row in hub.every("/channels")]
    nothing = "Every notice was delivered." if undelivered else "Nobody is told yet; add one: lastgood channel add"
    show(rows, NOTICES if undelivered else COLUMNS, as_json=as_json, nothing=nothing)


@app.command("test")
def test(channel: Named, data_dir: DataDir = None, config: ConfigFile = None, debug: Debug = False) -> None:
    """Send a test now and print how it went; exits with 1 if it was not taken.

    Example: lastgood channel test phone
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text
    from lastgood.errors import DeliveryError

    with asked_hub(data_dir, config) as hub:
        found = hub.find("/channels", channel, "channel")
        notice = hub.post(f"/channels/{found['id']}/test")
    if notice["status"] != "delivered":
        raise DeliveryError(f"The test did not reach {text(found['name'])}: {text(notice['error'])}")
    typer.echo(f"The test reached {text(found['name'])}: {text(notice['receipt'])}")


@app.command("set")
def set_(
    channel: Named,
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    severity: Severity = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Switch it on or off.")] = None,
    pause: Annotated[
        str | None, typer.Option("--pause", metavar="UNTIL", help="Pause it for 2d or until 2026-05-01; end ends it.")
    ] = None,
    new_url: Annotated[bool, typer.Option("--new-url", help="Ask for a new address, or take --url-file.")] = False,
    url_file: UrlFile = None,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Make a webhook a new secret.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Change, pause or switch a channel.

    Example: lastgood channel set phone --pause 2d
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.durations import moment
    from lastgood.clock import now

    body: dict[str, Any] = {}
    if name is not None:
        body["name"] = name
    if severity is not None:
        body["severity"] = _severity(severity)
    if on is not None:
        body["enabled"] = on
    if pause is not None:
        body["paused_until"] = None if pause in ("end", "none") else moment(pause, now()).isoformat()
    if new_url or url_file is not None:
        body["url"] = _address(url_file)
    if new_secret:
        body["new_secret"] = True
    if not body:
        raise typer.BadParameter("Say what to change; lastgood channel set --help lists it.")
    with asked_hub(data_dir, config) as hub:
        answer = hub.patch(f"/channels/{hub.find('/channels', channel, 'channel')['id']}", body)
    _tell_secret(answer)
    typer.echo(f"{answer['channel']['name']} is {_status(answer['channel'])}.", err=True)


@app.command("remove")
def remove(
    channel: Named,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Remove a channel, and with it the notices that wait for it.

    Example: lastgood channel remove phone --yes
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir, config) as hub:
        found = hub.find("/channels", channel, "channel")
        if not yes:
            typer.confirm(f"Remove the channel {found['name']!r} and what waits for it?", abort=True)
        hub.delete(f"/channels/{found['id']}")
    typer.echo("Removed.", err=True)


def _address(url_file: str | None) -> str:
    """The address, from where nobody else reads it."""
    import sys

    from lastgood.errors import ConfigError

    if url_file == "-" or (url_file is None and not sys.stdin.isatty()):
        return sys.stdin.readline().strip()
    if url_file is None:
        return str(typer.prompt("Address", hide_input=True)).strip()
    try:
        return Path(url_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file {url_file} cannot be read ({error}); name one with an address in it.") from error


def _tell_secret(answer: dict[str, Any]) -> None:
    if answer["secret"] is not None:
        typer.echo("Notices are signed with this secret; it is told once:", err=True)
        typer.echo(answer["secret"])


def _severity(said: str) -> str:
    return _word(said, "--severity", ("info", "warning", "critical"))


def _word(said: str, option: str, words: tuple[str, ...]) -> str:
    if said not in words:
        raise typer.BadParameter(f"{said!r} is not one of {', '.join(words)}.", param_hint=option)
    return said


def _status(row: dict[str, Any]) -> str:
    if not row["enabled"]:
        return "off"
    from lastgood.cli.tables import text

    return f"paused until {text(row['paused_until'])}" if row["paused_until"] else "on"

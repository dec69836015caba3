"""What the agent's commands say and write on the way in: enrolled, waiting, its status, its unit.

The one rule: what a hub or a file says is printed as text, and every ending names the next step.
"""

from __future__ import annotations

import json
import pwd
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lastgood.cli.tables import text
from lastgood.errors import ConfigError, Unreachable

if TYPE_CHECKING:
    from lastgood.agent.joining import Join
    from lastgood.agent.status import AgentStatus


def join_of(
    url: str, config: Path, data_dir: Path, *, name: str | None, ca_file: Path | None, insecure: bool
) -> Join:
    """The options as the steps need them, with a word about what is doubtful."""
    from lastgood.agent import tls
    from lastgood.agent.enrol import Place
    from lastgood.agent.joining import Join

    place = Place(hub_url=url.rstrip("/"), insecure=insecure, ca_file=tls.absolute(ca_file))
    if insecure and place.address.startswith("http:"):
        _warn("the way to the hub is not encrypted; whoever listens in between hears all that is told of this host.")
    join = Join(place=place, config=config.absolute(), data_dir=data_dir.absolute(), name=name)
    if join.doubtful_name is not None:
        _warn(
            f"this machine calls itself {join.doubtful_name}, as containers do; such a name ends with the container, "
            "so choose one that lasts with --name."
        )
    return join


def tell_joined(join: Join, name: str, host_id: str, hub_key: str) -> None:
    """The last words of an enrolment."""
    from lastgood.auth.identity import fingerprint
    from lastgood.wire.enrolment import bytes_of

    typer.echo(f"This machine is {text(name)} now (id {text(host_id)}), a host of {join.place.hub_url}.")
    typer.echo(f"The hub's key is {fingerprint(bytes_of(hub_key))}; the agent goes to no other.")
    option = "" if str(join.config) == "/etc/lastgood/agent.toml" else f" --config {join.config}"
    typer.echo(f"Next: lastgood agent install{option} (a systemd service), or lastgood agent run{option} (by hand).")


def announce_until_decided(join: Join, *, wait: bool) -> None:
    """Announce, show both fingerprints, and ask again until somebody decided. Raises as ``joining.announced``."""
    from lastgood.agent import joining
    from lastgood.auth.identity import fingerprint
    from lastgood.wire.enrolment import bytes_of

    keys = joining.prepare(join)
    shown = away = False
    while True:
        try:
            answer = joining.announced(join, keys)
        except Unreachable as error:
            if not shown and not wait:
                raise
            if not away:
                _warn(f"{error} Trying again.")
            away = True
            time.sleep(5.0)
            continue
        away = False
        if answer.state == "approved":
            tell_joined(join, answer.name, answer.host_id, answer.hub_key)
            return
        if not shown:
            typer.echo(f"This machine:  {keys.fingerprint}")
            typer.echo(f"The hub:       {fingerprint(bytes_of(answer.hub_key))}")
            typer.echo(f"Waiting to be approved as {text(answer.name)}. At the hub, compare both, then:")
            typer.echo(f"  lastgood host approve {answer.pending_id} --fingerprint {keys.fingerprint}")
            shown = True
        if not wait:
            typer.echo("The announcement holds for a day; the same command asks again and goes on waiting.")
            return
        time.sleep(min(max(answer.again_seconds, 0.5), 60.0))


def tell_status(status: AgentStatus, now: datetime, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(status), ensure_ascii=False))
        return
    if not status.running:
        state = "not running"
    elif status.connected:
        state = f"running, connected since {_moment(status.connected_at)}"
    else:
        last = f"; last connected {_moment(status.connected_at)}" if status.connected_at else ""
        state = f"running, the hub is away ({text(status.away or 'not connected yet')}){last}"
    lines = [
        ("Agent", state),
        ("Host", status.host_id),
        ("Hub", f"{status.hub_url}, key {status.hub}"),
        ("Key", status.fingerprint or "unreadable"),
        ("Spool", "unknown" if status.reports is None else f"{status.reports} reports wait for the hub"),
        ("Runs", ", ".join(status.runs) or "none under way"),
        (
            "Orders",
            f"{len(status.orders)}" + (f" (version {status.orders_version})" if status.orders_version else ""),
        ),
    ]
    for label, said in lines:
        typer.echo(f"{label + ':':<8}{text(said)}")
    for order in status.orders:
        paused = order.paused_until is not None and order.paused_until > now
        due = "only when asked" if order.next_at is None else f"next {_moment(order.next_at)}"
        pause = f" (paused until {_moment(order.paused_until)})" if paused else ""
        typer.echo(f"  {text(order.name)}: {text(order.paths)}, {due}{pause}")


def install_unit(config: Path, user: str, *, print_only: bool) -> None:
    """Print the unit, or write it and say what starts it. Raises ConfigError."""
    from lastgood.agent.enrolment import read_config
    from lastgood.agent.unit import UNIT_PATH, unit

    held = read_config(config)
    program = Path(sys.executable).with_name("lastgood")
    command = (str(program),) if program.exists() else (sys.executable, "-m", "lastgood")
    command = (*command, "agent", "run", "--config", str(config.absolute()))
    made = unit(command, user=user, data_dir=Path(held.data_dir))
    if print_only:
        typer.echo(made, nl=False)
        return
    try:
        UNIT_PATH.write_text(made, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The unit {UNIT_PATH} cannot be written: {error.strerror}; run this as root, or use --print."
        ) from error
    typer.echo(f"Written: {UNIT_PATH}. Next:")
    if not _is_user(user):
        typer.echo(f"  useradd --system --home-dir {held.data_dir} --shell /usr/sbin/nologin {user}")
    if "StateDirectory=" not in made:
        typer.echo(f"  chown -R {user} {held.data_dir}")
    typer.echo("  systemctl daemon-reload && systemctl enable --now lastgood-agent")


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _moment(at: datetime | None) -> str:
    return "never" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _warn(sentence: str) -> None:
    typer.echo(f"lastgood: warning: {sentence}", err=True)

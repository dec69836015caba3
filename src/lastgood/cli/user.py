"""``lastgood user``: people who may sign in, and as what.

``reset`` works on the hub's own machine without asking the hub, for whoever cannot sign in any more; the others ask
its API. The one rule: no password is asked for or printed here, only links with which one is chosen.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import ConfigFile, Debug, load_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(help="People who may sign in.", no_args_is_help=True)

LINK_FOR = timedelta(hours=1)
COLUMNS = (("NAME", "name"), ("ROLE", "role"), ("SINCE", "created_at"), ("SIGNS IN", "signs_in"))
Named = Annotated[str, typer.Argument(metavar="USER", help="Their name or id.")]
RoleName = Annotated[str, typer.Option("--role", help="admin, operator, viewer, scraper, or a role of your own.")]


@app.callback()
def _group() -> None:
    """People who may sign in."""


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What they sign in with.")],
    role: RoleName,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Add a user and print the one-time link with which they choose a password.

    Example: lastgood user create bob --role operator
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir, config) as hub:
        made = hub.post("/users", {"name": name, "role": role})
    typer.echo(made["link"])
    typer.echo("The link works once, for 24 hours; give it to them alone.", err=True)


@app.command("list")
def list_(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None, debug: Debug = False) -> None:
    """List the users.

    Example: lastgood user list
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir, config) as hub:
        rows = list(hub.every("/users"))
    show(rows, COLUMNS, as_json=as_json, nothing="Nobody can sign in yet; lastgood user reset prints the first link.")


@app.command("role")
def role_(
    user: Named,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="The role they get instead of theirs.")],
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Give a user another role; it holds from their next click on.

    Example: lastgood user role bob viewer
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text

    with asked_hub(data_dir, config) as hub:
        found = hub.find("/users", user, "user")
        changed = hub.patch(f"/users/{found['id']}", {"role": role})
    typer.echo(f"{text(changed['name'])} is {text(changed['role'])} now.", err=True)


@app.command("remove")
def remove(
    user: Named,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Remove a user and end their sessions. What they made stays, their API tokens as well.

    Example: lastgood user remove bob --yes
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text

    with asked_hub(data_dir, config) as hub:
        found = hub.find("/users", user, "user")
        if not yes:
            typer.confirm(f"Remove {text(found['name'])}?", abort=True)
        hub.delete(f"/users/{found['id']}")
    typer.echo("Removed.", err=True)


@app.command("reset")
def reset(
    name: Annotated[
        str | None, typer.Argument(help="Whose password is lost; without it, the only user, or the first one to be.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help="The hub's data folder.")] = None,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Print a one-time link with which a new password is chosen; works while the hub runs.

    Example: lastgood user reset anna --data-dir ./lastgood-data
    """
    from lastgood.clock import now
    from lastgood.config.keyfile import load_or_make_key
    from lastgood.errors import ConfigError
    from lastgood.store import accounts, records
    from lastgood.store.aside import beside_the_hub
    from lastgood.web.links import make_link
    from lastgood.web.wiring import web_key

    options: dict[str, object] = {"server.data_dir": str(data_dir)} if data_dir is not None else {}
    server = load_settings(config, options).settings.server

    def make(connection: Connection) -> str:
        users = accounts.list_users(connection)
        names = ", ".join(user.name for user in users)
        if name is None and len(users) > 1:
            raise ConfigError(f"There are several users ({names}); say whose password is lost.")
        if name is not None and accounts.find_user(connection, name) is None:
            raise ConfigError(f"There is no user {name!r}; there are: {names or 'none yet'}.")
        user_name = name or (users[0].name if users else None)
        if not server.key_path.exists():
            raise ConfigError(
                f"There is no secret key file {server.key_path}; put back the one the hub was made with."
            )
        secret_key = load_or_make_key(server.key_path)
        key = web_key(secret_key)
        _tell(connection, secret_key, user_name)
        base = records.get_meta(connection, records.PUBLIC_URL) or str(server.public_url)
        return make_link(connection, key=key, base=base, user_name=user_name, now=now(), lasts_for=LINK_FOR)

    typer.echo(beside_the_hub(server.data_dir, make))
    typer.echo("The link works once, for an hour. A new password ends all sessions of its user.", err=True)


def _tell(connection: Connection, secret_key: bytes, user_name: str | None) -> None:
    """Write into the audit log, in the transaction that keeps the link, that somebody on this machine made one."""
    from lastgood.auth.chain import chain_keys
    from lastgood.clock import now
    from lastgood.model.audit import ActorKind, Entry, Target, Who
    from lastgood.store import accounts, audit

    user = None if user_name is None else accounts.find_user(connection, user_name)
    target = Target(kind="user") if user is None else Target(kind="user", id=user.id, name=user.name)
    entry = Entry(action="user.reset", who=Who(kind=ActorKind.LOCAL, name="local"), target=target)
    audit.append(connection, entry, now(), chain_keys(secret_key))

"""``lastgood user``: people who may sign in, on the hub's own machine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.options import ConfigFile, Debug, load_settings

app = typer.Typer(help="People who may sign in.", no_args_is_help=True)

LINK_FOR = timedelta(hours=1)


@app.callback()
def _group() -> None:
    """People who may sign in."""


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
    from sqlalchemy import Connection

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
        key = web_key(load_or_make_key(server.key_path))
        base = records.get_meta(connection, records.PUBLIC_URL) or str(server.public_url)
        return make_link(connection, key=key, base=base, user_name=user_name, now=now(), lasts_for=LINK_FOR)

    typer.echo(beside_the_hub(server.data_dir, make))
    typer.echo("The link works once, for an hour. A new password ends all sessions of its user.", err=True)

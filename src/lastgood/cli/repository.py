"""``lastgood repository``: where snapshots live, tried out, changed and removed.

Comes in: words of the command line, and passwords from files or standard input. Goes out: requests to the hub. The
one rule: a password or variable is never an argument and never printed.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.durations import span
from lastgood.cli.options import Debug

if TYPE_CHECKING:
    from lastgood.cli.ask import Hub

app = typer.Typer(help="Repositories: where snapshots live.", no_args_is_help=True)

_MOST_READ = 65_536
COLUMNS = (
    ("Name", "name"),
    ("State", "state"),
    ("Snapshots", "snapshots"),
    ("Sources", "sources"),
    ("Credentials", "credentials"),
    ("Watched by", "watched_by"),
    ("Address", "url"),
)

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="A file on each host that holds the password, mode 0600; with --hold read here and now (- is stdin).",
    ),
]
EnvironmentFile = Annotated[
    Path | None,
    typer.Option(
        "--environment-file",
        metavar="FILE",
        help="Lines NAME=value for the store (AWS_ACCESS_KEY_ID ...), mode 0600; with --hold read here and now.",
    ),
]
Hold = Annotated[
    bool, typer.Option("--hold", help="The hub holds the credentials, sealed, and gives them to agents.")
]
WatchFrom = Annotated[
    str | None, typer.Option("--watch-from", metavar="HOST", help="Have this host's agent watch it instead.")
]
WatchEvery = Annotated[
    timedelta | None, typer.Option("--watch-every", parser=span, metavar="15m", help="How often it is looked into.")
]


@app.callback()
def _group() -> None:
    """Repositories: where snapshots live."""


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A name of your choice.")],
    url: Annotated[str, typer.Argument(help="The address as restic writes it, without a password.")],
    password_file: PasswordFile = None,
    environment_file: EnvironmentFile = None,
    hold: Hold = False,
    watch: Annotated[bool, typer.Option("--watch", help="The hub looks into it and finds what is there.")] = False,
    watch_from: WatchFrom = None,
    watch_every: WatchEvery = None,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a repository known. It is made by the first backup into it if it is not there yet.

    Examples:

      lastgood repository add vault /mnt/backup/restic --password-file /etc/lastgood/vault.pass

      lastgood repository add cloud s3:https://s3.example/bucket --hold --password-file - --environment-file aws.env

      lastgood repository add nas /mnt/nas/restic --password-file /root/nas.pass --watch

    With --watch it waits for the first look, and shows every series of snapshots that is there.
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.watching import first_look, sources_of, tell
    from lastgood.clock import now

    body: dict[str, Any] = {"name": name, "url": url}
    body |= {"held": _held(password_file, environment_file)} if hold else _files(password_file, environment_file)
    with asked_hub(data_dir) as hub:
        body |= _watched(hub, watch, watch_from, watch_every)
        added = hub.post("/repositories", body)
        if added["watched_by"] is not None:
            typer.echo(f"{added['name']} was added; looking into it ...", err=True)
            added = first_look(hub, added["id"])
            added["found"] = sources_of(hub, added["id"])
    if as_json:
        _print_json(added)
    elif added["watched_by"] is not None:
        tell(added, added["found"], now())
    else:
        typer.echo(f"{added['name']} was added.")
        typer.echo(f"Try it out: lastgood repository test {added['name']} --host HOST", err=True)


@app.command("list")
def list_(data_dir: DataDir = None, as_json: Json = False, debug: Debug = False) -> None:
    """Show all repositories.

    Example: lastgood repository list --json
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir) as hub:
        rows = list(hub.every("/repositories"))
        by_host = not as_json and any(row["watched_by"] not in (None, "hub") for row in rows)
        names = {host["id"]: host["name"] for host in hub.every("/hosts")} if by_host else {}
    if not as_json:
        for row in rows:
            row["credentials"] = f"held ({', '.join(row['held'])})" if row["held"] else row["password_file"]
            row["watched_by"] = names.get(row["watched_by"], row["watched_by"])
    show(
        rows, COLUMNS, as_json=as_json, nothing="No repository is known yet; lastgood repository add makes one known."
    )


@app.command("test")
def test(
    name: Annotated[str, typer.Argument(help="The repository's name or id.")],
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="Whose agent looks; else one that uses it.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have an agent look into a repository now; exit code 0 only if it opens.

    Example: lastgood repository test vault --host web-1
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text

    with asked_hub(data_dir) as hub:
        repository = hub.find("/repositories", name, "repository")
        host_id = hub.find("/hosts", host, "host")["id"] if host is not None else None
        seen = hub.post(f"/repositories/{repository['id']}/test", {"host_id": host_id})
    if as_json:
        _print_json(seen)
    else:
        typer.echo(f"{text(seen['host'])}: {text(_said(seen))}")
        for lock in seen["locks"] or ():
            kind = "exclusive lock" if lock["exclusive"] else "lock"
            typer.echo(f"  {kind} of {text(lock['hostname'])}, made {text(lock['created_at'])}")
    if seen["probe"] != "ready":
        raise typer.Exit(1)


@app.command("set")
def set_(
    name: Annotated[str, typer.Argument(help="The repository's name or id.")],
    new_name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    url: Annotated[str | None, typer.Option("--url", help="Where it is now.")] = None,
    password_file: PasswordFile = None,
    environment_file: EnvironmentFile = None,
    hold: Hold = False,
    slot: Annotated[
        str, typer.Option("--slot", help="With --hold: everyday, or admin for forget and prune.")
    ] = "everyday",
    forget_held: Annotated[
        str | None, typer.Option("--forget-held", metavar="SLOT", help="The hub forgets what it holds in this slot.")
    ] = None,
    watch: Annotated[
        bool | None, typer.Option("--watch/--no-watch", help="Whether the hub looks into it by itself.")
    ] = None,
    watch_from: WatchFrom = None,
    watch_every: WatchEvery = None,
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Change a repository, or the credentials that the hub holds for it.

    Examples:

      lastgood repository set vault --url sftp:backup@vault:/srv/restic

      lastgood repository set vault --hold --slot admin --password-file admin.pass --environment-file admin.env
    """
    from lastgood.cli.ask import asked_hub

    changes: dict[str, Any] = {key: value for key, value in (("name", new_name), ("url", url)) if value is not None}
    if not hold:
        changes |= _files(password_file, environment_file)
    if watch is False:
        changes["watched_by"] = None
    if not changes and not hold and all(one is None for one in (forget_held, watch, watch_from, watch_every)):
        raise typer.BadParameter("Say what to change; --help names what there is.")
    held = _held(password_file, environment_file) if hold else None
    with asked_hub(data_dir) as hub:
        changes |= _watched(hub, bool(watch), watch_from, watch_every)
        path = f"/repositories/{hub.find('/repositories', name, 'repository')['id']}"
        if held is not None:
            hub.put(f"{path}/credentials/{slot}", held)
        if changes:
            hub.patch(path, changes)
        if forget_held is not None:
            hub.delete(f"{path}/credentials/{forget_held}")
    typer.echo(f"{name} was changed.")


@app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="The repository's name or id.")],
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Forget a repository into which nothing is backed up any more. Its backups stay where they are.

    Example: lastgood repository remove old-vault
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir) as hub:
        repository = hub.find("/repositories", name, "repository")
        typer.echo(hub.delete(f"/repositories/{repository['id']}")["message"])


def _said(seen: dict[str, Any]) -> str:
    """What was seen, in words."""
    if seen["probe"] == "missing":
        return f"{seen['reason']} The first backup into it makes it."
    if seen["probe"] != "ready":
        return str(seen["reason"] or seen["probe"])
    if seen["snapshots"] is None:
        return f"It opens, but could not be read: {seen['reason']}"
    plural = "" if seen["snapshots"] == 1 else "s"
    locks = len(seen["locks"]) if seen["locks"] is not None else None
    told = {None: "its locks could not be read", 0: "no locks", 1: "1 lock"}.get(locks, f"{locks} locks")
    return f"It opens; {seen['snapshots']} snapshot{plural}, {told}."


def _files(password_file: Path | None, environment_file: Path | None) -> dict[str, Any]:
    """The files as hosts find them: whole paths, since each host has its own."""
    said = (("password_file", password_file), ("environment_file", environment_file))
    return {key: str(path.absolute()) for key, path in said if path is not None}


def _held(password_file: Path | None, environment_file: Path | None) -> dict[str, Any]:
    from lastgood.tools.restic.variables import check_environment, check_password, parse_environment

    if password_file is None:
        raise typer.BadParameter("With --hold the password comes from --password-file FILE, or - for standard input.")
    # restic cuts blanks and line breaks off a password file as well
    password = check_password(_read(password_file).strip(), f"The password in {password_file}")
    environment = {}
    if environment_file is not None:
        where = f"the environment file {environment_file}"
        environment = check_environment(parse_environment(_read(environment_file), where), where, from_hub=True)
    return {"password": password, "environment": environment}


def _read(path: Path) -> str:
    from lastgood.errors import ConfigError

    try:
        if str(path) == "-":
            return sys.stdin.read(_MOST_READ)
        with path.open(encoding="utf-8") as file:
            return file.read(_MOST_READ)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; mend the path or its mode.") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no UTF-8 text; is it the right file?") from None


def _watched(hub: Hub, watch: bool, watch_from: str | None, every: timedelta | None) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if watch_from is not None:
        said["watched_by"] = hub.find("/hosts", watch_from, "host")["id"]
    elif watch:
        said["watched_by"] = "hub"
    if every is not None:
        said["watch_seconds"] = int(every.total_seconds())
    return said


def _print_json(answer: Any) -> None:
    import json

    typer.echo(json.dumps(answer, ensure_ascii=False))

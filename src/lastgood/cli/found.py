"""``lastgood source adopt|alias|mute``: found sources put in order; they belong to the group of ``source.py``.

Comes in: words of the command line. Goes out: requests to the hub. The one rule: nothing here touches a snapshot.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import Debug

Found = Annotated[str, typer.Argument(help="The found source: its name, host/name, or id.")]


def adopt(
    source: Found,
    into: Annotated[str, typer.Argument(help="Whose history it becomes: a source of the same repository.")],
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a found source the history of another one. Its snapshots count there from now on, and it ends.

    Example: lastgood source adopt old-name//home web-1/home
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.naming import find_source

    with asked_hub(data_dir) as hub:
        found, owner = find_source(hub, source), find_source(hub, into)
        changed = hub.post(f"/sources/{found['id']}/adopt", {"into_id": owner["id"]})
    _tell(changed, f"has the history of {found['name']}", as_json)


def alias(
    source: Found,
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="A host, by name or id.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a found source under the name of a host; without --host under the name that restic wrote.

    Example: lastgood source alias f3a9c21b77d0//data --host web-1
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.naming import find_source

    with asked_hub(data_dir) as hub:
        found = find_source(hub, source)
        host_id = hub.find("/hosts", host, "host")["id"] if host is not None else None
        changed = hub.post(f"/sources/{found['id']}/alias", {"host_id": host_id})
    _tell(changed, "is its name now", as_json)


def mute(
    source: Found,
    unmute: Annotated[bool, typer.Option("--unmute", help="Watch it again.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Expect nothing of a found source any more: it goes into the archive with your name, and raises no alert.

    Example: lastgood source mute old-laptop//home
    """
    from lastgood.cli.ask import NoSuch, asked_hub
    from lastgood.cli.naming import find_source, full_name

    with asked_hub(data_dir) as hub:
        found = find_source(hub, source)
        if not found["found"]:  # archived, its agent would stop, which is more than this word says
            raise NoSuch(
                f"{full_name(found)} is no found source: an agent backs it up; see lastgood source pause and archive."
            )
        changed = hub.patch(f"/sources/{found['id']}", {"archived": not unmute})
    _tell(changed, "is watched again" if unmute else "is muted", as_json)


def _tell(source: dict[str, Any], done: str, as_json: bool) -> None:
    import json

    from lastgood.cli.naming import full_name
    from lastgood.cli.tables import text

    typer.echo(json.dumps(source, ensure_ascii=False) if as_json else f"{text(full_name(source))} {text(done)}.")

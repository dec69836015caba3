"""``lastgood restore``: a snapshot, or some paths of it, into a new folder on a host whose policy allows it.

Comes in: words of the command line. Goes out: a run of an agent, followed to its end, and the line of plain restic
that does the same. The one rule: nothing is restored over what is there.
"""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import Debug

LATEST = "latest"


def restore(
    source: Annotated[
        str | None, typer.Argument(help="The source whose snapshot it is: name, host/name or id; or --repository.")
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="DIR", help="A new or empty folder on the host, from the root.")
    ] = "",
    snapshot: Annotated[str, typer.Option("--snapshot", metavar="ID", help="Which snapshot.")] = LATEST,
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="PATH", help="Only this; may be repeated.")
    ] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", metavar="NAME", help="Any snapshot of this repository.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="NAME", help="Onto this host; else where the source is from.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Restore a snapshot into a new folder on a host.

    The host's agent-policy.toml must allow it (allow_restore). Exit code 0 only if everything was restored.

    Example: lastgood restore web-1/home --to /srv/restore/home
    Example: lastgood restore --repository vault --snapshot 4f1c9d2e --host nas --include /etc --to /srv/restore/etc
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.following import ended_well, follow, told
    from lastgood.cli.job import found

    if not to:
        raise typer.BadParameter("Name the folder to restore into with --to.")
    if (source is None) is (repository is None):
        raise typer.BadParameter("Name one of them: a source, or --repository.")
    if source is None and (snapshot == LATEST or host is None):
        raise typer.BadParameter("With --repository name the snapshot with --snapshot, and the host with --host.")
    with asked_hub(data_dir) as hub:
        ids = found(hub, source, repository, host)
        wish = {"snapshot": snapshot, "target": to, "include": include or []}
        run_id = hub.post("/runs", {"kind": "restore", **ids, "restore": wish})["run_id"]
        if not wait:
            typer.echo(json.dumps({"run_id": run_id}) if as_json else run_id)
            return
        ended = follow(hub, run_id)
        line = by_hand(hub, ended, to, include or [])
    if as_json:
        typer.echo(json.dumps({**ended, "by_hand": line}, ensure_ascii=False))
    else:
        typer.echo(told(ended))
        if line is not None:
            typer.echo(f"The same by hand: {line}")
    raise typer.Exit(0 if ended_well(ended) else 1)


def by_hand(hub: Any, run: dict[str, Any], to: str, include: list[str]) -> str | None:
    """The line of restic that does the same; it asks for the password. None if the snapshot is not known."""
    if not run.get("snapshot_id") or not run.get("repository_id"):
        return None
    url = hub.get(f"/repositories/{run['repository_id']}")["url"]
    words = ["restic", "-r", url, "restore", run["snapshot_id"], "--target", to]
    for path in include:
        words += ["--include", path]
    return shlex.join(words)

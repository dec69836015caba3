"""``lastgood job``: start, end, list and read runs on any host.

Comes in: words of the command line. Goes out: requests to the hub. The one rule: with ``--wait`` the exit code is 0
only if the run ended well.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import Debug

app = typer.Typer(help="Runs: back up, check, unlock, forget, prune.", no_args_is_help=True)

KINDS = ("backup", "init", "check", "unlock", "forget", "prune")
COLUMNS = (
    ("Run", "id"),
    ("Kind", "kind"),
    ("Status", "told"),
    ("Host", "host"),
    ("Source", "source"),
    ("Repository", "repository"),
    ("Began", "started_at"),
    ("Ended", "ended_at"),
    ("Reason", "reason"),
)
_SHOWN = (
    ("Run", "id"),
    ("Kind", "kind"),
    ("Status", "status"),
    ("Outcome", "outcome"),
    ("Reason", "reason"),
    ("Cause", "cause"),
    ("Host", "host"),
    ("Source", "source"),
    ("Repository", "repository"),
    ("Due", "due_at"),
    ("Began", "started_at"),
    ("Ended", "ended_at"),
    ("Seconds", "duration_seconds"),
    ("Snapshot", "snapshot_id"),
    ("Files", "files"),
    ("Bytes", "size_bytes"),
    ("Added bytes", "added_bytes"),
    ("Data read", "check_subset"),
    ("Errors", "error_count"),
)

Source = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="Of this source: name, host/name or id.")
]
Repository = Annotated[str | None, typer.Option("--repository", metavar="NAME", help="Of this repository.")]
Host = Annotated[str | None, typer.Option("--host", metavar="NAME", help="By the agent of this host.")]
Run = Annotated[str, typer.Argument(help="The run's id.")]


@app.callback()
def _group() -> None:
    """Runs: back up, check, unlock, forget, prune."""


@app.command("run")
def run(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")],
    source: Source = None,
    repository: Repository = None,
    host: Host = None,
    subset: Annotated[
        str | None, typer.Option("--subset", metavar="n/t|10%|5G", help="For check: read this much of the data.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until it has ended; exit code 0 only if it ended well.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have an agent run something now.

    Example: lastgood job run backup --source web-1/home --wait
    Example: lastgood job run check --repository vault --subset 1/10
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.following import ended_well, follow, told

    if kind not in KINDS:
        hint = " Use lastgood restore." if kind == "restore" else ""
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}.{hint}")
    if (source is None) is (repository is None):
        raise typer.BadParameter("Name one of them: --source or --repository.")
    with asked_hub(data_dir) as hub:
        body = {"kind": kind, **found(hub, source, repository, host)}
        if subset is not None:
            body["check_subset"] = subset
        run_id = hub.post("/runs", body)["run_id"]
        if not wait:
            typer.echo(json.dumps({"run_id": run_id}) if as_json else run_id)
            return
        ended = follow(hub, run_id)
    typer.echo(json.dumps(ended, ensure_ascii=False) if as_json else told(ended))
    raise typer.Exit(0 if ended_well(ended) else 1)


@app.command("cancel")
def cancel(run_id: Run, data_dir: DataDir = None, debug: Debug = False) -> None:
    """End a run that waits or is under way.

    Example: lastgood job cancel 01JX4Q7Y8W0000000000000000
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir) as hub:
        hub.post(f"/runs/{run_id}/cancel")
    typer.echo("It was asked to end.")


@app.command("list")
def list_(
    source: Source = None,
    repository: Repository = None,
    host: Host = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind of run.")] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="queued, running, succeeded, failed or cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="So many ended ones.")] = 50,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Runs that wait or are under way, then the newest that ended.

    Example: lastgood job list --host web-1 --status failed
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir) as hub:
        ids = found(hub, source, repository, host)
        answer = hub.get("/runs", kind=kind, status=status, limit=limit, **ids)
    rows = [{**row, "told": row["outcome"] or row["status"]} for row in (*answer["running"], *answer["items"])]
    if as_json:
        for row in rows:
            del row["told"]
    show(rows, COLUMNS, as_json=as_json, nothing="No run fits.")


@app.command("show")
def show_run(run_id: Run, data_dir: DataDir = None, as_json: Json = False, debug: Debug = False) -> None:
    """One run: how it stands or ended, and why.

    Example: lastgood job show 01JX4Q7Y8W0000000000000000
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text

    with asked_hub(data_dir) as hub:
        answer = hub.get(f"/runs/{run_id}")
    if as_json:
        typer.echo(json.dumps(answer["run"], ensure_ascii=False))
        return
    for heading, key in _SHOWN:
        value = answer["run"].get(key)
        if value is not None:
            typer.echo(f"{heading + ':':<13} {text(value)}")


@app.command("log")
def log(
    run_id: Run,
    head: Annotated[int | None, typer.Option("--head", metavar="N", min=1, help="Its first N lines.")] = None,
    tail: Annotated[int | None, typer.Option("--tail", metavar="N", min=1, help="Its last N lines.")] = None,
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """What the tool wrote, its head and its tail, secrets masked; it comes with the end of the run.

    Example: lastgood job log 01JX4Q7Y8W0000000000000000 --tail 20
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import text

    with asked_hub(data_dir) as hub:
        answer = hub.get(f"/runs/{run_id}")
    lines = answer["log"].splitlines()
    if not lines:
        ended = answer["run"]["outcome"] is not None
        typer.echo("The tool wrote nothing." if ended else "The log comes with the end of the run.", err=True)
        return
    for line in cut(lines, head, tail):
        typer.echo(text(line) if line else "")


def cut(lines: list[str], head: int | None, tail: int | None) -> list[str]:
    """The first and the last lines; all without either."""
    if (head is None and tail is None) or (head or 0) + (tail or 0) >= len(lines):
        return lines
    first = lines[: head or 0]
    last = lines[len(lines) - (tail or 0) :]
    return [*first, "…", *last] if first and last else [*first, *last]


def found(hub: Any, source: str | None, repository: str | None, host: str | None) -> dict[str, str]:
    """The ids of what is named, as the API takes them."""
    from lastgood.cli.naming import find_source

    ids = {}
    if source is not None:
        ids["source_id"] = find_source(hub, source)["id"]
    if repository is not None:
        ids["repository_id"] = hub.find("/repositories", repository, "repository")["id"]
    if host is not None:
        ids["host_id"] = hub.find("/hosts", host, "host")["id"]
    return ids

"""``lastgood source``: what is backed up, from which host, into which repository, how often, and what stays.

Comes in: words of the command line. Goes out: requests to the hub. The one rule: what is not named is not changed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from lastgood.cli import found
from lastgood.cli.ask import DataDir, Json
from lastgood.cli.durations import moment, span
from lastgood.cli.options import Debug

app = typer.Typer(help="Sources: what is backed up.", no_args_is_help=True)

COLUMNS = (
    ("Source", "full_name"),
    ("State", "state"),
    ("Last good", "last_good_at"),
    ("Next due", "due_at"),
    ("Every", "every"),
    ("Repository", "repository"),
    ("Orders", "orders"),
)
_KEEP = ("last", "hourly", "daily", "weekly", "monthly", "yearly")

Name = Annotated[str, typer.Argument(help="The source: its name, host/name, or id.")]
Excludes = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="Left out; may be repeated.")
]
Every = Annotated[str | None, typer.Option("--every", metavar="CRON", help='When to back it up: "0 2 * * *".')]
Zone = Annotated[str | None, typer.Option("--zone", help="The time zone of --every; else this machine's.")]
Target = Annotated[timedelta | None, typer.Option("--target", parser=span, metavar="26h", help="Never older than.")]
Grace = Annotated[
    timedelta | None, typer.Option("--grace", parser=span, metavar="2h", help="How late a backup may come.")
]
KeepLast = Annotated[int | None, typer.Option("--keep-last", metavar="N", min=0, help="Keep the newest N.")]
KeepHourly = Annotated[int | None, typer.Option("--keep-hourly", metavar="N", min=0, help="One an hour, N of them.")]
KeepDaily = Annotated[int | None, typer.Option("--keep-daily", metavar="N", min=0, help="One a day.")]
KeepWeekly = Annotated[int | None, typer.Option("--keep-weekly", metavar="N", min=0, help="One a week.")]
KeepMonthly = Annotated[int | None, typer.Option("--keep-monthly", metavar="N", min=0, help="One a month.")]
KeepYearly = Annotated[int | None, typer.Option("--keep-yearly", metavar="N", min=0, help="One a year.")]
KeepWithin = Annotated[
    str | None, typer.Option("--keep-within", metavar="14d", help="Keep all that are younger, as restic writes it.")
]


@app.callback()
def _group() -> None:
    """Sources: what is backed up."""


@app.command("add")
def add(
    host: Annotated[str, typer.Argument(help="The host, by name or id.")],
    paths: Annotated[list[str], typer.Argument(help="Files and folders of that host, from the root.")],
    repository: Annotated[str, typer.Option("--repository", "-r", metavar="NAME", help="Into which repository.")],
    name: Annotated[str | None, typer.Option("--name", help="A name of your choice; else the first path.")] = None,
    exclude: Excludes = None,
    every: Every = None,
    zone: Zone = None,
    target: Target = None,
    grace: Grace = None,
    accept_partial: Annotated[
        bool, typer.Option("--accept-partial", help="Call a backup good that could not read everything.")
    ] = False,
    keep_last: KeepLast = None,
    keep_hourly: KeepHourly = None,
    keep_daily: KeepDaily = None,
    keep_weekly: KeepWeekly = None,
    keep_monthly: KeepMonthly = None,
    keep_yearly: KeepYearly = None,
    keep_within: KeepWithin = None,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have a host's agent back something up.

    Example: lastgood source add web-1 /etc /home -r vault --name system --every "0 2 * * *" --keep-daily 14
    """
    from lastgood.cli.ask import asked_hub

    counts = (keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly)
    with asked_hub(data_dir) as hub:
        body = {
            "host_id": hub.find("/hosts", host, "host")["id"],
            "repository_id": hub.find("/repositories", repository, "repository")["id"],
            "name": name or paths[0],
            "paths": paths,
            "excludes": exclude or [],
            "schedule": _schedule(every, zone, None),
            "target_seconds": _seconds(target),
            "grace_seconds": _seconds(grace),
            "accept_partial": accept_partial,
            "keep": _keep(counts, keep_within),
        }
        added = hub.post("/sources", body)
    _tell(added, "was added", as_json)


@app.command("list")
def list_(
    host: Annotated[str | None, typer.Option("--host", metavar="HOST", help="Only those of this host.")] = None,
    state: Annotated[str, typer.Option("--state", help="Only those in this state, or in several with commas.")] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show sources and how they stand.

    Example: lastgood source list --state failed,missed
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.naming import full_name
    from lastgood.cli.tables import show
    from lastgood.cli.watching import rhythm_of

    with asked_hub(data_dir) as hub:
        host_id = hub.find("/hosts", host, "host")["id"] if host is not None else None
        rows = list(hub.every("/sources", host_id=host_id, state=state or None))
    if not as_json:
        for row in rows:
            row["full_name"] = full_name(row)
            row["every"] = row["schedule"]["cron"] if row["schedule"] else rhythm_of(row)
            row["orders"] = None if row["found"] else row["orders_refused"] or _ORDERS[row["orders_taken"]]
    show(rows, COLUMNS, as_json=as_json, nothing="No source fits; lastgood source add makes one.")


_ORDERS = {True: "taken", False: "on their way", None: "agent away"}


@app.command("set")
def set_(
    source: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    path: Annotated[
        list[str] | None, typer.Option("--path", metavar="PATH", help="What to back up instead; may be repeated.")
    ] = None,
    exclude: Excludes = None,
    no_excludes: Annotated[bool, typer.Option("--no-excludes", help="Leave nothing out any more.")] = False,
    every: Every = None,
    zone: Zone = None,
    no_schedule: Annotated[bool, typer.Option("--no-schedule", help="Run it only when asked.")] = False,
    target: Target = None,
    no_target: Annotated[bool, typer.Option("--no-target", help="Take the target away.")] = False,
    grace: Grace = None,
    default_grace: Annotated[bool, typer.Option("--default-grace", help="Back to the default grace.")] = False,
    accept_partial: Annotated[
        bool | None, typer.Option("--accept-partial/--refuse-partial", help="Whether a partial backup is good.")
    ] = None,
    keep_last: KeepLast = None,
    keep_hourly: KeepHourly = None,
    keep_daily: KeepDaily = None,
    keep_weekly: KeepWeekly = None,
    keep_monthly: KeepMonthly = None,
    keep_yearly: KeepYearly = None,
    keep_within: KeepWithin = None,
    keep_all: Annotated[bool, typer.Option("--keep-all", help="Forget nothing any more.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Change a source. --keep-... options together replace its whole retention.

    Example: lastgood source set web-1/system --every "0 */6 * * *" --keep-daily 14 --keep-monthly 12
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.naming import find_source

    counts = (keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly)
    keep = _keep(counts, keep_within)
    wishes: tuple[tuple[str, bool, Any], ...] = (
        ("name", new_name is not None, new_name),
        ("paths", bool(path), path),
        ("excludes", bool(exclude) or no_excludes, [] if no_excludes else exclude),
        ("target_seconds", target is not None or no_target, None if no_target else _seconds(target)),
        ("grace_seconds", grace is not None or default_grace, None if default_grace else _seconds(grace)),
        ("accept_partial", accept_partial is not None, accept_partial),
        ("keep", keep is not None or keep_all, None if keep_all else keep),
    )
    changes = {key: value for key, wished, value in wishes if wished}
    if not changes and every is None and zone is None and not no_schedule:
        raise typer.BadParameter("Say what to change; --help names what there is.")
    with asked_hub(data_dir) as hub:
        found = find_source(hub, source)
        if no_schedule:
            changes["schedule"] = None
        elif every is not None or zone is not None:
            changes["schedule"] = _schedule(every, zone, found["schedule"])
        _tell(hub.patch(f"/sources/{found['id']}", changes), "was changed", as_json)


@app.command("pause")
def pause(
    source: Name,
    until: Annotated[
        str | None, typer.Option("--until", metavar="2d|DATE", help="How long, or up to when: 2d, 2026-05-01.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="End the pause now.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Expect nothing of a source for a while, and start nothing; a pause always has an end.

    Examples:

      lastgood source pause laptop/home --until 2w

      lastgood source pause laptop/home --resume
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.naming import find_source
    from lastgood.cli.tables import text
    from lastgood.clock import now

    if (until is None) is not resume:
        raise typer.BadParameter("Say either --until 2d (or a date) or --resume.")
    end = None if until is None else moment(until, now()).isoformat()
    with asked_hub(data_dir) as hub:
        changed = hub.patch(f"/sources/{find_source(hub, source)['id']}", {"paused_until": end})
    _tell(changed, "goes on" if resume else f"is paused until {text(changed['paused_until'])}", as_json)


@app.command("archive")
def archive(
    source: Name,
    bring_back: Annotated[bool, typer.Option("--bring-back", help="Take it out of the archive.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Stop backing a source up and keep its history. Its snapshots stay where they are.

    Example: lastgood source archive web-1/old-site
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.naming import find_source

    with asked_hub(data_dir) as hub:
        changed = hub.patch(f"/sources/{find_source(hub, source)['id']}", {"archived": not bring_back})
    _tell(changed, "is back" if bring_back else "is archived", as_json)


app.command("adopt")(found.adopt)
app.command("alias")(found.alias)
app.command("mute")(found.mute)


def _schedule(every: str | None, zone: str | None, before: dict[str, str] | None) -> dict[str, str] | None:
    """The schedule that was asked for; what is not said is as ``before``, else in this machine's zone."""
    from lastgood.cli.upscreen import local_zone

    cron = every or (before["cron"] if before else None)
    if cron is None:
        if zone is not None:
            raise typer.BadParameter("--zone belongs to --every; say when to back it up.")
        return None
    return {"cron": cron, "zone": zone or (before["zone"] if before else local_zone())}


def _keep(counts: tuple[int | None, ...], within: str | None) -> dict[str, Any] | None:
    """The retention that the options together say; None if none was given."""
    said = {name: count for name, count in zip(_KEEP, counts, strict=True) if count is not None}
    return {**said, "within": within} if said or within is not None else None


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _tell(source: dict[str, Any], done: str, as_json: bool) -> None:
    import json

    from lastgood.cli.naming import full_name
    from lastgood.cli.tables import text

    if as_json:
        typer.echo(json.dumps(source, ensure_ascii=False))
        return
    typer.echo(f"{text(full_name(source))} {done}.")
    if source["orders_taken"] is None and not source["archived"] and not source["found"]:
        typer.echo(f"The agent of {text(source['host'])} is away; it gets its orders when it connects.", err=True)

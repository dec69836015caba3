"""``lastgood audit``: what was done on a hub and by whom, and whether anybody changed what is told of it.

``verify`` reads the database file itself, so that it need not trust the hub; the others ask the hub's API.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import ConfigFile, Debug, load_settings

if TYPE_CHECKING:
    from lastgood.auth.proof import Proof

app = typer.Typer(help="What was done on the hub, and proof that nobody changed it.", no_args_is_help=True)

COLUMNS = (
    ("AT", "at"),
    ("WHO", "who"),
    ("ACTION", "action"),
    ("WHAT", "what"),
    ("OUTCOME", "outcome"),
    ("FROM", "address"),
)
MOST = 100


@app.callback()
def _group() -> None:
    """What was done on the hub, and proof that nobody changed it."""


@app.command("list")
def list_(
    action: Annotated[str | None, typer.Option("--action", help="Such as source.write, or all of source.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Name or id of who did it.")] = None,
    target: Annotated[str | None, typer.Option("--target", help="Name or id of what it was done to.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="done, refused, failed or begun.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="A day, such as 2026-01-31, or a moment.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="As --since; not within.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most, the newest first.")] = MOST,
    data_dir: DataDir = None,
    as_json: Json = False,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """List what was done, newest first.

    Example: lastgood audit list --action host --since 2026-01-01
    """
    from itertools import islice

    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    filters = {"action": action, "actor": actor, "target": target, "outcome": outcome, "since": since, "until": until}
    with asked_hub(data_dir, config) as hub:
        found = list(islice(hub.every("/audit", **filters), limit))
    rows = found if as_json else [{**row, **_people(row)} for row in found]
    show(rows, COLUMNS, as_json=as_json, nothing="Nothing fits.")


@app.command("head")
def head(data_dir: DataDir = None, as_json: Json = False, config: ConfigFile = None, debug: Debug = False) -> None:
    """Print how far the log has come, signed by the hub. Kept elsewhere, it proves later that no row was cut off.

    Example: lastgood audit head --json > /mnt/elsewhere/audit-head.json
    """
    import json

    from lastgood.cli.ask import asked_hub
    from lastgood.errors import LastgoodError

    with asked_hub(data_dir, config) as hub:
        found = hub.get("/audit/head")["head"]
    if found is None:
        raise LastgoodError("The audit log has no row yet; ask again once something was done.")
    if as_json:
        typer.echo(json.dumps(found))
    else:
        typer.echo(f"Row {found['seq']} at {found['at']}, hash {found['hash']}.")


@app.command("verify")
def verify(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="The hub's data folder on this machine.")
    ] = None,
    database: Annotated[
        Path | None, typer.Option("--database", metavar="FILE", help="A database file, such as a copy of the hub's.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", metavar="FILE", help="The secret key file that belongs to --database."),
    ] = None,
    heads: Annotated[
        list[Path] | None,
        typer.Option("--head", metavar="FILE", help="A signed head that was kept elsewhere; several may be named."),
    ] = None,
    as_json: Json = False,
    config: ConfigFile = None,
    debug: Debug = False,
) -> None:
    """Prove that no row of the audit log was changed, removed, moved or put in; exit code 1 if one was.

    Reads the database file and writes nothing; the hub may run or not.

    Example: lastgood audit verify --data-dir /var/lib/lastgood --head /mnt/elsewhere/audit-head.json
    """
    import json

    from lastgood.service.audit import head_files
    from lastgood.service.audit_file import prove_file
    from lastgood.store.database import DATABASE_NAME

    kept: tuple[Path, ...] = ()
    if database is None:
        options: dict[str, object] = {} if data_dir is None else {"server.data_dir": str(data_dir)}
        settings = load_settings(config, options).settings
        database = settings.server.data_dir / DATABASE_NAME
        kept = head_files(settings)
        key_file = key_file or settings.server.key_path
    proof = prove_file(database, key_file, kept, heads or ())
    if as_json:
        typer.echo(json.dumps(_told(proof)))
    else:
        _say(proof)
    if not proof.is_whole:
        raise typer.Exit(1)


def _say(proof: Proof) -> None:
    for sentence in proof.findings:
        typer.echo(f"CHANGED  {sentence}")
    if proof.faults > len(proof.findings):
        typer.echo(f"CHANGED  And {proof.faults - len(proof.findings)} findings more.")
    for sentence in proof.notes:
        typer.echo(f"note     {sentence}")
    for sentence in proof.unproved:
        typer.echo(f"unproved {sentence}")
    if not proof.rows:
        typer.echo("The audit log holds no row.")
        return
    last = "" if proof.last_at is None else f", the last of {proof.last_at:%Y-%m-%d %H:%M:%S} UTC"
    verdict = "none was changed" if proof.is_whole else f"{proof.faults} findings"
    typer.echo(f"{proof.rows} rows, {proof.first} to {proof.last}{last}: {verdict}.")


def _told(proof: Proof) -> dict[str, Any]:
    return {
        "whole": proof.is_whole,
        "rows": proof.rows,
        "first": proof.first,
        "last": proof.last,
        "last_at": None if proof.last_at is None else proof.last_at.isoformat(),
        "last_hash": proof.last_hash.hex() if isinstance(proof.last_hash, bytes) else None,
        "findings": proof.findings,
        "faults": proof.faults,
        "notes": proof.notes,
        "unproved": proof.unproved,
    }


def _people(row: dict[str, Any]) -> dict[str, str]:
    actor, target = row["actor"], row["target"]
    kind = "" if actor["kind"] in ("person", actor["name"]) or not actor["name"] else f" ({actor['kind']})"
    named = target["name"] or target["id"]
    return {"who": (actor["name"] or actor["kind"]) + kind, "what": f"{target['kind']} {named}" if named else ""}

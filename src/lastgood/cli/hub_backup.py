"""``lastgood backup-hub``, ``restore-hub`` and ``recovery-kit``: the hub's own database and keys, kept elsewhere.

The one rule: keys and passphrases come from files or are typed at a prompt; they never stand on a command line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from lastgood.cli.ask import QUICK_START, DataDir, Json, asked_hub
from lastgood.cli.options import ConfigFile, load_settings
from lastgood.errors import ConfigError, LastgoodError

if TYPE_CHECKING:
    from lastgood.config.settings import Settings
    from lastgood.secret import Secret

Passphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="File with a passphrase, instead of a key.")
]
_LONGEST_SECRET = 4096


def backup_hub(
    to: Annotated[str, typer.Argument(metavar="FILE", help="Where to write it; - means standard output.")],
    data_dir: DataDir = None,
    config: ConfigFile = None,
    recipient: Annotated[
        str | None, typer.Option("--recipient", metavar="age1...", help="Another recovery key's public half.")
    ] = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Write one encrypted file with the hub's database, keys and configuration, while the hub runs.

    It opens with the recovery key of the kit that was taken on the page Recovery, or with a passphrase.

    Example: lastgood backup-hub /mnt/backup/hub.age
    """
    from lastgood.clock import now
    from lastgood.service.last_backup import note_backup
    from lastgood.service.safekeeping import Places, back_up

    if recipient is not None and passphrase_file is not None:
        raise ConfigError("Give --recipient or --passphrase-file, not both: a file opens in one way.")
    folder, settings, file = _hub_here(data_dir, config)
    passphrase = None if passphrase_file is None else _from_file(passphrase_file)
    known = recipient or (None if passphrase is not None else _kit_recipient(folder))
    tls = (path for path in (settings.server.tls_cert, settings.server.tls_key) if path is not None)
    places = Places(
        data_dir=folder,
        key_file=settings.server.secret_key_file or folder / "secret.key",
        configuration=[path for path in (file, *tls) if path is not None],
    )
    with _written(to) as out:
        try:
            made = back_up(places, out, now(), recipient=known, passphrase=passphrase)
            size = out.tell() if to != "-" else None
        except OSError as error:
            raise LastgoodError(
                f"The backup could not be written ({error.strerror}: {error.filename or to})."
            ) from error
    with suppress(OSError):  # the backup is what counts; that the hub knows of it is a courtesy
        note_backup(folder, made.made_at, "standard output" if to == "-" else str(Path(to).absolute()))
    if size is not None:
        opens = "its passphrase" if passphrase is not None else "the recovery key"
        typer.echo(
            f"The hub as of {made.made_at:%Y-%m-%d %H:%M:%S} UTC is in {to} ({size:,} bytes); {opens} opens it."
        )


def restore_hub(
    backup: Annotated[str, typer.Argument(metavar="FILE", help="What backup-hub wrote; - means standard input.")],
    data_dir: Annotated[Path, typer.Option("--data-dir", metavar="DIR", help="A new or empty folder for the hub.")],
    recovery_key_file: Annotated[
        Path | None,
        typer.Option("--recovery-key-file", metavar="FILE", help="File with the recovery key; else asked."),
    ] = None,
    passphrase_file: Passphrase = None,
) -> None:
    """Make a hub's data folder of a backup, after all of it was read and found sound.

    Example: lastgood restore-hub hub.age --data-dir /var/lib/lastgood
    """
    from lastgood.clock import now
    from lastgood.service.safekeeping import ASIDE, restore

    if recovery_key_file is not None and passphrase_file is not None:
        raise ConfigError("Give --recovery-key-file or --passphrase-file, not both: a file opens in one way.")
    key = passphrase = None
    if passphrase_file is not None:
        passphrase = _from_file(passphrase_file)
    elif recovery_key_file is not None:
        key = _from_file(recovery_key_file)
    else:
        key = _asked(backup)
    with _read(backup) as locked:
        found = restore(locked, data_dir, now(), key=key, passphrase=passphrase)
    typer.echo(f"Restored to {data_dir}: the hub as of {found.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC.")
    typer.echo(f"Its key is {found.fingerprint}; agents know it by that and need no new enrolment.")
    if found.aside:
        typer.echo(f"Settings of the old machine lie in {data_dir / ASIDE}: {', '.join(found.aside)}.")
    if Path(found.manifest.key_file).name != "secret.key" or found.aside:
        typer.echo(f"The secret key is {data_dir / 'secret.key'}; server.secret_key_file must not say otherwise.")
    typer.echo("Let it answer at the old address, then start it; what it missed is told again by its agents:")
    typer.echo(f"  lastgood serve --data-dir {data_dir}")


def recovery_kit(
    take: Annotated[bool, typer.Option("--take", help="Make a new recovery key and print the kit, once.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show who holds the recovery key of the hub's own backups, or take a new one.

    Example: lastgood recovery-kit --take > kit.txt
    """
    with asked_hub(data_dir) as hub:
        found: dict[str, Any] = hub.post("/recovery-kit") if take else hub.get("/recovery-kit")
    if as_json:
        import json

        typer.echo(json.dumps(found, indent=2))
    elif take:
        typer.echo(found["text"])
    elif found["taken_at"] is None:
        typer.echo("Nobody has taken the recovery kit yet; take it with: lastgood recovery-kit --take > kit.txt")
    else:
        typer.echo(f"{found['taken_by']} took it at {found['taken_at']}; backups are for {found['recipient']}.")


def _hub_here(data_dir: Path | None, config: Path | None) -> tuple[Path, Settings, Path | None]:
    """The data folder on this machine, its settings, and the file that they came from."""
    from lastgood.config.load import settings_file
    from lastgood.store.database import DATABASE_NAME

    options: dict[str, object] = {} if data_dir is None else {"server.data_dir": str(data_dir)}
    settings = load_settings(config, options).settings
    folder = settings.server.data_dir
    here = QUICK_START / DATABASE_NAME
    if (
        data_dir is None
        and not os.environ.get("LASTGOOD_SERVER__DATA_DIR")
        and not _has_hub(folder)
        and here.exists()
    ):
        folder = QUICK_START
    return folder, settings, settings_file(os.environ, None if config is None else str(config))


def _has_hub(folder: Path) -> bool:
    from lastgood.store.database import DATABASE_NAME

    try:
        return (folder / DATABASE_NAME).exists()
    except PermissionError:
        raise ConfigError(
            f"The data folder {folder} belongs to another user; run this as the user that the hub runs as."
        ) from None


def _kit_recipient(folder: Path) -> str:
    from lastgood.service.safekeeping import recipient_noted
    from lastgood.store.recovery import KIT, read_kit

    _has_hub(folder)
    kit = read_kit(recipient_noted(folder, KIT))
    if kit is None:
        raise ConfigError(
            "There is no key yet that could open a backup; take the recovery kit first (the page Recovery, or "
            "lastgood recovery-kit --take), or give --passphrase-file."
        )
    return kit.recipient


def _from_file(path: Path) -> Secret:
    from lastgood.secret import Secret

    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_SECRET + 1)
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be read ({error.strerror}).") from error
    try:
        text = content.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or len(content) > _LONGEST_SECRET:
        raise ConfigError(f"The file {path} does not hold one key or passphrase.")
    # A kit as it was printed is as good as the key alone.
    keys = [line.strip() for line in text.splitlines() if line.strip().upper().startswith("AGE-SECRET-KEY-1")]
    return Secret(keys[0] if keys else text)


def _asked(backup: str) -> Secret:
    from lastgood.secret import Secret

    if backup == "-" or not sys.stdin.isatty():
        raise ConfigError("Give --recovery-key-file or --passphrase-file: nobody can be asked here.")
    return Secret(typer.prompt("Recovery key", hide_input=True))


@contextmanager
def _read(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise ConfigError(f"The backup {name} cannot be read ({error.strerror}).") from error
    with file:
        yield file


@contextmanager
def _written(name: str) -> Iterator[IO[bytes]]:
    """The new file, in its place only once it is whole and on disk."""
    if name == "-":
        if sys.stdout.isatty():
            raise ConfigError("A backup is no text for a terminal; name a file, or send it on through a pipe.")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name the file in it, for example {path / 'hub.age'}.")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"The backup {path} cannot be written ({error.strerror}); name a file in a folder that is "
            "there and may be written to."
        ) from error
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - the descriptor carries flags and mode
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)

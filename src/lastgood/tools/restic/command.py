"""What is started: argument lists and the environment of each restic command.

A place (repository address, password source, store credentials) and the wishes of a run come in; argv and env go
out. Nothing secret may enter an argument list, and nothing of our own environment reaches restic unless it is named
here: RESTIC_HOST alone would silently filter queries. Outside format: flags and variables of restic 0.14 to 0.19.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from lastgood.errors import ConfigError
from lastgood.tools.restic.documents import Version
from lastgood.tools.restic.redact import Redactor, address_passwords, scrub_addresses, secret_values

OLDEST: Version = (0, 14, 0)
RETRY_LOCK_SINCE: Version = (0, 16, 0)
REST_VARIABLES_SINCE: Version = (0, 16, 1)
# 0.17 and 0.18 know the flag too, but 0.18 then prints a nonsense end and duration.
SKIP_IF_UNCHANGED_SINCE: Version = (0, 19, 0)

_INHERITED = ("PATH", "HOME", "TMPDIR")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NEVER_FROM_A_PLACE = ("RESTIC_HOST", "RESTIC_REPOSITORY_FILE", "RESTIC_PASSWORD_FILE", "RESTIC_PASSWORD_COMMAND")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository and how to open it: exactly one password source; ``environment`` holds store credentials."""

    url: str = field(repr=False)
    password_file: Path | None = None
    password: str | None = field(default=None, repr=False)
    password_command: str | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        given = [source for source in (self.password_file, self.password, self.password_command) if source]
        if not self.url or "\0" in self.url:
            raise ConfigError("a restic repository needs an address; set its url")
        if len(given) != 1:
            raise ConfigError(
                f"the repository {self.label} needs exactly one password source, not {len(given)};"
                " give a password file, a password or a password command"
            )

    @property
    def label(self) -> str:
        """The address as it may be shown."""
        return scrub_addresses(self.url)

    def redactor(self) -> Redactor:
        """Knows every secret of this place."""
        secrets = [*address_passwords(self.url), *secret_values(self.environment)]
        secrets += [value for value in (self.password, self.password_command) if value]
        return Redactor(secrets)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOrder:
    """What to save and how; ``retry_lock_for`` and limits as for ``restic backup``."""

    host: str
    paths: Sequence[str]
    tags: Sequence[str] = ()
    excludes: Sequence[str] = ()
    one_file_system: bool = False
    skip_if_unchanged: bool = False
    dry_run: bool = False
    limit_upload_kib: int | None = None
    retry_lock_for: float = 600.0

    def __post_init__(self) -> None:
        _check(
            self.host and not self.host.startswith("-"), f"the host name {self.host!r} cannot be used; name the host"
        )
        _check(bool(self.paths), "a backup needs at least one path; name what to save")
        for path in self.paths:
            _check(path.startswith("/"), f"the path {path!r} is not absolute; write it from the root, as /srv/data")
        for tag in self.tags:
            _check(tag and "," not in tag, f"the tag {tag!r} cannot be used; a tag is not empty and has no comma")
        _check(all(self.excludes), "an exclude pattern is empty; remove it")
        _check(
            self.limit_upload_kib is None or self.limit_upload_kib > 0,
            f"an upload limit of {self.limit_upload_kib} KiB/s stops every backup; give a positive number or none",
        )
        for word in (self.host, *self.paths, *self.tags, *self.excludes):
            _check("\0" not in word, f"the name {word!r} holds a zero byte; no program can be given such a name")


def _check(holds: object, problem: str) -> None:
    if not holds:
        raise ConfigError(problem)


def backup(order: BackupOrder, version: Version) -> list[str]:
    """``restic backup``; what a release does not know is left out."""
    arguments = ["backup", "--json", f"--host={order.host}"]
    arguments += [f"--tag={tag}" for tag in order.tags]
    arguments += [f"--exclude={pattern}" for pattern in order.excludes]
    if order.one_file_system:
        arguments.append("--one-file-system")
    if order.dry_run:
        arguments.append("--dry-run")
    if order.limit_upload_kib is not None:
        arguments.append(f"--limit-upload={order.limit_upload_kib}")
    if order.skip_if_unchanged and version >= SKIP_IF_UNCHANGED_SINCE:
        arguments.append("--skip-if-unchanged")
    if order.retry_lock_for > 0 and version >= RETRY_LOCK_SINCE:
        arguments.append(f"--retry-lock={max(1, round(order.retry_lock_for))}s")
    return [*arguments, "--", *order.paths]


def version() -> list[str]:
    """JSON from 0.17, text before."""
    return ["version", "--json"]


def probe() -> list[str]:
    """The cheapest command that opens a repository."""
    return ["cat", "config", "--no-lock", "--json"]


def init() -> list[str]:
    """Make a new repository."""
    return ["init", "--json"]


def snapshots() -> list[str]:
    """All snapshots; grouping is ours, since releases differ in it."""
    return ["snapshots", "--json", "--no-lock"]


def raw_stats() -> list[str]:
    """Bytes in the repository."""
    return ["stats", "--json", "--no-lock", "--mode", "raw-data"]


def list_locks() -> list[str]:
    """The ids of all locks."""
    return ["list", "locks", "--no-lock"]


def cat_lock(lock_id: str) -> list[str]:
    """One lock."""
    return ["cat", "lock", lock_id, "--no-lock"]


def unlock() -> list[str]:
    """Remove stale locks only; never more, since a live lock guards somebody's run."""
    return ["unlock"]


def environment(place: Place, cache_dir: Path, inherited: Mapping[str, str], version: Version) -> dict[str, str]:
    """The whole environment of a restic process on ``place``."""
    env = clean_environment(cache_dir, inherited)
    env.update((name, value) for name, value in place.environment.items() if name not in _NEVER_FROM_A_PLACE)
    env.update(_ours(cache_dir))
    env["RESTIC_REPOSITORY"] = _address(place, version)
    # A password file that is named wins over a password, even if it does not exist: exactly one may be set.
    env.pop("RESTIC_PASSWORD", None)
    if place.password_file:
        env["RESTIC_PASSWORD_FILE"] = str(place.password_file)
    elif place.password:
        env["RESTIC_PASSWORD"] = place.password
    elif place.password_command:
        env["RESTIC_PASSWORD_COMMAND"] = place.password_command
    return env


def clean_environment(cache_dir: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command that opens no repository."""
    env = {"PATH": _PATH} | {name: inherited[name] for name in _INHERITED if inherited.get(name)}
    return env | _ours(cache_dir)


def _ours(cache_dir: Path) -> dict[str, str]:
    return {
        "RESTIC_CACHE_DIR": str(cache_dir),
        "RESTIC_PROGRESS_FPS": "1",
        "TZ": "UTC",
        "LC_ALL": "C",
    }


def _address(place: Place, version: Version) -> str:
    """The address; before 0.16.1 restic takes the user of a REST server only from there."""
    user, secret = (place.environment.get(f"RESTIC_REST_{part}") for part in ("USERNAME", "PASSWORD"))
    prefix, separator, rest = place.url.partition("://")
    named = "@" in rest.split("/", 1)[0]
    if version >= REST_VARIABLES_SINCE or not user or named or prefix not in ("rest:http", "rest:https"):
        return place.url
    return f"{prefix}{separator}{quote(user, safe='')}:{quote(secret or '', safe='')}@{rest}"

"""What this host allows: the local policy file, which no word of a hub can change.

``agent-policy.toml`` beside the agent's configuration comes in, read anew for each run; ``Policy`` goes out, or a
refusal with its reason. The one rule: without the file, and wherever it cannot be read or trusted, nothing that
writes to this host's own files is done. Format: TOML with the fields of ``_File``.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from lastgood.agent.ending import Cannot
from lastgood.errors import ConfigError
from lastgood.model.job import RunKind

NAME = "agent-policy.toml"
REFUSED = "refused_by_policy"
_LARGEST = 64 * 1024
_HOUR = 3600.0
_DAY = 24 * _HOUR

DEADLINES: dict[RunKind, float] = {
    RunKind.BACKUP: 3 * _DAY,
    RunKind.RESTORE: 3 * _DAY,
    RunKind.CHECK: _DAY,
    RunKind.PRUNE: _DAY,
    RunKind.FORGET: 2 * _HOUR,
    RunKind.INIT: 600.0,
    RunKind.UNLOCK: 600.0,
}
"""How many seconds each kind of run may take; the first backup of a large host over a thin line takes days."""

KINDS = frozenset(DEADLINES)
_UNITS = {"s": 1.0, "m": 60.0, "h": _HOUR, "d": _DAY}
_SPAN = re.compile(r"(?:\d{1,6}(?:\.\d{1,3})?[smhd])+")
_PART = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``allow_restore`` names the folders into which a hub may have something restored, ``allow_deploy`` the compose
    projects that it may deploy, stop and restart: all of them, or those that fit a pattern such as ``shop-*``."""

    allow_restore: list[str] = []
    allow_deploy: bool | list[str] = False
    kinds: list[RunKind] | None = None
    deadlines: dict[RunKind, str] = {}
    docker: Literal["auto", "on", "off"] = "auto"
    docker_socket: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is allowed here. ``name`` is the file that says so, for sentences."""

    name: str = NAME
    restore_folders: tuple[Path, ...] = ()
    deploy_patterns: tuple[str, ...] = ()
    kinds: frozenset[RunKind] = KINDS
    deadlines: dict[RunKind, float] = field(default_factory=dict)
    docker: str = "auto"
    """Whether this host's container engine is watched: ``auto`` if there is one, ``on``, ``off``."""
    docker_socket: str | None = None

    def check_kind(self, kind: RunKind) -> None:
        """Raises Cannot for a kind of run that is not done here."""
        if kind not in KINDS:
            raise Cannot(f"This agent does no {kind.value}; update it.", "not_done_here")
        if kind not in self.kinds:
            raise Cannot(f"This host does no {kind.value}; its {self.name} leaves that kind out.", REFUSED)
        if kind is RunKind.RESTORE and not self.restore_folders:
            raise Cannot(
                f"This host allows no restore; name folders for it with allow_restore in its {self.name}.", REFUSED
            )

    def check_deploy(self, project: str) -> None:
        """Raises Cannot for a compose project that is not ours to deploy, stop or restart."""
        if not self.deploy_patterns:
            raise Cannot(
                f"This host allows no deploys; write allow_deploy = true, or a list of projects, in its {self.name}.",
                REFUSED,
            )
        if not any(fnmatchcase(project, pattern) for pattern in self.deploy_patterns):
            raise Cannot(
                f"This host does not allow deploys of {project}; add it to allow_deploy in its {self.name}.", REFUSED
            )

    def deadline(self, kind: RunKind) -> float:
        """How many seconds a run of this kind may take."""
        return self.deadlines.get(kind, DEADLINES[kind])

    def check_environment_file(self, text: str | None) -> None:
        """Raises ConfigError for one that a hub may have had restored: a hub names it, and what stands in such a
        file of the host can make programs start."""
        if text is None:
            return
        try:
            path = Path(text).resolve()
            folders = [folder.resolve() for folder in self.restore_folders]
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"The environment file {text[:200]!r} cannot be looked at ({error}); mend it."
            ) from error
        # Who allows restores everywhere has let a hub do anything, and no place would be left for the file.
        if any(path.is_relative_to(folder) for folder in folders if folder != folder.parent):
            raise ConfigError(
                f"The environment file {path} lies where this host restores to, so it may not be the host's own; put "
                "it elsewhere."
            )

    def restore_target(self, text: str) -> Path:
        """The folder to restore into: new or empty, below an allowed one. Raises Cannot with the reason.

        Links on the way are followed first, so that none leads out of an allowed folder.
        """
        told = Path(text)
        if not told.is_absolute() or ".." in told.parts or "\0" in text:
            raise Cannot(f"{text[:200]!r} is no absolute path to restore into; write it from the root.", "bad_target")
        try:
            target = told.resolve()
            if not any(target.is_relative_to(folder.resolve()) for folder in self.restore_folders):
                allowed = ", ".join(map(str, self.restore_folders))
                raise Cannot(f"This host restores only below {allowed}, not into {target}.", REFUSED)
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise Cannot(f"{target} is there and not empty; name a new or an empty folder.", "target_not_empty")
        except (OSError, RuntimeError) as error:
            raise Cannot(f"{told} cannot be looked at ({error}); name another folder.", "bad_target") from error
        return target


def read_policy(path: Path | None) -> Policy:
    """The policy in force now, the default one if there is no file. Raises ConfigError if it cannot be trusted."""
    if path is None:
        return Policy()
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(_LARGEST + 1)
        told = msgspec.convert(tomllib.loads(raw.decode("utf-8")), _File)
    except FileNotFoundError:
        return Policy(name=str(path))
    except OSError as error:
        raise ConfigError(f"The policy {path} cannot be read: {error.strerror}; mend or remove it.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"The policy {path} is not valid: {error}; mend or remove it.") from error
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022 or status.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"The policy {path} could be changed by others (mode {mode:04o}); make it root's, with mode 0644"
        )
    return Policy(
        name=str(path),
        restore_folders=tuple(_folder(text, path) for text in told.allow_restore),
        deploy_patterns=_patterns(told.allow_deploy),
        kinds=KINDS if told.kinds is None else frozenset(told.kinds),
        deadlines={kind: _seconds(text, kind, path) for kind, text in told.deadlines.items()},
        docker=told.docker,
        docker_socket=told.docker_socket,
    )


def _patterns(told: bool | list[str]) -> tuple[str, ...]:
    if isinstance(told, bool):
        return ("*",) if told else ()
    return tuple(told)


def _folder(text: str, path: Path) -> Path:
    folder = Path(text)
    if not folder.is_absolute() or "\0" in text or ".." in folder.parts:
        raise ConfigError(f"The policy {path} allows restores into {text!r}, which is no absolute path; mend it.")
    return folder


def _seconds(text: str, kind: RunKind, path: Path) -> float:
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if _SPAN.fullmatch(text) is None or not 1.0 <= seconds <= 366 * _DAY:
        raise ConfigError(f"The deadline of {kind.value} in {path} is {text!r}; write it as 90m, 48h or 3d.")
    return seconds

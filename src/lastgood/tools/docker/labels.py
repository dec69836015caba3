"""Which labels are read, and how much of them: a list of what is allowed, since any other may hold a secret.

Labels of containers and volumes come in, those that mean something to us go out. The one rule: nothing that is not
named here leaves the host; commands in labels of backup tools are told by their name only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lastgood.fleet.foreign import SETTING, SETTINGS
from lastgood.model.docker import Labels

LONGEST = 200
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
HELPER = "lastgood.helper"

_READ = frozenset(
    {
        PROJECT,
        SERVICE,
        NUMBER,
        "com.docker.compose.project.working_dir",
        "com.docker.compose.project.config_files",
        "com.docker.compose.volume",
        "com.docker.compose.version",
        "com.docker.stack.namespace",
        "com.docker.swarm.service.name",
        "com.docker.volume.anonymous",
        "lastgood.exclude",
        "docker-volume-backup.stop-during-backup",
        "docker-volume-backup.stop-during-backup-no-restart",
        *(
            f"{tool}.{name}"
            for tool in ("restic-compose-backup", "stack-back")
            for name in (
                "volumes",
                "volumes.include",
                "volumes.exclude",
                "volumes.stop-during-backup",
                "mariadb",
                "mysql",
                "postgres",
            )
        ),
    }
)
_COMMANDS = tuple(
    f"docker-volume-backup.{phase}-{when}"
    for phase in ("archive", "process", "copy", "prune")
    for when in ("pre", "post")
)
_STRAY = dict.fromkeys((*range(55296, 57344), 0), "�")


def allowed(labels: Mapping[str, str] | None) -> Labels:
    """The labels that may be told, by name; long values are cut."""
    if not labels:
        return ()
    found = [(name, cut(labels[name])) for name in _READ if name in labels]
    found += [(name, "") for name in _COMMANDS if name in labels]
    return tuple(sorted(found))


def settings(tool: str, environment: Iterable[str] | None) -> Labels:
    """Of a backup tool's environment, the settings that say what it backs up."""
    wanted = SETTINGS.get(tool, ())
    pairs = (one.partition("=") for one in environment or ())
    return tuple(sorted((SETTING + name, cut(value)) for name, _, value in pairs if name in wanted))


def is_ours_or_passing(labels: Mapping[str, str] | None) -> bool:
    """Whether a container is left out everywhere: a one-off of compose, or a helper of our own."""
    if not labels:
        return False
    return labels.get(ONE_OFF, "").strip().casefold() == "true" or HELPER in labels


def cut(text: str, longest: int = LONGEST) -> str:
    """The text as it may be told: not too long, and all of it characters that UTF-8 has."""
    told = text if len(text) <= longest else text[: longest - 1] + "…"
    return told.translate(_STRAY)

"""Roles and permissions: the one table of what may be allowed, and who is allowed what.

Comes in: the name of a role. Goes out: its permissions. The one rule: a permission that no table row names does not
exist, and a role gives nothing that its row does not list. ``web/permits.py`` says which route asks for which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lastgood.auth.gate import METRICS_READ
from lastgood.errors import AccessError
from lastgood.model.job import RunKind

FLEET_READ = "fleet.read"
BACKUP_RUN = "backup.run"
BACKUP_RESTORE = "backup.restore"
HOST_ENROL = "host.enrol"
HOST_WRITE = "host.write"
STACK_DEPLOY = "stack.deploy"
SOURCE_WRITE = "source.write"
REPOSITORY_WRITE = "repository.write"
CREDENTIAL_WRITE = "credential.write"
CHANNEL_WRITE = "channel.write"
ALERT_WRITE = "alert.write"
AUDIT_READ = "audit.read"
USER_MANAGE = "user.manage"
HUB_BACKUP = "hub.backup"

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        METRICS_READ: "scrape /metrics and /sd/prometheus",
        FLEET_READ: "see hosts, sources, repositories, runs, alerts, channels and stacks",
        BACKUP_RUN: "run and cancel backups, check, test and unlock repositories",
        BACKUP_RESTORE: "restore onto a host whose agent allows it",
        HOST_ENROL: "make enrolment codes, approve and reject machines",
        HOST_WRITE: "rename and remove hosts",
        STACK_DEPLOY: "deploy, stop and restart stacks where the agent allows it",
        SOURCE_WRITE: "make, change, pause and archive sources, and say what needs no backup",
        REPOSITORY_WRITE: "add, change and remove repositories; forget and prune snapshots",
        CREDENTIAL_WRITE: "hand in and take back passwords of repositories",
        CHANNEL_WRITE: "add, change, test and remove channels",
        ALERT_WRITE: "acknowledge and snooze alerts",
        AUDIT_READ: "read and verify the audit log",
        USER_MANAGE: "manage users, roles and API tokens",
        HUB_BACKUP: "take the recovery kit, which opens the hub's own backups",
    }
)

ADMIN, OPERATOR, VIEWER, SCRAPER = "admin", "operator", "viewer", "scraper"

BUILT_IN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        ADMIN: frozenset(PERMISSIONS),
        OPERATOR: frozenset(
            {
                METRICS_READ,
                FLEET_READ,
                BACKUP_RUN,
                BACKUP_RESTORE,
                HOST_ENROL,
                STACK_DEPLOY,
                SOURCE_WRITE,
                ALERT_WRITE,
                AUDIT_READ,
            }
        ),
        VIEWER: frozenset({METRICS_READ, FLEET_READ}),
        SCRAPER: frozenset({METRICS_READ}),
    }
)
"""The roles that every hub has; none of them can be changed or removed."""

OF_RUNS: Mapping[RunKind, str] = MappingProxyType(
    {
        RunKind.BACKUP: BACKUP_RUN,
        RunKind.CHECK: BACKUP_RUN,
        RunKind.UNLOCK: BACKUP_RUN,
        RunKind.DIFF: BACKUP_RUN,
        RunKind.RESTORE: BACKUP_RESTORE,
        RunKind.FORGET: REPOSITORY_WRITE,
        RunKind.PRUNE: REPOSITORY_WRITE,
        RunKind.INIT: REPOSITORY_WRITE,
        RunKind.UPDATE: HOST_WRITE,
    }
)
"""Starting a run is one route; which permission it takes is a matter of the run's kind."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.ASCII)


def checked_role(name: str) -> str:
    """A name for a custom role. Raises AccessError."""
    if not _NAME.fullmatch(name):
        raise AccessError(
            f"{name[:60]!r} is no name for a role; write up to 40 small letters, digits, dots and dashes.", status=422
        )
    if name in BUILT_IN:
        raise AccessError(f"The role {name} is built in and stays as it is; choose another name.", status=409)
    return name


def checked_permissions(names: Iterable[str]) -> frozenset[str]:
    """The permissions of a custom role, at least one. Raises AccessError that names the ones there are."""
    wanted = frozenset(names)
    unknown = sorted(wanted - PERMISSIONS.keys())
    if unknown or not wanted:
        said = f"There is no permission {unknown[0][:60]!r}" if unknown else "A role needs a permission"
        raise AccessError(f"{said}; the permissions are {', '.join(PERMISSIONS)}.", status=422)
    return wanted

"""Which route asks for which permission: the one table, by method and path.

Comes in: a method and a path template. Goes out: its ``Permit``, or None for a route that nobody entered, which is
refused to everybody. The one rule: a route is usable once it has its row here, and nowhere else says who may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lastgood.auth.roles import (
    ALERT_WRITE,
    AUDIT_READ,
    BACKUP_RESTORE,
    BACKUP_RUN,
    CHANNEL_WRITE,
    CREDENTIAL_WRITE,
    FLEET_READ,
    HOST_ENROL,
    HOST_WRITE,
    HUB_BACKUP,
    REPOSITORY_WRITE,
    SOURCE_WRITE,
    STACK_DEPLOY,
    USER_MANAGE,
)

PUBLIC = "(everybody)"
SIGNED_IN = "(whoever we know)"


@dataclass(frozen=True, slots=True)
class Permit:
    """One of ``permissions`` opens the route; ``of_hosts`` says that tokens for single hosts may use it, since it
    shows and does nothing beyond the hosts of its path or of the narrowed view (``web/narrow.py``)."""

    permissions: tuple[str, ...]
    of_hosts: bool = False

    @property
    def is_public(self) -> bool:
        return self.permissions == (PUBLIC,)


def _all(*permissions: str) -> Permit:
    return Permit(permissions)


def _hosts(*permissions: str) -> Permit:
    return Permit(permissions, of_hosts=True)


RUNS = (BACKUP_RUN, BACKUP_RESTORE, REPOSITORY_WRITE)
"""What opens the routes of runs; the kind of the run then decides which of them it takes (``auth/roles.py``)."""

PERMITS: Mapping[str, Permit] = MappingProxyType(
    {
        # People and machines on their way in, and what their pages are made of.
        "GET /sign-in": _all(PUBLIC),
        "POST /sign-in": _all(PUBLIC),
        "GET /welcome/{token}": _all(PUBLIC),
        "POST /welcome/{token}": _all(PUBLIC),
        "GET /static/{file_name}": _all(PUBLIC),
        "POST /api/v1/enrol": _all(PUBLIC),
        "POST /api/v1/enrol/announce": _all(PUBLIC),
        "POST /api/v1/enrol/rekey": _all(PUBLIC),
        "WEBSOCKET /ws/agent": _all(PUBLIC),
        "POST /sign-out": _all(SIGNED_IN),
        "GET /api/v1/me": _hosts(SIGNED_IN),
        "GET /docs": _all(FLEET_READ),
        "GET /docs/openapi.json": _all(FLEET_READ),
        # The fleet
        "GET /": _all(FLEET_READ),
        "GET /api/v1/fleet": _hosts(FLEET_READ),
        "GET /hosts": _all(FLEET_READ),
        "GET /hosts/{host_id}": _all(FLEET_READ),
        "GET /api/v1/hosts": _hosts(FLEET_READ),
        "GET /api/v1/hosts/{host_id}": _hosts(FLEET_READ),
        "POST /hosts/{host_id}/rename": _all(HOST_WRITE),
        "GET /hosts/{host_id}/remove": _all(HOST_WRITE),
        "POST /hosts/{host_id}/remove": _all(HOST_WRITE),
        "PATCH /api/v1/hosts/{host_id}": _hosts(HOST_WRITE),
        "DELETE /api/v1/hosts/{host_id}": _hosts(HOST_WRITE),
        # How hosts come in
        "GET /enrol": _all(HOST_ENROL),
        "POST /enrol": _all(HOST_ENROL),
        "POST /enrol/codes/{code_id}/revoke": _all(HOST_ENROL),
        "POST /enrol/pending/{pending_id}/approve": _all(HOST_ENROL),
        "POST /enrol/pending/{pending_id}/reject": _all(HOST_ENROL),
        "GET /api/v1/enrol-codes": _all(HOST_ENROL),
        "POST /api/v1/enrol-codes": _all(HOST_ENROL),
        "DELETE /api/v1/enrol-codes/{code_id}": _all(HOST_ENROL),
        "GET /api/v1/pending-hosts": _all(HOST_ENROL),
        "POST /api/v1/pending-hosts/{pending_id}/approve": _all(HOST_ENROL),
        "POST /api/v1/pending-hosts/{pending_id}/reject": _all(HOST_ENROL),
        # Stacks
        "GET /hosts/{host_id}/stacks": _all(FLEET_READ),
        "GET /hosts/{host_id}/stacks/{project}": _all(FLEET_READ),
        "GET /hosts/{host_id}/stacks/{project}/deploys/{deploy_id}": _all(FLEET_READ),
        "POST /hosts/{host_id}/stacks": _all(STACK_DEPLOY),
        "POST /hosts/{host_id}/stacks/{project}/deploy": _all(STACK_DEPLOY),
        "POST /hosts/{host_id}/stacks/{project}/stop": _all(STACK_DEPLOY),
        "POST /hosts/{host_id}/stacks/{project}/restart": _all(STACK_DEPLOY),
        "POST /hosts/{host_id}/stacks/{project}/forget": _all(STACK_DEPLOY),
        "POST /hosts/{host_id}/stacks/{project}/deploys/{deploy_id}/cancel": _all(STACK_DEPLOY),
        "GET /api/v1/hosts/{host_id}/stacks": _hosts(FLEET_READ),
        "GET /api/v1/hosts/{host_id}/stacks/{project}/deploys": _hosts(FLEET_READ),
        "GET /api/v1/hosts/{host_id}/stacks/{project}/deploys/{deploy_id}": _hosts(FLEET_READ),
        "GET /api/v1/hosts/{host_id}/stacks/{project}/texts": _hosts(FLEET_READ),
        "GET /api/v1/stacks": _hosts(FLEET_READ),
        "GET /api/v1/hosts/{host_id}/stacks/{project}/texts/{number}": _hosts(STACK_DEPLOY),
        "POST /api/v1/hosts/{host_id}/stacks/{project}/deploy": _hosts(STACK_DEPLOY),
        "POST /api/v1/hosts/{host_id}/stacks/{project}/stop": _hosts(STACK_DEPLOY),
        "POST /api/v1/hosts/{host_id}/stacks/{project}/restart": _hosts(STACK_DEPLOY),
        "POST /api/v1/hosts/{host_id}/stacks/{project}/deploys/{deploy_id}/cancel": _hosts(STACK_DEPLOY),
        "DELETE /api/v1/hosts/{host_id}/stacks/{project}": _hosts(STACK_DEPLOY),
        # Containers and the coverage of their data
        "GET /hosts/{host_id}/docker": _all(FLEET_READ),
        "GET /coverage": _all(FLEET_READ),
        "POST /hosts/{host_id}/coverage/exclude": _all(SOURCE_WRITE),
        "POST /hosts/{host_id}/coverage/include": _all(SOURCE_WRITE),
        "GET /api/v1/hosts/{host_id}/docker": _hosts(FLEET_READ),
        "GET /api/v1/hosts/{host_id}/containers": _hosts(FLEET_READ),
        "GET /api/v1/coverage": _hosts(FLEET_READ),
        "POST /api/v1/hosts/{host_id}/coverage/exclude": _hosts(SOURCE_WRITE),
        "POST /api/v1/hosts/{host_id}/coverage/include": _hosts(SOURCE_WRITE),
        # Sources
        "GET /sources/{source_id}": _all(FLEET_READ),
        "GET /api/v1/sources": _hosts(FLEET_READ),
        "GET /api/v1/sources/{source_id}": _hosts(FLEET_READ),
        "GET /api/v1/sources/{source_id}/moments": _hosts(FLEET_READ),
        "POST /sources/{source_id}/run": _all(BACKUP_RUN),
        "GET /hosts/{host_id}/sources/new": _all(SOURCE_WRITE),
        "POST /hosts/{host_id}/sources/new": _all(SOURCE_WRITE),
        "GET /sources/{source_id}/edit": _all(SOURCE_WRITE),
        "POST /sources/{source_id}/edit": _all(SOURCE_WRITE),
        "POST /sources/{source_id}/target": _all(SOURCE_WRITE),
        "POST /sources/{source_id}/pause": _all(SOURCE_WRITE),
        "POST /sources/{source_id}/archive": _all(SOURCE_WRITE),
        "POST /sources/{source_id}/adopt": _all(SOURCE_WRITE),
        "POST /sources/{source_id}/alias": _all(SOURCE_WRITE),
        "POST /sources/{source_id}/mute": _all(SOURCE_WRITE),
        "POST /api/v1/sources": _hosts(SOURCE_WRITE),
        "PATCH /api/v1/sources/{source_id}": _hosts(SOURCE_WRITE),
        "POST /api/v1/sources/{source_id}/adopt": _all(SOURCE_WRITE),
        "POST /api/v1/sources/{source_id}/alias": _all(SOURCE_WRITE),
        # Repositories
        "GET /collectors": _all(FLEET_READ),
        "GET /api/v1/collectors": _all(FLEET_READ),
        "GET /repositories": _all(FLEET_READ),
        "GET /repositories/{repository_id}": _all(FLEET_READ),
        "GET /api/v1/repositories": _all(FLEET_READ),
        "GET /api/v1/repositories/{repository_id}": _all(FLEET_READ),
        "POST /repositories/{repository_id}/look": _all(BACKUP_RUN),
        "POST /repositories/{repository_id}/test": _all(BACKUP_RUN),
        "POST /api/v1/repositories/{repository_id}/look": _all(BACKUP_RUN),
        "POST /api/v1/repositories/{repository_id}/test": _all(BACKUP_RUN),
        "GET /repositories/new": _all(REPOSITORY_WRITE),
        "POST /repositories/new": _all(REPOSITORY_WRITE),
        "GET /repositories/{repository_id}/edit": _all(REPOSITORY_WRITE),
        "POST /repositories/{repository_id}/edit": _all(REPOSITORY_WRITE),
        "POST /repositories/{repository_id}/remove": _all(REPOSITORY_WRITE),
        "POST /api/v1/repositories": _all(REPOSITORY_WRITE),
        "PATCH /api/v1/repositories/{repository_id}": _all(REPOSITORY_WRITE),
        "DELETE /api/v1/repositories/{repository_id}": _all(REPOSITORY_WRITE),
        "POST /repositories/{repository_id}/credentials": _all(CREDENTIAL_WRITE),
        "GET /api/v1/repositories/{repository_id}/credentials": _all(CREDENTIAL_WRITE),
        "PUT /api/v1/repositories/{repository_id}/credentials/{slot}": _all(CREDENTIAL_WRITE),
        "DELETE /api/v1/repositories/{repository_id}/credentials/{slot}": _all(CREDENTIAL_WRITE),
        # Runs
        "GET /runs": _all(FLEET_READ),
        "GET /runs/{run_id}": _all(FLEET_READ),
        "POST /runs": _all(*RUNS),
        "POST /runs/{run_id}/cancel": _all(*RUNS),
        "GET /api/v1/runs": _hosts(FLEET_READ),
        "GET /api/v1/runs/{run_id}": _hosts(FLEET_READ),
        "POST /api/v1/runs": _hosts(*RUNS),
        "POST /api/v1/runs/{run_id}/cancel": _hosts(*RUNS),
        # Alerts and channels
        "GET /alerts": _all(FLEET_READ),
        "GET /api/v1/alerts": _hosts(FLEET_READ),
        "POST /alerts/{alert_id}/acknowledge": _all(ALERT_WRITE),
        "POST /alerts/{alert_id}/snooze": _all(ALERT_WRITE),
        "POST /alerts/{alert_id}/wake": _all(ALERT_WRITE),
        "POST /hosts/{host_id}/snooze": _all(ALERT_WRITE),
        "POST /hosts/{host_id}/wake": _all(ALERT_WRITE),
        "POST /api/v1/alerts/{alert_id}/acknowledge": _hosts(ALERT_WRITE),
        "POST /api/v1/alerts/{alert_id}/snooze": _hosts(ALERT_WRITE),
        "DELETE /api/v1/alerts/{alert_id}/snooze": _hosts(ALERT_WRITE),
        "POST /api/v1/hosts/{host_id}/snooze": _hosts(ALERT_WRITE),
        "DELETE /api/v1/hosts/{host_id}/snooze": _hosts(ALERT_WRITE),
        "GET /channels": _all(FLEET_READ),
        "GET /api/v1/channels": _all(FLEET_READ),
        "GET /api/v1/notices": _all(FLEET_READ),
        "POST /channels": _all(CHANNEL_WRITE),
        "POST /channels/{channel_id}/test": _all(CHANNEL_WRITE),
        "POST /channels/{channel_id}/set": _all(CHANNEL_WRITE),
        "POST /channels/{channel_id}/remove": _all(CHANNEL_WRITE),
        "POST /api/v1/channels": _all(CHANNEL_WRITE),
        "PATCH /api/v1/channels/{channel_id}": _all(CHANNEL_WRITE),
        "DELETE /api/v1/channels/{channel_id}": _all(CHANNEL_WRITE),
        "POST /api/v1/channels/{channel_id}/test": _all(CHANNEL_WRITE),
        # The hub itself
        "GET /audit": _all(AUDIT_READ),
        "GET /api/v1/audit": _all(AUDIT_READ),
        "GET /api/v1/audit/head": _all(AUDIT_READ),
        "GET /api/v1/audit/export": _all(AUDIT_READ),
        "GET /recovery": _all(HUB_BACKUP),
        "POST /recovery": _all(HUB_BACKUP),
        "GET /api/v1/recovery-kit": _all(HUB_BACKUP),
        "POST /api/v1/recovery-kit": _all(HUB_BACKUP),
        "GET /settings": _all(SIGNED_IN),
        "GET /settings/tokens": _all(USER_MANAGE),
        "GET /settings/tokens/new": _all(USER_MANAGE),
        "POST /settings/tokens": _all(USER_MANAGE),
        "POST /settings/tokens/{token_id}/rotate": _all(USER_MANAGE),
        "POST /settings/tokens/{token_id}/revoke": _all(USER_MANAGE),
        "GET /settings/users": _all(USER_MANAGE),
        "POST /settings/users": _all(USER_MANAGE),
        "POST /settings/users/{user_id}/role": _all(USER_MANAGE),
        "POST /settings/users/{user_id}/link": _all(USER_MANAGE),
        "POST /settings/users/{user_id}/remove": _all(USER_MANAGE),
        "GET /settings/roles": _all(USER_MANAGE),
        "POST /settings/roles": _all(USER_MANAGE),
        "POST /settings/roles/{role_name}/remove": _all(USER_MANAGE),
        "GET /api/v1/tokens": _all(USER_MANAGE),
        "POST /api/v1/tokens": _all(USER_MANAGE),
        "POST /api/v1/tokens/{token_id}/rotate": _all(USER_MANAGE),
        "DELETE /api/v1/tokens/{token_id}": _all(USER_MANAGE),
        "GET /api/v1/users": _all(USER_MANAGE),
        "POST /api/v1/users": _all(USER_MANAGE),
        "PATCH /api/v1/users/{user_id}": _all(USER_MANAGE),
        "POST /api/v1/users/{user_id}/link": _all(USER_MANAGE),
        "DELETE /api/v1/users/{user_id}": _all(USER_MANAGE),
        "GET /api/v1/roles": _all(USER_MANAGE),
        "PUT /api/v1/roles/{role_name}": _all(USER_MANAGE),
        "DELETE /api/v1/roles/{role_name}": _all(USER_MANAGE),
    }
)


def permit_of(method: str, template: str) -> Permit | None:
    return PERMITS.get(f"{method} {template}")

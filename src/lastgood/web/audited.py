"""The one table of what each changing route is called in the audit log, and how its target is found.

Comes in: a method, a path template, what was said. Goes out: the action, its target, and of what was said that which
holds no secret. The one rule: a route that changes anything stands here; a test holds the table against the routes of
the application. Values are kept of the fields in ``SAYABLE`` alone, of all others the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from litestar.connection import ASGIConnection

from lastgood.fleet.fleet import FleetView
from lastgood.model.audit import NOTHING, RUN_ACTIONS, SIGN_IN, SIGN_IN_FAILED, UNNAMED, Target, Who
from lastgood.model.job import RunKind
from lastgood.wire.enrolment import ANNOUNCE_PATH, PATH, REKEY_PATH

_TOLD = "lastgood.audited"

MOST_FIELDS = 60
MOST_VALUES = 20
LONGEST_FIELD = 64
LONGEST_VALUE = 200
_API = "/api/v1"


class When(Enum):
    """When the row is written."""

    BEFORE = "before"
    """Begun before anything is changed, and ended apart: without the first nothing is changed."""
    AFTER = "after"
    """Once it is over, whatever came of it."""
    TOLD = "told"
    """Once it is over, if the route told what it changed (``about``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """``by`` is the path parameter that holds the target's id; ``refused`` the action if it was not done."""

    action: str
    target: str = ""
    by: str = ""
    when: When = When.BEFORE
    refused: str | None = None
    by_kind: bool = False
    """Whether the action follows from the field ``kind``, as that of a run does."""


@dataclass(slots=True)
class Told:
    """What a route said of its own work while it was at it."""

    target: Target = NOTHING
    who: Who | None = None
    details: dict[str, Any] = field(default_factory=dict)


def _of(kind: str, by: str, *actions: tuple[str, str, str]) -> dict[tuple[str, str], Audited]:
    """Routes about one kind of thing: (method, path, action)."""
    return {
        (method, path): Audited(action=action, target=kind, by=by if "{" + by + "}" in path else "")
        for method, path, action in actions
    }


AUDITED: Mapping[tuple[str, str], Audited] = {
    # People.
    ("POST", "/sign-in"): Audited(action=SIGN_IN, target="user", when=When.AFTER, refused=SIGN_IN_FAILED),
    ("POST", "/sign-out"): Audited(action="auth.sign_out", target="user", when=When.AFTER),
    ("POST", "/welcome/{token}"): Audited(action="auth.welcome", target="user", when=When.AFTER),
    # Machines on their way in, by code, by announcement, by a new key.
    ("POST", PATH): Audited(action="host.enrol", target="host", when=When.AFTER),
    ("POST", ANNOUNCE_PATH): Audited(action="host.announce", target="host", when=When.TOLD),
    ("POST", REKEY_PATH): Audited(action="host.rekey", target="host", when=When.AFTER),
    # Runs.
    ("POST", "/runs"): Audited(action="backup.run", target="run", by_kind=True),
    ("POST", f"{_API}/runs"): Audited(action="backup.run", target="run", by_kind=True),
    ("POST", "/sources/{source_id}/run"): Audited(action="backup.run", target="source", by="source_id"),
    **_of(
        "run",
        "run_id",
        ("POST", "/runs/{run_id}/cancel", "run.cancel"),
        ("POST", f"{_API}/runs/{{run_id}}/cancel", "run.cancel"),
    ),
    **_of(
        "source",
        "source_id",
        ("POST", "/hosts/{host_id}/sources/new", "source.create"),
        ("POST", "/sources/{source_id}/edit", "source.write"),
        ("POST", "/sources/{source_id}/target", "source.write"),
        ("POST", "/sources/{source_id}/pause", "source.write"),
        ("POST", "/sources/{source_id}/archive", "source.archive"),
        ("POST", "/sources/{source_id}/adopt", "source.adopt"),
        ("POST", "/sources/{source_id}/alias", "source.alias"),
        ("POST", "/sources/{source_id}/mute", "source.mute"),
        ("POST", f"{_API}/sources", "source.create"),
        ("PATCH", f"{_API}/sources/{{source_id}}", "source.write"),
        ("POST", f"{_API}/sources/{{source_id}}/adopt", "source.adopt"),
        ("POST", f"{_API}/sources/{{source_id}}/alias", "source.alias"),
    ),
    **_of(
        "repository",
        "repository_id",
        ("POST", "/repositories/new", "repository.create"),
        ("POST", "/repositories/{repository_id}/edit", "repository.write"),
        ("POST", "/repositories/{repository_id}/credentials", "credentials.write"),
        ("POST", "/repositories/{repository_id}/test", "repository.test"),
        ("POST", "/repositories/{repository_id}/remove", "repository.remove"),
        ("POST", "/repositories/{repository_id}/look", "repository.look"),
        ("POST", f"{_API}/repositories", "repository.create"),
        ("PATCH", f"{_API}/repositories/{{repository_id}}", "repository.write"),
        ("DELETE", f"{_API}/repositories/{{repository_id}}", "repository.remove"),
        ("POST", f"{_API}/repositories/{{repository_id}}/look", "repository.look"),
        ("POST", f"{_API}/repositories/{{repository_id}}/test", "repository.test"),
        ("PUT", f"{_API}/repositories/{{repository_id}}/credentials/{{slot}}", "credentials.write"),
        ("DELETE", f"{_API}/repositories/{{repository_id}}/credentials/{{slot}}", "credentials.remove"),
    ),
    **_of(
        "host",
        "host_id",
        ("POST", "/hosts/{host_id}/rename", "host.write"),
        ("POST", "/hosts/{host_id}/remove", "host.remove"),
        ("POST", "/hosts/{host_id}/snooze", "host.snooze"),
        ("POST", "/hosts/{host_id}/wake", "host.wake"),
        ("PATCH", f"{_API}/hosts/{{host_id}}", "host.write"),
        ("DELETE", f"{_API}/hosts/{{host_id}}", "host.remove"),
        ("POST", f"{_API}/hosts/{{host_id}}/snooze", "host.snooze"),
        ("DELETE", f"{_API}/hosts/{{host_id}}/snooze", "host.wake"),
        ("POST", "/hosts/{host_id}/coverage/exclude", "coverage.exclude"),
        ("POST", "/hosts/{host_id}/coverage/include", "coverage.include"),
        ("POST", f"{_API}/hosts/{{host_id}}/coverage/exclude", "coverage.exclude"),
        ("POST", f"{_API}/hosts/{{host_id}}/coverage/include", "coverage.include"),
    ),
    **_of(
        "stack",
        "project",
        ("POST", "/hosts/{host_id}/stacks", "stack.deploy"),
        ("POST", "/hosts/{host_id}/stacks/{project}/deploy", "stack.deploy"),
        ("POST", "/hosts/{host_id}/stacks/{project}/stop", "stack.stop"),
        ("POST", "/hosts/{host_id}/stacks/{project}/restart", "stack.restart"),
        ("POST", "/hosts/{host_id}/stacks/{project}/forget", "stack.forget"),
        ("POST", "/hosts/{host_id}/stacks/{project}/deploys/{deploy_id}/cancel", "stack.cancel"),
        ("POST", f"{_API}/hosts/{{host_id}}/stacks/{{project}}/deploy", "stack.deploy"),
        ("POST", f"{_API}/hosts/{{host_id}}/stacks/{{project}}/stop", "stack.stop"),
        ("POST", f"{_API}/hosts/{{host_id}}/stacks/{{project}}/restart", "stack.restart"),
        ("POST", f"{_API}/hosts/{{host_id}}/stacks/{{project}}/deploys/{{deploy_id}}/cancel", "stack.cancel"),
        ("DELETE", f"{_API}/hosts/{{host_id}}/stacks/{{project}}", "stack.forget"),
    ),
    **_of(
        "pending_host",
        "pending_id",
        ("POST", "/enrol/pending/{pending_id}/approve", "host.approve"),
        ("POST", "/enrol/pending/{pending_id}/reject", "host.reject"),
        ("POST", f"{_API}/pending-hosts/{{pending_id}}/approve", "host.approve"),
        ("POST", f"{_API}/pending-hosts/{{pending_id}}/reject", "host.reject"),
    ),
    **_of(
        "enrol_code",
        "code_id",
        ("POST", "/enrol", "enrol_code.create"),
        ("POST", "/enrol/codes/{code_id}/revoke", "enrol_code.revoke"),
        ("POST", f"{_API}/enrol-codes", "enrol_code.create"),
        ("DELETE", f"{_API}/enrol-codes/{{code_id}}", "enrol_code.revoke"),
    ),
    **_of(
        "alert",
        "alert_id",
        ("POST", "/alerts/{alert_id}/acknowledge", "alert.acknowledge"),
        ("POST", "/alerts/{alert_id}/snooze", "alert.snooze"),
        ("POST", "/alerts/{alert_id}/wake", "alert.wake"),
        ("POST", f"{_API}/alerts/{{alert_id}}/acknowledge", "alert.acknowledge"),
        ("POST", f"{_API}/alerts/{{alert_id}}/snooze", "alert.snooze"),
        ("DELETE", f"{_API}/alerts/{{alert_id}}/snooze", "alert.wake"),
    ),
    **_of(
        "channel",
        "channel_id",
        ("POST", "/channels", "channel.create"),
        ("POST", "/channels/{channel_id}/test", "channel.test"),
        ("POST", "/channels/{channel_id}/set", "channel.write"),
        ("POST", "/channels/{channel_id}/remove", "channel.remove"),
        ("POST", f"{_API}/channels", "channel.create"),
        ("PATCH", f"{_API}/channels/{{channel_id}}", "channel.write"),
        ("DELETE", f"{_API}/channels/{{channel_id}}", "channel.remove"),
        ("POST", f"{_API}/channels/{{channel_id}}/test", "channel.test"),
    ),
    **_of(
        "token",
        "token_id",
        ("POST", "/settings/tokens", "token.create"),
        ("POST", "/settings/tokens/{token_id}/rotate", "token.rotate"),
        ("POST", "/settings/tokens/{token_id}/revoke", "token.revoke"),
        ("POST", f"{_API}/tokens", "token.create"),
        ("POST", f"{_API}/tokens/{{token_id}}/rotate", "token.rotate"),
        ("DELETE", f"{_API}/tokens/{{token_id}}", "token.revoke"),
    ),
    **_of(
        "user",
        "user_id",
        ("POST", "/settings/users", "user.create"),
        ("POST", "/settings/users/{user_id}/role", "user.write"),
        ("POST", "/settings/users/{user_id}/link", "user.reset"),
        ("POST", "/settings/users/{user_id}/remove", "user.remove"),
        ("POST", f"{_API}/users", "user.create"),
        ("PATCH", f"{_API}/users/{{user_id}}", "user.write"),
        ("POST", f"{_API}/users/{{user_id}}/link", "user.reset"),
        ("DELETE", f"{_API}/users/{{user_id}}", "user.remove"),
    ),
    **_of(
        "role",
        "role_name",
        ("POST", "/settings/roles", "role.write"),
        ("POST", "/settings/roles/{role_name}/remove", "role.remove"),
        ("PUT", f"{_API}/roles/{{role_name}}", "role.write"),
        ("DELETE", f"{_API}/roles/{{role_name}}", "role.remove"),
    ),
    # The hub itself.
    ("POST", "/recovery"): Audited(action="recovery_kit.download"),
    ("POST", f"{_API}/recovery-kit"): Audited(action="recovery_kit.download"),
}

NOT_NAMED = Audited(action=UNNAMED)

SAYABLE = frozenset(
    {
        "action",
        "archived",
        "check_subset",
        "cron",
        "days",
        "enabled",
        "expires_at",
        "fingerprint",
        "for",
        "for_host",
        "grace_seconds",
        "host_id",
        "hosts",
        "include",
        "kind",
        "muted",
        "name",
        "new_secret",
        "paths",
        "paused",
        "paused_until",
        "permissions",
        "project",
        "repository_id",
        "role",
        "schedule",
        "severity",
        "slot",
        "snapshot",
        "source_id",
        "step",
        "subject",
        "take_over",
        "target",
        "target_seconds",
        "text_number",
        "tool",
        "until",
        "wish",
        "zone",
    }
)
"""Fields whose values are kept. None may hold a password, a token, an address with credentials or a file's text."""


OPENED = frozenset({"keep", "restore", "retention", "schedule"})
"""Fields that hold further ones; of any other, variables above all, nothing within is looked at."""


def audited(method: str, template: str, said: Mapping[str, Any] | None = None) -> Audited:
    """What the route is called; ``said`` is the body, where it was read."""
    found = AUDITED.get((method, template), NOT_NAMED)
    if not found.by_kind:
        return found
    kind = str((said or {}).get("kind", RunKind.BACKUP))
    action = RUN_ACTIONS.get(kind, found.action)
    return Audited(action=action, target=found.target, when=found.when)


def target_of(found: Audited, parameters: Mapping[str, Any], said: Mapping[str, Any], view: FleetView) -> Target:
    """What the request is about, as far as it is known before it is carried out."""
    kind, its_id = found.target, str(parameters.get(found.by, "")) if found.by else ""
    if found.by_kind or (kind == "run" and not its_id):
        for kind_, key in (("source", "source_id"), ("repository", "repository_id"), ("host", "host_id")):
            if isinstance(said.get(key), str) and said[key]:
                kind, its_id = kind_, said[key]
                break
    return Target(kind=kind, id=its_id, name=name_of(kind, its_id, view))


def name_of(kind: str, its_id: str, view: FleetView) -> str:
    """What a thing of the fleet is called; empty for one that is not known."""
    things: Mapping[str, Mapping[str, Any]] = {
        "source": view.sources,
        "repository": view.repositories,
        "host": view.hosts,
    }
    thing = things.get(kind, {}).get(its_id)
    return "" if thing is None else str(thing.name)


def kept(said: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was said that which an audit log may keep. Nothing is crowded out by fields that mean nothing."""
    values: dict[str, Any] = {}
    names: list[str] = []
    for name, key, value in _flat(said):
        shown = _shown(value) if key in SAYABLE else None
        if shown is not None and len(values) < MOST_FIELDS:
            values[name[:LONGEST_FIELD]] = shown
        elif len(names) < MOST_FIELDS:
            names.append(name[:LONGEST_FIELD])
        elif names[-1] != "…":
            names.append("…")
    return {**({"given": values} if values else {}), **({"also": names} if names else {})}


def _flat(said: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Each field: how it is shown, its own name, its value."""
    found: list[tuple[str, str, Any]] = []
    for name, value in said.items():
        if isinstance(value, dict) and name in OPENED:
            found += [(f"{name}.{key}", str(key), part) for key, part in list(value.items())[:MOST_FIELDS]]
        elif name != "csrf":
            found.append((str(name), str(name), value))
    return found


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value if value is not None else "none"
    if isinstance(value, str):
        return value[:LONGEST_VALUE]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        more = ["…"] if len(value) > MOST_VALUES else []
        return [one[:LONGEST_VALUE] for one in value[:MOST_VALUES]] + more
    return None


# --- what routes say ----------------------------------------------------------------------------------------------


def about(
    connection: ASGIConnection[Any, Any, Any, Any],
    kind: str,
    its_id: str,
    name: str = "",
    *,
    who: Who | None = None,
    **details: object,
) -> None:
    """Have the audit log know what the request made or proved; for what cannot be seen from its address."""
    scope: Any = connection.scope
    scope[_TOLD] = Told(target=Target(kind=kind, id=its_id, name=name), who=who, details=dict(details))


def also(connection: ASGIConnection[Any, Any, Any, Any], **details: object) -> None:
    """Have the audit log know something more, such as the id of the run that was started."""
    scope: Any = connection.scope
    scope[_TOLD] = Told(details=dict(details))


def told_of(scope: Any) -> Told | None:
    found: Told | None = scope.get(_TOLD)
    return found

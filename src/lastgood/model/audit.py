"""What the audit log keeps: who did what to what, and how it ended.

Comes in: requests of people and programs, and what the hub does by itself. Goes out: ``Entry``, which
``store/audit.py`` chains. The one rule: actions are a closed list, since each is a label of a metric, and nothing of
an entry may hold a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lastgood.model.job import RunKind


class ActorKind(StrEnum):
    """Who did something; a stranger is somebody who has not proved who they are."""

    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    AGENT = "agent"
    SYSTEM = "system"
    LOCAL = "local"
    STRANGER = "stranger"


class Ending(StrEnum):
    """How an action ended; ``begun`` is written before it is carried out."""

    BEGUN = "begun"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """``id`` is the user's, token's or host's, empty for those who have none."""

    kind: ActorKind
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an action is about; all empty where it is about the hub as a whole."""

    kind: str = ""
    id: str = ""
    name: str = ""


THE_HUB = Who(kind=ActorKind.SYSTEM, name="lastgood")
NOTHING = Target()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row before it is chained. ``begun`` is the row that this one ends."""

    action: str
    who: Who
    outcome: Ending = Ending.DONE
    begun: int | None = None
    target: Target = NOTHING
    address: str = ""
    request_id: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


RUN_ACTIONS = {str(kind): f"{kind}.run" for kind in RunKind}
"""The action of asking for a run of this kind."""

UNNAMED = "hub.change"
"""The action of a change that the table of routes does not name; a test holds that there is none."""

BEGIN = "audit.begin"
TRIM = "audit.trim"
SET_BACK = "audit.set_back"
SIGN_IN = "auth.sign_in"
SIGN_IN_FAILED = "auth.sign_in_failed"

ACTIONS: tuple[str, ...] = tuple(
    sorted(
        {
            "alert.acknowledge",
            "alert.snooze",
            "alert.wake",
            BEGIN,
            TRIM,
            SET_BACK,
            SIGN_IN,
            SIGN_IN_FAILED,
            "auth.sign_out",
            "auth.welcome",
            "channel.create",
            "channel.remove",
            "channel.test",
            "channel.write",
            "collector.look",
            "coverage.exclude",
            "coverage.include",
            "credentials.remove",
            "credentials.write",
            "enrol_code.create",
            "enrol_code.revoke",
            "host.announce",
            "host.approve",
            "host.enrol",
            "host.reject",
            "host.rekey",
            "host.remove",
            "host.snooze",
            "host.wake",
            "host.write",
            "hub.backup",
            UNNAMED,
            "hub.key_made",
            "hub.restore",
            "hub.start",
            "hub.stop",
            "hub.trim",
            "recovery_kit.download",
            "repository.create",
            "repository.look",
            "repository.remove",
            "repository.test",
            "repository.write",
            "role.remove",
            "role.write",
            "run.cancel",
            *RUN_ACTIONS.values(),
            "source.adopt",
            "source.alias",
            "source.archive",
            "source.create",
            "source.mute",
            "source.write",
            "stack.cancel",
            "stack.deploy",
            "stack.forget",
            "stack.restart",
            "stack.stop",
            "stack.write",
            "token.create",
            "token.revoke",
            "token.rotate",
            "token.write",
            "user.create",
            "user.remove",
            "user.reset",
            "user.write",
        }
    )
)
"""Every action there is."""

"""The ``dockmesh_*`` vocabulary: the agents as dockmesh's rules expect them.

Takes a frozen view; names, types and label sets are those of its published reference. Only what lastgood knows has a
family here. Host names are unique on a hub, so ``host`` alone tells one series from another.
"""

from __future__ import annotations

from lastgood.fleet.fleet import FleetView
from lastgood.metrics.entities import ACTION, HOST, aged_value
from lastgood.metrics.family import Aged, Family, Instant, Type
from lastgood.metrics.own_facts import OwnFacts
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.host import ABSENT


def _host(view: FleetView, host_id: str) -> tuple[str, ...]:
    return (view.hosts[host_id].name,)


def _silence(now: Instant, host_id: str) -> int | None:
    """Whole seconds; none below zero, since a heartbeat may come after the moment for which the page holds."""
    seen_at = now.presence.get(host_id, ABSENT).seen_at
    return None if seen_at is None else max(0, int(now.seconds - seen_at.timestamp()))


SILENCE: Aged[FleetView] = Aged(lambda _view, host_id: host_id, _silence)

AUDIT_ENTRIES: Family[OwnFacts] = Family(
    name="dockmesh_audit_log_entries_total",
    help="Actions written into the audit log since it began; one that was begun and ended counts once.",
    type=Type.COUNTER,
    entity=ACTION,
    label_names=("action",),
    labels=lambda _facts, action: (action,),
    value=lambda facts, action: None if facts.audit is None else facts.audit.entries[action],
)

VOCABULARY = Vocabulary(
    name="dockmesh",
    purpose="Drop-in for the agents' part of dockmesh's metrics: its rules on silent agents work unchanged.",
    fleet=(
        Family(
            name="dockmesh_agent_last_seen_seconds",
            help="Time since the last heartbeat of this host's agent; absent for a host that was never heard.",
            entity=HOST,
            reads=("presence", "clock"),
            label_names=("host",),
            labels=_host,
            value=aged_value(SILENCE),
            aged=SILENCE,
        ),
    ),
    own=(AUDIT_ENTRIES,),
)

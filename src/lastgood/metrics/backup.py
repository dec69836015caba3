"""The ``backup_*`` vocabulary: one set of names for every backup tool.

Takes a frozen view whose states the judge has told; gives what is known of each source and repository. The one
rule: a value that nobody knows is an absent row, and every name here passes promtool's lint.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from lastgood.fleet.coverage import uncovered
from lastgood.fleet.fleet import FleetView
from lastgood.fleet.judge import is_running, last_known_at
from lastgood.fleet.weigh import is_proven_good, newest
from lastgood.metrics.entities import DOCKER, REPOSITORY, SOURCE, SYNC, UPKEEP, aged_value, epoch
from lastgood.metrics.family import Aged, Family, Instant, Type, Value
from lastgood.metrics.vocabulary import Vocabulary
from lastgood.model.host import ABSENT
from lastgood.model.job import Outcome, Run, RunKind
from lastgood.model.repository import NO_REPOSITORY_EVIDENCE, RepositoryState
from lastgood.model.source import last_good

SOURCE_LABELS = ("source", "tool", "host", "name", "repository")
REPOSITORY_LABELS = ("repository", "repository_id", "tool")
"""Names of repositories need not be unique, so the id keeps two series apart."""


def _source(view: FleetView, source_id: str) -> tuple[str, ...]:
    source = view.sources[source_id]
    host = view.hosts.get(source.host_id or source.alias_host_id or "")
    repository = view.repositories.get(source.repository_id)
    return (
        source_id,
        source.tool,
        source.restic_host if host is None else host.name,
        source.name,
        "" if repository is None else repository.name,
    )


def _source_and_state(view: FleetView, source_id: str) -> tuple[str, ...]:
    return (*_source(view, source_id), view.states.get(source_id, ""))


def _repository(view: FleetView, repository_id: str) -> tuple[str, ...]:
    repository = view.repositories[repository_id]
    return repository.name, repository_id, repository.tool


def _good(view: FleetView, source_id: str) -> Run | None:
    return last_good(view.sources[source_id], view.evidence_of(source_id))


def _good_end(view: FleetView, source_id: str) -> Value:
    run = _good(view, source_id)
    return None if run is None else epoch(run.ended_at)


def _good_start(view: FleetView, source_id: str) -> Value:
    run = _good(view, source_id)
    return None if run is None else epoch(run.started_at)


def _good_duration(view: FleetView, source_id: str) -> Value:
    run = _good(view, source_id)
    return None if run is None else run.duration_seconds


def _good_size(view: FleetView, source_id: str) -> Value:
    run = _good(view, source_id)
    return None if run is None else run.size_bytes


def _good_added(view: FleetView, source_id: str) -> Value:
    run = _good(view, source_id)
    return None if run is None else run.added_bytes


def _attempt_at(view: FleetView, source_id: str) -> Value:
    run = view.evidence_of(source_id).last_attempt
    return None if run is None else epoch(run.ended_at)


def _attempt_success(view: FleetView, source_id: str) -> Value:
    run = view.evidence_of(source_id).last_attempt
    if run is None:
        return None
    if run.outcome is Outcome.PARTIAL:
        return view.sources[source_id].accept_partial
    return is_proven_good(run)


def _target(view: FleetView, source_id: str) -> Value:
    span = view.sources[source_id].target or view.evidence_of(source_id).interval
    return None if span is None else span.total_seconds()


def _due(view: FleetView, source_id: str) -> Value:
    """Nothing more is due of an archived source."""
    archived = view.sources[source_id].archived_by is not None
    return None if archived else epoch(view.evidence_of(source_id).due_at)


def _observed_base(view: FleetView, source_id: str) -> object:
    """A look speaks for all that it found, however many they are: its moment is read when the page is made."""
    source = view.sources[source_id]
    return source.host_id, view.evidence_of(source_id).observed_at, source.repository_id if source.is_found else ""


def _observed(now: Instant, base: tuple[str | None, datetime | None, str]) -> int | None:
    host_id, told_at, repository_id = base
    whole_at = now.repository_evidence.get(repository_id, NO_REPOSITORY_EVIDENCE).whole_at
    if whole_at is not None:
        told_at = newest(told_at, whole_at)
    presence = now.presence.get(host_id or "", ABSENT)
    if presence.is_observing and not presence.behind:
        return now.seconds
    return epoch(last_known_at(presence, told_at, now.at))


OBSERVED: Aged[FleetView] = Aged(_observed_base, _observed)


def _repository_up(view: FleetView, repository_id: str) -> Value:
    state = view.repository_states.get(repository_id, RepositoryState.UNKNOWN)
    return None if state is RepositoryState.UNKNOWN else state is RepositoryState.UP


def _locks(view: FleetView, repository_id: str) -> Value:
    locks = view.repository_evidence_of(repository_id).locks
    return None if locks is None else len(locks)


def _verified(view: FleetView, source_id: str) -> Value:
    """Nothing is verified of a source of which nothing is held."""
    if _good(view, source_id) is None:
        return None
    source = view.sources[source_id]
    if source.collected is not None:
        return epoch(view.evidence_of(source_id).verified_at)
    return epoch(view.repository_evidence_of(source.repository_id).upkeep_at(RunKind.CHECK))


def _upkeep(view: FleetView, upkeep_id: str) -> tuple[str, ...]:
    repository_id, _, task = upkeep_id.partition("/")
    return (*_repository(view, repository_id), task)


def _upkeep_at(view: FleetView, upkeep_id: str) -> Value:
    repository_id, _, task = upkeep_id.partition("/")
    evidence = view.repository_evidence_of(repository_id)
    return epoch(evidence.synced_at if task == SYNC else evidence.upkeep_at(RunKind(task)))


def _of_source(
    name: str,
    help_: str,
    value: Callable[[FleetView, str], Value],
    *reads: str,
    aged: Aged[FleetView] | None = None,
) -> Family[FleetView]:
    """A row a source. Its labels name host and repository, so a renamed one touches it too."""
    return Family(
        name=name,
        help=help_,
        type=Type.COUNTER if name.endswith("_total") else Type.GAUGE,
        entity=SOURCE,
        reads=("host", "repository", *reads),
        label_names=SOURCE_LABELS,
        labels=_source,
        value=value,
        aged=aged,
    )


def _of_repository(name: str, help_: str, value: Callable[[FleetView, str], Value], *reads: str) -> Family[FleetView]:
    return Family(
        name=name,
        help=help_,
        entity=REPOSITORY,
        reads=reads,
        label_names=REPOSITORY_LABELS,
        labels=_repository,
        value=value,
    )


FAMILIES: tuple[Family[FleetView], ...] = (
    _of_source(
        "backup_source_info",
        "Always 1; one row for each source that should be backed up.",
        lambda _view, _id: 1,
    ),
    Family(
        name="backup_source_state",
        help="Always 1; the state label says how this source stands. Only the current state has a row.",
        entity=SOURCE,
        reads=("host", "repository", "state"),
        label_names=(*SOURCE_LABELS, "state"),
        labels=_source_and_state,
        value=lambda view, source_id: 1 if source_id in view.states else None,
    ),
    _of_source(
        "backup_source_running",
        "1 while a backup of this source runs, 0 otherwise.",
        is_running,
        "run",
    ),
    _of_source(
        "backup_last_good_timestamp_seconds",
        "Unix time at which the last good backup ended.",
        _good_end,
    ),
    _of_source(
        "backup_last_good_start_timestamp_seconds",
        "Unix time at which the last good backup began; what changed later is not in it.",
        _good_start,
    ),
    _of_source(
        "backup_last_attempt_timestamp_seconds",
        "Unix time at which the newest attempt ended, whatever came of it; cancelled and dry runs are none.",
        _attempt_at,
    ),
    _of_source(
        "backup_last_attempt_success",
        "1 if the newest attempt made a good backup, 0 otherwise.",
        _attempt_success,
    ),
    _of_source("backup_last_duration_seconds", "How long the last good backup took.", _good_duration),
    _of_source("backup_last_size_bytes", "How much the last good backup holds.", _good_size),
    _of_source("backup_last_added_bytes", "How much the last good backup added to its repository.", _good_added),
    _of_source(
        "backup_snapshots",
        "How many snapshots of this source are held.",
        lambda view, source_id: view.evidence_of(source_id).snapshots,
    ),
    _of_source(
        "backup_target_seconds",
        "How old the last good backup may become: the target that was set, else the interval of the schedule.",
        _target,
    ),
    _of_source(
        "backup_due_timestamp_seconds",
        "Unix time at which the next good backup is or was due, without grace.",
        _due,
    ),
    _of_source(
        "backup_observed_timestamp_seconds",
        "Unix time up to which lastgood knows what happened to this source.",
        aged_value(OBSERVED),
        "presence",
        "clock",
        aged=OBSERVED,
    ),
    _of_source(
        "backup_expected_runs_total",
        "Backups that the schedule asked for and whose deadline is past.",
        lambda view, source_id: view.evidence_of(source_id).expected_runs,
    ),
    _of_source(
        "backup_good_runs_total",
        "Backups that the schedule asked for and that were good in time, or are known to be good since.",
        lambda view, source_id: view.evidence_of(source_id).good_runs,
    ),
    _of_source(
        "backup_verified_timestamp_seconds",
        "Unix time at which the newest check without errors was made: of this source where its server tells that, "
        "else of its repository.",
        _verified,
    ),
    _of_repository(
        "backup_repository_up",
        "1 if the repository answered the newest look into it, 0 if not; absent while nobody knows.",
        _repository_up,
        "repository_state",
    ),
    _of_repository(
        "backup_repository_size_bytes",
        "Size of what the repository stores.",
        lambda view, repository_id: view.repository_evidence_of(repository_id).size_bytes,
    ),
    _of_repository(
        "backup_repository_available_bytes",
        "Room that is left in the repository, where its server tells it.",
        lambda view, repository_id: view.repository_evidence_of(repository_id).available_bytes,
    ),
    _of_repository(
        "backup_repository_full_timestamp_seconds",
        "Unix time at which the repository will be full if it grows on as it did, where its server tells it.",
        lambda view, repository_id: epoch(view.repository_evidence_of(repository_id).full_at),
    ),
    _of_repository("backup_repository_locks", "Locks that lie in the repository.", _locks),
    Family(
        name="backup_repository_upkeep_timestamp_seconds",
        help="Unix time at which this task last went well on the repository: check, forget, prune, sync or unlock.",
        entity=UPKEEP,
        reads=("repository",),
        label_names=(*REPOSITORY_LABELS, "task"),
        labels=_upkeep,
        value=_upkeep_at,
    ),
    Family(
        name="backup_uncovered_sources",
        help="Volumes and bind mounts of the host's containers of which no backup is known and that nobody excluded.",
        entity=DOCKER,
        reads=("host", "source"),
        label_names=("host",),
        labels=lambda view, host_id: (view.hosts[host_id].name,),
        value=uncovered,
    ),
)

VOCABULARY = Vocabulary(
    name="backup",
    purpose="Every source and repository of every tool under the same names; made for new dashboards and rules.",
    fleet=FAMILIES,
)

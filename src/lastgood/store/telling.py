"""Facts -> history rows: what a run or an alert leaves behind when it is told.

``store/log.py`` saves these rows in the transaction that keeps the facts, and takes them back when a fact could not
be learned; those of alerts, and notices, are made in ``store/alerting.py``. The one rule: a run's row belongs to the
host that first spoke of the run, and its first end stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, or_, select

from lastgood.model.fact import AlertOpened, Fact, RunFinished, RunStarted
from lastgood.model.job import Outcome, Run, RunStart
from lastgood.store.alerting import AlertFact, AlertFacts
from lastgood.store.codec import encode
from lastgood.store.notices import forget_alert
from lastgood.store.schema import alerts, in_some, insert, run_logs, runs, storable, upsert
from lastgood.store.stacks import DeployFact, DeployFacts, forget_deploy

PRESUMED = (str(Outcome.LOST), str(Outcome.CANCELLED))
"""Ends that the hub may have told by itself; an agent that knows better corrects them."""


class Told:
    """The history rows of one batch of facts, saved in the transaction that keeps the facts."""

    def __init__(self) -> None:
        self._started: list[dict[str, Any]] = []
        self._finished: list[dict[str, Any]] = []
        self._logs: dict[tuple[str, int], str] = {}
        self._alerts = AlertFacts()
        self._deploys = DeployFacts()

    def add(self, seq: int, fact: Fact, log: str) -> None:
        """Note what this fact says about runs and alerts; most facts say nothing."""
        if isinstance(fact, RunFinished):
            self._finished.append(_run_row(seq, fact.run, fact.run.outcome, fact.run.ended_at))
            if log:
                self._logs[storable(fact.run.id), seq] = storable(log)
        elif isinstance(fact, RunStarted):
            self._started.append(_run_row(seq, fact.run, None, None))
        elif isinstance(fact, AlertFact):
            self._alerts.add(seq, fact)
        elif isinstance(fact, DeployFact):
            self._deploys.add(seq, fact, log)

    def save(self, connection: Connection) -> None:
        """Write it all. A run is ended once, by the host that began it."""
        if self._started:
            connection.execute(insert(connection, runs).on_conflict_do_nothing(), self._started)
        if self._finished:
            statement = insert(connection, runs)
            new = statement.excluded
            changed = {c.name: new[c.name] for c in runs.columns if c.name not in {"id", "host_id"}}
            # What the hub told for want of better is corrected by what the agent tells late.
            presumed = and_(
                or_(*(runs.c.outcome == word for word in PRESUMED)), *(new.outcome != word for word in PRESUMED)
            )
            its_end = and_(runs.c.host_id == new.host_id, or_(runs.c.ended_at.is_(None), presumed))
            connection.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_=changed, where=its_end), self._finished
            )
        self._save_logs(connection)
        self._alerts.save(connection)
        self._deploys.save(connection)

    def _save_logs(self, connection: Connection) -> None:
        """Keep what the tools wrote, each only if the row of its run is the one that was told with it."""
        kept: set[tuple[str, int]] = set()
        for some in in_some([run_id for run_id, _ in self._logs]):
            query = select(runs.c.id, runs.c.seq).where(runs.c.id.in_(some))
            kept.update((run_id, seq) for run_id, seq in connection.execute(query))
        upsert(
            connection, run_logs, [{"run_id": key[0], "log": log} for key, log in self._logs.items() if key in kept]
        )


def forget(connection: Connection, seq: int, fact: Fact) -> None:
    """Take back the rows of a fact that was logged and then could not be learned."""
    if isinstance(fact, RunStarted | RunFinished):
        connection.execute(delete(runs).where(runs.c.id == storable(fact.run.id), runs.c.seq == seq))
    elif isinstance(fact, DeployFact):
        forget_deploy(connection, seq, fact)
    elif isinstance(fact, AlertOpened):
        mine = and_(alerts.c.id == storable(fact.alert.id), alerts.c.seq == seq)
        if connection.execute(delete(alerts).where(mine)).rowcount:
            forget_alert(connection, fact.alert.id)


def _run_row(seq: int, run: Run | RunStart, outcome: Outcome | None, ended_at: datetime | None) -> dict[str, Any]:
    return {
        "id": storable(run.id),
        "seq": seq,
        "source_id": _maybe(run.source_id),
        "host_id": storable(run.host_id),
        "repository_id": _maybe(run.repository_id),
        "kind": str(run.kind),
        "status": "running" if outcome is None else str(outcome.status),
        "outcome": None if outcome is None else str(outcome),
        "started_at": run.started_at,
        "ended_at": ended_at,
        "body": encode(run),
    }


def _maybe(text: str | None) -> str | None:
    return None if text is None else storable(text)

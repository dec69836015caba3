"""Runs that nobody runs any more: the hub holds them as under way, their agent is back and knows nothing of them.

An agent reports its own lost runs from its spool; this is for the agent whose disk was lost with them. Pure. The one
rule: judged only once all that the agent had to say is committed, or a finish still under way would be contradicted.
"""

from __future__ import annotations

from datetime import datetime

from lastgood.fleet.fleet import Fleet
from lastgood.model.fact import RunFinished
from lastgood.model.job import Outcome, Run
from lastgood.wire.frames import Hello

REASON = "The agent came back and knows nothing of this run, so nobody saw how it ended."


def orphans(fleet: Fleet, host_id: str, hello: Hello, now: datetime) -> list[RunFinished]:
    """The runs of this host that began before its hello and are not among those it still has."""
    lost = []
    for start in fleet.running.values():
        if start.host_id != host_id or start.id in hello.running or start.started_at >= hello.sent_at:
            continue
        ended_at = max(start.started_at, min(hello.sent_at, now))
        run = Run(
            id=start.id,
            kind=start.kind,
            outcome=Outcome.LOST,
            host_id=host_id,
            started_at=start.started_at,
            ended_at=ended_at,
            duration_seconds=(ended_at - start.started_at).total_seconds(),
            source_id=start.source_id,
            repository_id=start.repository_id,
            due_at=start.due_at,
            cause="lost",
            reason=REASON,
        )
        lost.append(RunFinished(at=now, origin="hub:orphans", run=run))
    return lost

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


def orphans(fleet: Fleet, host_id: str, hello: Hello, greeted_at: datetime, now: datetime) -> list[RunFinished]:
    """The runs of this host that began before its hello and are not among those it still has.

    ``greeted_at`` is our own moment of the hello. A start that was told to us is never later than our clock was then,
    a hello of an agent whose clock is ahead may be: the earlier of both decides, or its next runs would be lost.
    """
    lost = []
    said_at = min(hello.sent_at, greeted_at)
    for start in fleet.running.values():
        if start.host_id != host_id or start.id in hello.running or start.started_at >= said_at:
            continue
        ended_at = max(start.started_at, min(said_at, now))
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

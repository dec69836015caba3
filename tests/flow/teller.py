"""A hub's heart that is told a stream of runs and says on its standard output what it has acknowledged.

Run by ``test_kill.py``: ``python -m tests.flow.teller FOLDER``. For each line on its standard input it forks a life,
to be killed, so that fifty lives import the program once. A life goes on where the database's marks stand, as an
agent's spool would, resends the last report committed, and saves checkpoints all the time. It says ``ready N`` (runs
counted by the histograms at its start), then ``ack N`` for each report; its parent says ``pid N``, ``died SIGNAL``.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from lastgood.model.fact import Fact, HostEnrolled, RepositoryConfigured, RunFinished, SourceConfigured
from lastgood.service.checkpoint import Checkpoint, restore
from lastgood.service.ingest import Ingest
from lastgood.store import log
from lastgood.store.database import open_database
from lastgood.store.log import Append, Mark
from tests.builders import NOW, a_host, a_repository, a_run, a_source

STREAM = "agent:host:spool"
UNDER_WAY = 40
_AT = {"at": NOW, "origin": "test"}
SOURCE = a_source()


def report(sequence: int) -> Fact:
    """The run that this number stands for; always the same one."""
    run = a_run(
        SOURCE, NOW + timedelta(seconds=sequence), id=f"run-{sequence:08}", duration_seconds=float(sequence % 90)
    )
    return RunFinished(**_AT, run=run)


def nouns() -> Append:
    facts = (
        HostEnrolled(**_AT, host=a_host()),
        RepositoryConfigured(**_AT, repository=a_repository()),
        SourceConfigured(**_AT, source=SOURCE),
    )
    return Append(facts, Mark("request:nouns", 1))


def say(line: str) -> None:
    """At once and whole: what is in the pipe survives us."""
    os.write(1, f"{line}\n".encode())


async def tell(ingest: Ingest, sequence: int, after: int) -> None:
    await ingest.take(Append((report(sequence),), Mark(STREAM, sequence, after), log="x" * 200))
    say(f"ack {sequence}")


async def save_all_the_time(checkpoint: Checkpoint) -> None:
    while True:
        await checkpoint.save()
        await asyncio.sleep(0.02)


async def live(folder: Path) -> None:
    database = open_database(folder)
    fleet, checkpoint = await restore(database)
    say(f"ready {sum(map(sum, fleet.durations.buckets.values()))}")
    ingest = Ingest(database, fleet, checkpoint, lambda changes, at: None)
    await ingest.start()
    await ingest.take(nouns())
    committed = await database.read(partial(log.marks_of, stream=STREAM))
    saving = asyncio.create_task(save_all_the_time(checkpoint))
    if committed:
        await tell(ingest, committed, committed - 1)
    sending: set[asyncio.Task[None]] = set()
    for sequence in itertools.count(committed + 1):
        if saving.done():
            saving.result()
        sending.add(asyncio.create_task(tell(ingest, sequence, sequence - 1)))
        if len(sending) >= UNDER_WAY:
            done, sending = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()


def main(folder: Path) -> None:
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            asyncio.run(live(folder))
        say(f"pid {pid}")
        _, status = os.waitpid(pid, 0)
        say(f"died {os.WTERMSIG(status)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

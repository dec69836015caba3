"""Reports that an agent once told and this hub does not have: named in the log, since nobody can tell them again.

An agent's first words name how far its hub had acknowledged; the welcome corrects that, and its next heartbeat names
less. The one rule: a gap is one log line with its size, never a guess at what was in it; the agent's looks heal it.
"""

from __future__ import annotations

import structlog


def name_gap(log: structlog.stdlib.BoundLogger, named: int, last_sequence: int, spool_id: str) -> None:
    """Log the reports between what the agent named before and what it names now, if it names less."""
    if last_sequence < named:
        log.warning(
            "the agent has told reports that this hub does not have, as after the restore of an older database; it "
            "looks into its repositories anew",
            missing=named - last_sequence,
            committed=last_sequence,
            spool=spool_id,
        )

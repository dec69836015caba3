"""The text with which a task ends, and its class.

Comes in: ``status`` of a task, ``last-run-state`` of a job, ``exitstatus``. Goes out: a ``TaskStatus``; what a
class means for a backup, a sync or a prune is judged elsewhere. The one rule: whatever is none of the three known
forms is an error, since most error texts lack that word. Outside format: 3.2 to 4.2.
"""

from __future__ import annotations

import re

from lastgood.model.pbs import TaskStatus

_WARNINGS = re.compile(r"WARNINGS: \d+")


def task_status(text: str | None) -> TaskStatus | None:
    """None while it runs."""
    if text is None:
        return None
    if text == "OK":
        return TaskStatus.OK
    if text == "unknown":
        return TaskStatus.UNKNOWN
    return TaskStatus.WARNINGS if _WARNINGS.fullmatch(text) else TaskStatus.ERROR

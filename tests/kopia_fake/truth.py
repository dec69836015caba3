"""What a good collector says about a scenario, told from what the sources did and not from what Kopia prints.

One object a source: outcome of the newest finished attempt, the newest good one, what is kept, what is expected.
Written apart from manifests.py on purpose, so that a mistake there is not believed here; only the retention classes
are counted from the same computation.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from . import repository
from .manifests import kept, readings
from .moments import DAY, HOUR, MINUTE, SECOND, rfc3339
from .plan import CHECKPOINT, DIED, FATAL, INCOMPLETE, SKIPPED, SUCCESS, WARNING, Attempt, Source
from .scenario import Scenario
from .world import visible

STILL_RUNNING = 70 * MINUTE
GOOD = (SUCCESS, WARNING)
MANY_GAPS = 10


def truth(scenario: Scenario) -> dict[str, Any]:
    told = [source_truth(scenario, source) for source in visible(scenario)]
    direct = scenario.route == "direct"
    return {
        "now": rfc3339(scenario.now),
        "sources": [one for one in told if one is not None],
        "repository": _repository(scenario) if direct else None,
    }


def source_truth(scenario: Scenario, source: Source) -> dict[str, Any] | None:
    """None for a source that nothing names: no manifest and no policy."""
    seen = [one for one in source.attempts if _seen(scenario, one)]
    if not seen and source.policy is None:
        return None
    running = bool(seen) and seen[-1].ended == CHECKPOINT and scenario.now - seen[-1].end < STILL_RUNNING
    finished = seen[:-1] if running else seen
    newest = finished[-1] if finished else None
    good = next((one for one in reversed(finished) if one.ended in (*GOOD, SKIPPED)), None)
    saved = next((one for one in reversed(finished) if one.ended in GOOD), None)
    gap, why = _expected(source, seen)
    return {
        "host": source.host,
        "user": source.user,
        "path": source.path,
        "outcome": _outcome(newest),
        "good": None if newest is None else newest.ended in (*GOOD, SKIPPED),
        "running": running,
        "last_good": _span(good),
        "last_attempt": _span(newest),
        "size": None if saved is None or saved.odd in ("null_root", "no_summary") else saved.size,
        "failed_entries": newest.failed if newest else None,
        "ignored_errors": newest.ignored if newest else None,
        "consecutive_failures": _failures(finished),
        "snapshots": _snapshots(source),
        "retained": _retained(source),
        "pinned": sum(bool(one.pins) for one in source.attempts),
        "oldest": rfc3339(seen[0].start) if seen else None,
        "expected_interval": gap,
        "expected_from": why,
        "manual": source.manual,
        "never": not readings(source) and bool(source.path) and not source.manual,
        "unverifiable": source.identical and not scenario.identical,
    }


def _seen(scenario: Scenario, attempt: Attempt) -> bool:
    """Runs without a manifest are seen only where somebody told of them."""
    return attempt.ended not in (SKIPPED, DIED) or scenario.identical


def _outcome(newest: Attempt | None) -> str | None:
    if newest is None:
        return None
    if newest.ended in (FATAL, DIED):
        return "failed"
    if newest.ended in INCOMPLETE:
        return "incomplete"
    return SUCCESS if newest.ended == SKIPPED else newest.ended


def _span(attempt: Attempt | None) -> dict[str, Any] | None:
    if attempt is None:
        return None
    seconds = max(0, attempt.end - attempt.start) / SECOND
    return {"start": rfc3339(attempt.start), "end": rfc3339(attempt.end), "seconds": seconds}


def _failures(finished: list[Attempt]) -> int:
    count = 0
    for attempt in reversed(finished):
        if attempt.ended in (*GOOD, SKIPPED):
            break
        count += 1
    return count


def _snapshots(source: Source) -> dict[str, int]:
    """How many manifests there are of each kind; together all of them."""
    counted = {"complete": 0, "with_errors": 0, "incomplete": 0}
    for attempt in source.attempts:
        counted["incomplete"] += len(attempt.checkpoints)
        if attempt.ended in INCOMPLETE:
            counted["incomplete"] += 1
        elif attempt.ended in (FATAL, WARNING):
            counted["with_errors"] += 1
        elif attempt.ended == SUCCESS:
            counted["complete"] += 1
    return counted


def _retained(source: Source) -> dict[str, int]:
    classes = Counter(reason.partition("-")[0] for _, why in kept(source) for reason in why)
    return dict(sorted(classes.items()))


def _expected(source: Source, seen: list[Attempt]) -> tuple[float | None, str | None]:
    if source.gap is not None and not source.manual:
        return float(source.gap), "schedule"
    starts = sorted({one.start for one in seen})
    gaps = sorted([later - earlier for earlier, later in pairwise(starts)][-MANY_GAPS:])
    if not gaps:
        return None, None
    middle = (gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2
    return 2 * middle / SECOND, "history"


def _repository(scenario: Scenario) -> dict[str, Any]:
    full, quick = repository.cycles(scenario)
    whole = full[1:] if scenario.maintenance == "broken" else full
    lengths = [length for _, length, _ in repository.blobs(scenario)]
    return {
        "unique_id": repository.unique_id(scenario),
        "size": sum(lengths),
        "blobs": len(lengths),
        "index_blobs": sum(name[:2] in ("xn", "xs", "xr") for name, _, _ in repository.blobs(scenario)),
        "owner": repository.owner(scenario),
        "last_full": rfc3339(whole[0] + 282 * SECOND + 1_234) if whole else None,
        "last_quick": rfc3339(quick[0] + 4 * SECOND + 1_234) if quick else None,
        "full_interval": DAY // SECOND,
        "quick_interval": HOUR // SECOND,
        "locked": scenario.storage == "s3",
    }

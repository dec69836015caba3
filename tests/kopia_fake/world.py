"""The fleet of a scenario: sources made from a seed, sources told by hand, strange ones; same seed, same fleet.

A source is made alone from the seed and its number, so that ten thousand need not be held at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from .moments import HOUR, MINUTE, SECOND, parsed
from .odd import odd_sources
from .plan import CANCELED, CHECKPOINT, FATAL, LIMIT, SIZES, SUCCESS, WARNING, Attempt, Source
from .scenario import Scenario

# Schedules: what the policy says, the largest gap that it leaves in seconds, and how often the source really ran.
SCHEDULES: tuple[tuple[dict[str, Any] | None, int | None, int], ...] = (
    ({"intervalSeconds": 3600}, 3600, 3600),
    ({"intervalSeconds": 86400}, 86400, 86400),
    ({"timeOfDay": [{"hour": 12, "min": 20}, {"hour": 21, "min": 0}]}, 55_200, 43_200),
    ({"cron": ["15 6 * * 1-5"]}, 259_200, 86_400),
    ({"cron": ["0 */6 * * *"]}, 21_600, 21_600),
    ({"cron": ["0 3 * * 0 # on Sundays"]}, 604_800, 604_800),
    ({"manual": True}, None, 86_400),
    (None, None, 86_400),  # nothing said anywhere but in the global policy, which says nothing either
    ({"inherited": True}, 43_200, 43_200),  # from the policy of its host
    ({"intervalSeconds": 21600}, 21600, 21600),
)
INHERITED = "scheduled"  # hosts whose name begins so have a policy of their own
INHERITED_SECONDS = 43_200

# Of a hundred sources, how many are how.
MIX = (
    ("well", 68),
    ("warned", 8),
    ("failed", 6),
    ("canceled", 3),
    ("limited", 2),
    ("running", 3),
    ("abandoned", 2),
    ("stale", 4),
    ("identical", 2),
    ("never", 2),
)
_STATES = [name for name, share in MIX for _ in range(share)]


def names(scenario: Scenario) -> list[tuple[str, str, str, int]]:
    """User, host, path and number of the made sources, in the order Kopia lists them."""
    count = SIZES[scenario.size].sources
    found = []
    for number in range(count):
        schedule, state = traits(scenario.seed, number)
        group = number // 10
        inherits = (SCHEDULES[schedule][0] or {}).get("inherited") and state not in ("identical", "never")
        host = f"{INHERITED if inherits else 'host'}{group:04d}"
        found.append((("root", "backup", "alice")[number % 3], host, f"/data/{number:05d}", number))
    return sorted(found, key=lambda told: f"{told[0]}@{told[1]}:{told[2]}")


def traits(seed: int, number: int) -> tuple[int, str]:
    """Which schedule and which state; the first three sources are one well, one warned, one failed."""
    digest = blake2b(f"{seed}:{number}".encode(), digest_size=8).digest()
    schedule = digest[0] % len(SCHEDULES)
    if number < 3:
        return schedule, ("well", "warned", "failed")[number]
    return schedule, _STATES[int.from_bytes(digest[1:4], "big") % 100]


def made(scenario: Scenario, user: str, host: str, path: str, number: int) -> Source:
    schedule, state = traits(scenario.seed, number)
    said, gap, every = SCHEDULES[schedule]
    digest = blake2b(f"{scenario.seed}/{number}".encode(), digest_size=32).digest()
    source = Source(host, user, path, gap=gap, number=number, identical=state == "identical")
    if state in ("identical", "never") and (said is None or "inherited" in said):
        said, gap, every = SCHEDULES[1]
        source.gap = gap
    source.manual = bool(said and said.get("manual"))
    if state == "never" and source.manual:
        said, source.gap, source.manual = {"intervalSeconds": 86400}, 86_400, False
    sections: dict[str, Any] = {}
    if said and "inherited" not in said:
        sections["scheduling"] = said
    if source.identical:
        sections["retention"] = {"ignoreIdenticalSnapshots": True}
    if sections:
        source.policy = sections
    if state != "never":
        source.attempts = _attempts(scenario, state, digest, every)
    return source


def _attempts(scenario: Scenario, state: str, digest: bytes, every: int) -> list[Attempt]:
    count = SIZES[scenario.size].snapshots
    step = every * SECOND
    offset = int.from_bytes(digest[:4], "big") % min(every, 3000) * SECOND
    newest = scenario.now - offset - 10 * MINUTE - int.from_bytes(digest[4:8], "big") % SECOND
    if state in ("stale", "identical"):
        newest -= 40 * step
    size = 10 ** (6 + digest[8] % 6) + int.from_bytes(digest[9:12], "big")
    files = 100 + int.from_bytes(digest[12:15], "big") % 400_000
    dirs = 1 + files // 12
    lasting = min(2 + digest[15], every // 4) * SECOND + int.from_bytes(digest[16:20], "big") % SECOND
    found = []
    for back in range(count - 1, -1, -1):
        start = newest - back * step
        mark = digest[back % 32]
        attempt = Attempt(start, start + lasting + mark * SECOND // 64, SUCCESS, size - back * 1000, files, dirs)
        attempt.root = back // 2 if mark < 40 else back  # some runs found nothing new
        if back and mark > 249:
            attempt.ended, attempt.failed = FATAL, 1 + mark % 4
        elif back and mark > 243:
            attempt.ended, attempt.ignored = WARNING, 1 + mark % 20
        found.append(attempt)
    if found:
        _end(found, state, scenario.now, digest[20])
    return found


def _end(attempts: list[Attempt], state: str, now: int, mark: int) -> None:
    """How the newest one ended."""
    newest = attempts[-1]
    if state == "warned":
        newest.ended, newest.ignored = WARNING, 1 + mark
    elif state == "failed":
        newest.ended, newest.failed, newest.ignored = FATAL, 1 + mark % 30, mark % 3
    elif state == "canceled":
        newest.ended = CANCELED
    elif state == "limited":
        newest.ended = LIMIT
    elif state in ("running", "abandoned"):
        last = now - (20 * MINUTE if state == "running" else 5 * HOUR)
        newest.ended, newest.end, newest.start = CHECKPOINT, last, last - 91 * MINUTE
        newest.checkpoints = (last - 45 * MINUTE,)
        if len(attempts) > 1 and attempts[-2].end > newest.start:  # runs of one source do not overlap
            shift = attempts[-2].end - newest.start + MINUTE
            for attempt in attempts[:-1]:
                attempt.start, attempt.end = attempt.start - shift, attempt.end - shift


def sources(scenario: Scenario) -> Iterator[Source]:
    """All of them, in the order of ``user@host:path``, made one after another."""
    extra = odd_sources(scenario.oddities, scenario.now)
    extra += [by_hand(told, scenario.now) for told in scenario.sources]
    extra.sort(key=lambda source: source.name)
    waiting = iter(extra)
    following = next(waiting, None)
    for user, host, path, number in names(scenario):
        while following is not None and following.name < f"{user}@{host}:{path}":
            yield following
            following = next(waiting, None)
        yield made(scenario, user, host, path, number)
    while following is not None:
        yield following
        following = next(waiting, None)


def by_hand(told: dict[str, Any], now: int) -> Source:
    """A source as a test writes it.

    ``{"source": "user@host:/path", "attempts": [{"hours_ago": 5, "ended": "fatal", ...}], "policy": {...},
    "gap": 3600}``; an attempt may say ``start``/``end`` (RFC 3339), ``hours_ago``, ``minutes`` and
    any field of Attempt.
    """
    user, _, rest = told["source"].partition("@")
    host, _, path = rest.partition(":")
    attempts = sorted((_attempt(one, now) for one in told.get("attempts", [])), key=lambda one: one.start)
    policy = told.get("policy")
    return Source(
        host,
        user,
        path,
        attempts,
        policy,
        told.get("gap"),
        bool(told.get("manual", (policy or {}).get("scheduling", {}).get("manual"))),
        bool(told.get("identical", (policy or {}).get("retention", {}).get("ignoreIdenticalSnapshots"))),
        int.from_bytes(blake2b(told["source"].encode(), digest_size=3).digest(), "big"),
    )


def _attempt(told: dict[str, Any], now: int) -> Attempt:
    told = dict(told)
    ago, minutes = told.pop("hours_ago", 0), told.pop("minutes", 5)
    start, end = told.pop("start", None), told.pop("end", None)
    began = parsed(start) if start else now - int(ago * 3600) * SECOND
    ended = parsed(end) if end else began + int(minutes * 60) * SECOND
    defaults: dict[str, Any] = {"size": 10**9, "files": 1000, "dirs": 80, "root": began // SECOND}
    for name in ("pins", "checkpoints"):
        if name in told:
            told[name] = tuple(parsed(one) if name == "checkpoints" else one for one in told[name])
    attempt = Attempt(began, ended, **(defaults | told))
    if attempt.ended == FATAL and not attempt.failed:
        attempt.failed = 1
    if attempt.ended == WARNING and not attempt.ignored:
        attempt.ignored = 1
    return attempt


def visible(scenario: Scenario) -> Iterator[Source]:
    """Those that the route may see."""
    for source in sources(scenario):
        if scenario.route != "server-acl" or f"{source.user}@{source.host}" == scenario.account:
            yield source

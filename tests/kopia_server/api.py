"""The read endpoints of both APIs with the bodies of the real ones; anything else is 404 and kept as a violation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.kopia_fake import policies
from tests.kopia_fake.manifests import kept, manifest, root_of
from tests.kopia_fake.moments import MINUTE, SECOND, rfc3339
from tests.kopia_fake.plan import Source
from tests.kopia_fake.text import indented

from .access import Asked, Reply, front_page, token_is_right, user_of
from .access import plain as plain_text
from .site import Site

UI_DENIED = (
    "UI Access denied. See https://github.com/kopia/kopia/issues/880#issuecomment-798421751 for more information.\n\n"
)
ORDER = ("latest", "hourly", "daily", "weekly", "monthly", "annual")


class Refused(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        self.status, self.code, self.text = status, code, text


def answer(site: Site, asked: Asked) -> Reply:
    """One request, from who asks to the body."""
    control = asked.path.startswith("/api/v1/control/")
    found = user_of(site, asked)
    if isinstance(found, Reply):
        return found
    user, cookies = found
    if (asked.method, asked.path) == ("GET", "/") and site.settings.ui:
        reply = front_page(site, asked)
    else:
        reply = _api(site, asked, user, control)
    reply.headers += cookies
    return reply


def _api(site: Site, asked: Asked, user: str, control: bool) -> Reply:
    does = (CONTROL if site.settings.control else {}) if control else (UI if site.settings.ui else {})
    name = asked.path.removeprefix("/api/v1/control/" if control else "/api/v1/")
    first = name.split("/")[0]
    handler = does.get(name) or (does.get("tasks/") if first == "tasks" and name != "tasks" else None)
    if handler is None or asked.method != ("POST" if name == "policy/resolve" else "GET"):
        switched_off = not (site.settings.control if control else site.settings.ui)
        if not switched_off:
            site.stats.violations.append(f"{asked.method} {asked.path}")
        if site.settings.ui and user != site.settings.ui_user:
            return plain_text(403, UI_DENIED)
        return plain_text(404, "404 page not found\n")
    if not control and not token_is_right(site, asked):
        return plain_text(401, "Invalid or missing CSRF token.\n\n")
    try:
        if user != (site.settings.control_user if control else site.settings.ui_user):
            raise Refused(403, "ACCESS_DENIED", "access is denied")
        if not site.connected and name not in ("status", "repo/status", "tasks", "tasks-summary"):
            raise Refused(400, "NOT_CONNECTED", "not connected")
        return Reply(200, indented(handler(site, asked)).encode())
    except Refused as refused:
        return plain_text(refused.status, indented({"code": refused.code, "error": refused.text}))


def status(site: Site, asked: Asked) -> dict[str, Any]:
    if not site.connected:
        told: dict[str, Any] = {"connected": False, "supportsContentCompression": False}
        told |= {"hostname": "", "username": "", "enableActions": False}
        return told | ({"initTaskID": "1"} if site.opening else {})
    user, _, host = site.settings.local.partition("@")
    client = {"hostname": host, "username": user}
    if site.settings.read_only:
        client |= {"readonly": True}  # type: ignore[dict-item]
    told = {
        "connected": True,
        "configFile": "/app/config/repository.config",
        "formatVersion": 3,
        "hash": "BLAKE2B-256-128",
        "encryption": "AES256-GCM-HMAC-SHA256",
        "splitter": "DYNAMIC-4M-BUZHASH",
        "maxPackSize": 20_971_520,
        "storage": site.scenario.storage,
        "supportsContentCompression": True,
    }
    described = {"description": "Repository", "enableActions": False, "formatBlobCacheDuration": 15 * MINUTE}
    return told | client | described


def sources(site: Site, asked: Asked) -> dict[str, Any]:
    user, _, host = site.settings.local.partition("@")
    found = [site.sources[name] for name in sorted(site.seen) if name in site.sources]
    return {
        "localUsername": user,
        "localHost": host,
        "multiUser": True,
        "sources": [_source(site, one) for one in found if _fits(one, asked)],
    }


def _fits(source: Source, asked: Asked) -> bool:
    told = {"host": source.host, "userName": source.user, "path": source.path}
    return all(asked.query.get(key, "") in ("", value) for key, value in told.items())


def _source(site: Site, source: Source) -> dict[str, Any]:
    state = site.state(source)
    told: dict[str, Any] = {
        "source": {"host": source.host, "userName": source.user, "path": source.path},
        "status": state,
        "schedule": schedule(site, source),
    }
    last = site.seen[source.name]
    if last:
        told["lastSnapshot"] = manifest(source, (last[0], last[0].ended, last[0].end))
    following = next_time(site, source, state)
    if following is not None:
        told["nextSnapshotTime"] = rfc3339(following, site.settings.zone_minutes)
    if source.name in site.runs:
        run = site.runs[source.name]
        told |= {"upload": site.upload(run), "currentTask": f"{run.task.number:x}"}
    return told


def schedule(site: Site, source: Source) -> dict[str, Any]:
    """The effective one."""
    said = dict((source.policy or {}).get("scheduling", {}))
    if not said and source.gap is not None:
        said = {"intervalSeconds": source.gap}
    return said | {"runMissed": True}


def next_time(site: Site, source: Source, state: str) -> int | None:
    """When it runs next as the server reckoned at its last refresh; a run that left nothing has cleared it."""
    if source.manual or source.gap is None or state in ("UPLOADING", "PENDING", "PAUSED") or source.name in site.ran:
        return None
    last = site.seen[source.name]
    if not last:
        return site.refreshed
    gap = source.gap * SECOND
    return max((last[0].start + gap) // gap * gap, site.refreshed)


def snapshots(site: Site, asked: Asked) -> dict[str, Any]:
    found = next((one for one in site.sources.values() if _is(one, asked)), None)
    rows = []
    for (attempt, ended, end), why in kept(found) if found else []:
        made = manifest(found, (attempt, ended, end)) if found else {}
        row = {name: made[name] for name in ("id", "description", "startTime", "endTime")}
        if "incomplete" in made:
            row["incomplete"] = made["incomplete"]
        root = made["rootEntry"]
        row["summary"] = (root or {}).get("summ")
        row["rootID"] = root_of(found, attempt) if root and found else ""
        rows.append(row | {"retention": list(why), "pins": sorted(attempt.pins)})
    unique = _unique(rows)
    shown = rows if asked.query.get("all") else unique
    return {"snapshots": shown, "unfilteredCount": len(rows), "uniqueCount": len(unique)}


def _is(source: Source, asked: Asked) -> bool:
    wanted = tuple(asked.query.get(key, "") for key in ("host", "userName", "path"))
    return (source.host, source.user, source.path) == wanted


def _unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Equal roots as one row: the oldest, with the reasons and pins of all."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["rootID"] in found:
            first = found[row["rootID"]]
            first["retention"], first["pins"] = first["retention"] + row["retention"], first["pins"] + row["pins"]
        else:
            found[row["rootID"]] = dict(row)
    for row in found.values():
        row["retention"], row["pins"] = _compact(row["retention"]), sorted(set(row["pins"]))
    return list(found.values())


def _compact(reasons: list[str]) -> list[str]:
    numbers: dict[str, list[int]] = {}
    plain = []
    for reason in reasons:
        name, _, number = reason.partition("-")
        if number.isdigit():
            numbers.setdefault(name, []).append(int(number))
        else:
            plain.append(reason)
    told = []
    for name in sorted(numbers, key=ORDER.index):
        for first, last in _runs(sorted(numbers[name])):
            told.append(f"{name}-{first}" if first == last else f"{name}-{first}..{last}")
    return told + plain


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def all_policies(site: Site, asked: Asked) -> dict[str, Any]:
    def fits(target: dict[str, str]) -> bool:
        return all(asked.query.get(key, "") in ("", target[key]) for key in ("host", "userName", "path"))

    return {"policies": [one for one in policies.nested(site.scenario) if fits(one["target"])]}


def resolve(site: Site, asked: Asked) -> dict[str, Any]:
    """The effective policy of a source; harmless although it is a POST."""
    wanted = [asked.query.get(key, "") for key in ("userName", "host", "path")]
    effective = policies.effective(site.scenario, *wanted)
    return {"effective": effective, "definition": {}, "defined": {}, "upcomingSnapshotTimes": []}


def tasks(site: Site, asked: Asked) -> dict[str, Any]:
    return {"tasks": [task.told(site.settings.zone_minutes) for task in site.tasks.all]}


def task(site: Site, asked: Asked) -> dict[str, Any]:
    parts = asked.path.split("/")
    found = site.tasks.named(parts[4])
    if found is None:
        raise Refused(404, "NOT_FOUND", "task not found")
    if parts[5:] == ["logs"]:
        return {"logs": []}
    return found.told(site.settings.zone_minutes)


def summary(site: Site, asked: Asked) -> dict[str, int]:
    return site.tasks.summary()


def throttle(site: Site, asked: Asked) -> dict[str, Any]:
    return {}


def profiles(site: Site, asked: Asked) -> list[dict[str, Any]]:
    config = {"endpoint": "https://example.org/hook", "method": "POST", "format": "txt", "headers": "X-Token: secret"}
    return [{"profile": "lastgood", "method": {"type": "webhook", "config": config}, "minSeverity": 0}]


Handler = Callable[[Site, Asked], Any]
CONTROL: dict[str, Handler] = {"status": status, "sources": sources, "throttle": throttle}
UI: dict[str, Handler] = {
    "repo/status": status,
    "repo/throttle": throttle,
    "sources": sources,
    "snapshots": snapshots,
    "policies": all_policies,
    "policy/resolve": resolve,
    "tasks": tasks,
    "tasks/": task,
    "tasks-summary": summary,
    "notificationProfiles": profiles,
}

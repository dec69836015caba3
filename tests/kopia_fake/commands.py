"""What each reading command of Kopia prints for a scenario."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import policies, repository
from .manifests import Print, kept, lines, manifest, readings
from .messages import MESSAGES
from .moments import rfc3339
from .outlet import Outlet
from .plan import FATAL, SIZES, Source
from .scenario import Scenario
from .text import go, indented
from .world import visible

Flags = dict[str, list[str]]
PROFILE = {
    "profile": "lastgood",
    "type": "webhook",
    "summary": 'Webhook POST https://hub.example.org/hooks/kopia Format "txt"',
    "minSeverity": 0,
}


class Call:
    """One call: the scenario, where output goes, what was asked and how the repository was connected."""

    def __init__(self, scenario: Scenario, out: Outlet, flags: Flags, words: list[str], config: Path) -> None:
        self.scenario, self.out, self.flags, self.words, self.config = scenario, out, flags, words, config

    def asked(self, flag: str) -> bool:
        return flag in self.flags

    def value(self, flag: str, default: str = "") -> str:
        return self.flags[flag][-1] if flag in self.flags else default

    def options(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.config.read_text())["clientOptions"])
        except (OSError, ValueError, KeyError):
            return {}


def snapshot_list(call: Call) -> None:
    if call.asked("json"):
        call.out.elements(_manifest_lines(call))
        return
    for source in _chosen(call):
        call.out.write(f"{source.name}\n")
        for attempt, ended, _ in readings(source):
            moment = rfc3339(attempt.start).replace("T", " ")[:19]
            note = f" incomplete:{ended}" if ended not in ("success", "warning", FATAL) else ""
            call.out.write(
                f"  {moment} UTC {attempt.size} drwxr-xr-x files:{attempt.files} dirs:{attempt.dirs}{note}\n"
            )
        call.out.write("\n")


def _manifest_lines(call: Call) -> Iterator[str]:
    release, newest = call.scenario.release, int(call.value("max-results", "0") or 0)
    how = Print(
        call.scenario.zone_minutes if release < (12, 0) else 0,
        release >= (11, 0) and not call.out.fault("policy"),
        call.asked("storage-stats"),
    )
    for source in _chosen(call):
        if call.out.fault("policy"):
            call.out.complain(MESSAGES["policy"].format(source.name))
        found = list(lines(source, how))
        if call.asked("reverse"):
            found.reverse()
        yield from found[-newest:] if newest else found


def _chosen(call: Call) -> Iterator[Source]:
    """All sources, or the named one with those of its parent folders."""
    wanted = call.words[0] if call.words else ""
    tags = dict(tag.partition(":")[::2] for tag in call.flags.get("tags", []))
    for source in visible(call.scenario):
        if wanted and not _above(source, wanted):
            continue
        if tags:
            source.attempts = [
                one for one in source.attempts if all((one.tags or {}).get(f"tag:{k}") == v for k, v in tags.items())
            ]
        yield source


def _above(source: Source, wanted: str) -> bool:
    path = source.path.rstrip("/")
    return wanted == source.name or wanted.startswith(f"{source.user}@{source.host}:{path}/")


def snapshot_verify(call: Call) -> None:
    chosen = [one for one in visible(call.scenario) if not call.asked("sources") or one.name in call.flags["sources"]]
    bad = [one.name for one in chosen if one.attempts and one.attempts[-1].ended == FATAL]
    objects = sum(one.attempts[-1].files for one in chosen if one.attempts)
    much = sum(one.attempts[-1].size for one in chosen if one.attempts)
    read = int(objects * float(call.value("verify-files-percent", "0") or 0) / 100)
    errors = [f"error processing {name}: object is backed by missing blob p1f0c2d4e5b69" for name in bad]
    told: dict[str, Any] = {
        "stats": {
            "processedObjectCount": objects,
            "processedBytes": much,
            "readFileCount": read,
            "readBytes": read * 1000,
            "expectedTotalObjectCount": objects,
            "expectedTotalFileCount": objects,
            "expectedTotalBytes": much,
        },
        "errorCount": len(bad),
    }
    os.write(2, b"Listing blobs...\nListed 24 blobs.\n")
    if call.asked("json"):
        os.write(2, go(told["stats"]).encode() + b"\n")
        call.out.write(go(told | ({"errorStrings": errors} if errors else {})) + "\n")
    for error in errors:
        call.out.complain(error)
    if bad:
        call.out.fail(f"encountered {len(bad)} errors")


def manifest_list(call: Call) -> None:
    filters = dict(one.partition(":")[::2] for one in call.flags.get("filter", []))
    found = []
    for source in visible(call.scenario):
        for (attempt, ended, end), _ in kept(source):
            labels = {"hostname": source.host, "path": source.path, "type": "snapshot", "username": source.user}
            labels |= attempt.tags or {}
            if all(labels.get(name) == value for name, value in filters.items()):
                found.append((end, source, (attempt, ended, end), dict(sorted(labels.items()))))
    found.sort(key=lambda one: one[0])
    call.out.elements(
        go({"id": told["id"], "length": len(go(told)), "labels": labels, "mtime": rfc3339(end)})
        for end, source, reading, labels in found
        for told in (manifest(source, reading),)
    )


def manifest_show(call: Call) -> None:
    wanted = set(call.words)
    for source in visible(call.scenario):
        for reading, _ in kept(source):
            told = manifest(source, reading)
            if told["id"] in wanted:
                wanted.discard(told["id"])
                text = go(told)
                call.out.write(f"// id: {told['id']}\n// length: {len(text)}\n")
                told["id"] = ""
                call.out.write(f"// modified: {rfc3339(reading[2]).replace('T', ' ')[:19]} UTC\n")
                labels = {"hostname": source.host, "path": source.path, "type": "snapshot", "username": source.user}
                call.out.write("".join(f"// label {name}:{value}\n" for name, value in labels.items()))
                call.out.write(indented(told))
    if wanted:
        call.out.fail(f'error getting metadata for "{min(wanted)}": manifest not found')


def repository_status(call: Call) -> None:
    told = repository.status(call.scenario, str(call.config), call.options())
    if call.asked("json"):
        call.out.write(go(told) + "\n")
        return
    call.out.write(f"Config file:         {call.config}\n\nStorage type:        {told['storage']['type']}\n")


def repository_connect(call: Call) -> None:
    options = {"hostname": call.value("override-hostname", "monitor")}
    options["username"] = call.value("override-username", "lastgood")
    kept_options: dict[str, Any] = options | ({"readonly": True} if call.asked("readonly") else {})
    call.config.parent.mkdir(parents=True, exist_ok=True)
    call.config.write_text(json.dumps({"storage": {"type": (call.words or [""])[0]}, "clientOptions": kept_options}))
    call.config.chmod(0o600)
    os.write(2, b"Connected to repository.\n")


def repository_disconnect(call: Call) -> None:
    call.config.unlink(missing_ok=True)


def throttle_get(call: Call) -> None:
    call.out.write("{}\n")


def blob_list(call: Call) -> None:
    if call.asked("json"):
        call.out.elements(repository.blob_lines(call.scenario, call.value("prefix")))
        return
    for name, length, moment in repository.blobs(call.scenario, call.value("prefix")):
        call.out.write(f"{name:<70} {length:>10} {rfc3339(moment).replace('T', ' ')[:19]} UTC\n")


def blob_stats(call: Call) -> None:
    call.out.write(repository.blob_stats(call.scenario, call.value("prefix")))


def content_stats(call: Call) -> None:
    call.out.write(repository.content_stats(call.scenario))


def index_list(call: Call) -> None:
    found = [one for one in repository.blobs(call.scenario, "x") if re.match("x[nsr]", one[0])]
    if call.asked("json"):
        call.out.elements(
            go({"id": name, "length": length, "timestamp": rfc3339(moment), "Superseded": None})
            for name, length, moment in sorted(found, key=lambda one: one[2])
        )
        return
    for name, length, moment in found:
        call.out.write(f"{name:<60} {length:>10} {rfc3339(moment).replace('T', ' ')[:19]} UTC []\n")


def small_text(call: Call) -> None:
    """Commands whose text nobody needs to the letter."""
    call.out.write(f"{SIZES[call.scenario.size].sources}\n")


def policy_list(call: Call) -> None:
    call.out.elements(policies.lines(call.scenario))


def policy_show(call: Call) -> None:
    for word in call.words or [""]:
        user, _, rest = word.partition("@")
        host, _, path = rest.partition(":")
        call.out.write(go(policies.effective(call.scenario, user, host, path)) + "\n")


def maintenance_info(call: Call) -> None:
    told = repository.maintenance(call.scenario)
    if call.asked("json"):
        call.out.write(go(told) + "\n")
        return
    call.out.write(f"Owner: {told['owner']}\n")


def notification_profiles(call: Call) -> None:
    call.out.elements([go(PROFILE)])


def notification_templates(call: Call) -> None:
    """With the heading of the text output inside the list, as 0.23.1 prints it: this is no JSON."""
    call.out.write("[NAME                           TYPE            MODIFIED\n")
    names = [f"{name}.{kind}" for name in ("generic-error", "snapshot-report") for kind in ("html", "txt")]
    call.out.write("\n " + ",\n ".join(go({"name": name, "isBuiltIn": True}) for name in names) + "\n]")


def nothing_listed(call: Call) -> None:
    call.out.elements([])


COMMANDS: dict[str, Callable[[Call], None]] = {
    "snapshot list": snapshot_list,
    "snapshot verify": snapshot_verify,
    "manifest list": manifest_list,
    "manifest show": manifest_show,
    "repository status": repository_status,
    "repository connect": repository_connect,
    "repository disconnect": repository_disconnect,
    "repository throttle get": throttle_get,
    "blob list": blob_list,
    "blob stats": blob_stats,
    "content stats": content_stats,
    "index list": index_list,
    "index epoch list": small_text,
    "session list": small_text,
    "logs list": small_text,
    "cache info": small_text,
    "policy list": policy_list,
    "policy show": policy_show,
    "maintenance info": maintenance_info,
    "notification profile list": notification_profiles,
    "notification template list": notification_templates,
    "server user list": nothing_listed,
    "server acl list": nothing_listed,
}

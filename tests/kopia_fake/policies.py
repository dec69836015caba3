"""Policies as ``kopia policy list --json`` prints them: one a line, the sections flat beside id and target."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from .scenario import Scenario
from .text import go
from .world import INHERITED, INHERITED_SECONDS, visible

GLOBAL: dict[str, Any] = {
    "retention": {
        "keepLatest": 10,
        "keepHourly": 48,
        "keepDaily": 7,
        "keepWeekly": 4,
        "keepMonthly": 24,
        "keepAnnual": 3,
        "ignoreIdenticalSnapshots": False,
    },
    "files": {"ignoreDotFiles": [".kopiaignore"]},
    "errorHandling": {"ignoreFileErrors": False, "ignoreDirectoryErrors": False, "ignoreUnknownTypes": True},
    "scheduling": {"runMissed": True},
    "compression": {"compressorName": "none"},
    "metadataCompression": {"compressorName": "zstd-fastest"},
    "splitter": {},
    "actions": {},
    "osSnapshots": {"volumeShadowCopy": {"enable": 0}},
    "logging": {
        "directories": {"snapshotted": 5, "ignored": 5},
        "entries": {"snapshotted": 0, "ignored": 5, "cacheHit": 0, "cacheMiss": 0},
    },
    "upload": {"maxParallelSnapshots": 1, "parallelUploadAboveSize": 2147483648},
}
EMPTY: dict[str, Any] = {
    "retention": {},
    "files": {},
    "errorHandling": {},
    "scheduling": {},
    "compression": {},
    "metadataCompression": {},
    "splitter": {},
    "actions": {},
    "osSnapshots": {"volumeShadowCopy": {}},
    "logging": {"directories": {}, "entries": {}},
    "upload": {},
}
Target = dict[str, str]


def defined(scenario: Scenario) -> Iterator[tuple[Target, dict[str, Any]]]:
    """Each policy there is with what it is for, the more general ones first."""
    if not scenario.without_global:
        yield _target(), GLOBAL
    for told in scenario.policies:
        sections = {name: value for name, value in told.items() if name != "target"}
        yield _target(**told["target"]), EMPTY | sections
    hosts: set[str] = set()
    for source in visible(scenario):
        if source.host.startswith(INHERITED) and source.host not in hosts:
            hosts.add(source.host)
            yield _target(source.host), EMPTY | {"scheduling": {"intervalSeconds": INHERITED_SECONDS}}
        if source.policy is not None:
            yield _target(source.host, source.user, source.path), EMPTY | source.policy


def _target(host: str = "", userName: str = "", path: str = "") -> Target:  # noqa: N803 - the key as Kopia spells it
    return {"host": host, "userName": userName, "path": path}


def policy_id(target: Target) -> str:
    return blake2b(go(target).encode(), digest_size=16, person=b"policy").hexdigest()


def lines(scenario: Scenario) -> Iterator[str]:
    for target, sections in defined(scenario):
        yield go({"id": policy_id(target), "target": target} | sections)


def nested(scenario: Scenario) -> list[dict[str, Any]]:
    """As the server tells them."""
    return [{"id": policy_id(target), "target": target, "policy": told} for target, told in defined(scenario)]


def effective(scenario: Scenario, user: str, host: str, path: str) -> dict[str, Any]:
    """For ``policy show``: the sections of the more special policies over those of the more general ones."""
    found = {name: dict(value) for name, value in EMPTY.items()}
    ways = [_target(), _target(host), _target(host, user), *_parents(host, user, path)]
    told = {go(target): sections for target, sections in defined(scenario)}
    for way in ways:
        for name, values in told.get(go(way), {}).items():
            found[name] = found[name] | values if isinstance(values, dict) else values
    return found


def _parents(host: str, user: str, path: str) -> list[Target]:
    parts = path.rstrip("/").split("/")
    return [_target(host, user, "/".join(parts[:count]) or "/") for count in range(1, len(parts) + 1)]

"""What goes wrong with a request, told by a test: a list of rules, the first that fits strikes.

``{"path": "/api/v1/control/*", "kind": ..., "times": N}``; kinds: status (``code``), reset (``after`` bytes),
slow (``rate`` bytes a second), hang, html (a login page), denied (403), garbage, gzip; and for the connection as a
whole ``accept`` (it is opened and nothing follows).
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

KINDS = ("status", "reset", "slow", "hang", "html", "denied", "garbage", "accept")


class Faults:
    def __init__(self) -> None:
        self._rules: list[dict[str, Any]] = []

    def replace(self, rules: list[dict[str, Any]]) -> None:
        for rule in rules:
            if rule.get("kind") not in KINDS:
                raise ValueError(f"there is no fault {rule.get('kind')!r}; there is {', '.join(KINDS)}")
        self._rules = [dict(rule) for rule in rules]

    def pick(self, path: str, *, accept: bool = False) -> dict[str, Any] | None:
        for rule in self._rules:
            if (rule["kind"] == "accept") != accept or not fnmatchcase(path, rule.get("path", "*")):
                continue
            if "times" in rule:
                if not rule["times"]:
                    continue
                rule["times"] -= 1
            return rule
        return None

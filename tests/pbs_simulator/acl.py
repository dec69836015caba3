"""Users, tokens, roles and ACL entries, and what somebody may do on a path.

A token may do what its own entries AND its user's entries allow; granting only one of them gives nothing.
A deeper path's roles replace those inherited from above. Outside format: PBS roles and privileges, 3.2 to 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

_DATASTORE = ("Allocate", "Audit", "Backup", "Modify", "Prune", "Read", "Verify")
_SYS = ("Audit", "Console", "Modify", "PowerManagement")
_TAPE = ("Audit", "Modify", "Read", "Write")
_REMOTE = ("Audit", "Modify", "Prune", "Read")


def _of(family: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(f"{family}.{name}" for name in names)


ROLES: dict[str, frozenset[str]] = {
    "Admin": _of("Datastore", _DATASTORE)
    | _of("Sys", _SYS)
    | _of("Tape", _TAPE)
    | _of("Remote", _REMOTE)
    | {"Permissions.Modify", "Realm.Allocate"},
    "Audit": frozenset({"Sys.Audit", "Datastore.Audit"}),
    "NoAccess": frozenset(),
    "DatastoreAdmin": _of("Datastore", _DATASTORE),
    "DatastoreReader": _of("Datastore", ("Audit", "Read")),
    "DatastoreBackup": _of("Datastore", ("Backup",)),
    "DatastorePowerUser": _of("Datastore", ("Backup", "Prune")),
    "DatastoreAudit": _of("Datastore", ("Audit",)),
    "RemoteAudit": _of("Remote", ("Audit",)),
    "RemoteAdmin": _of("Remote", _REMOTE),
    "TapeAudit": _of("Tape", ("Audit",)),
    "TapeAdmin": _of("Tape", _TAPE),
}


@dataclass(frozen=True)
class Entry:
    path: str
    who: str
    role: str
    propagate: bool = True


@dataclass
class Token:
    """A user's API token; without ``secret`` the name is a plain user, who signs in by password."""

    name: str
    secret: str = field(repr=False)
    enabled: bool = True
    expires: int | None = None

    @property
    def user(self) -> str:
        return self.name.partition("!")[0]


class Access:
    """Who there is and what was granted to whom."""

    def __init__(self, tokens: Iterable[Token], entries: Iterable[Entry]) -> None:
        self.tokens = {token.name: token for token in tokens}
        self.entries = list(entries)
        self._known: dict[tuple[str, str], dict[str, bool]] = {}

    def changed(self) -> None:
        self._known.clear()

    def who(self, header: str | None, now: int) -> str | None:
        """The token's name, or None if PBS would not know the bearer."""
        scheme, blank, rest = (header or "").partition("=")
        if not blank or " " in scheme:
            scheme, _, rest = (header or "").partition(" ")
        name, _, secret = rest.partition(":")
        token = self.tokens.get(name)
        if scheme != "PBSAPIToken" or token is None or not token.enabled:
            return None
        if token.expires is not None and token.expires <= now:
            return None
        return name if unquote(secret) == token.secret else None

    def privileges(self, who: str, path: str) -> dict[str, bool]:
        """What ``who`` may do on ``path``: privilege -> does it reach below."""
        found = self._known.get((who, path))
        if found is None:
            found = self._roles(who, path)
            if "!" in who:
                owner = self._roles(who.partition("!")[0], path)
                found = {name: below and owner[name] for name, below in found.items() if name in owner}
            if len(self._known) > 50_000:
                self._known.clear()
            self._known[who, path] = found
        return found

    def allows(self, who: str, path: str, *any_of: str) -> bool:
        held = self.privileges(who, path)
        return any(name in held for name in any_of)

    def table(self, who: str, paths: Iterable[str]) -> dict[str, dict[str, bool]]:
        """As ``access/permissions`` tells it: only paths on which there is anything."""
        wanted = {*paths, *(entry.path for entry in self.entries)}
        return {path: dict(sorted(held.items())) for path in sorted(wanted) if (held := self.privileges(who, path))}

    def _roles(self, who: str, path: str) -> dict[str, bool]:
        held: dict[str, bool] = {}
        for step, last in _steps(path):
            here = [e for e in self.entries if e.who == who and e.path == step and (last or e.propagate)]
            if not here:
                continue
            held = {}
            if any(entry.role == "NoAccess" for entry in here):
                continue
            for entry in here:
                for name in ROLES[entry.role]:
                    held[name] = held.get(name, False) or entry.propagate
        return held


def _steps(path: str) -> Iterator[tuple[str, bool]]:
    parts = [part for part in path.split("/") if part]
    yield "/", not parts
    for index in range(len(parts)):
        yield "/" + "/".join(parts[: index + 1]), index + 1 == len(parts)

"""Which grants a token lacks, so that a list that is short for want of one is never read as "there is nothing".

Comes in: the answer of ``access/permissions``: what token and user both have, by path. Goes out: sentences such as
``Datastore.Audit on /datastore/main``. The one rule: a path that is not told has what its nearest told ancestor
hands down; a path that NoAccess closed is not told either, unless it is asked for by its name (``Api.permissions``).
Outside format: privileges of 3.2 to 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DATASTORE_AUDIT = "Datastore.Audit"
DATASTORE_BACKUP = "Datastore.Backup"
SYS_AUDIT = "Sys.Audit"
REMOTE_AUDIT = "Remote.Audit"
TAPE_AUDIT = "Tape.Audit"

Held = Mapping[str, Mapping[str, bool]]


@dataclass(frozen=True, slots=True)
class Need:
    """One grant; ``below`` says whether it has to reach what lies below its path, too."""

    privilege: str
    path: str
    below: bool = False

    def __str__(self) -> str:
        return f"{self.privilege} on {self.path}"


NODE = Need(SYS_AUDIT, "/system/status")
"""Without it the state of the node is refused."""
TASKS = Need(SYS_AUDIT, "/system/tasks")
"""Without it tasks of others are left out of a list that looks healthy."""
REMOTES = Need(REMOTE_AUDIT, "/remote", below=True)
"""Without it sync jobs are left out."""
TAPE = Need(TAPE_AUDIT, "/tape", below=True)
"""Without it drives, media and tape jobs are left out."""


DATASTORES = Need(DATASTORE_AUDIT, "/datastore", below=True)
"""Without it, or a right to one of them, the list of datastores is empty."""

EVERYWHERE = (NODE, TASKS, REMOTES, TAPE)
"""What every server has. A path closed by NoAccess is told nowhere, so that these are to be asked for by name."""


def datastore(store: str) -> Need:
    """Without it capacity, groups or garbage collection are left out."""
    return Need(DATASTORE_AUDIT, f"/datastore/{store}", below=True)


def may(held: Held, need: Need) -> bool:
    found = held.get(need.path)
    if found is not None:
        return found.get(need.privilege, False) if need.below else need.privilege in found
    # What lies between told paths is told too, unless nothing is held there.
    if any(path.startswith(need.path + "/") for path in held):
        return False
    return _handed_down(held, need)


def missing(held: Held, stores: Iterable[str]) -> tuple[Need, ...]:
    """What the token lacks to see everything: of the node, of these datastores, of remotes and tapes."""
    named = [datastore(store) for store in sorted(stores)]
    if not named and not _sees_some(held):
        named = [DATASTORES]
    return tuple(need for need in (NODE, TASKS, *named, REMOTES, TAPE) if not may(held, need))


def _sees_some(held: Held) -> bool:
    """Whether there may be datastores that are told, once they are asked for."""
    below = (privileges for path, privileges in held.items() if path.startswith(f"{DATASTORES.path}/"))
    return any(DATASTORE_AUDIT in one or DATASTORE_BACKUP in one for one in below)


def _handed_down(held: Held, need: Need) -> bool:
    parts = [part for part in need.path.split("/") if part]
    for length in range(len(parts) - 1, -1, -1):
        above = held.get("/" + "/".join(parts[:length]))
        if above is not None:
            return above.get(need.privilege, False)
    return False

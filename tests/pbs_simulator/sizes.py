"""How big a simulated server is: three sizes by name, one that shows every state of a store, or a file of your own.

A file is one JSON object with the fields of `Size`; what it leaves out is as in `small`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from .refusal import Mistake

STATES: Final = {
    "ordinary": "main",
    "s3": "offsite",
    "s3-read-only": "offsite",
    "removable": "usb-dock",
    "absent": "usb-rotate",
    "offline": "archive",
    "read-only": "migrated",
    "forbidden": "tenant-x",
    "one-namespace": "tenant-b",
}
# What cannot be read holds little, so that the lists of a size are as long as they should be.
SPARSE: Final = frozenset({"absent", "offline", "forbidden", "one-namespace"})


@dataclass(frozen=True)
class Size:
    states: tuple[str, ...]  # one a store
    namespaces: int  # a store, the root included
    groups: int
    snapshots: int
    tasks: int
    sync: int
    verify: int
    prune: int

    def check(self) -> None:
        for state in self.states:
            if state not in STATES:
                raise Mistake(f"no store can be {state!r}; say one of {', '.join(STATES)}")
        if not 1 <= self.namespaces <= 20:
            raise Mistake(f"a store has 1 to 20 namespaces, not {self.namespaces}; mend `namespaces`")
        if not set(self.states) - SPARSE:
            raise Mistake("a server needs at least one store that is ordinary; add one to `states`")
        if not 24 <= 2 * self.groups <= self.snapshots:
            raise Mistake(f"{self.groups} groups with {self.snapshots} snapshots: say at least 12, and two for each")
        if self.tasks < 100:
            raise Mistake(f"{self.tasks} tasks are too few to hold one of each sort; say at least 100")


SIZES: Final = {
    "small": Size(("ordinary", "s3"), 3, 12, 200, 150, 1, 1, 2),
    "medium": Size(
        ("ordinary", "s3-read-only", "absent", "offline", "one-namespace"), 4, 400, 20_000, 3_000, 4, 5, 8
    ),
    "large": Size(
        (
            *("ordinary", "s3", "removable", "absent", "offline", "read-only", "forbidden", "one-namespace"),
            *("ordinary",) * 32,
        ),
        *(5, 20_000, 1_000_000, 60_000, 20, 40, 60),
    ),
    "states": Size(
        ("ordinary", "s3", "removable", "absent", "offline", "read-only", "forbidden", "one-namespace"),
        *(3, 120, 2_000, 600, 3, 4, 4),
    ),
}


def size_named(name: str) -> Size:
    """One of ``SIZES``, or what the file of that name says; Mistake if it is neither."""
    if name in SIZES:
        return SIZES[name]
    if not name.endswith(".json"):
        raise Mistake(f"there is no size {name!r}; say {', '.join(SIZES)} or the path of a .json file")
    try:
        told = json.loads(Path(name).read_text())
    except OSError as error:
        raise Mistake(f"{name} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise Mistake(f"{name} is not JSON ({error}); mend it there") from error
    return _from_file(name, told)


def _from_file(name: str, told: Any) -> Size:
    known = {field.name for field in fields(Size)}
    if not isinstance(told, dict) or (odd := set(told) - known):
        what = f"an unknown field, {sorted(odd)[0]!r}" if isinstance(told, dict) else "no object"
        raise Mistake(f"{name} holds {what}; a size has {', '.join(sorted(known))}")
    for key, value in told.items():
        right = isinstance(value, list) if key == "states" else isinstance(value, int) and not isinstance(value, bool)
        if not right:
            raise Mistake(f"{key} in {name} is {value!r}; say {'a list' if key == 'states' else 'a number'}")
    if "states" in told:
        told["states"] = tuple(told["states"])
    size = replace(SIZES["small"], **told)
    size.check()
    return size


def store_names(size: Size) -> list[tuple[str, str]]:
    """``(name, state)`` of each store; the first of a state has the state's name."""
    named: list[tuple[str, str]] = []
    taken: set[str] = set()
    for number, state in enumerate(size.states, 1):
        name = STATES[state] if STATES[state] not in taken else f"store-{number:02}"
        taken.add(name)
        named.append((name, state))
    return named

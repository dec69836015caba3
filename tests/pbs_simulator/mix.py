"""What is odd about which group: fixed shares of all groups, drawn once from the seed.

Comes from groups that are plain so far; `Mix.special` keeps who was drawn for what, and the truth lists it.
The shares are those of the facts sheet; even the smallest size has at least one of each that fits.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from .model import DAY, Group
from .sizes import SPARSE

ODD_COMMENTS = ('say "hello", twice', "back\\slash \\n", "bell\x07 and escape\x1b[31m", "", "x", "long " * 40)
MULTIBYTE_AT_47 = "ä" * 30  # a cut after 47 bytes splits a character
MULTIBYTE_AT_50 = "x" + "ü" * 40  # and one after 50 bytes does here
LONG_ID = "a-host-whose-name-is-sixty-characters-long.backup.example.lan"[:60]


class Mix:
    def __init__(self, rng: random.Random, groups: list[Group], states: dict[str, str], now: int) -> None:
        self._rng = rng
        self._now = now
        self._all = groups
        self._open = [group for group in groups if states[group.store] not in SPARSE]
        self._free = self._open.copy()
        rng.shuffle(self._free)
        self.special: dict[str, list[Group]] = {}

    def draw(self) -> None:
        total = len(self._all)
        self._ids()
        self._each("empty", max(1, round(total * 0.005)), _make_empty)
        uploads = self._each("unfinished", max(2, round(total * 0.01)), self._make_unfinished)
        for index, group in enumerate(uploads):
            group.upload = "aborted" if index % 2 else "running"
        self._each("newest-verify-failed", max(1, round(total * 0.005)), _make_failed)
        self._each("future", 3, self._make_future)
        self._each("quiet", round(total * 0.02), self._make_quiet)
        self._each("failed-attempts", max(1, round(total * 0.03)), lambda group: None)
        self._share("encrypted", 0.25, _encrypt)
        self._share("sign-only", 0.01, _sign, among=[group for group in self._open if group.crypt == "none"])
        self._share("no-owner", 0.01, _disown, among=[group for group in self._open if group.upload is None])
        self._comments()

    def _each(self, name: str, count: int, change: Callable[[Group], None]) -> list[Group]:
        """Take groups that nothing else was drawn for."""
        drawn = [self._free.pop() for _ in range(min(count, len(self._free)))]
        for group in drawn:
            change(group)
        self.special[name] = drawn
        return drawn

    def _share(
        self, name: str, share: float, change: Callable[[Group], None], among: list[Group] | None = None
    ) -> None:
        among = self._all if among is None else among
        drawn = self._rng.sample(among, min(len(among), max(1, round(len(self._all) * share))))
        for group in drawn:
            change(group)
        self.special[name] = drawn

    def _make_unfinished(self, group: Group) -> None:
        group.upload = "aborted"
        group.upload_at = self._now - 900 - group.number % 40 * 20
        group.newest = min(group.newest, group.upload_at - group.interval // 2)

    def _make_future(self, group: Group) -> None:
        group.newest = self._now + DAY + group.number % 48 * 3600

    def _make_quiet(self, group: Group) -> None:
        group.newest -= 40 * DAY

    def _comments(self) -> None:
        order = self._open.copy()
        self._rng.shuffle(order)
        odd = [group for group in order if group.rows][: len(ODD_COMMENTS)]
        for group, comment in zip(odd, ODD_COMMENTS, strict=False):
            group.guest = group.comment = comment
        rest = [group for group in order if group not in odd][: max(1, round(len(self._all) * 0.03))]
        for index, group in enumerate(rest):
            group.guest = group.comment = (MULTIBYTE_AT_47 if index % 2 else MULTIBYTE_AT_50) + f" {group.number}"
        self.special["odd-comment"] = odd
        self.special["multibyte-comment"] = rest

    def _ids(self) -> None:
        """Equal numbers across types, namespaces and stores, five of each where the size allows."""
        wanted = 5 if len(self._open) >= 100 else 1
        self._pairs("same-group-two-stores", 9200, wanted, lambda a, b: a.store != b.store)
        moved = self._pairs("same-number-vm-ct", 9000, wanted, lambda a, b: True, ("vm", "ct"))
        for one, other in zip(moved[::2], moved[1::2], strict=True):
            other.store, other.ns = one.store, one.ns
        moved = self._pairs("same-group-two-namespaces", 9100, wanted, lambda a, b: a.store == b.store)
        for one, other in zip(moved[::2], moved[1::2], strict=True):
            if one.ns != other.ns:
                continue
            elsewhere = {group.ns for group in self._open if group.store == one.store} - {one.ns}
            if elsewhere:
                other.ns = min(elsewhere)
            else:
                one.id, other.id = str(one.number), str(other.number)  # one namespace has no second place
        self.special["same-group-two-namespaces"] = [group for group in moved if group.id != str(group.number)]
        hosts = [group for group in self._open if group.kind == "host"]
        for group, name in zip(
            hosts, ("db_primary.internal", LONG_ID, "nas-01.example.lan", "a.b_c-d"), strict=False
        ):
            group.id = name
        self.special["odd-id"] = hosts[:4]

    def _pairs(
        self,
        name: str,
        first: int,
        count: int,
        fit: Callable[[Group, Group], bool],
        kinds: tuple[str, str] = ("vm", "vm"),
    ) -> list[Group]:
        found: list[Group] = []
        ones = [group for group in self._open if group.kind == kinds[0] and group.id == str(group.number)]
        while len(found) < 2 * count and ones:
            one = ones.pop(0)
            # Looking at the first few hundred is enough, and keeps a large world quick to build.
            others = (g for g in self._open[:2000] if g.kind == kinds[1] and g is not one and g.id == str(g.number))
            other = next((group for group in others if fit(one, group)), None)
            if other is None:
                continue
            one.id = other.id = str(first + len(found) // 2)
            ones = [group for group in ones if group is not other]
            found += [one, other]
        self.special[name] = found
        return found


def _make_empty(group: Group) -> None:
    group.rows = 0


def _make_failed(group: Group) -> None:
    group.newest_failed = True


def _encrypt(group: Group) -> None:
    group.crypt = "encrypt"


def _sign(group: Group) -> None:
    group.crypt = "sign-only"


def _disown(group: Group) -> None:
    group.owner = None

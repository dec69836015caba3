"""The simulated server's state: everything an answer is made of, and nothing of how it travels.

Built from a size, a seed and a moment; events change it, endpoints and the truth read it. One seed, one world.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

from .acl import Access, Entry, Token
from .certificate import Certificate, certificate
from .clock import START, Clock
from .history import Diary, write_backups, write_upkeep
from .jobs import build_jobs
from .model import Group, Job, Snap
from .sizes import SIZES, Size
from .snapshots import Deriving
from .stores import DEEP, build_stores
from .versions import Version

VERSION = Version(4, 1, 8)  # that of the recordings
MONITOR = "monitor@pbs!lastgood"
FULL = "root@pam!full"
OWN = "pve@pbs!cluster1"
TOKEN_ONLY = "alone@pbs!bare"
DISABLED = "monitor@pbs!disabled"
EXPIRED = "monitor@pbs!expired"


@dataclass(frozen=True)
class Setting:
    """What a world is built from."""

    size: Size = field(default_factory=lambda: SIZES["small"])
    seed: int = 1
    version: Version = VERSION
    now: int = START
    speed: float = 0.0
    expired: bool = False
    wrong_name: bool = False


class World:
    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.seed = setting.seed
        self.version = setting.version
        self.clock = Clock(setting.now, setting.speed)
        self.deriving = Deriving(setting.seed, setting.now)
        self.stores, self.special = build_stores(setting.size, setting.seed, setting.now)
        self.cpu = Processor(setting.seed, setting.now)
        self.certificate_serial = 1
        diary = Diary()
        self.jobs: list[Job] = build_jobs(setting.size, self.stores, diary, setting.now)
        for job in self.jobs:
            if job.kind == "verify" and job.upid is not None:
                self.stores[job.store].verify_job = job.id
        self._write_history(diary)
        self.access = self._access()

    @property
    def now(self) -> int:
        return self.clock.now()

    def certificate(self) -> Certificate:
        setting = self.setting
        return certificate(self.certificate_serial, expired=setting.expired, wrong_name=setting.wrong_name)

    def groups(self) -> list[Group]:
        return [group for store in self.stores.values() for group in store.every_group()]

    def group(self, store: str, ns: str, kind: str, name: str) -> Group | None:
        found = self.stores.get(store)
        return found.groups.get(ns, {}).get((kind, name)) if found else None

    def listed(self, group: Group) -> list[Snap]:
        """The group's snapshots as a list that events may change; kept from now on."""
        if group.listed is None:
            group.listed = self.deriving.snapshots(group)
        return group.listed

    def count(self, group: Group) -> int:
        return group.rows if group.listed is None else len(group.listed)

    def secret(self, token: str) -> str:
        digest = hashlib.sha256(f"{self.seed} {token}".encode()).hexdigest()
        return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))

    def _write_history(self, diary: Diary) -> None:
        setting = self.setting
        days = min(14, -(-setting.size.tasks * 3 // 4 // setting.size.groups) + 1)
        write_upkeep(diary, self.stores, days, setting.now)
        failing = self.special.get("failed-attempts", [])
        write_backups(diary, self.groups(), failing, self.deriving, setting.size.tasks, setting.now)
        self.tasks = diary.log(setting.size.tasks)

    def _access(self) -> Access:
        names = (MONITOR, FULL, OWN, TOKEN_ONLY, DISABLED, EXPIRED)
        tokens = [Token(name, self.secret(name)) for name in names]
        tokens[4].enabled = False
        tokens[5].expires = self.setting.now - 60
        entries = [
            Entry("/", "root@pam", "Admin"),
            Entry("/", FULL, "Admin"),
            Entry("/datastore", "pve@pbs", "DatastoreBackup"),
            Entry("/datastore", OWN, "DatastoreBackup"),
            Entry("/", TOKEN_ONLY, "Audit"),
        ]
        for who in ("monitor@pbs", MONITOR):
            entries += [
                Entry("/", who, "Audit"),
                Entry("/remote", who, "RemoteAudit"),
                Entry("/tape", who, "TapeAudit"),
            ]
        for store in self.stores.values():
            if store.state in ("forbidden", "one-namespace"):
                entries.append(Entry(f"/datastore/{store.name}", MONITOR, "NoAccess"))
            if store.state == "one-namespace":
                entries.append(Entry(f"/datastore/{store.name}/{DEEP}", MONITOR, "DatastoreAudit"))
        return Access(tokens, entries)


class Processor:
    """CPU figures as PBS tells them: since the previous read by anyone, over a second at least."""

    def __init__(self, seed: int, now: int) -> None:
        self._seed = seed
        self._read_at = now - 10
        self._last = (0.03817, 0.00442)

    def read(self, now: int) -> tuple[float, float]:
        # The daemon itself reads every ten seconds, so no window is longer.
        since = max(self._read_at, now - 10)
        if now - since >= 1:
            rng = random.Random(f"{self._seed} {since} {now}")
            self._last = (round(0.02 + rng.random() * 0.6 / (now - since), 5), round(rng.random() * 0.02, 5))
            self._read_at = now
        return self._last

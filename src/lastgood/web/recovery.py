"""The recovery kit: what is needed when the hub's machine is lost, shown once to whoever takes it.

Comes in: somebody's wish for a kit. Goes out: a page or text with a new recovery key; the hub keeps the half of it
that can lock and not open. The one rule: the key is in one answer and nowhere else, neither stored nor logged.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from litestar import Request, Response, get, post
from sqlalchemy import Connection

from lastgood.auth.age import RecoveryKey, mint_recovery_key
from lastgood.service.last_backup import LastBackup, last_backup
from lastgood.store.copying import Restored, was_restored
from lastgood.store.recovery import Kit, load_kit, save_kit
from lastgood.web import words
from lastgood.web.render import page
from lastgood.web.session import site_of

BACKUP_IS_OLD = timedelta(days=8)
RESTORED_IS_NEWS = timedelta(days=7)

log = structlog.get_logger(__name__)


class KitReading(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the recovery key, and when the hub itself was last backed up."""

    taken_by: str | None = None
    taken_at: datetime | None = None
    taken: int = 0
    recipient: str | None = None
    backed_up_at: datetime | None = None
    backed_up_to: str | None = None


class TakenKit(msgspec.Struct, frozen=True, kw_only=True):
    """A new kit; ``text`` is all of it, as a file that ``restore-hub`` and ``age -d -i`` take."""

    recipient: str
    recovery_key: str
    text: str


@get("/recovery", include_in_schema=False)
async def recovery_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    return page(request, "recovery.html", kit=await _reading(request), text=None)


@post("/recovery", include_in_schema=False)
async def take_by_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    text = (await _take(request)).text
    return page(request, "recovery.html", kit=await _reading(request), text=text)


@get("/api/v1/recovery-kit", tags=["hub"], summary="Who took the recovery kit, and the hub's own last backup")
async def get_kit(request: Request[Any, Any, Any]) -> KitReading:
    return await _reading(request)


@post("/api/v1/recovery-kit", tags=["hub"], summary="Take a new recovery kit; its key is shown this once")
async def take_kit(request: Request[Any, Any, Any]) -> TakenKit:
    return await _take(request)


async def reminders(request: Request[Any, Any, Any]) -> list[str]:
    """What the first page has to say about the hub itself."""
    site = site_of(request)
    (kit, restored), made = await asyncio.gather(
        site.read(_care), asyncio.to_thread(last_backup, site.settings.server.data_dir)
    )
    return remind(kit, restored, made, site.now())


def remind(kit: Kit | None, restored: Restored | None, made: LastBackup | None, now: datetime) -> list[str]:
    """Sentences, none if all is well."""
    said = []
    if restored is not None and now - restored.restored_at < RESTORED_IS_NEWS:
        said.append(
            f"This hub was restored from a backup of {words.absolute(restored.made_at)}. What happened until "
            f"{words.absolute(restored.restored_at)} is told again by the agents as they come back; hosts that were "
            "enrolled between must enrol again."
        )
    if kit is None:
        said.append("Nobody has taken the recovery kit of this hub yet; without it a lost machine is lost for good.")
    elif made is None:
        said.append("The hub itself was never backed up since its recovery kit was taken.")
    elif now - made.made_at > BACKUP_IS_OLD:
        said.append(f"The hub itself was last backed up {words.ago(made.made_at, now)}.")
    return said


def _care(rows: Connection) -> tuple[Kit | None, Restored | None]:
    return load_kit(rows), was_restored(rows)


async def _reading(request: Request[Any, Any, Any]) -> KitReading:
    site = site_of(request)
    kit = await site.read(load_kit)
    made = await asyncio.to_thread(last_backup, site.settings.server.data_dir)
    return KitReading(
        taken_by=kit.taken_by if kit else None,
        taken_at=kit.taken_at if kit else None,
        taken=kit.taken if kit else 0,
        recipient=kit.recipient if kit else None,
        backed_up_at=made.made_at if made else None,
        backed_up_to=made.to if made else None,
    )


async def _take(request: Request[Any, Any, Any]) -> TakenKit:
    """A new key; from now on backups are for it alone."""
    site, actor, now = site_of(request), request.user.name, site_of(request).now()
    key = mint_recovery_key()

    def keep(rows: Connection) -> Kit:
        return save_kit(rows, key.recipient, actor, now)

    kit = await site.write(keep)
    log.warning("the recovery kit was taken", by=actor, recipient=key.recipient, kit=kit.taken)
    server = site.settings.server
    text = kit_text(
        kit, key, url=str(server.public_url), fingerprint=site.hub_fingerprint, folder=str(server.data_dir.absolute())
    )
    return TakenKit(recipient=key.recipient, recovery_key=key.secret.reveal(), text=text)


def kit_text(kit: Kit, key: RecoveryKey, *, url: str, fingerprint: str, folder: str) -> str:
    """The kit as a file of identities for ``age``: comments, and the key on a line of its own."""
    older = "" if kit.taken == 1 else " Backups made before need the kit before; keep that one as long as them."
    lines = (
        f"lastgood recovery kit {kit.taken} of the hub at {url}",
        f"taken by {words.printable(kit.taken_by)} at {words.absolute(kit.taken_at)}.{older}",
        f"The hub's key: {fingerprint}",
        f"Public half of the key below: {kit.recipient}",
        "",
        "Keep this on paper or in a password safe, away from the hub's machine. The key is shown only once.",
        "The backups of this hub lie at: ........................................................",
        "",
        "Every night, as the user that the hub runs as, to another machine:",
        f"  lastgood backup-hub /mnt/elsewhere/hub.age --data-dir {folder}",
        "When the machine is lost, on a new one that answers at the same address:",
        f"  lastgood restore-hub hub.age --recovery-key-file THIS-FILE --data-dir {folder}",
        f"  lastgood serve --data-dir {folder}",
        "Without lastgood: age -d -i THIS-FILE hub.age | tar x",
        "",
    )
    comments = "".join(f"# {' '.join(line.splitlines())}".rstrip() + "\n" for line in lines)
    return f"{comments}{key.secret.reveal()}\n"


ROUTES = (recovery_page, take_by_page, get_kit, take_kit)

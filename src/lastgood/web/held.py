"""Credentials that the hub holds for a repository: which there are, and how they are given, changed and taken back.

Comes in: requests with passwords and variables. Goes out: who filled which slot when. The one rule: what came in is
answered to nobody, neither by the API nor on a page.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from litestar import Request, delete, get, put
from litestar.params import FromPath, JSONBody

from lastgood.fleet.removal import needs_it
from lastgood.model.repository import Repository, Slot
from lastgood.service.assignment import too_large, with_repository
from lastgood.web.faults import Conflict, Invalid
from lastgood.web.readings import HeldReading
from lastgood.web.repositories import check_ours, known
from lastgood.web.repository_bodies import HeldBody, made_held, made_slot
from lastgood.web.session import site_of
from lastgood.web.site import Site
from lastgood.web.sources import minted, origin
from lastgood.wire.frames import Held


@get(
    "/api/v1/repositories/{repository_id:str}/credentials",
    tags=["repositories"],
    summary="Which credentials the hub holds for a repository; never the credentials themselves",
)
async def list_held(request: Request[Any, Any, Any], repository_id: FromPath[str]) -> list[HeldReading]:
    site = site_of(request)
    known(site.view(), repository_id)
    return held_readings(site, repository_id)


@put(
    "/api/v1/repositories/{repository_id:str}/credentials/{slot:str}",
    tags=["repositories"],
    summary="Have the hub hold a password and variables, and give them to the agents that need them",
)
async def put_held(
    request: Request[Any, Any, Any], repository_id: FromPath[str], slot: FromPath[str], data: JSONBody[HeldBody]
) -> list[HeldReading]:
    site = site_of(request)
    known(site.view(), repository_id)
    held = made_held(data)
    assert held is not None
    await hold(request, repository_id, made_slot(slot), held)
    return held_readings(site, repository_id)


@delete(
    "/api/v1/repositories/{repository_id:str}/credentials/{slot:str}",
    tags=["repositories"],
    summary="Have the hub forget credentials; its agents are told to forget them as well",
    status_code=200,
)
async def delete_held(
    request: Request[Any, Any, Any], repository_id: FromPath[str], slot: FromPath[str]
) -> list[HeldReading]:
    site = site_of(request)
    known(site.view(), repository_id)
    await hold(request, repository_id, made_slot(slot), None)
    return held_readings(site, repository_id)


async def hold(request: Request[Any, Any, Any], repository_id: str, slot: Slot, held: Held | None) -> None:
    """Fill or empty a slot; for the API and for the form."""
    site = site_of(request)
    check_ours(site.view(), repository_id)
    repository = site.view().repositories[repository_id]
    if held is not None:
        await _check_orders(site, repository, slot, held)
    _, request_id = minted(site, request, None)
    by = request.user.name

    def check(before: Repository) -> None:
        if held is None:
            _check_openable(site, before, slot)

    await site.credentials.hold(
        repository_id, slot, held, by=by, at=site.now(), origin=origin(request), request_id=request_id, check=check
    )


def held_readings(site: Site, repository_id: str) -> list[HeldReading]:
    repository = site.view().repositories[repository_id]
    return [
        HeldReading(slot=one.slot, variables=one.variables, set_at=one.set_at, set_by=one.set_by)
        for one in site.credentials.told(repository)
    ]


def _check_openable(site: Site, repository: Repository, slot: Slot) -> None:
    """What is still backed up must not lose the only password it has."""
    view = site.view()
    sources = (view.sources[i] for i in view.sources_of_repository.get(repository.id, ()))
    used = repository.watched_by is not None or any(needs_it(source) for source in sources)
    if slot is Slot.EVERYDAY and repository.password_file is None and used:
        raise Conflict("slot", "Nothing else opens this repository; name a password file for it first.")


async def _check_orders(site: Site, repository: Repository, slot: Slot, held: Held) -> None:
    """Refuse credentials that, with all else, would not reach an agent in one message."""
    slots = tuple(sorted({*repository.held, slot}))
    view = with_repository(site.view(), replace(repository, held=slots))
    hosts = {view.sources[i].host_id for i in view.sources_of_repository.get(repository.id, ())}

    def find(of: Repository, wanted: Slot) -> Held | None:
        return held if of.id == repository.id and wanted is slot else site.credentials.access(of, wanted)

    def check() -> str | None:
        return next(filter(None, (too_large(view, host_id, find) for host_id in hosts if host_id is not None)), None)

    if (fault := await asyncio.to_thread(check)) is not None:
        raise Invalid("environment", fault)


ROUTES = (list_held, put_held, delete_held)

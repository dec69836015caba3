"""Found sources, as people put them in order: adopted as another one's history, shown under a host's name, muted.

Comes in: requests and forms. Goes out: facts under a request id. The one rule: nothing here touches a snapshot; it
only says what those that are there mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.params import FromPath, JSONBody

from lastgood.fleet.fleet import FleetView
from lastgood.model.fact import SourceAdopted, SourceConfigured
from lastgood.model.source import Source
from lastgood.web import forms, reader
from lastgood.web.bodies import SourceChange
from lastgood.web.faults import Invalid
from lastgood.web.readings import SourceReading
from lastgood.web.render import redirect
from lastgood.web.session import site_of
from lastgood.web.sources import IdempotencyKey, changed, known, minted, origin


class Adoption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose history the found source becomes: another source of the same repository."""

    into_id: str


class Alias(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The host under whose name the found source is shown; null for the name that restic wrote."""

    host_id: str | None


@post(
    "/api/v1/sources/{source_id:str}/adopt",
    tags=["sources"],
    summary="Make a found source the history of another one",
    status_code=200,
)
async def adopt_source(
    request: Request[Any, Any, Any],
    source_id: FromPath[str],
    data: JSONBody[Adoption],
    idempotency_key: IdempotencyKey = None,
) -> SourceReading:
    return await adopted(request, source_id, data, idempotency_key)


async def adopted(
    request: Request[Any, Any, Any], source_id: str, body: Adoption, key: str | None = None
) -> SourceReading:
    """The source that has the history now; for the API and for the form."""
    site = site_of(request)
    view = site.view()
    _, request_id = minted(site, request, key)
    owner = view.sources.get(body.into_id)
    is_repeated = key is not None and source_id not in view.sources and owner is not None and bool(owner.series)
    if not is_repeated:  # the first request with this key has ended the source
        source = _found(view, source_id)
        if source.collected is not None:
            raise Invalid("source_id", f"{source.name} is told by its server alone; nothing can adopt it.")
        if owner is None or owner.id == source.id or owner.repository_id != source.repository_id:
            raise Invalid("into_id", "A history goes only to another source of the same repository (into_id).")
        fact = SourceAdopted(at=site.now(), origin=origin(request), source_id=source.id, into_id=owner.id)
        await site.take([fact], request_id)
    after = site.view()
    return reader.source_reading(after, known(after, body.into_id), site.now(), site.progress())


@post(
    "/api/v1/sources/{source_id:str}/alias",
    tags=["sources"],
    summary="Show a found source under the name of a host",
    status_code=200,
)
async def alias_source(
    request: Request[Any, Any, Any],
    source_id: FromPath[str],
    data: JSONBody[Alias],
    idempotency_key: IdempotencyKey = None,
) -> SourceReading:
    return await aliased(request, source_id, data, idempotency_key)


async def aliased(
    request: Request[Any, Any, Any], source_id: str, body: Alias, key: str | None = None
) -> SourceReading:
    """The source under its new name; for the API and for the form."""
    site = site_of(request)
    view = site.view()
    source = _found(view, source_id)
    if body.host_id is not None and body.host_id not in view.hosts:
        raise Invalid("host_id", "No host has this id; GET /api/v1/hosts lists them.")
    after = replace(source, alias_host_id=body.host_id)
    if after != source:
        _, request_id = minted(site, request, key)
        await site.take([SourceConfigured(at=site.now(), origin=origin(request), source=after)], request_id)
    return reader.source_reading(site.view(), known(site.view(), source_id), site.now(), site.progress())


@post("/sources/{source_id:str}/adopt", include_in_schema=False)
async def adopt_on_page(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    into_id = (await forms.fields(request)).get("into_id", "")
    await adopted(request, source_id, Adoption(into_id=into_id))
    return redirect(f"/sources/{into_id}")


@post("/sources/{source_id:str}/alias", include_in_schema=False)
async def alias_on_page(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    """A host is named as people name it; nothing takes the name away."""
    view = site_of(request).view()
    name = forms.text(await forms.fields(request), "host")
    host_id = None if name is None else next((i for i, one in view.hosts.items() if _is_called(one.name, name)), name)
    await aliased(request, source_id, Alias(host_id=host_id))
    return redirect(f"/sources/{source_id}")


@post("/sources/{source_id:str}/mute", include_in_schema=False)
async def mute_on_page(request: Request[Any, Any, Any], source_id: FromPath[str]) -> Response[bytes]:
    """Into the archive with the person's name, or out of it."""
    _found(site_of(request).view(), source_id)
    muted = "muted" in await forms.fields(request)
    await changed(request, source_id, SourceChange(archived=muted))
    return redirect(f"/sources/{source_id}")


def _found(view: FleetView, source_id: str) -> Source:
    source = known(view, source_id)
    if not source.is_found:
        raise Invalid("source_id", f"{source.name} is backed up by an agent; this is for found sources.")
    return source


def _is_called(name: str, wanted: str) -> bool:
    return name.casefold() == wanted.casefold()


ROUTES = (adopt_source, alias_source, adopt_on_page, alias_on_page, mute_on_page)

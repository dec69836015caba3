"""The first page: one sentence, then the sources, worst first; and what needs a person beside them.

Comes in: a request with filters. Goes out: the page, and the fleet's summary for programs. The one rule:
everything on it comes from one frozen view, so that the sentence and the rows speak of the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import nlargest
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery

from lastgood.fleet.fleet import FleetView
from lastgood.model.repository import RepositoryState
from lastgood.model.source import WORST_FIRST, Source, State
from lastgood.web import lists, reader
from lastgood.web.collectors import unanswered
from lastgood.web.readings import FleetReading
from lastgood.web.recovery import reminders
from lastgood.web.render import page
from lastgood.web.session import site_of
from lastgood.web.summary import fleet_reading
from lastgood.wire.frames import Progress

MOST_ASIDE = 8
"""How many alerts, hosts or repositories the first page names before it counts the rest."""


@get("/", include_in_schema=False)
async def overview(
    request: Request[Any, Any, Any], host: FromQuery[str] = "", q: FromQuery[str] = ""
) -> Response[bytes]:
    wanted = {"state": request.query_params.get("state", ""), "host": host, "q": q}
    site, care = site_of(request), await reminders(request)
    return await asyncio.to_thread(_page, request, site.view(), dict(site.progress()), wanted, care)


def _page(
    request: Request[Any, Any, Any],
    view: FleetView,
    progress: dict[str, Progress],
    wanted: dict[str, str],
    care: list[str],
) -> Response[bytes]:
    site, host = site_of(request), wanted["host"]
    now = site.now()
    found = select(view, state=wanted["state"], host=host, text=wanted["q"])
    sheet = lists.cut(found, lists.page_number(request), "/", wanted, worst_first(view))
    summary = fleet_reading(view, now, site.hub_fingerprint)
    return page(
        request,
        "overview.html" if view.sources else "empty.html",
        summary=summary,
        care=care,
        unanswered=unanswered(site),
        sheet=sheet,
        rows=[reader.source_reading(view, source, now, progress) for source in sheet.rows],
        wanted=wanted,
        host_shown=view.hosts[host].name if host in view.hosts else host,
        states=[shown for shown in WORST_FIRST if summary.states[shown]],
        base_url=str(site.settings.server.public_url),
        open_alerts=len(view.alerts),
        **_aside(view),
    )


@get("/api/v1/fleet", tags=["fleet"], summary="The fleet in one sentence and a few counts")
async def fleet_summary(request: Request[Any, Any, Any]) -> FleetReading:
    site = site_of(request)
    return await asyncio.to_thread(fleet_reading, site.view(), site.now(), site.hub_fingerprint)


def select(view: FleetView, *, state: str = "", host: str = "", repository: str = "", text: str = "") -> list[Source]:
    """The sources that fit; an archived one is found only by asking for archived ones. Empty means any."""
    sources = view.sources
    if host:
        ids = (*view.sources_of_host.get(host, ()), *view.aliases_of_host.get(host, ()))
    elif repository:
        ids = view.sources_of_repository.get(repository, ())
    else:
        ids = tuple(sources)
    asked = {word for word in state.split(",") if word}
    found = []
    for source_id in ids:
        source, told = sources[source_id], reader.state_of(view, source_id)
        if told.value not in asked if asked else told is State.ARCHIVED:
            continue
        if repository and source.repository_id != repository:
            continue
        if not text or lists.matches(text, source.name, reader.host_of(view, source), *source.paths):
            found.append(source)
    return found


def worst_first(view: FleetView) -> Callable[[Source], tuple[int, str, str]]:
    """The place of a source in lists: the worst state first; in it the host's and the source's names decide."""

    def place(source: Source) -> tuple[int, str, str]:
        rank = reader.RANK[reader.state_of(view, source.id)]
        return rank, reader.host_of(view, source).casefold(), source.name.casefold()

    return place


def _aside(view: FleetView) -> dict[str, Any]:
    """What stands beside the sources: alerts, hosts that are silent, repositories nobody could look into."""
    newest = nlargest(MOST_ASIDE, view.alerts.values(), key=lambda alert: alert.opened_at)
    offline = [host_id for host_id in view.hosts if view.online.get(host_id) is False]
    unseen = [
        repository_id
        for repository_id in view.repositories
        if view.repository_states.get(repository_id, RepositoryState.UNKNOWN) is not RepositoryState.UP
    ]
    return {
        "alerts": [reader.alert_reading(view, alert) for alert in newest],
        "alerts_more": max(len(view.alerts) - MOST_ASIDE, 0),
        "offline": [reader.host_reading(view, host_id) for host_id in offline[:MOST_ASIDE]],
        "offline_more": max(len(offline) - MOST_ASIDE, 0),
        "unseen": [reader.repository_reading(view, repository_id) for repository_id in unseen[:MOST_ASIDE]],
        "unseen_more": max(len(unseen) - MOST_ASIDE, 0),
    }


ROUTES = (overview, fleet_summary)

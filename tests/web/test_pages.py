from __future__ import annotations

import html
import re
from datetime import timedelta

from lastgood.fleet.ledger import LedgerRow
from lastgood.model.fact import AlertOpened, AlertResolved, RunFinished
from lastgood.model.job import Outcome
from lastgood.model.source import WORST_FIRST, Moment, State
from lastgood.store.history import save_ledger
from tests.builders import NOW, a_fleet, a_run, an_alert
from tests.web.site import Home, form_token


def names(page: str) -> list[str]:
    """The names of the listed sources, from top to bottom."""
    return re.findall(r'<a class="name" href="/sources/[^"]+"><bdi>(.*?)</bdi>', page)


def states(page: str) -> list[State]:
    return [State(word) for word in re.findall(r'<tbody class="is-(\w+)">', page)]


async def test_the_first_page_says_the_verdict_and_lists_the_worst_first(home: Home) -> None:
    page = (await (await home.signed_in()).get("/")).text
    assert "<h1>5 of 10 sources need attention: 1 failed, 1 never backed up" in page.replace("\u00a0", " ")
    shown = states(page)
    assert shown == sorted(shown, key=WORST_FIRST.index)
    assert set(shown) == set(State) - {State.ARCHIVED}
    assert names(page)[0] == "postgres"


async def test_a_row_says_why_how_old_how_large_how_many_and_when_next(home: Home) -> None:
    page = (await (await home.signed_in()).get("/?q=postgres")).text
    row = page.split("<tbody", 1)[1]
    assert "Wrong password or no key found" in row
    assert "34 h ago" in row
    assert "due daily" in row
    assert "4.7 GiB" in row
    assert ">14<" in row
    assert "in 13 h" in row


async def test_every_state_is_told_by_word_and_shape_and_not_by_colour_alone(home: Home) -> None:
    page = (await (await home.signed_in()).get("/?state=" + ",".join(State))).text
    shapes = {}
    for state, shape, word in re.findall(r'<span class="pill is-(\w+)">(<svg.*?</svg>)\s*(\w+)', page, re.DOTALL):
        assert word == state
        shapes[state] = re.sub(r"\s+", " ", shape)
    assert set(State) <= {State(state) for state in shapes if state != "running"}
    assert len(set(shapes.values())) == len(shapes)


async def test_alerts_hosts_that_are_away_and_what_could_not_be_seen_stand_beside(home: Home) -> None:
    page = (await (await home.signed_in()).get("/")).text
    aside = page.split('<div class="aside">', 1)[1]
    assert "The last backup of postgres on db-1 failed." in aside
    assert "Agents away" in aside
    assert "laptop" in aside
    assert "What we could not see" in aside
    assert "The password in /etc/lastgood/cloud.key does not open it." in aside


async def test_a_good_fleet_has_nothing_beside_its_sources(home: Home) -> None:
    home.fleet = a_fleet(3)
    page = (await (await home.signed_in()).get("/")).text
    assert "<h1>Everything you run has a good backup. The oldest is 10\u00a0hours old.</h1>" in page
    assert 'class="aside"' not in page


async def test_filters_narrow_the_list_and_are_kept_from_page_to_page(home: Home) -> None:
    client = await home.signed_in()
    assert names((await client.get("/?state=good")).text) == ["etc", "home", "uploads"]
    assert names((await client.get("/?state=archived")).text) == ["old-site"]
    assert names((await client.get("/?q=NAS+photo")).text) == ["photos"]
    nothing = (await client.get("/?q=%22%3E%3Cscript%3E")).text
    assert "No source fits" in nothing
    assert "<script>" not in nothing
    home.fleet = a_fleet(205)
    page = (await client.get("/?q=host&page=2")).text
    assert 'href="/?q=host"' in page
    assert 'href="/?q=host&amp;page=3"' in page
    assert "101 to 200 of 205" in page


async def test_a_hundred_sources_stand_on_a_page_and_each_on_exactly_one(home: Home) -> None:
    home.fleet = a_fleet(205)
    client = await home.signed_in()
    seen: list[str] = []
    for number, count in ((1, 100), (2, 100), (3, 5)):
        page = (await client.get(f"/?page={number}")).text
        rows = re.findall(r'<a class="name" href="/sources/([^"]+)"', page)
        assert len(rows) == count
        seen += rows
    assert set(seen) == set(home.fleet.sources)
    for odd in ("0", "-1", "x", "99999999999999999999", "٣", ""):
        assert (await client.get("/", params={"page": odd})).status_code == 200


async def test_without_a_source_the_page_says_how_to_begin(empty_home: Home) -> None:
    page = (await (await empty_home.signed_in()).get("/")).text
    assert "Nothing is protected yet." in page
    assert "lastgood up --source" in page
    assert "SHA256:abc" in page


async def test_a_source_shows_its_verdict_its_moments_its_runs_and_how_it_is_backed_up(home: Home) -> None:
    source = next(source for source in home.fleet.sources.values() if source.name == "etc")
    rows = [
        LedgerRow(source.id, NOW - timedelta(days=day), NOW - timedelta(days=day, hours=-6), moment)
        for day, moment in ((1, Moment.GOOD), (2, Moment.NOT_GOOD), (3, Moment.UNKNOWN))
    ]
    await home.database.write(lambda connection: save_ledger(connection, rows))
    failed = a_run(source, NOW - timedelta(days=2), Outcome.FAILED, reason="The disk was full.")
    await home.keep([RunFinished(at=NOW, origin="agent:x", run=failed)])
    page = (await (await home.signed_in()).get(f"/sources/{source.id}")).text
    strip = re.findall(r'<li class="is-(\w+)" title="([^"]+)">', page)
    assert [state for state, _ in strip] == ["unknown", "not_good", "good"]
    assert strip[1][1] == "2026-03-12 12:00:00 UTC: not good"
    assert "The disk was full." in page
    assert "daily at 02:00 (Europe/Berlin)" in page
    assert "/srv/etc" in page
    assert f'href="/runs/{failed.id}"' in page


async def test_the_button_asks_for_a_backup_and_comes_back_to_the_source(home: Home) -> None:
    client = await home.signed_in()
    source_id = next(source.id for source in home.fleet.sources.values() if source.name == "etc")
    page = (await client.get(f"/sources/{source_id}")).text
    answer = await client.post(f"/sources/{source_id}/run", data={"csrf": form_token(page)})
    there = answer.headers["location"]
    assert answer.status_code == 303
    assert there.startswith(f"/sources/{source_id}?asked=")
    assert home.asked == [("run", source_id, "ann")]
    assert "was asked to begin a backup" in (await client.get(there)).text
    run = a_run(home.fleet.sources[source_id], NOW, id=there.rpartition("=")[2])
    await home.keep([RunFinished(at=NOW, origin="agent:x", run=run)])
    assert "was asked to begin a backup" not in (await client.get(there)).text


async def test_the_button_is_off_while_the_agent_is_away(home: Home) -> None:
    client = await home.signed_in()
    source_id = next(source.id for source in home.fleet.sources.values() if source.name == "documents")
    page = (await client.get(f"/sources/{source_id}")).text
    assert '<button class="primary" disabled>' in page
    assert "is away, so nothing can be started" in page


async def test_a_run_shows_its_log_as_text(home: Home) -> None:
    source = next(iter(home.fleet.sources.values()))
    run = a_run(source, outcome=Outcome.PARTIAL, reason="3 files could not be read.")
    await home.keep([RunFinished(at=NOW, origin="agent:x", run=run)], "<b>error</b> & more\n")
    page = (await (await home.signed_in()).get(f"/runs/{run.id}")).text
    assert "Backup was partial" in page
    assert "&lt;b&gt;error&lt;/b&gt; &amp; more" in page


async def test_a_run_under_way_can_be_cancelled(home: Home) -> None:
    client, run_id = await home.signed_in(), next(iter(home.fleet.running))
    page = (await client.get(f"/runs/{run_id}")).text
    assert "Backup is running" in page
    answer = await client.post(f"/runs/{run_id}/cancel", data={"csrf": form_token(page)})
    assert answer.headers["location"] == f"/runs/{run_id}"
    assert home.asked == [("cancel", run_id, "ann")]


async def test_a_repository_shows_its_locks_and_can_be_looked_into(home: Home) -> None:
    client = await home.signed_in()
    repository_id = next(found.id for found in home.fleet.repositories.values() if found.name == "cloud")
    page = (await client.get(f"/repositories/{repository_id}")).text
    assert "Exclusive lock of <bdi>db-1</bdi>, process 4711" in page
    answer = await client.post(f"/repositories/{repository_id}/look", data={"csrf": form_token(page)})
    assert answer.status_code == 303
    assert home.asked == [("look", repository_id)]


async def test_hosts_that_are_away_stand_first(home: Home) -> None:
    page = (await (await home.signed_in()).get("/hosts")).text
    listed = re.findall(r'<a class="name" href="/hosts/[^"]+"><bdi>(.*?)</bdi>', page)
    assert listed == ["laptop", "db-1", "nas", "web-1"]


async def test_resolved_alerts_stand_below_the_open_ones(home: Home) -> None:
    past = an_alert("backup_late", message="etc was late", opened_at=NOW - timedelta(days=9))
    told = "etc is good again"
    await home.keep(
        [
            AlertOpened(at=past.opened_at, origin="hub:rules", alert=past),
            AlertResolved(at=NOW, origin="hub:rules", alert_id=past.id, key=past.key, reason=told),
        ]
    )
    page = (await (await home.signed_in()).get("/alerts")).text
    opened, resolved = page.split("<h2>Resolved</h2>")
    assert "The last backup of postgres on db-1 failed." in opened
    assert "etc was late" in resolved
    assert told in resolved


async def test_times_are_relative_with_the_absolute_one_beside(home: Home) -> None:
    page = (await (await home.signed_in()).get("/?q=etc")).text
    assert '<time datetime="2026-03-14T01:30:00+00:00" title="2026-03-14 01:30:00 UTC">10 h ago</time>' in page


async def test_while_the_hub_is_blind_after_its_start_the_page_says_so(home: Home) -> None:
    home.fleet.judging.blind_until = NOW + timedelta(minutes=9)
    client = await home.signed_in()
    assert "lastgood has just started" in (await client.get("/")).text
    home.turn(minutes=9)
    assert "lastgood has just started" not in (await client.get("/")).text


async def test_the_reference_shows_every_route_of_the_api(home: Home) -> None:
    client = await home.signed_in()
    described = (await client.get("/docs/openapi.json")).json()
    page = html.unescape((await client.get("/docs")).text)
    assert described["openapi"].startswith("3.1")
    assert len(described["paths"]) > 30
    for path, item in described["paths"].items():
        assert path.startswith("/api/v1/")
        assert f"<code>{path}</code>" in page
        for operation in item.values():
            assert operation["summary"] in page
    assert "Idempotency-Key" in page

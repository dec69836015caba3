"""What people do with alerts: acknowledged and snoozed ones stay open and shown, and whole hosts can be snoozed."""

from __future__ import annotations

from datetime import timedelta

import httpx

from lastgood.model.alert import Alert
from tests.builders import NOW
from tests.web.site import Home, form_token

THREE_DAYS = NOW + timedelta(days=3)


def some(home: Home) -> Alert:
    return next(iter(home.fleet.alerts.values()))


async def listed(client: httpx.AsyncClient, alert_id: str) -> dict[str, object]:
    items = (await client.get("/api/v1/alerts")).json()["items"]
    return next(item for item in items if item["id"] == alert_id)


async def test_an_acknowledged_alert_stays_open_and_says_who_cares(home: Home) -> None:
    client, alert = home.program(), some(home)
    for _ in range(2):  # a second one changes nothing
        answer = await client.post(f"/api/v1/alerts/{alert.id}/acknowledge")
        assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "script")
        home.turn(minutes=1)
    assert (await listed(client, alert.id))["acknowledged_at"] == NOW.isoformat().replace("+00:00", "Z")
    assert "acknowledged by" in (await (await home.signed_in()).get("/alerts")).text


async def test_an_alert_is_snoozed_until_a_moment_or_for_a_while_and_woken(home: Home) -> None:
    client, alert = home.program(), some(home)
    path = f"/api/v1/alerts/{alert.id}/snooze"
    for body in ({"until": THREE_DAYS.isoformat()}, {"seconds": 3 * 86400}):
        answer = await client.post(path, json=body)
        assert answer.json()["snoozed_until"] == "2026-03-17T12:00:00Z"
        assert home.fleet.alerts[alert.key].snoozed_by == "script"
    assert (await client.delete(path)).json()["snoozed_until"] is None
    assert (await client.delete(path)).status_code == 200


async def test_a_snooze_without_a_sensible_end_is_refused(home: Home) -> None:
    client, path = home.program(), f"/api/v1/alerts/{some(home).id}/snooze"
    past, far = NOW - timedelta(seconds=1), NOW + timedelta(days=4000)
    for body in (
        {},
        {"seconds": 0},
        {"seconds": 1e300},
        {"until": past.isoformat()},
        {"until": far.isoformat()},
        {"until": "2026-03-17T12:00:00"},
        {"until": THREE_DAYS.isoformat(), "seconds": 5},
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 422, body
    assert (await client.post("/api/v1/alerts/none/snooze", json={"seconds": 5})).status_code == 404
    assert (await client.post("/api/v1/hosts/none/snooze", json={"seconds": 5})).status_code == 404


async def test_a_snoozed_host_snoozes_what_is_open_on_it_and_is_listed(home: Home) -> None:
    client, alert = home.program(), some(home)
    mine = [one for one in home.fleet.alerts.values() if one.host_id == alert.host_id]
    others = [one for one in home.fleet.alerts.values() if one.host_id != alert.host_id]
    path = f"/api/v1/hosts/{alert.host_id}/snooze"
    answer = await client.post(path, json={"until": THREE_DAYS.isoformat()})
    assert answer.json()["snoozed_until"] == "2026-03-17T12:00:00Z"
    assert {home.fleet.alerts[one.key].snoozed_until for one in mine} == {THREE_DAYS}
    assert {home.fleet.alerts[one.key].snoozed_until for one in others} == {None}
    page = (await (await home.signed_in()).get("/alerts")).text
    assert "Snoozed hosts" in page
    assert (await client.delete(path)).json()["snoozed_until"] is None
    assert {one.snoozed_until for one in home.fleet.alerts.values()} == {None}


async def test_the_page_has_the_buttons_and_they_work(home: Home) -> None:
    client, alert = await home.signed_in(), some(home)
    page = (await client.get("/alerts")).text
    token = {"csrf": form_token(page)}
    assert f"/alerts/{alert.id}/acknowledge" in page
    for path, said in (
        ("acknowledge", {}),
        ("snooze", {"for": "3d", "what": "alert"}),
    ):
        answer = await client.post(f"/alerts/{alert.id}/{path}", data={**token, **said})
        assert (answer.status_code, answer.headers["location"]) == (303, "/alerts")
    held = home.fleet.alerts[alert.key]
    assert (held.acknowledged_by, held.snoozed_by, held.snoozed_until) == ("ann", "ann", THREE_DAYS)
    page = (await client.get("/alerts")).text
    assert f"/alerts/{alert.id}/wake" in page
    await client.post(f"/alerts/{alert.id}/wake", data=token)
    assert home.fleet.alerts[alert.key].snoozed_until is None
    await client.post(f"/alerts/{alert.id}/snooze", data={**token, "for": "7d", "what": "host"})
    assert home.fleet.hosts[alert.host_id or ""].snoozed_until == NOW + timedelta(days=7)
    await client.post(f"/hosts/{alert.host_id}/wake", data=token)
    assert home.fleet.hosts[alert.host_id or ""].snoozed_until is None
    assert (await client.post(f"/alerts/{alert.id}/snooze", data={**token, "for": "x"})).status_code == 422


async def test_a_laptop_is_snoozed_on_its_own_page_before_anything_is_wrong(home: Home) -> None:
    client = await home.signed_in()
    host = next(host for host in home.fleet.hosts.values() if host.name == "laptop")
    page = f"/hosts/{host.id}"
    said = {"csrf": form_token((await client.get(page)).text), "next": page}
    answer = await client.post(f"{page}/snooze", data={**said, "for": "3d"})
    assert (answer.status_code, answer.headers["location"]) == (303, page)
    assert home.fleet.hosts[host.id].snoozed_until == THREE_DAYS
    assert "told to nobody until 2026-03-17 12:00:00 UTC" in (await client.get(page)).text
    away = await client.post(f"{page}/wake", data={**said, "next": "https://elsewhere.example/"})
    assert away.headers["location"] == "/"
    assert home.fleet.hosts[host.id].snoozed_until is None

"""What holds for every route, taken from the route table itself, so that a new route cannot forget it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute, WebSocketRoute
from structlog.testing import capture_logs

from lastgood.model.job import Schedule
from lastgood.web.app import HEADERS, create_app, create_pages
from lastgood.web.limits import Attempts, Guesses
from tests.web.server import serving
from tests.web.site import ORIGIN, TOKEN, Home, form_token
from tests.web.stacked import DEPLOY

PUBLIC = {
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/welcome/{token:str}"),
    ("POST", "/welcome/{token:str}"),
    ("GET", "/static/{file_name:str}"),
    ("WEBSOCKET", "/ws/agent"),
    # Machines on their way in; each request carries its own signature.
    ("POST", "/api/v1/enrol"),
    ("POST", "/api/v1/enrol/announce"),
    ("POST", "/api/v1/enrol/rekey"),
}
"""All that answers without a session or a token; whoever adds to it says why in a review."""


def routes(home: Home) -> list[tuple[str, str]]:
    found = []
    for route in create_pages(home.site, home.limits).routes:
        if isinstance(route, HTTPRoute):
            found += [(method, route.path) for method in route.methods if method != "OPTIONS"]
        elif isinstance(route, WebSocketRoute):
            found.append(("WEBSOCKET", route.path))
    return sorted(found)


def filled(path: str, home: Home) -> str:
    """A path in which every id is that of a thing that exists."""
    fleet = home.fleet
    known = {
        "source_id": next(iter(fleet.sources)),
        "host_id": next(iter(fleet.hosts)),
        "repository_id": next(iter(fleet.repositories)),
        "run_id": next(iter(fleet.running)),
        "pending_id": "none",
        "code_id": "none",
        "alert_id": next(iter(fleet.alerts.values())).id,
        "channel_id": "none",
        "token_id": "none",
        "user_id": "none",
        "role_name": "none",
        "token": "lg_link_none",
        "file_name": "lastgood.css",
        "slot": "everyday",
        "project": "shop",
        "deploy_id": DEPLOY,
        "number": "1",
    }
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: known[match[1]], path)


def closed(home: Home) -> list[tuple[str, str]]:
    return [route for route in routes(home) if route not in PUBLIC]


def test_the_public_routes_are_those_of_the_list(home: Home) -> None:
    assert set(routes(home)) >= PUBLIC
    opened = set()
    for route in create_pages(home.site, home.limits).routes:
        handlers = [route.route_handler] if isinstance(route, WebSocketRoute) else list(route.route_handlers)
        for handler in handlers:
            if handler.opt.get("public"):
                methods = ["WEBSOCKET"] if isinstance(route, WebSocketRoute) else sorted(handler.http_methods)
                opened |= {(str(method), route.path) for method in methods}
    assert opened == PUBLIC


async def test_every_other_route_is_closed_to_strangers(home: Home) -> None:
    await home.signed_in()
    client = home.client()
    assert len(closed(home)) > 30
    for method, path in closed(home):
        answer = await client.request(method, filled(path, home), json={})
        if path.startswith("/api/") or path.endswith(".json"):
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]["code"] == "not_signed_in"
            assert answer.headers["www-authenticate"].startswith("Bearer")
        else:
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/sign-in"), (method, path)
    assert home.asked == []


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Bearer", "Basic YTpi", "", f"Bearer {TOKEN} x"])
async def test_every_other_route_is_closed_to_a_wrong_token(home: Home, authorization: str) -> None:
    client = home.client(headers={"authorization": authorization})
    home.limits.tokens = Guesses(Attempts(10_000, timedelta(minutes=5)))
    for method, path in closed(home):
        answer = await client.request(method, filled(path, home), json={})
        assert answer.status_code == 401, (method, path)
        assert answer.json()["error"]["code"] == "not_signed_in"


async def test_every_unsafe_route_refuses_a_session_without_a_form_token(home: Home) -> None:
    client = await home.signed_in()
    unsafe = [route for route in routes(home) if route[0] in ("POST", "PUT", "PATCH", "DELETE")]
    unsafe = [route for route in unsafe if not route[1].startswith("/api/v1/enrol") or route not in PUBLIC]
    assert len(unsafe) >= 11
    for method, path in unsafe:
        answer = await client.request(method, filled(path, home), json={}, headers={"origin": ORIGIN})
        assert answer.status_code == 403, (method, path)
    assert home.asked == []


async def test_every_route_that_reads_answers_a_signed_in_person_and_a_program(home: Home) -> None:
    for client in (await home.signed_in(), home.program()):
        for method, path in closed(home):
            if method == "GET":
                answer = await client.get(filled(path, home))
                assert answer.status_code == 200, (path, answer.text)


async def test_every_answer_carries_the_headers_that_protect_it(home: Home) -> None:
    client = await home.signed_in()
    paths = [filled(path, home) for method, path in routes(home) if method == "GET"]
    for path in [*paths, "/nowhere", "/api/v1/nowhere", "/hosts/none"]:
        answer = await client.get(path)
        for name, value in HEADERS:
            assert answer.headers[name.decode()] == value.decode(), path
        assert "strict-transport-security" not in answer.headers


async def test_the_content_security_policy_lets_nothing_inline_run(home: Home) -> None:
    client = await home.signed_in()
    policy = (await client.get("/")).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    for method, path in closed(home):
        if method == "GET" and not path.startswith(("/api/", "/docs/openapi")):
            page = (await client.get(filled(path, home))).text
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=\"/static/)", page), path
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page), path


async def test_head_is_answered_like_get_without_a_body(home: Home) -> None:
    client = await home.signed_in()
    for path in ("/", "/api/v1/sources", "/static/lastgood.css"):
        got, head = await client.get(path), await client.head(path)
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        assert head.headers["content-type"] == got.headers["content-type"]


def shape_of(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) <= {"code", "message", "field"}
    assert body["error"]["message"].endswith(".")
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("GET", "/api/v1/hosts/none", 404, "not_found"),
        ("GET", "/api/v1/sources/none", 404, "not_found"),
        ("GET", "/api/v1/sources/none/moments", 404, "not_found"),
        ("GET", "/api/v1/repositories/none", 404, "not_found"),
        ("GET", "/api/v1/runs/none", 404, "not_found"),
        ("POST", "/api/v1/runs/none/cancel", 404, "not_found"),
        ("POST", "/api/v1/repositories/none/look", 404, "not_found"),
        ("PATCH", "/api/v1/sources/none", 404, "not_found"),
        ("DELETE", "/api/v1/sources", 405, "method_not_allowed"),
        ("GET", "/api/v1/sources?limit=0", 422, "invalid"),
        ("GET", "/api/v1/sources?limit=1001", 422, "invalid"),
        ("GET", "/api/v1/sources?limit=many", 422, "invalid"),
        ("GET", "/api/v1/sources?state=fine", 422, "invalid"),
        ("GET", "/api/v1/repositories?state=fine", 422, "invalid"),
        ("GET", "/api/v1/runs?outcome=fine", 422, "invalid"),
        ("GET", "/api/v1/runs?cursor=fine", 422, "invalid"),
        ("GET", "/api/v1/runs?cursor=99999999999999999999.x", 422, "invalid"),
        ("GET", "/api/v1/alerts?status=fine", 422, "invalid"),
        ("GET", "/api/v1/alerts?status=all&cursor=-1.x", 422, "invalid"),
    ],
)
async def test_every_error_of_the_api_has_one_shape(
    home: Home, method: str, path: str, status: int, code: str
) -> None:
    answer = await home.program().request(method, path, json={} if method != "GET" else None)
    assert answer.status_code == status, answer.text
    assert shape_of(answer)["code"] == code


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 422, None),
        (b"{}", 422, "source_id"),
        (b"{", 400, None),
        (b"[]", 422, None),
        (b'{"source_id": 1}', 422, "source_id"),
        (b'{"source_id": "x", "more": 1}', 422, "more"),
        (b'{"source_id": "\xff"}', 400, None),
        (b'{"source_id": "' + b"x" * 1_100_000 + b'"}', 413, None),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused_with_a_sentence(
    home: Home, body: bytes, status: int, field: str | None
) -> None:
    answer = await home.program().post("/api/v1/runs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert shape_of(answer).get("field") == field


async def test_what_breaks_inside_is_told_in_the_log_and_not_to_the_caller(home: Home) -> None:
    source_id, source = next(iter(home.fleet.sources.items()))
    home.fleet.sources[source_id] = replace(source, schedule=Schedule(cron="nonsense", zone="UTC"))
    with capture_logs() as logged:
        answer = await home.program().get("/api/v1/sources/" + source_id)
    assert answer.status_code == 500
    assert [(line["event"], line["route"]) for line in logged] == [("request failed", "/api/v1/sources/{source_id}")]
    assert shape_of(answer) == {
        "code": "internal",
        "message": "Something broke inside lastgood; the log of the hub says what.",
    }


async def test_people_get_a_page_where_programs_get_json(home: Home) -> None:
    client = await home.signed_in()
    answer = await client.get("/hosts/none")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "No host has this id" in answer.text


async def test_a_wish_that_cannot_be_met_is_a_conflict_with_its_reason(home: Home) -> None:
    home.refusal = "The agent of web-1 is not connected; see that it runs and ask again."
    source_id = next(iter(home.fleet.sources))
    answer = await home.program().post("/api/v1/runs", json={"source_id": source_id})
    assert answer.status_code == 409
    assert shape_of(answer) == {"code": "conflict", "message": home.refusal}
    client = await home.signed_in()
    page = await client.get("/")
    answer = await client.post(f"/sources/{source_id}/run", data={"csrf": form_token(page.text)})
    assert answer.status_code == 409
    assert "is not connected" in answer.text


async def test_a_mount_takes_its_path_and_all_below_past_the_sign_in(home: Home) -> None:
    seen: list[str] = []

    async def scrape(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"up 1\n"})

    transport = httpx.ASGITransport(create_app(home.site, {"/metrics": scrape}))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        for path in ("/metrics", "/metrics/natrontech"):
            assert (await client.get(path)).text == "up 1\n"
        assert (await client.get("/metricsx")).status_code == 404
    assert seen == ["/metrics", "/metrics/natrontech"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/runs/%ED%A0%80", 404),
        ("/api/v1/runs/%ED%A0%80", 404),
        ("/api/v1/runs?source_id=%FF%00", 200),
        ("/api/v1/runs?cursor=1.%ED%A0%80", 200),
        ("/api/v1/alerts?status=all&host_id=%ED%A0%80", 200),
        ("/?q=%ED%A0%80%00&state=%FF&host=%ED%A0%80", 200),
        ("/?next=%0d%0aSet-Cookie:a=b", 200),
        ("/sources/a%2Fb", 404),
        ("/static/..%2fapp.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/welcome/%ED%A0%80", 404),
        ("/runs?cursor=x", 422),
        ("/%ff", 404),
    ],
)
async def test_odd_addresses_get_an_ordinary_answer(home: Home, path: str, status: int) -> None:
    cookie = (await home.signed_in()).cookies["lastgood"]
    async with (
        serving(create_app(home.site)) as address,
        httpx.AsyncClient(base_url=f"http://{address}", cookies={"lastgood": cookie}) as client,
    ):
        assert (await client.get(path)).status_code == status


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"&name=%ED%A0%80&password=x", 401),
        (b"&name=%00a&password=%ff", 401),
        (b"&name=a&name=b&password=x&password=y", 401),
        (b"&x=1" * 5000, 413),
    ],
)
async def test_odd_forms_are_wrong_and_break_nothing(home: Home, rest: bytes, status: int) -> None:
    await home.signed_in()
    client = home.client()
    token = form_token((await client.get("/sign-in")).text)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await client.post("/sign-in", content=b"csrf=" + token.encode() + rest, headers=headers)
    assert answer.status_code == status

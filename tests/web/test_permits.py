"""Every route asks for its permission: routes times roles, taken from the application itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.datastructures import State
from litestar.routes import HTTPRoute, WebSocketRoute

from lastgood.auth.roles import BUILT_IN, PERMISSIONS
from lastgood.errors import AccessError
from lastgood.web.app import create_pages
from lastgood.web.guard import admit, check
from lastgood.web.limits import Attempts, Guesses
from lastgood.web.permits import PERMITS, PUBLIC, SIGNED_IN, permit_of
from lastgood.web.site import Actor
from tests.web.server import serving
from tests.web.site import ORIGIN, Home, form_token
from tests.web.test_routes import filled, routes

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
CLOSED = {route: permit for route, permit in PERMITS.items() if not permit.is_public}


def template(path: str) -> str:
    return "/".join(part.partition(":")[0] + "}" if part.startswith("{") else part for part in path.split("/"))


def of_the_application(home: Home) -> dict[str, str]:
    """Route of the table -> an address of it at which there is something."""
    return {f"{method} {template(path)}": filled(path, home) for method, path in routes(home)}


def test_the_table_names_every_route_and_no_other(home: Home) -> None:
    assert set(of_the_application(home)) == set(PERMITS)


def test_every_permission_that_a_route_asks_for_exists(home: Home) -> None:
    asked = {permission for permit in PERMITS.values() for permission in permit.permissions}
    assert asked - {PUBLIC, SIGNED_IN} <= PERMISSIONS.keys()


def test_no_route_that_changes_something_takes_a_permission_to_read() -> None:
    changing = {route: permit for route, permit in CLOSED.items() if route.startswith(UNSAFE)}
    reading = [r for r, permit in changing.items() if any(one.endswith(".read") for one in permit.permissions)]
    assert reading == []
    assert [route for route, permit in changing.items() if permit.permissions == (SIGNED_IN,)] == ["POST /sign-out"]


def test_what_is_public_in_the_table_is_what_the_routes_say(home: Home) -> None:
    public = set()
    for route in create_pages(home.site, home.limits).routes:
        handlers = [route.route_handler] if isinstance(route, WebSocketRoute) else list(route.route_handlers)
        for handler in handlers:
            methods = ["WEBSOCKET"] if isinstance(route, WebSocketRoute) else sorted(map(str, handler.http_methods))
            public |= {f"{method} {template(route.path)}" for method in methods if handler.opt.get("public")}
    assert public == {route for route, permit in PERMITS.items() if permit.is_public}


def held(roles: Mapping[str, frozenset[str]], role: str, permissions: tuple[str, ...]) -> bool:
    return permissions == (SIGNED_IN,) or not roles[role].isdisjoint(permissions)


@pytest.mark.parametrize("role", [*BUILT_IN, "custom-restore", "custom-nothing-but-audit"])
async def test_every_route_refuses_what_the_role_lacks_and_nothing_else(home: Home, role: str) -> None:
    custom = {"custom-restore": {"backup.restore"}, "custom-nothing-but-audit": {"audit.read"}}
    for name, permissions in custom.items():
        await home.roles.put(name, permissions, "ann", BUILT_IN["admin"])
    known = {**BUILT_IN, **{name: frozenset(permissions) for name, permissions in custom.items()}}
    client = home.bearing(await home.token(role))
    paths, refused = of_the_application(home), 0
    for route, permit in CLOSED.items():
        method = route.partition(" ")[0]
        if held(known, role, permit.permissions):
            # What may be done is done with a body that fits nothing, so that the hub stays as it is.
            answer = await client.request(method, paths[route], content=b"[]")
            assert answer.status_code != 403, (route, role, answer.text)
            assert answer.status_code < 500, (route, role, answer.text)
        else:
            answer = await client.request(method, paths[route], json={})
            assert answer.status_code == 403, (route, role, answer.text)
            assert answer.json()["error"]["code"] == "forbidden"
            assert permit.permissions[0] in answer.json()["error"]["message"]
            refused += 1
    assert (refused > 0) is (role != "admin")
    if role == "viewer":
        assert home.asked == []


@pytest.mark.parametrize("permission", [*PERMISSIONS])
def test_one_permission_opens_the_routes_of_that_permission_alone(permission: str) -> None:
    actor = Actor(name="one", kind="token", permissions=frozenset({permission}))
    opened = set()
    for route, permit in CLOSED.items():
        try:
            check(actor, permit)
        except AccessError as fault:
            assert fault.status == 403
        else:
            opened.add(route)
    asks = {route for route, permit in CLOSED.items() if permission in permit.permissions}
    assert opened == asks | {route for route, permit in CLOSED.items() if permit.permissions == (SIGNED_IN,)}


async def test_a_person_s_role_is_asked_like_a_token_s_and_a_change_holds_at_once(home: Home) -> None:
    admin, viewer = await home.signed_in("ann"), await home.signed_in("vera", role="viewer")
    page = await viewer.get("/")
    assert page.status_code == 200
    said = {"csrf": form_token(page.text), "name": "x"}
    host_id = next(iter(home.fleet.hosts))
    refused = await viewer.post(f"/hosts/{host_id}/rename", data=said)
    assert refused.status_code == 403
    assert "host.write" in refused.text
    users = (await admin.get("/api/v1/users")).json()["items"]
    vera = next(user for user in users if user["name"] == "vera")
    csrf = {"x-csrf-token": (await admin.get("/api/v1/me")).json()["csrf_token"]}
    assert (await admin.patch(f"/api/v1/users/{vera['id']}", json={"role": "admin"}, headers=csrf)).status_code == 200
    assert (await viewer.post(f"/hosts/{host_id}/rename", data=said)).status_code == 303


@pytest.mark.parametrize(
    ("kind", "role", "status"),
    [
        ("backup", "operator", 202),
        ("restore", "operator", 422),  # allowed; the body lacks what to restore
        ("check", "operator", 202),
        ("forget", "operator", 403),
        ("prune", "operator", 403),
        ("backup", "viewer", 403),
        ("backup", "restorer", 403),
        ("restore", "restorer", 422),
        ("backup", "runner", 202),
        ("restore", "runner", 403),
        ("forget", "keeper", 202),
        ("backup", "keeper", 403),
    ],
)
async def test_to_run_to_restore_and_to_forget_are_permissions_apart(
    home: Home, kind: str, role: str, status: int
) -> None:
    alone = {"restorer": "backup.restore", "runner": "backup.run", "keeper": "repository.write"}
    for name, permission in alone.items():
        await home.roles.put(name, [permission], "ann", BUILT_IN["admin"])
    source_id = next(iter(home.fleet.sources))
    body: dict[str, Any] = {"kind": kind, "source_id": source_id}
    if kind == "restore":
        body["restore"] = {"snapshot": "no snapshot", "target": "/tmp/x"}
    answer = await home.bearing(await home.token(role)).post("/api/v1/runs", json=body)
    assert answer.status_code == status, answer.text


async def test_a_repository_comes_with_a_password_only_from_whoever_may_hand_one_in(home: Home) -> None:
    await home.roles.put("keeper", ["repository.write", "fleet.read"], "ann", BUILT_IN["admin"])
    client = home.bearing(await home.token("keeper"))
    body = {"name": "new", "url": "/srv/new", "held": {"password": "correct horse"}}
    refused = await client.post("/api/v1/repositories", json=body)
    assert (refused.status_code, "credential.write" in refused.text) == (403, True)
    made = await client.post(
        "/api/v1/repositories", json={"name": "new", "url": "/srv/new", "password_file": "/etc/x"}
    )
    assert made.status_code == 201, made.text


async def test_a_held_password_is_sent_elsewhere_only_by_whoever_may_hand_one_in(home: Home) -> None:
    await home.roles.put("keeper", ["repository.write", "fleet.read"], "ann", BUILT_IN["admin"])
    keeper, admin = home.bearing(await home.token("keeper")), home.program()
    body = {"name": "new", "url": "rest:https://here.test/", "held": {"password": "correct horse"}}
    made = await admin.post("/api/v1/repositories", json=body)
    assert made.status_code == 201, made.text
    path = f"/api/v1/repositories/{made.json()['id']}"
    for change in ({"url": "rest:https://there.test/"}, {"watched_by": next(iter(home.fleet.hosts))}):
        refused = await keeper.patch(path, json=change)
        assert (refused.status_code, "credential.write" in refused.text) == (403, True), change
    assert (await keeper.patch(path, json={"name": "renamed"})).status_code == 200
    assert (await admin.patch(path, json={"url": "rest:https://there.test/"})).status_code == 200


async def test_a_route_that_nobody_entered_is_closed_to_everybody(home: Home) -> None:
    @get("/api/v1/forgotten")
    async def forgotten() -> str:
        return "secret"

    @get("/api/v1/opened", opt={"public": True})
    async def opened() -> str:
        return "secret"

    state = State({"site": home.site, "limits": home.limits})
    app = Litestar([forgotten, opened], guards=[admit], state=state, openapi_config=None)
    transport = httpx.ASGITransport(app)
    headers = {"authorization": f"Bearer {await home.token('admin')}"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
        for path in ("/api/v1/forgotten", "/api/v1/opened"):
            answer = await client.get(path)
            assert "secret" not in answer.text
            assert answer.status_code >= 400


async def test_every_changing_route_refuses_the_page_of_another_site(home: Home) -> None:
    """With the session's cookie, and even with the right form token: as a browser sends it from elsewhere."""
    client = await home.signed_in()
    csrf = form_token((await client.get("/")).text)
    changing = {r: path for r, path in of_the_application(home).items() if r.startswith(UNSAFE) and r in CLOSED}
    assert len(changing) > 60
    less_usual = ({"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"})
    for number, (route, path) in enumerate(changing.items()):
        method = route.partition(" ")[0]
        for headers in ({"origin": "https://evil.example"}, less_usual[number % 3]):
            answer = await client.request(method, path, json={}, headers={**headers, "x-csrf-token": csrf})
            assert answer.status_code == 403, (route, headers)
    assert home.asked == []


async def test_a_socket_that_the_page_of_another_site_opened_is_refused(home: Home) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    async with serving(home.app) as address:
        for origin in ("https://evil.example", "null", f"http://{address}.evil.example"):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(f"ws://{address}/ws/agent", origin=origin, proxy=None):  # type: ignore[arg-type]
                    pass
            assert refused.value.response.status_code == 403
        for origin in (None, f"http://{address}"):
            async with connect(f"ws://{address}/ws/agent", origin=origin, proxy=None) as socket:  # type: ignore[arg-type]
                await socket.send("hello")
                assert await socket.recv() == "hello"


async def test_a_bearer_token_is_asked_before_a_cookie_and_needs_no_form_token(home: Home) -> None:
    cookie = (await home.signed_in()).cookies["lastgood"]
    viewer = home.bearing(await home.token("viewer"), cookies={"lastgood": cookie})
    source_id = next(iter(home.fleet.sources))
    assert (await viewer.post("/api/v1/runs", json={"source_id": source_id})).status_code == 403
    operator = home.bearing(await home.token("operator"))
    assert (await operator.post("/api/v1/runs", json={"source_id": source_id})).status_code == 202


async def test_guessing_tokens_has_to_wait_while_others_are_served(home: Home) -> None:
    home.limits.tokens = Guesses(Attempts(5, timedelta(minutes=5)))
    known, fresh = await home.token("viewer"), await home.token("viewer")
    assert (await home.bearing(known).get("/api/v1/me")).status_code == 200
    statuses = [(await home.bearing(f"guess {number}").get("/api/v1/me")).status_code for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    # Even the right one tells nothing now, unless it was seen from this address before.
    slowed = await home.bearing(fresh).get("/api/v1/me")
    assert (slowed.status_code, slowed.json()["error"]["code"]) == (429, "too_many_requests")
    assert int(slowed.headers["retry-after"]) == 300
    assert (await home.bearing(known).get("/api/v1/me")).status_code == 200
    elsewhere = httpx.ASGITransport(home.app, client=("198.51.100.1", 5000))
    async with httpx.AsyncClient(transport=elsewhere, base_url=ORIGIN) as client:
        answer = await client.get("/api/v1/me", headers={"authorization": f"Bearer {fresh}"})
        assert answer.status_code == 200
    home.turn(minutes=5)
    assert (await home.bearing(fresh).get("/api/v1/me")).status_code == 200


async def test_what_a_token_was_used_for_last_is_seen_with_its_address(home: Home) -> None:
    text = await home.token("viewer")
    home.turn(minutes=3)
    await home.bearing(text).get("/api/v1/me")
    used = next(token for token in home.tokens.every() if token.role == "viewer")
    assert (used.used_at, used.used_from) == (home.moment, "192.0.2.7")


async def test_an_expired_token_is_told_so_and_a_revoked_one_is_nobody_s(home: Home) -> None:
    expiring = await home.token("viewer", expires_at=home.moment + timedelta(hours=1))
    home.turn(hours=1)
    answer = await home.bearing(expiring).get("/api/v1/hosts")
    assert answer.status_code == 401
    assert "has expired" in answer.json()["error"]["message"]
    token_id = next(token.id for token in home.tokens.every() if token.role == "viewer")
    await home.tokens.revoke(token_id, "ann")
    answer = await home.bearing(expiring).get("/api/v1/hosts")
    assert (answer.status_code, "not known" in answer.text) == (401, True)


def test_a_route_is_looked_up_by_method_and_template() -> None:
    permit = permit_of("GET", "/api/v1/hosts/{host_id}")
    assert permit is not None
    assert permit.permissions == ("fleet.read",)
    assert permit_of("GET", "/api/v1/hosts/{other}") is None
    assert permit_of("PUT", "/api/v1/hosts/{host_id}") is None


def test_every_http_route_of_the_application_is_of_a_kind_that_the_tests_see(home: Home) -> None:
    kinds = {type(route) for route in create_pages(home.site, home.limits).routes}
    assert kinds == {HTTPRoute, WebSocketRoute}

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from lastgood.config.settings import ServerSettings
from lastgood.config.values import Url
from lastgood.store import accounts
from lastgood.web.access import USED_UP, WRONG
from lastgood.web.limits import Attempts
from lastgood.web.session import FORM, MOST_FIELDS, safe_next
from tests.web.site import ORIGIN, PASSWORD, Home, at_home, form_token, sign_in, welcome


async def test_until_the_first_admin_exists_the_first_page_says_that_a_link_is_needed(empty_home: Home) -> None:
    client = empty_home.client()
    answer = await client.get("/")
    assert answer.status_code == 200
    assert "one-time link" in answer.text
    assert "<form" not in answer.text
    elsewhere = await client.get("/hosts")
    assert (elsewhere.status_code, elsewhere.headers["location"]) == (303, "/")
    door = await client.get("/sign-in")
    assert (door.status_code, door.headers["location"]) == (303, "/")


async def test_the_one_time_link_makes_the_first_admin_and_signs_them_in(empty_home: Home) -> None:
    client = empty_home.client()
    answer = await welcome(client, await empty_home.link(), "Ann")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = await client.get("/")
    assert page.status_code == 200
    assert "Ann" in page.text
    user = await empty_home.database.read(lambda rows: accounts.find_user(rows, "ann"))
    assert user is not None
    assert user.role == "admin"
    assert user.password_hash is not None
    assert PASSWORD not in user.password_hash


async def test_looking_at_a_link_does_not_use_it_up(empty_home: Home) -> None:
    token = await empty_home.link()
    for _ in range(3):
        assert (await empty_home.client().get(f"/welcome/{token}")).status_code == 200


async def test_of_two_who_use_the_same_link_at_once_only_one_gets_in(empty_home: Home) -> None:
    token = await empty_home.link()
    first, second = empty_home.client(), empty_home.client()
    answers = await asyncio.gather(welcome(first, token, "ann"), welcome(second, token, "bob"))
    assert sorted(answer.status_code for answer in answers) == [303, 404]
    assert USED_UP in next(answer.text for answer in answers if answer.status_code == 404)
    assert await empty_home.database.read(accounts.count_users) == 1
    assert (await empty_home.client().get(f"/welcome/{token}")).status_code == 404


async def test_a_second_first_admin_link_is_worth_nothing_once_there_is_an_admin(empty_home: Home) -> None:
    spare = await empty_home.link()
    await empty_home.signed_in()
    answer = await welcome(empty_home.client(), spare, "eve")
    assert answer.status_code == 404
    assert await empty_home.database.read(accounts.count_users) == 1


async def test_a_link_is_over_after_its_time(empty_home: Home) -> None:
    token = await empty_home.link(minutes=5)
    empty_home.turn(minutes=5)
    assert (await empty_home.client().get(f"/welcome/{token}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "password", "again", "sentence"),
    [
        ("", PASSWORD, PASSWORD, "Choose a name"),
        ("ann", "Zq7-eleven", "Zq7-eleven", "at least 12 characters"),
        ("ann", PASSWORD, PASSWORD + "x", "two passwords differ"),
        ("a" * 65, PASSWORD, PASSWORD, "too long"),
        ("an\u202en", PASSWORD, PASSWORD, "nobody can see"),
    ],
)
async def test_a_bad_choice_is_told_and_leaves_the_link_as_it_was(
    empty_home: Home, name: str, password: str, again: str, sentence: str
) -> None:
    client, token = empty_home.client(), await empty_home.link()
    page = await client.get(f"/welcome/{token}")
    said = {"csrf": form_token(page.text), "name": name, "password": password, "again": again}
    answer = await client.post(f"/welcome/{token}", data=said)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert password not in answer.text
    assert (await welcome(client, token)).status_code == 303


async def test_a_new_password_ends_every_session_of_its_user(empty_home: Home) -> None:
    old = await empty_home.signed_in()
    assert (await old.get("/")).status_code == 200
    fresh = empty_home.client()
    assert (await welcome(fresh, await empty_home.link("ann"), password="quite another one")).status_code == 303
    assert (await old.get("/")).status_code == 303
    assert (await fresh.get("/")).status_code == 200
    assert (await sign_in(empty_home.client())).status_code == 401
    assert (await sign_in(empty_home.client(), password="quite another one")).status_code == 303


async def test_sign_in_never_tells_which_part_was_wrong(empty_home: Home) -> None:
    await empty_home.signed_in()
    answers = [
        await sign_in(empty_home.client(), "ann", "a wrong password"),
        await sign_in(empty_home.client(), "nobody", PASSWORD),
        await sign_in(empty_home.client(), "", ""),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert all(WRONG in answer.text for answer in answers)
    assert all("lastgood=" not in answer.headers.get("set-cookie", "") for answer in answers)


async def test_somebody_shut_out_cannot_sign_in_and_their_session_is_over(empty_home: Home) -> None:
    client = await empty_home.signed_in()
    user = await empty_home.database.read(lambda rows: accounts.find_user(rows, "ann"))
    assert user is not None
    await empty_home.database.write(lambda rows: accounts.set_disabled(rows, user.id, True))
    assert (await client.get("/")).status_code == 303
    assert (await sign_in(empty_home.client())).status_code == 401


async def test_signing_out_ends_the_session_on_the_server_too(empty_home: Home) -> None:
    client = await empty_home.signed_in()
    cookie = client.cookies["lastgood"]
    page = await client.get("/")
    answer = await client.post("/sign-out", data={"csrf": form_token(page.text)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    kept = empty_home.client(cookies={"lastgood": cookie})
    assert (await kept.get("/")).status_code == 303


async def test_a_session_slides_with_use_and_is_over_a_day_after_the_last(empty_home: Home) -> None:
    client = await empty_home.signed_in()
    for _ in range(3):
        empty_home.turn(hours=23)
        assert (await client.get("/")).status_code == 200
    empty_home.turn(hours=24)
    assert (await client.get("/")).status_code == 303


async def test_signing_in_gives_a_new_session_and_ends_the_one_before(empty_home: Home) -> None:
    before = (await empty_home.signed_in()).cookies["lastgood"]
    client = empty_home.client()
    form = form_token((await client.get("/sign-in")).text)
    client.cookies.set("lastgood", before)
    answer = await client.post("/sign-in", data={"csrf": form, "name": "ann", "password": PASSWORD})
    assert answer.status_code == 303
    assert before not in answer.headers["set-cookie"]
    assert (await empty_home.client(cookies={"lastgood": before}).get("/")).status_code == 303


async def test_many_attempts_from_one_address_have_to_wait(empty_home: Home) -> None:
    await empty_home.signed_in()
    empty_home.limits.by_address = Attempts(3, timedelta(minutes=5))
    client = empty_home.client()
    answers = [await sign_in(client, f"name-{number}", "wrong") for number in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) == 300
    assert (await sign_in(client)).status_code == 429
    empty_home.turn(minutes=5)
    assert (await sign_in(client)).status_code == 303


async def test_knowing_one_password_does_not_buy_an_address_more_attempts(empty_home: Home) -> None:
    await empty_home.signed_in()
    empty_home.limits.by_address = Attempts(3, timedelta(minutes=5))
    client = empty_home.client()
    statuses = [(await sign_in(client, *pair)).status_code for pair in (("bob", "x"), ("ann", PASSWORD))]
    statuses += [(await sign_in(empty_home.client(), "bob", "wrong")).status_code for _ in range(2)]
    assert statuses == [401, 303, 401, 429]


async def test_many_attempts_on_one_name_have_to_wait_wherever_they_come_from(tmp_path: Path) -> None:
    proxied = ServerSettings(trusted_proxies=(ip_network("192.0.2.0/24"),))
    async with at_home(tmp_path, server=proxied) as home:
        await home.signed_in()
        home.limits.by_name = Attempts(2, timedelta(minutes=15))
        client, statuses = home.client(), []
        for number, name in enumerate(("ann", "ANN", "Ann")):
            client.headers["x-forwarded-for"] = f"198.51.100.{number}"
            statuses.append((await sign_in(client, name, "wrong")).status_code)
        assert statuses == [401, 401, 429]


async def test_a_forged_forwarded_address_does_not_get_around_the_limit(empty_home: Home) -> None:
    await empty_home.signed_in()
    empty_home.limits.by_address = Attempts(1, timedelta(minutes=5))
    client, statuses = empty_home.client(), []
    for number in range(2):
        client.headers["x-forwarded-for"] = f"198.51.100.{number}"
        statuses.append((await sign_in(client, f"name-{number}", "wrong")).status_code)
    assert statuses == [401, 429]


async def test_attempts_at_the_same_moment_get_no_further_than_one_after_the_other(empty_home: Home) -> None:
    await empty_home.signed_in()
    empty_home.limits.by_address = Attempts(2, timedelta(minutes=5))
    answers = await asyncio.gather(*(sign_in(empty_home.client(), password="wrong") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [401, 401, 429, 429, 429]


@pytest.mark.parametrize(
    "there",
    [
        "//evil.test/",
        "https://evil.test/",
        "/\\evil.test",
        "\\\\evil.test",
        "/\t/evil.test",
        "javascript:alert(1)",
        "evil.test",
        "/\n//evil.test",
        "http:/evil.test",
        "/\u2028",
    ],
)
async def test_next_never_leads_elsewhere(empty_home: Home, there: str) -> None:
    assert safe_next(there) == "/"
    await empty_home.signed_in()
    answer = await sign_in(empty_home.client(), next=there)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_after_sign_in_one_is_where_one_wanted_to_be(empty_home: Home) -> None:
    await empty_home.signed_in()
    client = empty_home.client()
    turned = await client.get("/?state=failed&q=a%20b")
    assert turned.status_code == 303
    door = await client.get(turned.headers["location"])
    said = {"csrf": form_token(door.text), "name": "ann", "password": PASSWORD}
    said["next"] = door.text.split('name="next" value="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    answer = await client.post("/sign-in", data=said)
    assert answer.headers["location"] == "/?state=failed&q=a%20b"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_from_another_site_is_refused(home: Home, headers: dict[str, str]) -> None:
    client = await home.signed_in()
    page = await client.get("/")
    source_id = next(iter(home.fleet.sources))
    answer = await client.post(f"/sources/{source_id}/run", data={"csrf": form_token(page.text)}, headers=headers)
    assert answer.status_code == 403
    assert home.asked == []


@pytest.mark.parametrize("token", [None, "", "00" * 64, "zz", "ab" * 10_000, "é"])
async def test_a_form_without_our_token_is_refused(home: Home, token: str | None) -> None:
    client = await home.signed_in()
    source_id = next(iter(home.fleet.sources))
    data = {} if token is None else {"csrf": token}
    answer = await client.post(f"/sources/{source_id}/run", data=data, headers={"origin": ORIGIN})
    assert answer.status_code == 403
    assert home.asked == []


@pytest.mark.parametrize("body", ["a=&" * 300_000, "a=" + "%41" * 300_000], ids=["fields", "a long one"])
async def test_a_form_of_a_stranger_that_takes_long_to_take_apart_is_not_taken_apart(home: Home, body: str) -> None:
    answer = await home.client().post("/sign-in", content=body, headers={"content-type": FORM})
    assert answer.status_code == 413


async def test_a_form_with_fields_without_end_is_refused_whoever_sends_it(home: Home) -> None:
    client = await home.signed_in()
    body = f"csrf={form_token((await client.get('/')).text)}&" + "a=&" * MOST_FIELDS
    source_id = next(iter(home.fleet.sources))
    answer = await client.post(f"/sources/{source_id}/run", content=body, headers={"content-type": FORM})
    assert answer.status_code == 413
    assert home.asked == []


async def test_a_form_token_belongs_to_its_session_alone(home: Home) -> None:
    ann = await home.signed_in("ann")
    theirs = form_token((await ann.get("/")).text)
    other = home.client()
    await sign_in(other)
    source_id = next(iter(home.fleet.sources))
    assert (await other.post(f"/sources/{source_id}/run", data={"csrf": theirs})).status_code == 403
    own = form_token((await other.get("/")).text)
    assert (await other.post(f"/sources/{source_id}/run", data={"csrf": own})).status_code == 303
    assert [wish[0] for wish in home.asked] == ["run"]


async def test_a_form_token_looks_different_on_each_page(home: Home) -> None:
    client = await home.signed_in()
    assert form_token((await client.get("/")).text) != form_token((await client.get("/")).text)


async def test_signing_in_needs_a_form_of_this_browser(empty_home: Home) -> None:
    await empty_home.signed_in()
    foreign = form_token((await empty_home.client().get("/sign-in")).text)
    said = {"csrf": foreign, "name": "ann", "password": PASSWORD}
    assert (await empty_home.client().post("/sign-in", data=said)).status_code == 403


async def test_over_http_the_cookie_is_plain_and_the_page_says_so(empty_home: Home) -> None:
    answer = await welcome(empty_home.client(), await empty_home.link())
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("lastgood=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "; secure" not in cookie
    assert "Not encrypted" in (await empty_home.client().get("/sign-in")).text


@pytest.mark.parametrize("way", ["direct", "proxy", "base_url"])
async def test_over_https_the_cookie_is_bound_to_the_host_and_secure(tmp_path: Path, way: str) -> None:
    server = {
        "direct": ServerSettings(),
        "proxy": ServerSettings(trusted_proxies=(ip_network("192.0.2.7/32"),)),
        "base_url": ServerSettings(base_url=Url("https://hub.test")),
    }[way]
    async with at_home(tmp_path, server=server) as home:
        client = home.client("https://hub.test" if way == "direct" else "http://hub.test")
        if way == "proxy":
            client.headers["x-forwarded-proto"] = "https"
        answer = await welcome_by_hand(client, await home.link())
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-lastgood=")
        assert "secure" in cookie.lower()
        assert "domain" not in cookie.lower()
        assert "max-age=31536000" in answer.headers["strict-transport-security"]
        assert "Not encrypted" not in answer.text


async def welcome_by_hand(client, token: str):  # type: ignore[no-untyped-def]
    """As ``welcome``, carrying cookies that a client on http would hold back."""
    page = await client.get(f"/welcome/{token}")
    name, value = page.headers["set-cookie"].split(";")[0].split("=", 1)
    said = {"csrf": form_token(page.text), "name": "ann", "password": PASSWORD, "again": PASSWORD}
    return await client.post(f"/welcome/{token}", data=said, headers={"cookie": f"{name}={value}"})


async def test_nobody_is_believed_who_merely_says_https(empty_home: Home) -> None:
    client = empty_home.client()
    client.headers["x-forwarded-proto"] = "https"
    answer = await client.get("/")
    assert "strict-transport-security" not in answer.headers
    assert "Not encrypted" in answer.text


async def test_a_plain_cookie_is_not_taken_over_https(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        client = await home.signed_in()
        taken = home.client("https://hub.test", cookies={"lastgood": client.cookies["lastgood"]})
        assert (await taken.get("/")).status_code == 303


async def test_no_page_seen_by_a_signed_in_person_stays_in_a_cache(home: Home) -> None:
    client = await home.signed_in()
    for path in ("/", "/hosts", "/api/v1/sources"):
        assert (await client.get(path)).headers["cache-control"] == "no-store"

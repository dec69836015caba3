"""The steps by which Prometheus gets its token, walked in a real Chromium: Settings, API tokens, New token."""

from __future__ import annotations

import httpx
import pytest

from tests.browser.chromium import where
from tests.browser.test_pages import Visit, sign_in, visit
from tests.builders import NOW

__all__ = ["visit"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(where() is None, reason="no chromium on this machine; set LASTGOOD_TEST_CHROMIUM"),
]


def click(text: str) -> str:
    links = "[...document.querySelectorAll('main a, header a, button')]"
    return f"{links}.find(one => one.textContent.trim() === {text!r}).click()"


async def test_settings_api_tokens_new_token_name_role_copy_once(visit: Visit) -> None:
    await sign_in(visit)
    tab = visit.tab
    await tab.open(visit.url + "/")
    await tab.follow(click("Settings"))
    await tab.follow(click("API tokens"))
    await tab.follow(click("New token"))
    assert await tab.ask("location.pathname") == "/settings/tokens/new"
    await tab.ask("document.querySelector('[name=name]').value = 'prometheus-scraper'")
    assert await tab.ask("document.querySelector('[name=role]').value") == "scraper"
    await tab.follow("document.querySelector('#new-token').requestSubmit()")
    token = await tab.ask("document.querySelector('#token').value")
    assert token.startswith("lg_")
    assert await tab.ask("document.querySelector('[data-copies]').hidden") is False
    await tab.ask("document.querySelector('[data-copies]').click()")
    said = await tab.ask(
        "new Promise(told => { const button = document.querySelector('[data-copies]'); const look = () =>"
        " button.textContent === 'Copy' ? requestAnimationFrame(look) : told(button.textContent); look(); })"
    )
    assert said in ("Copied", "Marked; copy it by hand")
    assert await tab.ask("document.activeElement.selectionEnd - document.activeElement.selectionStart") == len(token)
    async with httpx.AsyncClient(base_url=visit.url, headers={"authorization": f"Bearer {token}"}) as client:
        assert (await client.get("/api/v1/me")).json()["name"] == "prometheus-scraper"
        await tab.follow(click("Done"))
        page = await tab.ask("document.body.innerText")
        assert "prometheus-scraper" in page
        assert token not in await tab.ask("document.documentElement.outerHTML")
        token_id = next(one.id for one in visit.home.tokens.every() if one.name == "prometheus-scraper")
        await tab.follow(f"document.querySelector('form[action$=\"{token_id}/revoke\"]').requestSubmit()")
        assert "revoked" in await tab.ask("document.body.innerText")
        assert (await client.get("/api/v1/me")).status_code == 401
    assert visit.home.moment == NOW


async def test_a_viewer_is_shown_what_is_there_and_no_button_that_would_be_refused(visit: Visit) -> None:
    client = await visit.home.signed_in("vera", role="viewer")
    await visit.tab.cookie(visit.url, "lastgood", client.cookies["lastgood"])
    host, source = next(iter(visit.home.fleet.hosts)), next(iter(visit.home.fleet.sources))
    repository = next(iter(visit.home.fleet.repositories))
    paths = ("/", "/hosts", "/repositories", "/runs", "/alerts", "/channels", "/settings")
    for path in (*paths, f"/hosts/{host}", f"/sources/{source}", f"/repositories/{repository}"):
        await visit.tab.open(visit.url + path)
        forms = await visit.tab.ask(
            "[...document.querySelectorAll('form')].filter(one => one.method === 'post')"
            ".map(one => new URL(one.action).pathname)"
        )
        assert forms == ["/sign-out"], path

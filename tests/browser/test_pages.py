"""The pages in a real Chromium: nothing sticks out, our own policy refuses nothing, keys reach everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lastgood.web.app import create_app
from tests.browser.chromium import Tab, browser, where
from tests.web.gallery import LONG, every_state
from tests.web.server import serving
from tests.web.site import PASSWORD, Home, at_home

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(where() is None, reason="no chromium on this machine; set LASTGOOD_TEST_CHROMIUM"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    home: Home
    tab: Tab
    url: str


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    """A browser before a hub with a source in every state, one of them with a name of 10,000 letters."""
    fleet = every_state()
    source = next(source for source in fleet.sources.values() if source.name == "etc")
    fleet.sources[source.id] = replace(source, name=LONG)
    async with (
        at_home(tmp_path / "data", fleet) as home,
        serving(create_app(home.site)) as address,
        browser(tmp_path / "profile") as tab,
    ):
        yield Visit(home=home, tab=tab, url=f"http://{address}")


async def sign_in(visit: Visit) -> None:
    client = await visit.home.signed_in()
    await visit.tab.cookie(visit.url, "lastgood", client.cookies["lastgood"])


def paths(home: Home) -> list[str]:
    fleet = home.fleet
    kinds = (("sources", fleet.sources), ("hosts", fleet.hosts), ("repositories", fleet.repositories))
    ours = [f"/{kind}/{identifier}" for kind, things in kinds for identifier in list(things)[:2]]
    forms = ["/repositories/new", f"/hosts/{next(iter(fleet.hosts))}/sources/new"]
    forms += [f"/{kind}/{identifier}/edit" for kind, things in kinds[::2] for identifier in list(things)[:1]]
    settings = ["", "/tokens", "/tokens/new", "/users", "/roles"]
    forms += [f"/settings{path}" for path in settings]
    lists = ["/", "/hosts", "/repositories", "/runs", "/alerts", "/channels", "/audit", "/docs", "/nowhere", "/enrol"]
    lists += [
        "/coverage",
        "/collectors",
        *(f"/hosts/{one}/{what}" for one in list(fleet.docker)[:1] for what in ("docker", "stacks")),
    ]
    return [*lists, *forms, f"/hosts/{next(iter(fleet.hosts))}/remove", f"/runs/{next(iter(fleet.running))}", *ours]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
async def test_no_page_is_wider_than_its_window(visit: Visit, width: int, dark: bool) -> None:
    await sign_in(visit)
    await visit.tab.size(width, dark=dark)
    for path in paths(visit.home):
        await visit.tab.open(visit.url + path)
        assert await visit.tab.ask("document.documentElement.scrollWidth") <= width, path
        assert await visit.tab.ask("document.querySelector('h1').getBoundingClientRect().height") > 0, path


async def test_somebody_signs_in_and_finds_the_verdict(visit: Visit) -> None:
    await visit.home.signed_in()
    await visit.tab.open(visit.url + "/")
    assert await visit.tab.ask("location.pathname") == "/sign-in"
    await visit.tab.ask("document.querySelector('#name').value = 'ann'")
    await visit.tab.ask(f"document.querySelector('#password').value = {PASSWORD!r}")
    await visit.tab.follow("document.querySelector('form.fields').requestSubmit()")
    assert await visit.tab.ask("location.pathname") == "/"
    assert "sources need attention" in await visit.tab.ask("document.querySelector('h1').textContent")


async def test_the_page_brings_itself_up_to_date_without_breaking_our_own_policy(visit: Visit) -> None:
    await sign_in(visit)
    await visit.tab.open(visit.url + "/")
    assert await visit.tab.ask("typeof renew") == "function"
    visit.home.fleet.sources.clear()
    await visit.tab.ask("renew()")
    assert await visit.tab.ask("document.querySelector('h1').textContent") == "Nothing is protected yet."


async def test_every_link_and_button_shows_where_the_keyboard_is(visit: Visit) -> None:
    await sign_in(visit)
    await visit.tab.open(visit.url + "/")
    unseen = await visit.tab.ask(
        """[...document.querySelectorAll('a, button, input:not([type=hidden])')].filter(thing => {
             thing.focus({focusVisible: true});
             return getComputedStyle(thing).outlineStyle === 'none';
           }).length"""
    )
    assert unseen == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_all_text_stands_out_from_its_ground(visit: Visit, dark: bool) -> None:
    await sign_in(visit)
    await visit.tab.size(1280, dark=dark)
    for path in paths(visit.home):
        await visit.tab.open(visit.url + path)
        assert await visit.tab.ask(CONTRAST) == [], path


CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = thing => {
    for (let at = thing; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const weak = [];
  for (const thing of document.querySelectorAll('body *')) {
    const says = [...thing.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!says || !thing.checkVisibility() || thing.closest('button:disabled, svg, progress')) continue;
    const [a, b] = [light(rgba(getComputedStyle(thing).color)), light(ground(thing))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) weak.push([thing.className, thing.textContent.trim().slice(0, 30), ratio.toFixed(2)].join(' '));
  }
  return weak;
})()"""

"""``lastgood token``, ``role`` and ``user`` at a real hub's socket, as a person types them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result

from lastgood.auth.tokens import lookup_of
from lastgood.cli.ask import NoSuch
from lastgood.clock import now
from lastgood.errors import LastgoodError
from lastgood.model.fact import HostEnrolled
from lastgood.store import accounts
from tests.builders import NOW, a_host
from tests.cli.test_ask import hub_in
from tests.cli.test_channel import said, typed


def last_line(result: Result) -> str:
    """What the command printed; the hub of this process logs before it."""
    assert result.exit_code == 0, result.exception
    return result.stdout.splitlines()[-1]


async def test_a_token_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        home.moment = now()
        await home.take([HostEnrolled(at=NOW, origin="test", host=a_host("web-1"))], "host")
        made = await typed(tmp_path, "token create prometheus-scraper --role scraper --expires 90d")
        token = last_line(made)
        assert lookup_of(token) is not None
        assert "only time" in made.stderr
        found = home.tokens.find(token)
        assert found is not None
        assert found.token.expires_at is not None
        assert abs(found.token.expires_at - home.moment - timedelta(days=90)) < timedelta(minutes=5)
        narrow = last_line(await typed(tmp_path, "token create web --role viewer --host WEB-1"))
        shown = await said(tmp_path, "token list")
        assert "web-1" in shown
        assert "prometheus-scraper" in shown
        assert token not in shown
        assert narrow not in shown
        rows = json.loads(await said(tmp_path, "token list --json"))
        assert {row["name"]: row["hosts"] and row["hosts"][0]["name"] for row in rows if row["name"] != "script"} == {
            "prometheus-scraper": None,
            "web": "web-1",
        }
        rotated = last_line(await typed(tmp_path, "token rotate Prometheus-Scraper --overlap 0"))
        assert [home.tokens.find(text) is not None for text in (token, rotated)] == [False, True]
        await said(tmp_path, "token revoke prometheus-scraper")
        assert home.tokens.find(rotated) is None
        with pytest.raises(NoSuch, match="token list"):
            raise (await typed(tmp_path, "token revoke prometheus-scraper")).exception or AssertionError
        statuses = {row["name"]: row["status"] for row in json.loads(await said(tmp_path, "token list --all --json"))}
        assert statuses["prometheus-scraper"] == "revoked"


async def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    async with hub_in(tmp_path):
        for words, sentence in (
            ("token create x --role nobody", "the roles are admin, operator, viewer, scraper"),
            ("token create x --role viewer --host nowhere", "no host 'nowhere'"),
            ("role create admin --may fleet.read", "built in"),
            ("role create night --may backup.fly", "the permissions are metrics.read"),
            ("role remove nobody", "no such role"),
            ("user create bob --role nobody", "There is no role"),
            ("user role nobody viewer", "no user 'nobody'"),
        ):
            refused = (await typed(tmp_path, words)).exception
            assert isinstance(refused, LastgoodError), words
            assert sentence in str(refused), words
        assert (await typed(tmp_path, "token create x --role viewer --expires yesterday")).exit_code == 2


async def test_users_get_roles_and_the_last_admin_stays(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        (await home.signed_in("ann")).cookies.clear()
        await said(tmp_path, "role create night-shift --may fleet.read --may backup.run")
        link = last_line(await typed(tmp_path, "user create bob --role night-shift"))
        assert "/welcome/lg_link_" in link
        rows = json.loads(await said(tmp_path, "user list --json"))
        assert {row["name"]: (row["role"], row["signs_in"]) for row in rows} == {
            "ann": ("admin", True),
            "bob": ("night-shift", False),
        }
        assert "still given" in str((await typed(tmp_path, "role remove night-shift")).exception)
        assert "last admin" in str((await typed(tmp_path, "user role ann viewer")).exception)
        assert "last admin" in str((await typed(tmp_path, "user remove ann --yes")).exception)
        await said(tmp_path, "user role bob viewer")
        await said(tmp_path, "role remove night-shift")
        assert "night-shift" not in await said(tmp_path, "role list")
        assert "restore onto a host" in await said(tmp_path, "role list --permissions")
        assert (await typed(tmp_path, "user remove bob", "n\n")).exit_code == 1
        await said(tmp_path, "user remove bob --yes")
        assert await home.database.read(accounts.count_users) == 1

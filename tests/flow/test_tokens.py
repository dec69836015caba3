"""From nothing to a scrape, by commands as an operator types them, on a real hub."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from tests.flow.hub import lastgood, up


def test_a_token_made_by_a_command_scrapes_at_once_and_a_revoked_one_no_more_within_a_second(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with up(folder) as hub:
        here = ("--data-dir", str(folder))
        hub.said("/welcome/")

        def scrape(token: str = "") -> int:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return httpx.get(f"{hub.url}/metrics", headers=headers, trust_env=False).status_code

        made = lastgood("token", "create", "prometheus-scraper", "--role", "scraper", "--expires", "90d", *here)
        assert made.returncode == 0, made.stderr
        token = made.stdout.strip()
        assert made.stdout.count("\n") == 1
        assert token not in made.stderr
        assert [scrape(), scrape("wrong"), scrape(token)] == [401, 401, 200]

        rotated = lastgood("token", "rotate", "prometheus-scraper", "--overlap", "1h", *here).stdout.strip()
        assert [scrape(token), scrape(rotated)] == [200, 200]

        # The same token shows a command the way out of what it may not do.
        env = {"LASTGOOD_URL": hub.url, "LASTGOOD_TOKEN": rotated}
        refused = lastgood("host", "list", env=env)
        assert (refused.returncode, "fleet.read" in refused.stderr) == (1, True), refused.stderr

        began = time.monotonic()
        assert lastgood("token", "revoke", "prometheus-scraper", *here).returncode == 0
        answered = time.monotonic()
        assert [scrape(token), scrape(rotated)] == [401, 401]
        assert time.monotonic() - answered < 1, f"revoked {time.monotonic() - began:.1f} s after the wish"

        log = "".join(hub.lines)
        assert token not in log
        assert rotated not in log

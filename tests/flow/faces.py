"""What each face of a hub says, brought to one shape: the metrics page, the first page, and the API.

``look`` asks the real application for all of them; ``Look`` holds what was said by source, host and repository. The
one rule: nothing here knows the model; two faces are compared by what they say.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from datetime import datetime
from math import floor
from typing import Any

import httpx

from lastgood.metrics.text import Format
from lastgood.web import words
from tests.metrics.expectation import Samples, key, parsed

_ROW = re.compile(r'<tbody class="is-(\w+)">(.*?)</tbody>', re.S)
_TIME = re.compile(r'<time datetime="([^"]+)"')


@dataclass
class Look:
    """One look at all faces. ``rows`` are those of the first page, in its order."""

    samples: Samples
    rows: dict[str, dict[str, Any]]
    sources: dict[str, dict[str, Any]]
    hosts: dict[str, dict[str, Any]]
    repositories: dict[str, dict[str, Any]]
    alerts: list[dict[str, Any]]
    fleet: dict[str, Any]
    verdict: str
    """The state in which the first page speaks."""
    sentence: str = field(default="")

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples.get(key(name, labels))

    def of(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """All samples of a name that carry these labels."""
        wanted = set(labels.items())
        return [
            (dict(told), value) for (other, told), value in self.samples.items() if other == name and wanted <= told
        ]

    def one(self, name: str, **labels: str) -> float | None:
        """The value of the only sample with these labels; None if there is none."""
        found = self.of(name, **labels)
        assert len(found) < 2, found
        return found[0][1] if found else None


async def look(browser: httpx.AsyncClient, scraper: httpx.AsyncClient) -> Look:
    """Ask every face; nothing may happen in between."""
    metrics = await scraper.get("/metrics?vocabulary=rm&vocabulary=backup")
    assert metrics.status_code == 200, metrics.text
    page = await browser.get("/")
    assert page.status_code == 200, page.text
    verdict = re.search(r'class="verdict is-(\w+)".*?<h1>(.*?)</h1>', page.text, re.S)
    return Look(
        samples=parsed(_without_histogram(metrics.content), Format.TEXT),
        rows=dict(map(_row, _ROW.findall(page.text))),
        sources=await _items(browser, "sources"),
        hosts=await _items(browser, "hosts"),
        repositories=await _items(browser, "repositories"),
        alerts=list((await _items(browser, "alerts")).values()),
        fleet=(await browser.get("/api/v1/fleet")).json(),
        verdict=verdict[1] if verdict else "",
        sentence=html.unescape(verdict[2]).replace("\u00a0", " ") if verdict else "",
    )


def _without_histogram(body: bytes) -> bytes:
    """Its rows are of no source and no host, and reading them takes longer than all others together."""
    return b"".join(line for line in body.splitlines(keepends=True) if b"rm_job_duration_seconds" not in line)


async def _items(browser: httpx.AsyncClient, noun: str) -> dict[str, dict[str, Any]]:
    answer = await browser.get(f"/api/v1/{noun}", params={"limit": 1000})
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert len({item["id"] for item in items}) == len(items)
    return {item["id"]: item for item in items}


def _row(found: tuple[str, str]) -> tuple[str, dict[str, Any]]:
    state, text = found
    cells = dict(re.findall(r'<td class="[^"]*" data-label="([^"]+)">(.*?)</td>', text, re.S))
    name = re.search(r'href="/sources/([^"]+)"><bdi>(.*?)</bdi>', text)
    reason = re.search(r'<span class="reason"><bdi>(.*?)</bdi>', text, re.S)
    assert name is not None
    assert reason is not None
    return name[1], {
        "state": state,
        "name": html.unescape(name[2]),
        "reason": html.unescape(reason[1]),
        "running": 'class="pill is-running"' in text,
        "last_good_at": _moment(cells["Last good"]),
        "size": cells["Size"],
        "snapshots": cells["Snapshots"],
        "next_run_at": _moment(cells["Next run"]),
    }


def row_of(source: dict[str, Any]) -> dict[str, Any]:
    """The row that the first page must show for what the API says of a source."""
    return {
        "state": source["state"],
        "name": source["name"],
        "reason": source["reason"],
        "running": source["running"],
        "last_good_at": instant(source["last_good_at"]),
        "size": words.size(source["size_bytes"]),
        "snapshots": words.number(source["snapshots"]),
        "next_run_at": instant(source["next_run_at"]),
    }


def samples_of(source: dict[str, Any]) -> dict[str, float | None]:
    """The ``backup_*`` samples, by name, that the metrics page must have for what the API says of a source."""
    attempt = source["last_attempt_outcome"]
    return {
        "backup_source_info": 1,
        "backup_source_state": 1,
        "backup_source_running": source["running"],
        "backup_last_good_timestamp_seconds": seconds(source["last_good_at"]),
        "backup_last_good_start_timestamp_seconds": seconds(source["last_good_started_at"]),
        "backup_last_attempt_timestamp_seconds": seconds(source["last_attempt_at"]),
        "backup_last_size_bytes": source["size_bytes"],
        "backup_last_added_bytes": source["added_bytes"],
        "backup_snapshots": source["snapshots"],
        "backup_expected_runs_total": source["expected_runs"],
        "backup_good_runs_total": source["good_runs"],
        "backup_due_timestamp_seconds": None if source["archived"] else seconds(source["due_at"]),
        **({"backup_last_attempt_success": None} if attempt is None else {}),
        **({"backup_last_attempt_success": 0} if attempt in ("failed", "lost") else {}),
        **({"backup_last_attempt_success": source["accept_partial"]} if attempt == "partial" else {}),
    }


def seconds(text: str | None) -> float | None:
    """A moment of the API as the metrics page says it."""
    moment = instant(text)
    return None if moment is None else floor(moment.timestamp())


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _moment(cell: str) -> datetime | None:
    found = _TIME.search(cell)
    return instant(found[1]) if found else None

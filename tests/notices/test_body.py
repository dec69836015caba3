"""The bodies of notices: a documented, versioned JSON that no name can break, and words for people."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given

from lastgood.model.alert import Severity
from lastgood.model.channel import Channel, ChannelKind, Event, Gathered
from lastgood.notices import body
from lastgood.notices.change import STORM, Change, Told, fold
from tests.builders import NOW, an_id
from tests.facts import TEXT

ID = an_id("notice")
CHANNEL = Channel(
    id=an_id("channel"),
    name="ops",
    kind=ChannelKind.WEBHOOK,
    severity=Severity.INFO,
    shown="https://hooks.example/…",
    created_at=NOW,
    created_by="ann",
)
CHANGE = Change(
    event=Event.OPENED,
    alert_id=an_id("alert"),
    rule="backup_failed",
    entity_kind="source",
    entity_id=an_id("source"),
    severity=Severity.CRITICAL,
    message="home on web-1: the last backup failed.",
    host_id=an_id("host"),
    opened_at=NOW,
    at=NOW,
)
HUB = "https://backup.example.org"


def told(change: Change, hub: str | None = HUB) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(body.of_change(ID, CHANNEL, change, hub))
    return said


def digest(open_: int, **counts: int) -> dict[str, Any]:
    some = [replace(CHANGE, alert_id=an_id("alert", number)) for number in range(min(open_, body.LISTED))]
    severities = {Severity.CRITICAL: open_, Severity.WARNING: 0}
    text = body.of_digest(
        ID,
        CHANNEL,
        NOW,
        HUB,
        reason=Gathered.STORM,
        opened=counts.get("opened", 0),
        resolved=counts.get("resolved", 0),
        severities=severities,
        worst=some,
    )
    said: dict[str, Any] = json.loads(text)
    return said


def test_an_open_alert_is_told_with_its_words_and_its_page() -> None:
    said = told(CHANGE)
    assert said["title"] == "lastgood: critical alert open"
    assert said["text"] == f"{CHANGE.message}\n{HUB}/sources/{CHANGE.entity_id}"
    assert said["alert"]["url"] == f"{HUB}/sources/{CHANGE.entity_id}"
    assert said["created_at"] == "2026-03-14T12:00:00Z"
    assert told(CHANGE, None)["alert"]["url"] is None


def test_a_resolved_one_says_why_and_a_woken_one_that_its_snooze_is_over() -> None:
    resolved = told(replace(CHANGE, event=Event.RESOLVED, reason="The condition is over."))
    assert resolved["title"] == "lastgood: critical alert resolved"
    assert "Resolved: The condition is over." in resolved["text"]
    assert (resolved["alert"]["resolved_at"], resolved["alert"]["reason"]) == (
        "2026-03-14T12:00:00Z",
        "The condition is over.",
    )
    woken = told(replace(CHANGE, snooze_over=True))
    assert woken["title"] == "lastgood: critical alert still open"
    assert "Its snooze is over." in woken["text"]


def test_a_digest_counts_everything_and_lists_the_worst() -> None:
    said = digest(130, opened=140, resolved=10)
    assert said["title"] == "lastgood: 130 open alerts"
    assert (said["digest"]["open"], len(said["digest"]["alerts"]), said["digest"]["omitted"]) == (130, 100, 30)
    lines = said["text"].split("\n")
    assert lines[0] == "Much happened at once: 140 opened and 10 were resolved."
    assert lines[1] == "Open now: 130 critical."
    assert len([line for line in lines if line.startswith("- ")]) == body.READ
    assert "and 120 more" in lines
    assert digest(0, resolved=3)["title"] == "lastgood: nothing is open"


@given(TEXT, TEXT, TEXT)
def test_no_name_breaks_a_body_or_a_line(message: str, name: str, reason: str) -> None:
    change = replace(CHANGE, event=Event.RESOLVED, message=message, reason=reason, entity_id=name)
    text = body.of_change(ID, replace(CHANNEL, name=name), change, HUB)
    text.encode()
    said = json.loads(text)
    assert all(one.isprintable() for one in said["alert"]["message"] + said["channel"]["name"])
    assert said["text"].count("\n") <= 2
    assert body.read(text).id == ID


def test_more_than_a_storm_is_folded_and_what_gathers_takes_all() -> None:
    assert fold(STORM, 0, gathers=False) is Told.EACH
    assert fold(1, STORM - 1, gathers=False) is Told.EACH
    assert fold(1, STORM, gathers=False) is Told.DIGEST
    assert fold(STORM + 1, 0, gathers=False) is Told.DIGEST
    assert fold(1, 0, gathers=True) is Told.JOINED


def test_the_page_about_notices_names_every_field_of_the_body() -> None:
    page = (Path(__file__).parents[2] / "docs" / "notices.md").read_text()
    named = set(re.findall(r"^\| `([\w.]+)` \|", page, re.M))
    said, many = told(CHANGE), digest(1)["digest"]
    fields = set(said) | {f"alert.{name}" for name in said["alert"]} | {f"digest.{name}" for name in many}
    fields |= {f"channel.{name}" for name in said["channel"]}
    assert fields - {"alert", "digest", "channel"} <= named

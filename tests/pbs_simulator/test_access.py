"""Who may see what, and the literal words in which PBS refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from . import DISABLED, EXPIRED, FULL, MONITOR, OWN, SIZES, TOKEN_ONLY, Setting, Simulator, Version
from .acl import Access, Entry, Token
from .asking import Answer, answer, ask, connected, received, request, store_path

ERRORS = json.loads((Path(__file__).parent.parent / "recordings" / "pbs" / "errors.json").read_text())["cases"]


@pytest.fixture(scope="module")
def pbs() -> Iterator[Simulator]:
    with Simulator(Setting(size=SIZES["states"])) as pbs:
        yield pbs


def shown(pbs: Simulator, authorization: str) -> int:
    with connected(pbs) as tls:
        tls.sendall(request(pbs, "version", None, authorization=authorization, connection="close"))
        return answer(received(tls)).status


def test_a_blank_may_stand_for_the_first_equals_sign_and_the_secret_is_percent_decoded(pbs: Simulator) -> None:
    secret = pbs.secret()
    assert shown(pbs, f"PBSAPIToken={MONITOR}:{secret}") == 200
    assert shown(pbs, f"PBSAPIToken {MONITOR}:{secret}") == 200
    assert shown(pbs, f"PBSAPIToken={MONITOR}:%{ord(secret[0]):02X}{secret[1:]}") == 200


def test_other_forms_and_other_tokens_are_unauthorized(pbs: Simulator) -> None:
    for wrong in (
        f"PBSAPIToken={MONITOR}={pbs.secret()}",
        f"PVEAPIToken={MONITOR}:{pbs.secret()}",
        f"PBSAPIToken={MONITOR}:{pbs.secret()}x",
        pbs.authorization(DISABLED),
        pbs.authorization(EXPIRED),
        "",
    ):
        assert shown(pbs, wrong) == 401, wrong


def test_ping_needs_no_token(pbs: Simulator) -> None:
    assert ask(pbs, "ping", None).data == {"pong": True}


def test_a_token_whose_user_has_no_rights_sees_nothing(pbs: Simulator) -> None:
    assert ask(pbs, "version", TOKEN_ONLY).status == 200
    assert ask(pbs, "admin/datastore", TOKEN_ONLY).data == []
    assert ask(pbs, "nodes/localhost/status", TOKEN_ONLY).status == 403
    assert ask(pbs, "access/permissions", TOKEN_ONLY).data == {}


def test_a_missing_right_often_makes_a_shorter_list_and_no_error(pbs: Simulator) -> None:
    for path in ("admin/sync?sync-direction=all", "tape/drive", "tape/media/list", "tape/changer", "admin/gc"):
        everything, less = ask(pbs, path, FULL).data, ask(pbs, path, OWN)
        assert everything
        assert (less.status, less.data) == (200, [])


def test_who_may_only_back_up_sees_only_own_groups(pbs: Simulator) -> None:
    owners = {row.get("owner") for row in ask(pbs, "admin/datastore/main/groups", OWN).data}
    assert owners == {OWN}
    assert len({row.get("owner") for row in ask(pbs, "admin/datastore/main/groups", FULL).data}) > 1


def test_permissions_tell_what_is_held_on_which_path(pbs: Simulator) -> None:
    held = ask(pbs, "access/permissions").data
    assert held["/"] == {"Datastore.Audit": True, "Sys.Audit": True}
    assert held["/remote"]["Remote.Audit"] is True
    assert "/datastore/tenant-x" not in held
    assert "/datastore/tenant-b/a/b/c/d/e/f/g" in held


def test_every_state_of_a_store_shows_as_it_does_on_pbs(pbs: Simulator) -> None:
    listed = {row["store"]: row for row in ask(pbs, "admin/datastore").data}
    usage = {row["store"]: row for row in ask(pbs, "status/datastore-usage").data}
    seen = {"main", "offsite", "usb-dock", "usb-rotate", "archive", "migrated", "tenant-b"}
    assert listed.keys() == usage.keys() == seen
    assert listed["offsite"]["backend-type"] == "s3"
    assert listed["usb-dock"]["mount-status"] == "mounted"
    assert usage["usb-rotate"].keys() == {"store", "mount-status", "backend-type"}
    assert listed["archive"]["maintenance"] == 'type=offline,message="replacing disk 3"'
    assert "total" not in usage["archive"]
    assert "total" in usage["migrated"]
    assert usage["tenant-b"].keys() == {"store", "mount-status", "backend-type"}
    assert ask(pbs, "admin/datastore/tenant-b/status").data["total"] == 0
    assert [row["ns"] for row in ask(pbs, "admin/datastore/tenant-b/namespace").data] == ["a/b/c/d/e/f/g"]
    assert ask(pbs, store_path("tenant-b", "groups", ns="a/b/c/d/e/f/g")).data
    assert "total" not in {row["store"]: row for row in ask(pbs, "admin/gc").data}.get("archive", {})


def test_what_does_not_grow_is_full_never_or_in_the_past(pbs: Simulator) -> None:
    now, told = pbs.truth()["now"], {}
    for row in ask(pbs, "status/datastore-usage").data:
        told[row["store"]] = row.get("estimated-full-date")
    assert told["main"] > now
    assert told["migrated"] == 0
    assert told["usb-dock"] is None


def provoked(pbs: Simulator) -> dict[str, Answer]:
    """An answer for each recorded case, by the beginning of its name."""
    with Simulator(Setting(size=SIZES["states"], version=Version(3, 2, 4))) as old:
        told = {"offline maintenance, 3.2": ask(old, "admin/datastore/archive/groups")}
        told["unknown API path"] = ask(old, "status/metrics", FULL)
    told |= {
        "no credentials": ask(pbs, "version", None),
        "endpoint with a static privilege": ask(pbs, "nodes/localhost/certificates/info"),
        "groups/snapshots of a namespace": ask(pbs, "admin/datastore/tenant-b/groups?ns=a"),
        "namespace list with no visible": ask(pbs, "admin/datastore/tenant-x/namespace"),
        "unknown datastore": ask(pbs, "admin/datastore/nope/groups"),
        "offline maintenance, 3.3": ask(pbs, "admin/datastore/archive/groups"),
        "removable, not mounted": ask(pbs, "admin/datastore/usb-rotate/snapshots"),
        "namespace does not exist": ask(pbs, "admin/datastore/main/groups?ns=gone"),
        "group named in the query": ask(pbs, "admin/datastore/main/snapshots?backup-type=vm&backup-id=1"),
        "unknown query parameter": ask(pbs, "version?failed=1"),
        "path plus query longer": ask(pbs, "version?" + "x" * 3072),
    }
    for case, store, mode in (
        ("being deleted", "main", "delete"),
        ("being unmounted", "usb-dock", "unmount"),
        ("S3 cache refresh", "offsite", "s3-refresh"),
    ):
        pbs.happen("maintenance", store=store, mode=mode)
        told[case] = ask(pbs, f"admin/datastore/{store}/groups")
        pbs.happen("maintenance", store=store, mode=None)
    return told


def test_every_recorded_error_is_said_word_by_word(pbs: Simulator) -> None:
    told = provoked(pbs)
    names = {"old": "main", "usb-rotate": "usb-dock"}
    for case in ERRORS:
        if case["status"] == 301:
            continue  # not under TLS: tests of the port itself
        found = [given for start, given in told.items() if case["case"].startswith(start)]
        assert len(found) == 1, case["case"]
        body = case["body"]
        if "being" in case["case"]:
            for recorded, ours in names.items():
                body = body.replace(f"'{recorded}'", f"'{ours}'")
        body = body.replace("/datastore/main/tenant-x", "/datastore/tenant-b/a")
        assert (found[0].status, found[0].text) == (case["status"], body), case["case"]
        assert found[0].headers.get("content-type") == case["content_type"], case["case"]


def test_refusals_take_as_long_as_they_do_on_pbs() -> None:
    with Simulator(auth_delay_scale=0.1) as pbs:
        for target, token, least in (("version", None, 0.3), ("nodes/localhost/certificates/info", MONITOR, 0.05)):
            began = time.monotonic()
            assert ask(pbs, target, token).status in (401, 403)
            assert time.monotonic() - began >= least


def test_a_revoked_token_and_a_changed_acl_count_at_once() -> None:
    with Simulator() as pbs:
        assert ask(pbs, "nodes/localhost/status").status == 200
        for who in ("monitor@pbs", MONITOR):
            pbs.happen("acl", path="/", who=who, role="Audit", remove=True)
        assert ask(pbs, "nodes/localhost/status").status == 403
        pbs.happen("revoke-token", token=MONITOR)
        assert ask(pbs, "version").status == 401
        assert pbs.stats()["unauthorized"] == 1
        assert pbs.stats()["forbidden"] == 1


def access(*entries: tuple[str, str, str, bool]) -> Access:
    return Access([Token("u@pbs!t", "s")], [Entry(*entry) for entry in entries])


@pytest.mark.parametrize(
    ("entries", "path", "held"),
    [
        ([("/", "u@pbs", "Audit", True)], "/datastore/a", {}),
        ([("/", "u@pbs!t", "Audit", True)], "/datastore/a", {}),
        (
            [("/", "u@pbs", "Audit", True), ("/datastore/a", "u@pbs!t", "DatastoreAdmin", True)],
            "/datastore/a",
            {"Datastore.Audit": True},
        ),
        (
            [("/", "u@pbs", "Admin", True), ("/datastore", "u@pbs!t", "DatastoreAudit", False)],
            "/datastore/a",
            {},
        ),
        (
            [
                ("/", "u@pbs", "Admin", True),
                ("/", "u@pbs!t", "Admin", True),
                ("/remote", "u@pbs!t", "NoAccess", True),
            ],
            "/remote/dr",
            {},
        ),
    ],
)
def test_effective_rights_are_those_of_token_and_user_both(entries: Any, path: str, held: dict[str, bool]) -> None:
    assert access(*entries).privileges("u@pbs!t", path) == held

"""What each release has and has not: fields, parameters, words, framing."""

from __future__ import annotations

import socket

import pytest

from . import FULL, KNOWN, SIZES, Setting, Simulator, Version
from .asking import ask, connected, is_zlib, received, request, session, unchunked, until_up


def test_versions_compare_with_their_release() -> None:
    assert Version.parse("4.0.16") < Version.parse("4.0.17") < Version.parse("4.1.8")
    assert Version.parse("4.2.3").has("task-endtime")
    for wrong in ("4.1", "2.4.1", "four"):
        with pytest.raises(ValueError, match="no version this simulator can be"):
            Version.parse(wrong)


@pytest.mark.parametrize("text", KNOWN)
def test_each_release_serves_its_own_fields_and_parameters(text: str) -> None:
    version = Version.parse(text)
    with Simulator(Setting(size=SIZES["states"], version=version)) as pbs, session(pbs, FULL) as get:
        told = get("version").data
        assert f"{told['version']}.{told['release']}" == text

        usage = {row["store"]: row for row in get("status/datastore-usage").data}
        assert ("mount-status" in usage["main"]) is (version >= (3, 2, 12))
        assert ("backend-type" in usage["main"]) is (version >= (4, 1, 6))
        assert ("cache-stats" in usage["main"]["gc-status"]) is (version >= (4, 0, 2))
        assert ("total" in usage["usb-rotate"]) is (version < (3, 2, 12))
        assert ("is unavailable:" in usage["archive"]["error"]) is (version >= (3, 2, 13))

        assert get("status/metrics").status == (200 if version >= (3, 2, 8) else 404)
        assert get("nodes/localhost/identity").status == (200 if version >= (4, 1, 10) else 404)
        assert ("s3-statistics" in get("admin/datastore/offsite/status").data) is (version >= (4, 1, 6))

        directed = get("admin/sync?sync-direction=all")
        assert directed.status == (200 if version >= (3, 2, 13) else 400)
        plain = {row["id"] for row in get("admin/sync").data}
        assert "s-push-off" not in plain
        if directed.status == 200:
            assert {row["id"] for row in directed.data} == plain | {"s-push-off"}
        assert any("read-threads" in row for row in get("admin/verify").data) is (version >= (4, 0, 20))

        memory = get("nodes/localhost/status").data["memory"]
        assert (memory["used"] + memory["free"] == memory["total"]) is (version < (3, 4, 0))


@pytest.mark.parametrize(("text", "cheap"), [("4.0.16", False), ("4.1.8", True)])
def test_groups_list_empty_ones_and_finished_backups_from_4_0_17_on(text: str, cheap: bool) -> None:
    with Simulator(Setting(size=SIZES["medium"], version=Version.parse(text))) as pbs, session(pbs, FULL) as get:
        rows, truth = {}, {}
        for group in pbs.truth()["groups"]:
            truth[group["store"], group["ns"], group["type"], group["id"]] = group
        for store in ("main", "offsite"):
            for ns in ("", "prod", "prod/cluster1", "lab"):
                for row in get(f"admin/datastore/{store}/groups?ns={ns}").data:
                    rows[store, ns, row["backup-type"], row["backup-id"]] = row
        empty = [row for row in rows.values() if row["backup-count"] == 0]
        assert bool(empty) is cheap
        assert all(row["last-backup"] == 0 for row in empty)
        uploads = [key for key in rows if truth[key]["unfinished"] and truth[key]["finished"]]
        assert len(uploads) == 3
        misled = [key for key in uploads if rows[key]["last-backup"] == truth[key]["unfinished"]]
        assert bool(misled) is not cheap
        only = [key for key in rows if truth[key]["unfinished"] and not truth[key]["finished"]]
        assert [rows[key]["last-backup"] for key in only] == [truth[key]["unfinished"] for key in only]
        assert len(only) == 1


@pytest.mark.parametrize(("text", "zlib_framing"), [("3.2.4", False), ("3.4.2", True)])
def test_deflate_is_raw_before_zlib_framing_came(text: str, zlib_framing: bool) -> None:
    with Simulator(Setting(version=Version.parse(text))) as pbs, connected(pbs) as tls:
        right = ask(pbs, "admin/datastore/main/snapshots").body
        target = "admin/datastore/main/snapshots"
        tls.sendall(request(pbs, target, connection="close", accept_encoding="gzip, deflate"))
        head, _, body = received(tls).partition(b"\r\n\r\n")
        assert b"content-encoding: deflate" in head
        packed = unchunked(body)
        assert is_zlib(packed) is zlib_framing
        assert len(packed) < len(right) / 5
        assert ask(pbs, target, accept_encoding="deflate").body == right
        assert "content-encoding" not in ask(pbs, target, accept_encoding="gzip, br").headers


def test_an_upgrade_refuses_connections_and_comes_back_as_the_new_version() -> None:
    with Simulator(Setting(version=Version(4, 0, 16))) as pbs:
        assert ask(pbs, "version").data["release"] == "16"
        pbs.happen("upgrade", version="4.2.3", down_s=1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", pbs.port), timeout=10)
        until_up(pbs)
        assert ask(pbs, "version").data["version"] == "4.2"

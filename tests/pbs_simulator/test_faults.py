"""Every fault rule, seen from a bare TLS socket."""

from __future__ import annotations

import json
import os
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from . import Simulator
from .asking import answer, ask, connected, received, request, session
from .faults import Faults, pattern
from .refusal import Mistake

GROUPS = "admin/datastore/main/groups"


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator() as pbs:
        yield pbs


@pytest.fixture
def pbs(server: Simulator) -> Simulator:
    server.reset()
    return server


def spoil(pbs: Simulator, do: dict[str, Any], path: str = "/api2/json/admin/datastore/*/groups", **when: Any) -> None:
    pbs.faults({"match": {"path": path}, "when": when, "do": do})


def raw(pbs: Simulator, target: str = GROUPS, **headers: str) -> bytes:
    with connected(pbs) as tls:
        tls.sendall(request(pbs, target, connection="close", **headers))
        return received(tls)


@pytest.mark.parametrize("code", [401, 403, 500, 502, 200])
def test_status_sends_any_code_and_text(pbs: Simulator, code: int) -> None:
    spoil(pbs, {"status": code, "body": "<html>Bad Gateway</html>"})
    told = ask(pbs, GROUPS)
    assert (told.status, told.text) == (code, "<html>Bad Gateway</html>")
    assert told.headers["content-type"] == "text/html"
    assert ask(pbs, "version").status == 200


def test_hang_sends_nothing_at_all(pbs: Simulator) -> None:
    spoil(pbs, {"hang": 30})
    with connected(pbs) as tls:
        tls.sendall(request(pbs, GROUPS))
        tls.settimeout(0.3)
        with pytest.raises(TimeoutError):
            tls.recv(1)


def test_hang_ends_by_itself(pbs: Simulator) -> None:
    spoil(pbs, {"hang": 0.2})
    assert raw(pbs) == b""


def test_hang_in_the_body_sends_the_headers_only(pbs: Simulator) -> None:
    spoil(pbs, {"hang": 30, "where": "body"})
    with connected(pbs) as tls:
        tls.sendall(request(pbs, GROUPS))
        got = tls.recv(4096)
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert got.endswith(b"\r\n\r\n")
        tls.settimeout(0.3)
        with pytest.raises(TimeoutError):
            tls.recv(1)


def test_drip_is_correct_but_slow(pbs: Simulator) -> None:
    right = ask(pbs, "version").body
    spoil(pbs, {"drip": len(right) * 2}, path="/api2/json/version")
    began = time.monotonic()
    assert ask(pbs, "version").body == right
    assert time.monotonic() - began > 0.4


def test_truncate_declares_the_whole_length(pbs: Simulator) -> None:
    whole = len(ask(pbs, GROUPS).body)
    spoil(pbs, {"truncate": 0.5})
    head, _, body = raw(pbs).partition(b"\r\n\r\n")
    assert f"content-length: {whole}".encode() in head
    assert len(body) == whole // 2


def test_truncated_chunks_lack_the_end_marker(pbs: Simulator) -> None:
    spoil(pbs, {"truncate": 0.5, "chunked": True})
    got = raw(pbs)
    assert b"transfer-encoding: chunked" in got
    with pytest.raises(AssertionError, match="no end marker"):
        answer(got)


@pytest.mark.parametrize("after", [0, 100])
def test_reset_is_a_reset_and_no_goodbye(pbs: Simulator, after: int) -> None:
    spoil(pbs, {"reset": after})
    with connected(pbs) as tls:
        tls.sendall(request(pbs, GROUPS))
        # Below TLS, which takes a reset for an end.
        with socket.socket(fileno=os.dup(tls.fileno())) as below, pytest.raises(ConnectionResetError):
            below.settimeout(10)
            while below.recv(4096):
                pass
            pytest.fail("the connection was closed in order")


def test_corrupt_json_is_none(pbs: Simulator) -> None:
    spoil(pbs, {"corrupt": "json"})
    with pytest.raises(json.JSONDecodeError):
        _ = ask(pbs, GROUPS).told


def test_corrupt_fields_have_wrong_types_nulls_and_huge_numbers(pbs: Simulator) -> None:
    spoil(pbs, {"corrupt": "type", "key": "last-backup"})
    assert {row["last-backup"] for row in ask(pbs, GROUPS).data} == {"not a number"}
    spoil(pbs, {"corrupt": "type"})
    assert all(isinstance(row["backup-type"], list) for row in ask(pbs, GROUPS).data)
    spoil(pbs, {"corrupt": "null", "key": "backup-id"})
    assert {row["backup-id"] for row in ask(pbs, GROUPS).data} == {None}
    spoil(pbs, {"corrupt": "huge"})
    assert {row["backup-count"] for row in ask(pbs, GROUPS).data} == {1e30}


def test_an_error_is_no_json_to_corrupt(pbs: Simulator) -> None:
    spoil(pbs, {"corrupt": "null"})
    assert ask(pbs, "admin/datastore/nope/groups").text == "no such datastore 'nope'"


def test_corrupt_rows_come_twice(pbs: Simulator) -> None:
    right = ask(pbs, GROUPS).data
    spoil(pbs, {"corrupt": "duplicate"})
    assert ask(pbs, GROUPS).data == right + right


def test_oversize_goes_on_and_on(pbs: Simulator) -> None:
    spoil(pbs, {"oversize": 1000})
    with connected(pbs) as tls:
        tls.sendall(request(pbs, GROUPS))
        got = 0
        while got < 5_000_000:
            part = tls.recv(1 << 16)
            assert part, "it ended"
            got += len(part)


def test_oversize_deflated_is_a_bomb(pbs: Simulator) -> None:
    spoil(pbs, {"oversize": 20})
    body = raw(pbs, accept_encoding="deflate").partition(b"\r\n\r\n")[2]
    packed = b"".join(_chunks(body))
    inflated = len(zlib.decompressobj().decompress(packed))
    assert inflated > 15_000_000
    assert inflated / len(packed) > 500


def _chunks(body: bytes) -> Iterator[bytes]:
    while body:
        size, _, body = body.partition(b"\r\n")
        yield body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]


def test_delay_is_one_slow_answer(pbs: Simulator) -> None:
    spoil(pbs, {"delay": 300}, times=1)
    began = time.monotonic()
    assert ask(pbs, GROUPS).status == 200
    assert time.monotonic() - began >= 0.3
    assert ask(pbs, GROUPS).status == 200


def test_close_idle_drops_the_connection_after_a_correct_answer(pbs: Simulator) -> None:
    spoil(pbs, {"close_idle": True}, path="/api2/json/version")
    with connected(pbs) as tls:
        tls.sendall(request(pbs, "version"))
        told = answer(received(tls))
    assert told.status == 200
    assert "connection" not in told.headers


def test_a_rule_hits_from_the_nth_on_and_so_many_times(pbs: Simulator) -> None:
    spoil(pbs, {"status": 500}, nth=2, times=2)
    assert [ask(pbs, GROUPS).status for _ in range(5)] == [200, 500, 500, 200, 200]


def test_the_first_rule_that_is_due_wins(pbs: Simulator) -> None:
    late = {"match": {"path": "/api2/json/version"}, "when": {"after_s": 60}, "do": {"status": 599}}
    query = {"match": {"path": "**/groups", "query": {"ns": "prod"}}, "do": {"status": 501}}
    pbs.faults(late, query, {"do": {"status": 503}})
    assert ask(pbs, "version").status == 503
    assert ask(pbs, f"{GROUPS}?ns=prod").status == 501
    assert ask(pbs, GROUPS).status == 503
    pbs.faults()
    assert ask(pbs, GROUPS).status == 200


def test_probability_is_drawn_from_the_seed() -> None:
    def hits(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.replace([{"when": {"probability": 0.5}, "do": {"status": 500}}])
        return [faults.pick("/x", "") is not None for _ in range(100)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert 30 < sum(hits(1)) < 70


def test_one_spoilt_connection_leaves_the_others_alone(pbs: Simulator) -> None:
    spoil(pbs, {"hang": 30}, times=1)
    with connected(pbs) as tls, session(pbs) as get:
        tls.sendall(request(pbs, GROUPS))
        assert get("version").status == 200
        assert get("nodes/localhost/status").status == 200


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "a JSON list"),
        ([{"do": {"explode": 1}}], "no fault is called 'explode'"),
        ([{"match": {"url": "x"}, "do": {"status": 1}}], "match has no 'url'"),
        ([{"do": {"truncate": 2}}], "from 0 to below 1"),
        ([{"do": {"corrupt": "all"}}], "nothing is corrupted as 'all'"),
        ([{"do": {"status": "x"}}], "say a number"),
        ([{"do": None}], "do is None"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_in_one_sentence(rules: Any, said: str) -> None:
    with pytest.raises(Mistake, match=said):
        Faults(1).replace(rules)


def test_one_star_stays_within_a_step_of_the_path() -> None:
    assert pattern("/a/*/c").fullmatch("/a/b/c")
    assert not pattern("/a/*").fullmatch("/a/b/c")
    assert pattern("/a/**").fullmatch("/a/b/c")

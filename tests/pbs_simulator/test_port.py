"""The TLS port itself: certificate, redirect of plain HTTP, odd requests, keep-alive, pace, statistics."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import threading
import time
import urllib.request

import pytest

from . import Latency, Setting, Simulator
from .asking import answer, ask, connected, received, request, session


def said(pbs: Simulator, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", pbs.port), timeout=10) as plain:
        plain.sendall(text.encode())
        return b"".join(iter(lambda: plain.recv(4096), b""))


def test_the_pin_is_the_digest_of_the_certificate_and_the_node_tells_it() -> None:
    with Simulator() as pbs, connected(pbs) as tls:
        shown = tls.getpeercert(binary_form=True)
        assert shown is not None
        digest = hashlib.sha256(shown).hexdigest()
        assert pbs.pin == ":".join(digest[at : at + 2] for at in range(0, 64, 2))
        assert ask(pbs, "nodes/localhost/status").data["info"]["fingerprint"] == pbs.pin
        told = tls.getpeercert()
        assert told is not None
        assert told["notAfter"] == "Jul  2 00:00:00 3024 GMT"
        assert ("DNS", "pbs-a.example.lan") in told["subjectAltName"]


@pytest.mark.parametrize(
    ("setting", "why"),
    [(Setting(expired=True), "certificate has expired"), (Setting(wrong_name=True), "Hostname mismatch")],
)
def test_a_certificate_can_be_wrong(setting: Setting, why: str) -> None:
    with Simulator(setting) as pbs, pytest.raises(ssl.SSLCertVerificationError, match=why):
        ask(pbs, "version")


def test_plain_http_is_sent_to_https_without_its_path() -> None:
    with Simulator() as pbs:
        told = said(pbs, "GET /api2/json/version HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").decode()
        assert told.startswith("HTTP/1.1 301 ")
        assert f"location: https://127.0.0.1:{pbs.port}\r\n" in told
        assert ask(pbs, "/", None).text.startswith("<!DOCTYPE html>")
        assert pbs.stats()["plain_http"] == 1


def test_noise_ends_its_own_connection_only() -> None:
    with Simulator() as pbs:
        assert said(pbs, "\x16\x03\x01\x00\x02hello, I am no TLS" * 20) is not None
        for noise in (b"hello\r\n\r\n", b"\r\n\r\n", b"GET /" + b"x" * 100_000):
            with connected(pbs) as tls:
                tls.sendall(noise)
                assert received(tls) == b""
        assert ask(pbs, "version").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "PATCH"])
def test_only_get_is_served(method: str) -> None:
    with Simulator() as pbs, connected(pbs) as tls:
        text = request(pbs, "version", connection="close", content_length="2").decode().replace("GET", method, 1)
        tls.sendall(text.encode() + b"{}")
        assert answer(received(tls)).status in (400, 405)


def test_many_requests_travel_over_one_connection() -> None:
    with Simulator() as pbs:
        with session(pbs) as get:
            for _ in range(20):
                assert get("version").status == 200
        told = pbs.stats()
        assert (told["connections"], told["handshakes"]) == (1, 1)
        assert told["requests"] == {"version": 20}
        assert [call["target"] for call in told["calls"]] == ["/api2/json/version"] * 20


def test_statistics_tell_bytes_raw_and_deflated() -> None:
    with Simulator() as pbs:
        ask(pbs, "admin/datastore/main/snapshots", accept_encoding="deflate")
        told = pbs.stats()
        assert 0 < told["bytes_deflated"] < told["bytes_raw"] / 5


def test_costs_come_before_the_first_byte() -> None:
    with Simulator(latency=Latency.on_disk("hdd", latency_ms=50)) as pbs, connected(pbs) as tls:
        rows = len(ask(pbs, "admin/datastore/main/snapshots").data)
        began = time.monotonic()
        tls.sendall(request(pbs, "admin/datastore/main/snapshots"))
        tls.recv(1)
        assert time.monotonic() - began >= 0.05 + rows * 600e-6


def test_a_busy_server_lets_requests_wait() -> None:
    with Simulator(latency=Latency(latency_ms=100, at_once=1)) as pbs:
        began = time.monotonic()
        threads = [threading.Thread(target=ask, args=(pbs, "version")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began >= 0.4
        assert pbs.stats()["max_in_flight"] > 1


def test_bandwidth_is_limited_where_asked_for() -> None:
    with Simulator(latency=Latency(bandwidth_kbps=800)) as pbs:
        began = time.monotonic()
        size = len(ask(pbs, "admin/datastore/main/snapshots").body)
        assert time.monotonic() - began >= size * 8 / 800_000 * 0.9


def test_several_servers_live_in_one_process() -> None:
    with Simulator(Setting(seed=1)) as one, Simulator(Setting(seed=2)) as other:
        one.happen("create-store", store="only-here")
        assert len(ask(one, "admin/datastore").data) == 3
        assert len(ask(other, "admin/datastore").data) == 2
        assert one.port != other.port


async def test_the_control_port_answers_plain_http() -> None:
    with Simulator() as pbs:
        url = f"http://127.0.0.1:{pbs.told['control_port']}"

        def post(path: str, body: object) -> tuple[int, dict[str, object]]:
            try:
                with urllib.request.urlopen(url + path, json.dumps(body).encode()) as response:
                    return response.status, json.loads(response.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read())

        with await asyncio.to_thread(urllib.request.urlopen, f"{url}/truth") as response:
            assert json.loads(response.read()) == pbs.truth()
        assert post("/clock", {"advance_s": 60}) == (200, {"now": pbs.setting.now + 60, "speed": 0.0})
        assert post("/faults", [{"do": {"status": 500}}])[0] == 200
        assert ask(pbs, "version").status == 500
        assert post("/reset", None)[0] == 200
        assert ask(pbs, "version").status == 200
        for path, body in (("/clock", {"year": 1}), ("/events", {}), ("/nowhere", None)):
            status, told = post(path, body)
            assert status == 400
            assert isinstance(told["error"], str)

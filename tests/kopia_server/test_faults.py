"""Every fault of the simulated server strikes as told."""

from __future__ import annotations

import http.client
import socket
import time

import pytest

from .asking import ask
from .faults import KINDS
from .simulator import KopiaServer

SOURCES = "/api/v1/control/sources"


def test_answers_that_are_none() -> None:
    with KopiaServer() as server:
        server.faults({"kind": "status", "code": 500})
        assert ask(server, SOURCES).status == 500
        server.faults({"kind": "denied"})
        assert (ask(server, SOURCES).status, ask(server, SOURCES).told["code"]) == (403, "ACCESS_DENIED")
        server.faults({"kind": "html"})
        page = ask(server, SOURCES)
        assert (page.status, page.headers["content-type"], page.text[:9]) == (
            200,
            "text/html; charset=utf-8",
            "<!DOCTYPE",
        )
        server.faults({"kind": "garbage", "times": 1})
        with pytest.raises(UnicodeDecodeError):
            ask(server, SOURCES)
        assert ask(server, SOURCES).status == 200


def test_a_body_is_cut_by_a_reset() -> None:
    with KopiaServer() as server:
        server.faults({"kind": "reset", "after": 900, "path": SOURCES})
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            ask(server, SOURCES)
        assert ask(server, "/api/v1/control/status").status == 200


@pytest.mark.parametrize("kind", ["hang", "accept"])
def test_an_answer_that_never_comes_and_a_connection_that_only_opens(kind: str) -> None:
    with KopiaServer() as server:
        server.faults({"kind": kind})
        with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as plain:
            plain.sendall(f"GET {SOURCES} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            with pytest.raises(TimeoutError):
                plain.recv(1)


def test_a_slow_body_comes_in_pieces() -> None:
    with KopiaServer() as server:
        server.faults({"kind": "slow", "rate": 2000})
        began = time.monotonic()
        assert ask(server, "/api/v1/control/status").status == 200
        assert time.monotonic() - began > 0.2


def test_faults_clocks_and_events_that_make_no_sense_are_refused() -> None:
    with KopiaServer() as server:
        with pytest.raises(ValueError, match="there is no fault 'gnaw'"):
            server.faults({"kind": "gnaw"})
        with pytest.raises(ValueError, match="there is no event 'fly'"):
            server.happen("fly")
        with pytest.raises(ValueError, match="there is no source 'a@b:/c'"):
            server.happen("begin", source="a@b:/c")
        with pytest.raises(ValueError, match="unexpected keyword"):
            server.happen("refresh", hard=True)
        port = http.client.HTTPConnection("127.0.0.1", server.told["control_port"])
        port.request("POST", "/clock", b'{"back": 1}')
        assert port.getresponse().status == 400
        port.close()
    assert len(KINDS) == 8

"""Who may ask the simulated server what, and with which cookies."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import subprocess
import sys

import pytest

from .asking import Session, ask
from .settings import Settings
from .simulator import KopiaServer

STATUS = "/api/v1/control/status"


def test_the_control_user_asks_without_a_token_and_nobody_else_does() -> None:
    with KopiaServer() as server:
        assert ask(server, STATUS).status == 200
        stranger, wrong = ask(server, STATUS, Authorization=""), ask(server, STATUS, "server-control2")
        other = ask(server, STATUS, "kopia")
    assert (stranger.status, stranger.text) == (401, "Missing credentials.\n\n")
    assert (wrong.status, wrong.text) == (401, "Access denied.\n\n")
    assert stranger.headers["www-authenticate"] == 'Basic realm="Kopia"'
    assert (other.status, other.told["code"]) == (403, "ACCESS_DENIED")
    assert {one.headers["content-type"] for one in (stranger, wrong, other)} == {"text/plain; charset=utf-8"}


def test_the_ui_needs_its_token_even_to_read_and_loses_it_at_a_restart() -> None:
    with KopiaServer() as server:
        bare = ask(server, "/api/v1/sources", "kopia")
        session = Session(server)
        before = session.ask("/api/v1/sources")
        server.happen("restart")
        after = session.ask("/api/v1/sources")
        again = Session(server).ask("/api/v1/sources")
    assert (bare.status, bare.text) == (401, "Invalid or missing CSRF token.\n\n")
    assert (before.status, after.status, again.status) == (200, 401, 200)


def test_the_short_cookie_spares_a_password_check_for_a_minute() -> None:
    with KopiaServer() as server:
        first = ask(server, STATUS)
        cookie = f"Kopia-Auth={first.cookies['Kopia-Auth']}"
        assert ask(server, STATUS, Cookie=cookie).cookies == {}
        assert server.stats()["password_checks"] == 1
        assert ask(server, STATUS, "kopia", Cookie=cookie).status == 403  # it is another user's
        server.advance(61)
        assert ask(server, STATUS, Cookie=cookie).status == 200
        assert server.stats()["password_checks"] == 3


def test_tls_shows_the_fingerprint_that_was_told_and_nothing_below_1_3() -> None:
    with KopiaServer(Settings(tls=True)) as server, KopiaServer(Settings(tls=True, serial=2)) as other:
        assert ask(server, STATUS).status == 200
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", server.port)))
        assert hashlib.sha256(der).hexdigest() == server.fingerprint != other.fingerprint
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode, old.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            pytest.raises(ssl.SSLError),
            old.wrap_socket(plain),
        ):
            pass


def test_what_a_monitor_must_not_ask_is_404_and_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="must not ask"), KopiaServer() as server:
        assert ask(server, "/api/v1/control/shutdown", method="POST").status == 403
        assert Session(server).ask("/api/v1/restore", "POST").status == 404
        assert server.stats()["violations"] == ["POST /api/v1/control/shutdown", "POST /api/v1/restore"]


def test_with_the_ui_off_its_paths_are_404_and_control_stays() -> None:
    with KopiaServer(Settings(ui=False)) as server:
        assert ask(server, "/api/v1/sources", "kopia").status == 404
        assert ask(server, "/", "kopia").status == 404
        assert ask(server, STATUS).status == 200


def test_the_program_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "tests.kopia_server", "--tls"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        told = json.loads(process.stdout.readline())
        assert process.stderr.readline() == f"SERVER CERT SHA256: {told['fingerprint']}\n"
        with socket.create_connection(("127.0.0.1", told["port"])):
            process.terminate()
    assert process.returncode == 0

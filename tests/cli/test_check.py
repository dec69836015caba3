"""``lastgood healthz`` asks whatever the settings say the hub listens on."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lastgood.clock import now
from tests.flow.hub import lastgood


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/-/ready" else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def ready(certificate: tuple[Path, Path] | None = None) -> Iterator[int]:
    """The port of a server that is ready."""
    server = HTTPServer(("127.0.0.1", 0), _Ready)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def a_certificate(folder: Path) -> tuple[Path, Path]:
    """One that names the hub as people call it, and nobody vouches for."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    began = now() - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=9))
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert_file, key_file


def test_a_hub_that_speaks_tls_itself_was_never_healthy(tmp_path: Path) -> None:
    cert, key = a_certificate(tmp_path)
    with ready((cert, key)) as port:
        env = {
            "LASTGOOD_SERVER__LISTEN": f":{port}",
            "LASTGOOD_SERVER__TLS_CERT": str(cert),
            "LASTGOOD_SERVER__TLS_KEY": str(key),
        }
        ended = lastgood("healthz", env=env)
    assert (ended.returncode, ended.stdout) == (0, "ready\n"), ended.stderr


def test_a_proxy_of_the_environment_stood_between_the_check_and_its_own_hub(tmp_path: Path) -> None:
    with ready() as port:
        ended = lastgood(
            "healthz", env={"LASTGOOD_SERVER__LISTEN": f"127.0.0.1:{port}", "HTTP_PROXY": "http://127.0.0.1:1"}
        )
    assert ended.returncode == 0, ended.stderr


def test_an_address_that_is_none_is_one_sentence() -> None:
    ended = lastgood("healthz", "http://[")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr

"""The webhook's connection: to the address that was checked, under the name that was asked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lastgood.clock import now
from lastgood.errors import ConfigError, DeliveryError
from lastgood.notify.reach import Reach
from lastgood.notify.threads import Threads
from lastgood.notify.webhook import Webhook, check_url, shown_url
from tests.builders import NOW
from tests.notify.receiver import Receiver

HERE = (ip_network("127.0.0.0/8"), ip_network("::1"))


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's side of TLS whose certificate, its own authority, is for this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    at = now()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@asynccontextmanager
async def secure(folder: Path, name: str, asked: Callable[[str | None], None]) -> AsyncIterator[Receiver]:
    receiver, context = Receiver(), certificate(folder, name)
    context.sni_callback = lambda _socket, said, _context: asked(said)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@asynccontextmanager
async def webhook(trusted: ssl.SSLContext | None = None) -> AsyncIterator[Webhook]:
    made = Webhook(Reach(Threads(4), HERE), 5.0, trusted or ssl.create_default_context())
    try:
        yield made
    finally:
        await made.close()


async def test_the_certificate_is_checked_for_the_name_though_the_address_is_connected_to(tmp_path: Path) -> None:
    names: list[str | None] = []
    async with secure(tmp_path, "localhost", names.append) as receiver:
        trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        async with webhook(trusted) as hook:
            receipt = await hook.send(f"https://localhost:{receiver.port}/x", "s", "id", "{}", NOW)
            assert receipt == "200 OK"
            assert names == ["localhost"]
            assert receiver.took[0].headers["host"] == f"localhost:{receiver.port}"
            with pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
                await hook.send(f"https://127.0.0.1:{receiver.port}/x", "s", "id", "{}", NOW)
        async with webhook() as hook:
            with pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
                await hook.send(f"https://localhost:{receiver.port}/x", "s", "id", "{}", NOW)
    assert len(receiver.took) == 1


async def test_of_several_addresses_one_that_answers_is_enough() -> None:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    class Several(Reach):
        """A name with a dead address before the one that lives."""

        async def addresses(self, host: str, port: int) -> list[str]:
            return ["127.0.0.77", *await super().addresses(host, port)]

    made = Webhook(Several(Threads(4), HERE), 5.0, ssl.create_default_context())
    assert await made.send(f"http://localhost:{port}/x", "s", "id", "{}", NOW) == "200 OK"
    await made.close()
    server.close()


async def test_a_name_that_nobody_has_is_told_as_such() -> None:
    async with webhook() as hook:
        with pytest.raises(DeliveryError, match=r"The name nowhere\.invalid cannot be resolved") as caught:
            await hook.send("http://nowhere.invalid/secret", "s", "id", "{}", NOW)
    assert "secret" not in str(caught.value)
    assert not caught.value.permanent


async def test_one_refused_address_refuses_the_name() -> None:
    reach = Reach(Threads(4), (ip_network("::1"),))
    with pytest.raises(DeliveryError, match="this machine itself"):
        await reach.addresses("localhost", 80)
    assert await Reach(Threads(4), HERE).addresses("127.0.0.1", 80) == ["127.0.0.1"]
    for spelled in ("0x7f.1", "2130706433", "127.1", "0177.0.0.1"):
        with pytest.raises(DeliveryError):
            await Reach(Threads(4)).addresses(spelled, 80)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.org/a/b?c=d", "https://hooks.example.org/…"),
        ("http://user:word@10.0.0.7:8080", "http://10.0.0.7:8080"),
        ("http://[fd00::7]:81/x", "http://[fd00::7]:81/…"),
        ("https://bücher.example/x", "https://bücher.example/…"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert shown_url(check_url(url)) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "ftp://x.example",
        "http://",
        "http://:80/",
        "https://a..b/",
        "http://x y/",
        "http://-x/",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        check_url(url)

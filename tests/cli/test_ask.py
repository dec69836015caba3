"""Commands reach the hub of their own machine by its local socket, and say what is wrong where they cannot."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lastgood.cli.ask import Hub, NoSuch, asked_hub
from lastgood.clock import now
from lastgood.config.values import Listen
from lastgood.errors import AccessError, ConfigError, LastgoodError, Unreachable
from lastgood.model.fact import HostEnrolled
from lastgood.store.database import open_database
from lastgood.web.app import create_app
from lastgood.web.local import NAME, LocalDoor, listen_locally
from lastgood.web.server import HubServer, listen_on
from tests.builders import NOW, a_host
from tests.serving import serving
from tests.web.site import TOKEN, Home


@asynccontextmanager
async def hub_in(folder: Path) -> AsyncIterator[Home]:
    folder.mkdir(parents=True, exist_ok=True)
    database = open_database(folder)
    home = Home(database)
    await home.ingest.start()
    await home.know_program()
    server = HubServer(LocalDoor(create_app(home.site)), listen_locally(folder))
    await server.start()
    try:
        yield home
    finally:
        await server.stop()
        await home.ingest.stop()
        await database.close()


async def told(folder: Path, ask: Callable[[Hub], Any]) -> Any:
    def run() -> Any:
        with asked_hub(folder) as hub:
            return ask(hub)

    return await asyncio.to_thread(run)


async def test_the_owner_of_the_data_folder_needs_no_token(tmp_path: Path) -> None:
    async with hub_in(tmp_path / "data"):
        assert (await told(tmp_path / "data", lambda hub: hub.get("/me")))["name"] == "local"
        assert stat.S_IMODE((tmp_path / "data" / NAME).stat().st_mode) == 0o600


async def test_a_socket_that_lies_too_deep_for_its_name_is_reached(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60) / "data"
    async with hub_in(deep):
        assert (await told(deep, lambda hub: hub.get("/me")))["name"] == "local"


async def test_a_list_is_read_to_its_end_and_searched_by_name_and_id(tmp_path: Path) -> None:
    async with hub_in(tmp_path) as home:
        hosts = [a_host(f"Host{number}") for number in range(1, 4)]
        await home.take([HostEnrolled(at=NOW, origin="test", host=one) for one in hosts], "hosts")
        names = [one["name"] for one in await told(tmp_path, lambda hub: list(hub.every("/hosts")))]
        assert sorted(names) == ["Host1", "Host2", "Host3"]
        assert (await told(tmp_path, lambda hub: hub.find("/hosts", "host2", "host")))["id"] == hosts[1].id
        assert (await told(tmp_path, lambda hub: hub.find("/hosts", hosts[2].id, "host")))["name"] == "Host3"
        with pytest.raises(NoSuch, match="no host 'nas'"):
            await told(tmp_path, lambda hub: hub.find("/hosts", "nas", "host"))


async def test_the_hubs_own_sentence_is_what_the_command_says(tmp_path: Path) -> None:
    async with hub_in(tmp_path):
        with pytest.raises(NoSuch, match="No host has this id"):
            await told(tmp_path, lambda hub: hub.get("/hosts/01"))
        with pytest.raises(LastgoodError, match="does not fit"):
            await told(tmp_path, lambda hub: hub.post("/repositories", {"name": 1}))


async def test_the_network_never_carries_the_mark_of_the_local_socket(tmp_path: Path, monkeypatch: Any) -> None:
    async with hub_in(tmp_path) as home, serving(create_app(home.site)) as address:
        monkeypatch.setenv("LASTGOOD_URL", f"http://{address}")
        monkeypatch.setenv("LASTGOOD_TOKEN", "wrong")
        with pytest.raises(AccessError, match="token is not known"):
            await told_elsewhere(lambda hub: hub.get("/me"))
        monkeypatch.setenv("LASTGOOD_TOKEN", TOKEN)
        assert (await told_elsewhere(lambda hub: hub.get("/me")))["name"] == "script"


async def told_elsewhere(ask: Callable[[Hub], Any]) -> Any:
    def run() -> Any:
        with asked_hub() as hub:
            return ask(hub)

    return await asyncio.to_thread(run)


def test_no_hub_on_this_machine_is_one_sentence_with_the_mend(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(ConfigError, match="--data-dir"), asked_hub(tmp_path):
        pass
    monkeypatch.setenv("LASTGOOD_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="LASTGOOD_TOKEN_FILE"), asked_hub():
        pass


# The HTTP library leaves the socket of a refused connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_socket_that_an_ended_hub_left_is_told_as_no_answer(tmp_path: Path) -> None:
    listen_locally(tmp_path).close()
    with asked_hub(tmp_path) as hub, pytest.raises(Unreachable, match="is it running"):
        hub.get("/me")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://hub.example.org", "plain http"),
        ("http://192.0.2.1:8080", "plain http"),
        ("hub.example.org", "https://lastgood"),
        ("ftp://hub.example.org", "https://lastgood"),
        ("https://ann:pw@hub.example.org", "leave it out"),
    ],
)
def test_a_token_is_not_sent_where_it_could_be_read(url: str, sentence: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("LASTGOOD_URL", url)
    monkeypatch.setenv("LASTGOOD_TOKEN", TOKEN)
    with pytest.raises(ConfigError, match=sentence) as fault, asked_hub():
        pass
    assert TOKEN not in str(fault.value)
    assert "pw" not in str(fault.value)


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN[:20] + "0" + TOKEN[21:], TOKEN + "\u00e4", "lg_", "a\tb"])
def test_a_token_that_was_copied_wrong_is_told_before_anybody_is_asked(token: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("LASTGOOD_URL", "https://hub.example.org")
    monkeypatch.setenv("LASTGOOD_TOKEN", token)
    with pytest.raises(ConfigError, match="copied wrong") as fault, asked_hub():
        pass
    assert token not in str(fault.value)


async def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(tmp_path: Path, monkeypatch: Any) -> None:
    async with hub_in(tmp_path / "data") as home:
        certificate, key = a_certificate(tmp_path)
        bound = listen_on(Listen("127.0.0.1", 0))
        server = HubServer(create_app(home.site), bound, certificate, key)
        await server.start()
        monkeypatch.setenv("LASTGOOD_URL", f"https://127.0.0.1:{bound.getsockname()[1]}")
        monkeypatch.setenv("LASTGOOD_TOKEN", TOKEN)
        try:
            with pytest.raises(Unreachable, match="certificate"):
                await told_elsewhere(lambda hub: hub.get("/me"))
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            assert (await told_elsewhere(lambda hub: hub.get("/me")))["name"] == "script"
        finally:
            await server.stop()


def a_certificate(folder: Path) -> tuple[Path, Path]:
    """Of 127.0.0.1, vouched for by itself alone."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    began = now() - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=9))
    named = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(named.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert_file, key_file

"""An agent's way to a hub whose certificate a private authority signed: checked, name included, and told in words."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lastgood.agent import enrol, joining, tls
from lastgood.agent.agent import Agent
from lastgood.agent.enrol import Place
from lastgood.agent.enrolment import read_config
from lastgood.auth.identity import mint_key_pair
from lastgood.config.values import Listen
from lastgood.errors import ConfigError, Unreachable
from lastgood.hub.session import serve
from lastgood.model.fact import HostEnrolled
from lastgood.web.server import HubServer, listen_on
from tests.agent.linked import linked
from tests.builders import NOW
from tests.hub.rig import HOST, HUB_KEYS, Rig
from tests.waiting import until
from tests.web.site import Home, at_home

YEAR = timedelta(days=365)
TODAY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Authority:
    """Somebody who signs certificates; the file holds their own."""

    file: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    def signed(self, folder: Path, host: str = "127.0.0.1", until: timedelta = 50 * YEAR) -> tuple[Path, Path]:
        """Certificate and key of a server at this address."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
        places = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        made = _certificate(name, self.name, key, until).add_extension(places, critical=False)
        cert_file, key_file = folder / f"{host}.pem", folder / f"{host}.key"
        cert_file.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert_file, key_file


def an_authority(folder: Path, called: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    made = _certificate(name, name, key, 50 * YEAR).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    file = folder / f"{called}.pem"
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return Authority(file, key, name)


def _certificate(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY - 30 * YEAR)
        .not_valid_after(TODAY - 20 * YEAR + until)
    )


@contextlib.asynccontextmanager
async def hub_with(home: Home, cert: Path, key: Path) -> AsyncIterator[str]:
    """A real hub with TLS; gives its address without the scheme."""
    bound = listen_on(Listen("127.0.0.1", 0))
    server = HubServer(home.app, bound, cert, key)
    await server.start()
    try:
        yield f"127.0.0.1:{bound.getsockname()[1]}"
    finally:
        await server.stop()


async def redeemed(home: Home, place: Place) -> str:
    code = (await home.enrolment.make_code("ann")).text.reveal()
    made = await asyncio.to_thread(enrol.redeem, place, code, mint_key_pair(), hostname="web-1", name=None)
    return made.name


async def test_a_private_authority_is_trusted_by_its_file_and_by_nothing_else(tmp_path: Path) -> None:
    ours, theirs = an_authority(tmp_path, "ours"), an_authority(tmp_path, "theirs")
    async with at_home(tmp_path / "hub") as home:
        rig = Rig(keys=HUB_KEYS, hosts=home.fleet.hosts)
        home.serve = lambda socket: serve(socket, rig.seams())
        await home.take([HostEnrolled(at=NOW, origin="test", host=replace(HOST, name="linked"))], "enrolled")
        async with hub_with(home, *ours.signed(tmp_path)) as address:
            place = Place(hub_url=f"https://{address}", ca_file=str(ours.file))
            assert await redeemed(home, place) == "web-1"
            for other in (str(theirs.file), None):
                with pytest.raises(Unreachable, match=r"signed by nobody whom this machine trusts.*--ca-file"):
                    await redeemed(home, replace(place, ca_file=other))
            with pytest.raises(Unreachable, match="cannot be asked"):
                await redeemed(home, Place(hub_url=f"http://{address}"))
            await link_up(tmp_path, address, ours, theirs)
            await run_agent(tmp_path, home, rig, place)
        async with hub_with(home, *ours.signed(tmp_path, "127.0.0.2")) as address:
            with pytest.raises(Unreachable, match="is for another name"):
                await redeemed(home, replace(place, hub_url=f"https://{address}"))
        async with hub_with(home, *ours.signed(tmp_path, until=YEAR)) as address:
            with pytest.raises(Unreachable, match="has expired; renew it"):
                await redeemed(home, replace(place, hub_url=f"https://{address}"))


async def link_up(folder: Path, address: str, ours: Authority, theirs: Authority) -> None:
    """The agent's link goes the same way, and says why it does not."""
    url = f"wss://{address}/ws/agent"
    trust = tls.context(str(ours.file))
    async with linked(url, folder, trust=trust) as agent, asyncio.timeout(20):
        await agent.orders.get()
        assert agent.link.is_up
    async with linked(url, folder, trust=tls.context(str(theirs.file))) as agent, asyncio.timeout(20):
        while not agent.link.complaint:
            await asyncio.sleep(0.01)
    assert "signed by nobody whom this machine trusts" in agent.link.complaint


async def run_agent(folder: Path, home: Home, rig: Rig, place: Place) -> None:
    """A whole agent, from its enrolment on, by the configuration that was written for it."""
    join = joining.Join(place=place, config=folder / "agent.toml", data_dir=folder / "var", name="whole")
    code = (await home.enrolment.make_code("ann")).text.reveal()
    made = await asyncio.to_thread(joining.with_code, join, code, joining.prepare(join))
    stop = asyncio.Event()
    running = asyncio.create_task(Agent(read_config(join.config)).run(stop))

    async def connected() -> bool:
        assert not running.done(), running.exception()
        return made.host_id in rig.roster

    try:
        await until(connected, "the agent over TLS")
    finally:
        stop.set()
        await running


async def test_a_hub_without_tls_is_said_to_have_none(tmp_path: Path) -> None:
    async with at_home(tmp_path / "hub") as home:
        bound = listen_on(Listen("127.0.0.1", 0))
        server = HubServer(home.app, bound)
        await server.start()
        try:
            with pytest.raises(Unreachable, match="speaks no TLS"):
                await redeemed(home, Place(hub_url=f"https://127.0.0.1:{bound.getsockname()[1]}"))
        finally:
            await server.stop()


def test_a_file_that_holds_no_authority_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError, match=r"ca\.pem cannot be used: it holds no certificate"):
        tls.context(str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigError, match="No such file"):
        tls.context(str(tmp_path / "none.pem"))

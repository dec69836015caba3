"""Whom we talk to is known before the first byte is said (traps 18 and 21)."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lastgood.errors import ConfigError, Unreachable
from lastgood.tools.http import Http, Patience
from lastgood.tools.tls import Trust, written
from tests.pbs_simulator import Setting, Simulator
from tests.tools.tls_server import Server, listening, saying
from tests.waiting import until

PATIENCE = Patience(10, 10, 10)
OTHER = ":".join(["ab"] * 32)
SECRET = "d3b1c2a0-secret"


async def told(http: Http) -> int:
    answer = await http.get("/x", PATIENCE, 1000, lambda piece: None, asked="pbs-a: x", before=lambda: None)
    return answer.status


def client(url: str, **trust: object) -> Http:
    return Http(url, Trust(**trust), name="pbs-a", headers={"Authorization": f"PBSAPIToken=a@pbs!b:{SECRET}"})  # type: ignore[arg-type]


async def silence(server: Server) -> None:
    """The connection ended, and nothing was said on it. In TLS 1.2 the server has seen a whole handshake by then."""

    async def over() -> bool:
        return server.connections == server.ended

    await until(over, "the end of the connection")
    assert b"".join(server.heard) == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("verify", [True, False])
async def test_not_one_byte_is_said_to_a_server_with_another_certificate(
    version: ssl.TLSVersion, verify: bool
) -> None:
    async with listening(saying(b"{}"), version=version) as server:
        http = client(server.url, fingerprint=OTHER, verify=verify)
        with pytest.raises(Unreachable, match="which is not the pinned one") as error:
            await told(http)
        await http.close()
        await silence(server)
        assert error.value.cause == "certificate"
        assert server.fingerprint in str(error.value)
        assert http.certificate is not None
        assert http.certificate.fingerprint == server.fingerprint
        assert http.received_bytes == 0


async def test_the_server_of_these_tests_does_hear_what_is_said() -> None:
    async with listening(saying(b"{}")) as server:
        http = client(server.url, fingerprint=server.fingerprint)
        assert await told(http) == 200
        await http.close()
        assert SECRET in server.text


@pytest.mark.parametrize("trust", [{}, {"ca_file": True}])
async def test_nothing_is_said_to_a_server_that_no_authority_vouches_for(
    trust: dict[str, bool], tmp_path: Path
) -> None:
    async with listening(saying(b"{}")) as server:
        given = {}
        if trust:
            with Simulator() as other:
                given["ca_file"] = tmp_path / "other.pem"
                given["ca_file"].write_text(other.ca_file.read_text())
        http = client(server.url, **given)
        with pytest.raises(Unreachable, match="is not trusted") as error:
            await told(http)
        await http.close()
        await silence(server)
        assert error.value.cause == "certificate"
        assert "pin the fingerprint" in str(error.value)


async def test_a_file_with_the_servers_own_certificate_is_enough() -> None:
    with Simulator() as pbs:
        http = client(pbs.url, ca_file=pbs.ca_file)
        assert await told(http) == 401
        await http.close()
        assert pbs.stats()["handshakes"] == 1


@pytest.mark.parametrize(
    ("setting", "why"),
    [(Setting(expired=True), "certificate has expired"), (Setting(wrong_name=True), "IP address mismatch")],
)
async def test_expired_and_foreign_certificates_are_refused_by_what_is_wrong(setting: Setting, why: str) -> None:
    with Simulator(setting) as pbs:
        http = client(pbs.url, ca_file=pbs.ca_file)
        with pytest.raises(Unreachable, match=why) as error:
            await told(http)
        await http.close()
        assert error.value.cause == "certificate"
        assert pbs.stats()["requests"] == {}


@pytest.mark.parametrize("setting", [Setting(expired=True), Setting(wrong_name=True)])
async def test_a_pin_decides_alone(setting: Setting) -> None:
    with Simulator(setting) as pbs:
        http = client(pbs.url, fingerprint=pbs.pin.replace(":", "").upper())
        assert await told(http) == 401
        await http.close()


async def test_a_certificate_that_is_renewed_is_refused_until_its_pin_is_set() -> None:
    with Simulator() as pbs:
        http = client(pbs.url, fingerprint=pbs.pin)
        assert await told(http) == 401
        before = http.certificate
        pbs.happen("rotate-certificate")
        await http.close()
        with pytest.raises(Unreachable) as error:
            await told(http)
        await http.close()
        assert http.certificate is not None
        assert http.certificate != before
        assert http.certificate.fingerprint in str(error.value)


@pytest.mark.parametrize(
    "expires_at",
    [
        datetime(2038, 1, 20, tzinfo=UTC),
        datetime(3024, 7, 2, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
async def test_the_handshake_tells_when_a_certificate_ends_however_far_away(expires_at: datetime) -> None:
    async with listening(saying(b"{}"), not_after=expires_at) as server:
        http = client(server.url, verify=False)
        assert http.certificate is None
        assert await told(http) == 200
        await http.close()
        assert http.certificate is not None
        assert http.certificate.expires_at == expires_at
        assert http.certificate.fingerprint == server.fingerprint


async def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "absent.pem"):
        http = client("https://127.0.0.1:1", ca_file=path)
        with pytest.raises(Unreachable, match=str(path)) as error:
            await told(http)
        await http.close()
        assert (error.value.cause, error.value.retry) == ("certificate", False)


async def test_a_server_without_tls_is_told_apart() -> None:
    async with listening(saying(b"{}"), tls=False) as server:
        http = client(server.url, verify=False)
        with pytest.raises(Unreachable, match="does not speak TLS") as error:
            await told(http)
        await http.close()
        assert error.value.cause == "tls"
        assert SECRET not in server.text


@pytest.mark.parametrize(
    "text", [OTHER, OTHER.upper(), OTHER.replace(":", ""), f" sha256:{OTHER} ", OTHER.replace(":", " ")]
)
def test_a_fingerprint_may_be_written_in_several_ways(text: str) -> None:
    assert Trust(fingerprint=text).fingerprint == OTHER


@pytest.mark.parametrize("text", ["", "ab", OTHER[:-1], OTHER + ":ab", OTHER.replace("ab", "xy"), "ab:" * 20])
def test_what_is_no_sha_256_fingerprint_is_refused_with_the_mend(text: str) -> None:
    with pytest.raises(ConfigError, match="32 pairs of hex digits"):
        written(text)


def test_only_switched_off_checking_without_pin_or_file_is_unverified() -> None:
    assert Trust().is_verified
    assert Trust(verify=False, fingerprint=OTHER).is_verified
    assert Trust(verify=False, ca_file=Path("/ca.pem")).is_verified
    assert not Trust(verify=False).is_verified

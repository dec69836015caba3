"""A TLS server that remembers every byte that reached it in clear, and answers as it is told.

For tests of clients that must not say anything before they know whom they talk to. Its certificates are made here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    port: int
    fingerprint: str
    pem: str
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: int = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def text(self) -> str:
        return b"".join(self.heard).decode("latin-1")


@lru_cache
def made(name: str, not_after: datetime) -> tuple[str, str, str]:
    """Key and certificate as PEM, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return private.decode(), pem, certificate.fingerprint(hashes.SHA256()).hex(":")


LATER = datetime(2100, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def listening(
    answer: Answering,
    *,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    not_after: datetime = LATER,
    tls: bool = True,
) -> AsyncIterator[Server]:
    """``answer`` is called once for each request's head; when it returns the next may come on the same connection."""
    key, pem, fingerprint = made("localhost", not_after)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder, "chain.pem")
        chain.write_text(key + pem)
        context.load_cert_chain(chain)

    open_ones: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.connections += 1
        if (task := asyncio.current_task()) is not None:
            open_ones[task] = writer
        with contextlib.suppress(OSError):
            while True:
                piece = await reader.read(65536)
                told.heard.append(piece)
                if not piece:
                    break
                await answer(writer)
        writer.close()
        told.ended += 1

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context if tls else None)
    told = Server(server.sockets[0].getsockname()[1], fingerprint, pem)
    try:
        yield told
    finally:
        server.close()
        for writer in open_ones.values():
            writer.transport.abort()
        await asyncio.gather(*open_ones, return_exceptions=True)


def saying(*pieces: bytes, status: str = "200 OK", headers: str = "", declared: int | None = None) -> Answering:
    """An answer of these pieces; its length is ``declared`` where that is to be wrong."""
    length = sum(len(piece) for piece in pieces) if declared is None else declared

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n".encode())
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer

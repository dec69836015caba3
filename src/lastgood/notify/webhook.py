"""The webhook: one signed POST a notice, to an address that was checked a moment ago.

Comes in: a notice's body. Goes out: the status line as a receipt, or ``DeliveryError``. The one rule: the connection
goes to an address that ``Reach`` gave, under the name that was asked for (Host, SNI and certificate), and a redirect
is not followed. The body is described in ``docs/notices.md``.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from datetime import datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

from lastgood import __version__
from lastgood.errors import ConfigError, DeliveryError
from lastgood.notices.patience import is_permanent, retry_after
from lastgood.notices.signature import signed
from lastgood.notify.reach import Reach

if TYPE_CHECKING:
    import httpx  # a start of the hub does not pay for it

LONGEST_URL = 2000
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
PORTS = {"http": 80, "https": 443}


class Webhook:
    """Sends to any number of addresses; ``close`` it at the end."""

    def __init__(self, reach: Reach, seconds: float, trusted: ssl.SSLContext) -> None:
        import httpx

        self._reach = reach
        self._seconds = seconds
        # No connection is kept: a later name must not travel on an earlier one's.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            verify=trusted, limits=limits, trust_env=False, follow_redirects=False, timeout=seconds
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, url: str, secret: str, notice_id: str, body: str, now: datetime) -> str:
        """The status line of the answer that took it. Raises DeliveryError."""
        import httpx

        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._post(
                    httpx.URL(url), signed(secret, notice_id, body.encode(), now), body.encode()
                )
        except TimeoutError:
            raise DeliveryError(f"There was no answer within {self._seconds:g} seconds.") from None
        receipt = _status_line(answer.status_code)
        if answer.is_success:
            return receipt
        raise DeliveryError(
            f"The receiver answered {receipt}.",
            permanent=is_permanent(answer.status_code),
            retry_after=retry_after(answer.headers.get("retry-after"), now),
            status=receipt,
        )

    async def _post(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> httpx.Response:
        import httpx

        name = url.host
        addresses = await self._reach.addresses(name, url.port or PORTS[url.scheme])
        headers |= {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": f"lastgood/{__version__}",
            "Connection": "close",
        }
        fault: httpx.HTTPError | None = None
        for address in addresses:
            request = self._client.build_request("POST", url.copy_with(host=address), headers=headers, content=body)
            if name != address:
                request.extensions["sni_hostname"] = name
            try:
                answer = await self._client.send(request, stream=True)
            except httpx.ConnectError as error:
                fault = error
                continue
            except httpx.HTTPError as error:
                raise DeliveryError(_words(error)) from error
            await answer.aclose()  # what stands in the body is of no use to us
            return answer
        raise DeliveryError(_words(fault)) from fault


def check_url(text: str) -> str:
    """The address of a webhook as it will be used. Raises ConfigError, without telling the address."""
    import httpx

    try:
        url = httpx.URL(text.strip())
        named = bool(_HOST.fullmatch(url.raw_host.decode("ascii"))) or ip_address(url.host) is not None
        fits = url.scheme in PORTS and named and len(text) <= LONGEST_URL and 0 < (url.port or 1) < 65536
    except (httpx.InvalidURL, ValueError):
        fits = False
    if not fits:
        raise ConfigError("The address of a webhook is like https://example.org/path; write it in full.")
    return str(url)


def shown_url(url: str) -> str:
    """The address without what may be secret: user, path and query."""
    import httpx

    parsed = httpx.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    rest = "/…" if parsed.path not in ("", "/") or parsed.query else ""
    return f"{parsed.scheme}://{host}{port}{rest}"


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _words(error: httpx.HTTPError | None) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "The receiver did not answer in time."
    if isinstance(error, httpx.ConnectError):
        return f"Nobody could be connected to ({error or 'no address answers'})."
    return f"The connection broke before an answer came ({type(error).__name__})."

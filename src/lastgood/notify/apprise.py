"""Every service that Apprise knows: ntfy, mail, chats and a hundred more, each by one address.

Comes in: a service's address and a notice's words. Goes out: a receipt, or ``DeliveryError``. The one rule: Apprise
opens sockets of its own, so the hosts that its address names are checked right before (weaker than what webhooks
get), and nothing of the address stands in what we tell. Follows Apprise 2.2.
"""

from __future__ import annotations

import asyncio
import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lastgood.errors import ConfigError, DeliveryError
from lastgood.notices.patience import is_permanent
from lastgood.notify.reach import Reach
from lastgood.notify.threads import Threads

if TYPE_CHECKING:
    from apprise import AppriseAsset
    from apprise.plugins.base import NotifyBase

LONGEST_URL = 4000
HERE_ONLY = frozenset({"blink1", "dbus", "glib", "gnome", "macosx", "syslog", "windows"})
"""Services that show something on this very machine, where nobody looks."""

READS_FILES = frozenset({"keyfile", "pgpkey", "pgp", "subfile", "template"})
"""Parameters by which an address makes this machine read its own files."""

LOUD = ("apprise", "oauthlib", "requests_oauthlib", "urllib3")
"""Libraries whose log lines hold addresses."""

_PORT = re.compile(r":\d{1,5}$")
_ERROR = re.compile(r"\berror[=: ]+(\d{3})\b", re.I)


class Services:
    """Sends in ``threads``; one that does not come back keeps its thread and nothing else."""

    def __init__(self, reach: Reach, threads: Threads, seconds: float) -> None:
        self._reach = reach
        self._threads = threads
        self._seconds = seconds

    async def send(self, url: str, title: str, text: str) -> str:
        """Who took it. Raises DeliveryError."""
        try:
            async with asyncio.timeout(self._seconds):
                service = await self._threads.run(_service, url)
                for host in _hosts(service):
                    await self._check(host)
                return await self._threads.run(_notify, service, title, text, self._seconds)
        except TimeoutError:
            raise DeliveryError(f"The service did not answer within {self._seconds:g} seconds.") from None
        except ConfigError as error:
            raise DeliveryError(str(error), permanent=True) from error

    async def _check(self, host: str) -> None:
        try:
            await self._reach.addresses(host, 443)
        except DeliveryError as error:
            if not isinstance(error.__cause__, OSError | UnicodeError):
                raise  # else no name: many services keep a token where a host would stand


def check_url(text: str) -> str:
    """The address as it will be used. Raises ConfigError, without telling the address."""
    url = text.strip()
    if not url or len(url) > LONGEST_URL or not url.isprintable():
        raise ConfigError("That is no address of a service; write one as Apprise does, like ntfy://host/topic.")
    _service(url)
    return url


def shown_url(url: str) -> str:
    """Which service it is; everything else of the address may be secret."""
    return f"{_service(url).service_name} ({urlsplit(url).scheme}://…)"


def _service(url: str) -> NotifyBase:
    asset = _asset()
    from apprise import Apprise
    from apprise.plugins import url_to_dict

    # As Apprise itself reads it: it takes blanks off names, and parts them at semicolons and behind a # as well.
    parameters = (url_to_dict(url) or {}).get("qsd") or {}  # type: ignore[no-untyped-call]
    if any(key.strip().lower() in READS_FILES for key in parameters):
        raise ConfigError("The address makes the service read a file of this machine; leave that parameter out.")
    service = Apprise.instantiate(url, asset=asset)
    if service is None:
        raise ConfigError(
            "Apprise cannot read the address; its documentation lists the services and their addresses."
        )
    if any(part in HERE_ONLY for part in type(service).__module__.split(".")):
        raise ConfigError("The address is of a service that shows something on this machine alone; choose another.")
    service.redirects = False  # an address may ask for them; we decide where notices go
    return service


@lru_cache(maxsize=1)
def _asset() -> AppriseAsset:
    """What all services have in common; made once, and before anything else of the library is touched."""
    for name in LOUD:
        library = logging.getLogger(name)
        library.propagate = False  # their lines hold addresses; what matters of them comes with each result
        library.setLevel(logging.WARNING)
    from apprise import AppriseAsset, PersistentStoreMode

    return AppriseAsset(
        storage_mode=PersistentStoreMode.MEMORY,
        http_redirects=False,
        app_id="lastgood",
        app_desc="lastgood",
        app_url="",
    )


def _hosts(service: NotifyBase) -> list[str]:
    """The hosts that the address may lead to."""
    named = [getattr(service, name, None) for name in ("host", "smtp_host")]
    return list(dict.fromkeys(_PORT.sub("", host) for host in named if isinstance(host, str) and host))


def _notify(service: NotifyBase, title: str, text: str, seconds: float) -> str:
    from apprise import Apprise, NotifyFormat

    sender = Apprise(asset=_asset())
    sender.add(service)
    result: Any = sender.notify(body=text, title=title, body_format=NotifyFormat.TEXT, timeout=seconds)
    if result:
        return f"taken by {service.service_name}"
    status = next((int(found[1]) for entry in result.logs() if (found := _ERROR.search(entry.message))), None)
    if status is None:
        raise DeliveryError(f"{service.service_name} could not be reached, or did not take it.")
    raise DeliveryError(
        f"{service.service_name} answered {status}.", permanent=is_permanent(status), status=str(status)
    )

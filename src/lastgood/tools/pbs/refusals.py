"""What a Proxmox Backup Server means by saying no.

Comes in: a status and how the body begins. Goes out: ``Refused`` with one of the words below as its ``cause``, and
what to do about it. The one rule: nearly everything is 400 with a bare sentence under a JSON content type, so the
text decides, never the code alone. Outside format: texts of 3.2 to 4.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lastgood.errors import Refused

UNAUTHORISED = "unauthorised"
FORBIDDEN = "forbidden"
MAINTENANCE = "maintenance"
NOT_MOUNTED = "not_mounted"
NO_SUCH_STORE = "no_such_store"
GONE = "gone"
"""No such namespace, or a group that went while its namespace was listed: one more try tells them apart."""
NOT_FOUND = "not_found"
"""No such path in this release."""
BAD_PARAMETER = "bad_parameter"
TOO_LONG = "too_long"
REDIRECT = "redirect"
HTML = "html"
SERVER_ERROR = "server_error"
OTHER = "refused"


@dataclass(frozen=True, slots=True)
class _Sort:
    cause: str
    mend: str
    retry: bool = True


_UNAUTHORISED = _Sort(
    UNAUTHORISED,
    "check token_id (USER@REALM!NAME) and secret, and that neither token nor user is disabled or expired",
    retry=False,
)
_FORBIDDEN = _Sort(FORBIDDEN, "grant it to the token and to its user, since a token has what both have")
_BY_TEXT = (
    # Maintenance first: what follows it are an operator's own words, which may be any of those below.
    (re.compile(r"datastore '[^']*' is (?:unavailable: |in )"), _Sort(MAINTENANCE, "it answers again after its end")),
    (re.compile(r"datastore '[^']*' is not mounted"), _Sort(NOT_MOUNTED, "plug it in and mount it")),
    (re.compile(r"no such datastore '"), _Sort(NO_SUCH_STORE, "it was removed or renamed")),
    (re.compile(r"parameter verification failed"), _Sort(BAD_PARAMETER, "see whether its release is 3.2 or newer")),
    (re.compile(r"ENOENT|No such file or directory"), _Sort(GONE, "it was removed meanwhile")),
)


def refused(asked: str, status: int, text: str) -> Refused:
    """``asked`` says whom and for what; ``text`` is fit to be shown."""
    sort = _sort(status, text)
    said = f" ({text})" if text and sort.cause is not HTML else ""
    return Refused(f"{asked} was answered {status}{said}; {sort.mend}.", retry=sort.retry, cause=sort.cause)


def _sort(status: int, text: str) -> _Sort:
    if status == 401:
        return _UNAUTHORISED
    if 300 <= status < 400:
        return _Sort(REDIRECT, "set the endpoint to where the server itself is, https and port 8007", retry=False)
    if text.startswith("<"):
        return _Sort(HTML, "see whether a proxy stands before the server, and whether the server behind it runs")
    if status == 403:
        return _FORBIDDEN
    if status == 400:
        for pattern, sort in _BY_TEXT:
            if pattern.search(text):
                return sort
    if status == 404:
        return _Sort(NOT_FOUND, "this release does not have it, or the endpoint is not the server itself")
    if status == 414:
        return _Sort(TOO_LONG, "a name in it is too long for the server")
    if status >= 500:
        return _Sort(SERVER_ERROR, "see the log of proxmox-backup-proxy on the server")
    return _Sort(OTHER, "see the log of proxmox-backup-proxy on the server")

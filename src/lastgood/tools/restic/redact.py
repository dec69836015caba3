"""Takes secrets out of text before it leaves the process.

Log lines, error texts and addresses come in; the same text with ``***`` for every secret goes out. Everything that
this package hands to a caller passes here first: a new field that carries restic's text must too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

MASK = "***"

# A password in an address ends at the last @ before the path; the user name stays readable.
_ADDRESS = re.compile(r"(?P<head>//[^/\s:@\"']*:)(?P<secret>[^/\s\"']+)(?=@)")
_QUERY = re.compile(
    r"(?i)(?P<head>[?&](?:sig|signature|token|password|secret|key|access_token|x-amz-(?:signature|credential"
    r"|security-token))=)(?P<secret>[^&\s\"']+)"
)
_ASSIGNED = re.compile(
    r"(?P<head>\b[A-Z][A-Z0-9_]*(?:PASSWORD|PASSWORD_COMMAND|PASSPHRASE|SECRET|TOKEN|KEY|CREDENTIALS?)=)"
    r"(?P<secret>\"[^\"]*\"|'[^']*'|\S+)"
)
_HEADER = re.compile(r"(?i)(?P<head>(?:\bauthorization:\s*\w+|\bbearer)\s+)(?P<secret>[^\s\"']+)")
_PATTERNS = (_ADDRESS, _QUERY, _ASSIGNED, _HEADER)

# Without slashes restic takes what stands before the first colon for the host; who writes this meant a password.
_SSH_LOGIN = re.compile(r"sftp:[^/:@]+:[^/@]*@[^/]*:")
_LOGIN = re.compile(r"//[^/:@\[]*:(?P<rest>.*)@", re.DOTALL)
_PORT = re.compile(r"\d{1,5}/")
# rclone takes a remote's options within the address.
_OPTION = re.compile(r"(?i)(?:pass|secret|token|key)\w*=[^,\s]")

_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|SAS|AUTH", re.IGNORECASE)
_NO_SECRET_NAME = re.compile(r"_FILE$|_PATH$|^RESTIC_KEY_HINT$|_AUTH_VERSION$|_AUTH_URL$|_SOCK$")
# Shorter values occur inside ordinary words; they are masked only where they stand alone.
_SHORTEST_ANYWHERE = 4
_WORDS = (
    "access already config connection denied does exist failed fatal file forbidden found host key locked network no"
    " open operation or password permission refused repository reset resolving server such timeout unable"
    " unauthorized wrong"
)
_OF_RESTIC = frozenset(_WORDS.split())
"""Words by which restic says what went wrong. Whose password is one of them keeps no secret by masking it, and would
never learn that it is wrong."""


def scrub_addresses(text: str) -> str:
    """``text`` without passwords in addresses, secret query values, assignments and authorisation headers."""
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: f"{found['head']}{MASK}", text)
    return text


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """The values of those variables whose name says that they are secret."""
    return [
        value
        for name, value in environment.items()
        if value and _SECRET_NAME.search(name) and not _NO_SECRET_NAME.search(name)
    ]


def address_passwords(url: str) -> list[str]:
    """The passwords written in a repository address."""
    return [found["secret"] for found in _ADDRESS.finditer(url) if found["secret"] != MASK]


def holds_secret(url: str) -> bool:
    """Whether a repository address carries a password, a token or a key, also one that is written wrongly.

    Stricter than the patterns for whole texts: a password with a slash in it spoils the address, and is one still.
    """
    login = _LOGIN.search(url)
    if _SSH_LOGIN.match(url):
        return True
    if login is not None and not _PORT.match(login["rest"]):
        return True
    return scrub_addresses(url) != url or (not url.startswith("/") and _OPTION.search(url) is not None)


class Redactor:
    """Scrubs a text of known values in every spelling, and of everything that looks like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            # A key of several lines may be quoted line by line.
            for value in (secret, *secret.splitlines()):
                stripped = value.strip()
                spellings |= {value, stripped, unquote(stripped), quote(stripped, safe="")}
        parts = [
            re.escape(value) if len(value) >= _SHORTEST_ANYWHERE else rf"(?<!\w){re.escape(value)}(?!\w)"
            for value in sorted(spellings, key=len, reverse=True)
            if value
            and value != MASK
            and value.casefold() not in _OF_RESTIC
            and not re.fullmatch(r"-----[A-Z ]+-----", value)
        ]
        self._known = re.compile("|".join(parts)) if parts else None

    def __call__(self, text: str) -> str:
        """``text`` with every secret masked."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return scrub_addresses(text)

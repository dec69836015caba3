"""Who may ask what: basic auth, the short cookie that spares a password hash, the session cookie and its token."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

from tests.kopia_fake.moments import MINUTE, SECOND

from .site import Site

SESSION, SHORT = "Kopia-Session-Cookie", "Kopia-Auth"
TOKEN_HEADER = "x-kopia-csrf-token"


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    def cookie(self, name: str) -> str | None:
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return None


@dataclass
class Reply:
    status: int
    body: bytes
    kind: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)


def signed(site: Site, text: str) -> str:
    return hmac.new(site.key, text.encode(), hashlib.sha256).hexdigest()


def plain(status: int, text: str) -> Reply:
    headers = [("X-Content-Type-Options", "nosniff")]
    return Reply(status, text.encode(), "text/plain; charset=utf-8", headers)


def user_of(site: Site, asked: Asked) -> tuple[str, list[tuple[str, str]]] | Reply:
    """The user with cookies to set, or the refusal."""
    kind, _, given = asked.headers.get("authorization", "").partition(" ")
    try:
        user, colon, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        kind, user, colon, password = "", "", "", ""
    if kind.lower() != "basic" or not colon:
        return _unauthorized("Missing credentials.\n\n")
    cookie = asked.cookie(SHORT) or ""
    until, _, signature = cookie.partition(".")
    genuine = until.isdigit() and hmac.compare_digest(signature, signed(site, f"{user} {until}"))
    if genuine and int(until) > site.now // SECOND:
        return user, []
    site.stats.password_checks += 1
    if site.settings.passwords().get(user) != password:
        site.stats.refused += 1
        return _unauthorized("Access denied.\n\n")
    until = str((site.now + MINUTE) // SECOND)
    return user, [("Set-Cookie", f"{SHORT}={until}.{signed(site, f'{user} {until}')}; Path=/")]


def _unauthorized(text: str) -> Reply:
    reply = plain(401, text)
    reply.headers.append(("WWW-Authenticate", 'Basic realm="Kopia"'))
    return reply


def token_is_right(site: Site, asked: Asked) -> bool:
    session = asked.cookie(SESSION)
    return session is not None and hmac.compare_digest(signed(site, session), asked.headers.get(TOKEN_HEADER, ""))


def front_page(site: Site, asked: Asked) -> Reply:
    session, headers = asked.cookie(SESSION), []
    if session is None:
        session = signed(site, f"session {site.stats.password_checks} {len(site.stats.requests)}")[:32]
        headers.append(("Set-Cookie", f"{SESSION}={session}; Path=/"))
    meta = f'<meta name="kopia-csrf-token" content="{signed(site, session)}" />'
    page = f'<!doctype html><html lang="en"><head><title>KopiaUI</title>{meta}</head><body></body></html>'
    return Reply(200, page.encode(), "text/html; charset=utf-8", headers)

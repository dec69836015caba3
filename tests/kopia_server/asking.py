"""A plain client for the doubles' own tests: one request, its status, headers and body."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from dataclasses import dataclass
from typing import Any

from .simulator import KopiaServer


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    text: str

    @property
    def told(self) -> Any:
        return json.loads(self.text)


def ask(server: KopiaServer, path: str, user: str | None = None, method: str = "GET", **headers: str) -> Answer:
    """As the control user unless told otherwise; headers with ``_`` for ``-``."""
    if server.settings.tls:
        context = ssl._create_unverified_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=20, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    given = {"Authorization": server.authorization(user)} | {k.replace("_", "-"): v for k, v in headers.items()}
    try:
        connection.request(method, path, headers={name: value for name, value in given.items() if value})
        answer = connection.getresponse()
        text = answer.read().decode()
        set_cookies = answer.headers.get_all("Set-Cookie") or []
        cookies = dict(one.partition(";")[0].split("=", 1) for one in set_cookies)
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, cookies, text)
    finally:
        connection.close()


class Session:
    """A user of the UI, with cookies and token."""

    def __init__(self, server: KopiaServer) -> None:
        self.server, self.user = server, server.settings.ui_user
        page = ask(server, "/", self.user)
        self.cookies = page.cookies
        found = re.search(r'<meta name="kopia-csrf-token" content="([0-9a-f]{64})" ?/>', page.text)
        assert found, page.text
        self.token = found[1]

    def ask(self, path: str, method: str = "GET") -> Answer:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return ask(self.server, path, self.user, method, Cookie=cookie, X_Kopia_Csrf_Token=self.token)

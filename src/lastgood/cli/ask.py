"""The hub as commands see it: its API, by the local socket or by address and token.

``LASTGOOD_URL`` with ``LASTGOOD_TOKEN`` (or ``LASTGOOD_TOKEN_FILE``) names a hub anywhere; without them the hub of
the data folder on this machine is asked. The one rule: whatever goes wrong becomes one sentence with its mend; a
token never stands in a message, is never an argument, and travels by https or to this machine alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from lastgood.cli.options import load_settings
from lastgood.errors import AccessError, ConfigError, LastgoodError, Unreachable

if TYPE_CHECKING:
    import httpx

SECONDS = 60.0
SOCKET = "hub.sock"
QUICK_START = Path("lastgood-data")
"""Where ``lastgood up`` keeps its data, seen from the folder it was started in."""

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Data folder of the hub on this machine; else LASTGOOD_URL."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NoSuch(LastgoodError):
    """Nothing has this name or id."""


class Hub:
    """One hub's API; a context manager. Paths begin with ``/`` and are below ``/api/v1``."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self._client = client
        self._name = name

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **query: Any) -> Any:
        """The decoded answer of a GET; parameters that are None are left out."""
        return self._ask("GET", path, query={key: value for key, value in query.items() if value is not None})

    def post(self, path: str, body: Any = None) -> Any:
        return self._ask("POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self._ask("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def every(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """All items of a list, page after page."""
        cursor: str | None = None
        while True:
            answer = self.get(path, **query, limit=1000, cursor=cursor)
            yield from answer["items"]
            cursor = answer.get("next_cursor")
            if cursor is None:
                return

    def find(self, path: str, named: str, what: str) -> dict[str, Any]:
        """The item of a list whose id or name this is; a name that several have asks for the id. Raises NoSuch."""
        found = [item for item in self.every(path) if named == item["id"]]
        found = found or [item for item in self.every(path) if item["name"].casefold() == named.casefold()]
        if not found:
            raise NoSuch(f"There is no {what} {named!r}; lastgood {what} list shows them.")
        if len(found) > 1:
            ids = ", ".join(item["id"] for item in found)
            raise NoSuch(f"Several are called {named!r}; say which one by its id: {ids}")
        return found[0]

    def _ask(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        import httpx

        try:
            answer = self._client.request(method, f"/api/v1{path}", json=body, params=query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(
                f"The hub at {self._name} does not answer ({error or type(error).__name__}); is it running?"
            ) from error
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _refusal(answer, self._name)


@contextmanager
def asked_hub(data_dir: Path | None = None, config: Path | None = None) -> Iterator[Hub]:
    """The hub that this command is about. Raises ConfigError if none can be found."""
    import httpx

    from lastgood.config.private import reachable_socket

    url = os.environ.get("LASTGOOD_URL")
    if url and data_dir is None:
        _check_address(url)
        headers = {"Authorization": f"Bearer {_token()}"}
        with Hub(httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=SECONDS), url) as hub:
            yield hub
        return
    path = _socket(data_dir, config)
    with reachable_socket(path) as address:
        transport = httpx.HTTPTransport(uds=address)
        client = httpx.Client(base_url="http://localhost", transport=transport, timeout=SECONDS, trust_env=False)
        with Hub(client, str(path.parent)) as hub:
            yield hub


def _socket(data_dir: Path | None, config: Path | None) -> Path:
    if data_dir is not None:
        folders = [data_dir]
    else:
        folders = [load_settings(config).settings.server.data_dir]
        if not os.environ.get("LASTGOOD_SERVER__DATA_DIR"):
            folders.append(QUICK_START)
    for folder in folders:
        try:
            if (folder / SOCKET).exists():
                return (folder / SOCKET).absolute()
        except PermissionError:
            raise ConfigError(
                f"The data folder {folder} belongs to another user; run this as the user that the hub runs as."
            ) from None
    looked = " and ".join(str(folder) for folder in folders)
    raise ConfigError(
        f"No hub runs on this machine with its data in {looked}; start it, name its folder with --data-dir, or set "
        "LASTGOOD_URL and LASTGOOD_TOKEN for a hub elsewhere."
    )


def _token() -> str:
    from lastgood.auth.tokens import PREFIX, lookup_of

    token, path = os.environ.get("LASTGOOD_TOKEN"), os.environ.get("LASTGOOD_TOKEN_FILE")
    if path:
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"LASTGOOD_TOKEN_FILE {path} cannot be read: {error.strerror}.") from error
    if not token:
        raise ConfigError("LASTGOOD_URL is set but no token; put one into LASTGOOD_TOKEN_FILE or LASTGOOD_TOKEN.")
    if not (token.isascii() and token.isprintable()) or (token.startswith(PREFIX) and lookup_of(token) is None):
        where = "LASTGOOD_TOKEN_FILE" if path else "LASTGOOD_TOKEN"
        raise ConfigError(f"The token in {where} was copied wrong, its checksum does not fit; copy all of it anew.")
    return token


def _check_address(url: str) -> None:
    """Refuse to send a token where whoever listens in between reads it."""
    from lastgood.agent.address import is_loopback

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("LASTGOOD_URL is no address of a hub; write for example https://lastgood.example.org.")
    if parts.username or parts.password:
        raise ConfigError("LASTGOOD_URL holds a name or password; leave it out, the token is enough.")
    if parts.scheme == "http" and not is_loopback(parts.hostname) and os.environ.get("LASTGOOD_INSECURE") != "1":
        raise ConfigError(
            "LASTGOOD_URL is plain http, where the token could be read on its way; use https, or set "
            "LASTGOOD_INSECURE=1 if the network between is yours alone."
        )


def _refusal(answer: httpx.Response, name: str) -> LastgoodError:
    try:
        message = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"The hub at {name} answered {answer.status_code}; is that address a lastgood hub?"
    if answer.status_code == 404:
        return NoSuch(message)
    return (
        AccessError(message, status=answer.status_code)
        if answer.status_code in (401, 403)
        else LastgoodError(message)
    )

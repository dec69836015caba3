"""Where a container engine listens: told by this host's policy, by ``DOCKER_HOST``, by a context, or found.

The agent's environment and home come in, ``Endpoint`` goes out, or None where there is no engine. The one rule:
looking costs a few stats and opens no connection, since most hosts have no engine. Formats: ``DOCKER_HOST`` and
``~/.docker`` as the docker command line has them; sockets of Docker, rootless Docker and Podman.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

_LARGEST = 1024 * 1024
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_PORTS = {False: 2375, True: 2376}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """``socket`` is a path, else ``base`` an address; ``certificates`` is a folder with ca.pem, cert.pem, key.pem.

    ``problem`` is a sentence that says why it cannot be used. ``local``: its paths are paths of this machine.
    """

    url: str
    socket: str | None = None
    base: str = "http://docker"
    certificates: str | None = None
    verify: bool = True
    local: bool = True
    problem: str | None = None


class _Config(msgspec.Struct):
    current_context: str = msgspec.field(default="", name="currentContext")


class _Door(msgspec.Struct):
    host: str = msgspec.field(default="", name="Host")
    skip_verify: bool = msgspec.field(default=False, name="SkipTLSVerify")


class _Context(msgspec.Struct):
    endpoints: dict[str, _Door] = msgspec.field(default_factory=dict, name="Endpoints")


def find(environment: Mapping[str, str], uid: int, told: str | None = None) -> Endpoint | None:
    """The engine to ask: ``told`` if there is one, else as docker's own command line would choose, else a socket."""
    if told:
        return parse(told, environment)
    if host := environment.get("DOCKER_HOST", "").strip():
        return parse(host, environment)
    folder = Path(environment.get("DOCKER_CONFIG") or f"{environment.get('HOME') or '/root'}/.docker")
    name = environment.get("DOCKER_CONTEXT", "").strip() or _current(folder / "config.json")
    if name and name != "default":
        return _of_context(folder, name)
    return next((_unix(path) for path in sockets(environment, uid) if _is_socket(path)), None)


def sockets(environment: Mapping[str, str], uid: int) -> Iterator[str]:
    """Where engines listen unless told otherwise, in the order of choice."""
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    yield "/var/run/docker.sock"
    yield f"{runtime}/docker.sock"
    yield "/run/podman/podman.sock"
    yield f"{runtime}/podman/podman.sock"


def parse(url: str, environment: Mapping[str, str]) -> Endpoint:
    """An address such as ``unix:///var/run/docker.sock`` or ``tcp://host:2376``; a bare path is a socket."""
    if url.startswith("/"):
        return _unix(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Endpoint(url=_shown(url), problem=f"{_shown(url)!r} is no address of an engine; mend it.")
    if parts.scheme == "unix":
        return (
            _unix(parts.path) if parts.path else Endpoint(url=url, problem="unix:// names no socket; add its path.")
        )
    if parts.scheme == "ssh":
        return Endpoint(
            url=_shown(url),
            local=False,
            problem="Engines over ssh are not supported; run an agent on that machine instead.",
        )
    if parts.scheme not in ("tcp", "http", "https") or not host:
        return Endpoint(url=_shown(url), problem=f"{_shown(url)!r} is no address of an engine; mend it.")
    asked = environment.get("DOCKER_TLS_VERIFY", "") != ""
    tls = parts.scheme == "https" or asked or bool(environment.get("DOCKER_CERT_PATH"))
    certificates = environment.get("DOCKER_CERT_PATH") or f"{environment.get('HOME') or '/root'}/.docker"
    name = f"[{host}]" if ":" in host else host
    return Endpoint(
        url=_shown(url),
        base=f"{'https' if tls else 'http'}://{name}:{port or _PORTS[tls]}",
        certificates=certificates if tls else None,
        verify=asked or parts.scheme == "https",
        local=host in _LOOPBACK,
    )


def _of_context(folder: Path, name: str) -> Endpoint:
    digest = hashlib.sha256(name.encode()).hexdigest()
    told = _read(folder / "contexts" / "meta" / digest / "meta.json", _Context)
    door = None if told is None else told.endpoints.get("docker")
    if door is None or not door.host:
        return Endpoint(
            url=f"context {name}", problem=f"The docker context {name!r} cannot be read; mend or leave it."
        )
    certificates = folder / "contexts" / "tls" / digest / "docker"
    if not certificates.is_dir():
        return parse(door.host, {})
    verify = {} if door.skip_verify else {"DOCKER_TLS_VERIFY": "1"}
    return parse(door.host, {"DOCKER_CERT_PATH": str(certificates), **verify})


def _current(path: Path) -> str:
    told = _read(path, _Config)
    return "" if told is None else told.current_context


def _read(path: Path, kind: type[_T]) -> _T | None:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _unix(path: str) -> Endpoint:
    return Endpoint(url=f"unix://{path}", socket=path)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        return False


def _shown(url: str) -> str:
    """The address without what may stand before an @: nobody's password is told."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"[:200]

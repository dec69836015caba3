"""Style sheet, icon and script, served from the package itself; an address carries the content's hash.

The one rule: nothing comes from another server, so that a page works wherever the hub is reached.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from lastgood.errors import AccessError

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    media_type: str
    digest: str


def _load() -> dict[str, Asset]:
    assets = {}
    for entry in files("lastgood.web").joinpath("static").iterdir():
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in _TYPES:
            body = entry.read_bytes()
            assets[entry.name] = Asset(body, _TYPES[suffix], hashlib.sha256(body).hexdigest()[:12])
    return assets


ASSETS = _load()


def address(name: str) -> str:
    """Where the file is, with its hash: another content is another address."""
    return f"/static/{name}?{ASSETS[name].digest}"


@get("/static/{file_name:str}", opt={"public": True}, include_in_schema=False)
async def static_file(file_name: FromPath[str]) -> Response[Any]:
    asset = ASSETS.get(file_name)
    if asset is None:
        raise AccessError("There is no such file.", status=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset.body, media_type=asset.media_type, headers=headers)


ROUTES = (static_file,)

"""``/sd/prometheus``: the hub's own scrape targets, one a shard, as Prometheus' http_sd asks for them.

Comes in: a request through the door of the scrape endpoint. Goes out: JSON. The one rule: addresses come from the
settings, never from what a request says; and shards differ in a real label, since targets that differ in a parameter
alone would share one ``up``. Follows http_sd_config of Prometheus 2.28 and later.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from lastgood.config.values import Url
from lastgood.web.asgi import READ_METHODS, Receive, Scope, Send, answer, refuse_method, say
from lastgood.web.door import REFUSALS, Door

PATH = "/sd/prometheus"


def targets(base_url: Url, shards: int) -> list[dict[str, object]]:
    """What is to be scraped: the hub under its public address, once a shard."""
    place = urlsplit(base_url)
    fixed = {"__scheme__": place.scheme, "__metrics_path__": "/metrics"}
    return [
        {"targets": [place.netloc], "labels": {**fixed, "__param_shard": str(shard), "shard": str(shard)}}
        for shard in range(shards)
    ]


class Targets:
    """The endpoint as an ASGI app."""

    def __init__(self, door: Door, base_url: Url, shards: int) -> None:
        self._door = door
        self._body = msgspec.json.encode(targets(base_url, shards))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await say(scope, send, 404, REFUSALS[404])
            return
        admission = self._door.admit(scope)
        if not admission.granted:
            await self._door.turn_away(scope, send, admission)
        elif scope["method"] not in READ_METHODS:
            await refuse_method(scope, send)
        else:
            headers = [("content-type", "application/json"), ("cache-control", "no-store")]
            await answer(scope, send, 200, headers, self._body)

"""A container engine behind a real agent of a real hub: seen, answered for, excluded, scraped, and gone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lastgood import clock
from tests.docker_engine import Engine, an_engine_on
from tests.flow.hub import Client, Up, lastgood, until, up, value


def told(client: Client, host_id: str) -> dict[str, str]:
    items = client.get("coverage", host_id=host_id)["items"]
    return {one["title"]: one["answer"] for one in items}


def containers(client: Client, host_id: str) -> dict[str, str]:
    answer = client.http.get(f"/api/v1/hosts/{host_id}/containers")
    items: list[dict[str, Any]] = answer.json()["items"] if answer.status_code == 200 else []
    return {one["name"]: one["state"] for one in items}


@pytest.mark.slow
async def test_data_of_containers_is_found_excluded_and_counted(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    async with an_engine_on(tmp_path / "docker.sock") as engine:
        engine.at(clock.now().timestamp())
        mounts = [{"Type": "bind", "Source": str(site), "Destination": "/srv", "RW": True}]
        web = engine.add("web", "shop", mounts=mounts)
        settings = {"DOCKER_HOST": f"unix://{engine.path}"}
        with up(tmp_path / "hub", env=settings) as hub, Client(hub.url) as client:
            await asyncio.to_thread(_as_seen, hub, client, site)
            engine.stop(web)
            host_id = client.get("hosts")["items"][0]["id"]
            await asyncio.to_thread(until, lambda: containers(client, host_id) == {"web": "exited"}, "the stop")
            await asyncio.to_thread(_excluded, hub, client, host_id, site)
            await _gone(engine, client, host_id)


def _as_seen(hub: Up, client: Client, site: Path) -> None:
    client.welcome(hub.said(r"(http://\S+/welcome/\S+)")[1])
    host_id = until(lambda: client.get("hosts")["items"], "the host")[0]["id"]
    until(lambda: containers(client, host_id) == {"web": "running"}, "the container")
    assert told(client, host_id) == {str(site): "never"}
    assert value(client.metrics(hub.data_dir), "backup_uncovered_sources") == 1


def _excluded(hub: Up, client: Client, host_id: str, site: Path) -> None:
    name = client.get(f"hosts/{host_id}")["name"]
    where = ("--data-dir", str(hub.data_dir))
    done = lastgood("coverage", "list", *where)
    assert (done.returncode, str(site) in done.stdout) == (0, True), done.stderr
    reason = ("--reason", "made anew from elsewhere")
    done = lastgood("coverage", "exclude", f"bind:{site}", "--host", name, *reason, *where)
    assert done.returncode == 0, done.stderr
    assert told(client, host_id) == {str(site): "excluded"}
    assert value(client.metrics(hub.data_dir), "backup_uncovered_sources") == 0
    assert (
        "There is none" in lastgood("coverage", "list", *where).stderr + lastgood("coverage", "list", *where).stdout
    )
    done = lastgood("coverage", "include", f"bind:{site}", "--host", name, *where)
    assert done.returncode == 0, done.stderr
    assert told(client, host_id) == {str(site): "never"}


async def _gone(engine: Engine, client: Client, host_id: str) -> None:
    await engine.end()

    def is_down() -> bool:
        return bool(client.get(f"hosts/{host_id}/docker")["state"] == "down")

    await asyncio.to_thread(until, is_down, "the engine's end")
    assert containers(client, host_id) == {"web": "exited"}
    assert client.get(f"hosts/{host_id}/docker")["current"] is False

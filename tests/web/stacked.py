"""A stack that was deployed once, in the home of a test: its text sealed, its deploy ended or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import msgspec

from lastgood.auth.secrets import Sealer, subkey
from lastgood.model.fact import DeployFinished
from lastgood.model.job import Outcome
from lastgood.model.stack import Compose, Deploy, StackAction
from lastgood.service.stacks import PURPOSE, Written
from lastgood.store import stacks
from tests.builders import an_id
from tests.web.site import Home

TEXT = "services:\n  web:\n    image: lg-test/web:1\n"
ENV = "DB_PASSWORD=correct-horse-of-env\n"
DEPLOY = an_id("deploy")


async def stacked(
    home: Home, project: str = "shop", log: str = "Container shop-web-1  Started", **changes: object
) -> str:
    """Answers the host's id."""
    host_id = next(iter(home.fleet.hosts))
    at, key = home.moment - timedelta(hours=1), (host_id, project)
    raw = msgspec.json.encode(Written(text=TEXT, env=ENV))
    sealer = Sealer(subkey(b"s" * 32, PURPOSE))

    def seal(number: int) -> bytes:
        return sealer.seal(f"stack:{host_id}:{project}:{number}", raw)

    await home.database.write(partial(stacks.add_text, key=key, at=at, by="ann", seal=seal, same=None))
    deploy_id = DEPLOY if project == "shop" else an_id("deploy", project)
    asked = partial(stacks.add_asked, deploy_id=deploy_id, key=key, action=StackAction.DEPLOY, at=at, by="ann")
    await home.database.write(partial(asked, text_number=1))
    deploy = Deploy(
        id=deploy_id,
        action=StackAction.DEPLOY,
        outcome=Outcome.SUCCESS,
        host_id=host_id,
        project=project,
        started_at=at,
        ended_at=at + timedelta(seconds=12),
        duration_seconds=12.0,
        text_number=1,
        exit_code=0,
        touched=True,
        compose=Compose.PLUGIN,
        compose_version="2.26.1",
        reason="The stack is up and healthy.",
    )
    await home.keep([DeployFinished(at=at, origin=f"agent:{host_id}", deploy=replace(deploy, **changes))], log)
    return host_id

"""The three requests of machines that the hub does not know yet: use a code, announce oneself, change a key.

Comes in: signed bodies from anybody. Goes out: signed answers. The one rule: these routes are open to the network, so
they are bounded in size and counted an address before anything is looked up, and look at no cookie. Shapes of
``wire/enrolment.py``.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.params import JSONBody

from lastgood.model.audit import ActorKind, Who
from lastgood.web.access import SignInLimits
from lastgood.web.audited import about, name_of
from lastgood.web.faults import TooMany
from lastgood.web.limits import Attempts, address_key
from lastgood.web.session import caller_address, site_of
from lastgood.wire.enrolment import (
    ANNOUNCE_PATH,
    PATH,
    REKEY_PATH,
    Announce,
    Announced,
    Enrolled,
    Redeem,
    Rekey,
    Rekeyed,
)

LARGEST_BODY = 8 * 1024
MACHINES = {"public": True, "signed": True}


@post(
    PATH,
    opt=MACHINES,
    request_max_body_size=LARGEST_BODY,
    status_code=200,
    tags=["enrolment"],
    summary="For agents: use an enrolment code",
)
async def redeem(request: Request[Any, Any, Any], data: JSONBody[Redeem]) -> Enrolled:
    attempts, key = _limits(request).enrolling, address_key(caller_address(request))
    _count(request, attempts, key)
    answer = await site_of(request).enrolment.redeem(data)
    about(request, "host", answer.host_id, answer.name, who=_agent(answer.host_id, answer.name))
    attempts.forgive(key)  # whoever has codes that work is no guesser: a hundred machines may share an address
    return answer


@post(
    ANNOUNCE_PATH,
    opt=MACHINES,
    request_max_body_size=LARGEST_BODY,
    status_code=200,
    tags=["enrolment"],
    summary="For agents: ask to be let in, and how that stands",
)
async def announce(request: Request[Any, Any, Any], data: JSONBody[Announce]) -> Announced:
    site, limits, address = site_of(request), _limits(request), caller_address(request)
    _count(request, limits.asking, address_key(address))
    standing = await site.enrolment.standing(data)
    if standing is not None:
        return standing
    _count(request, limits.announcing, address_key(address))
    answer = await site.enrolment.announce(data, address_key(address) if address is not None else "")
    about(request, "pending_host", answer.pending_id, answer.name, who=_agent("", answer.name))
    return answer


@post(
    REKEY_PATH,
    opt=MACHINES,
    request_max_body_size=LARGEST_BODY,
    status_code=200,
    tags=["enrolment"],
    summary="For agents: change the key",
)
async def rekey(request: Request[Any, Any, Any], data: JSONBody[Rekey]) -> Rekeyed:
    attempts, key = _limits(request).enrolling, address_key(caller_address(request))
    _count(request, attempts, key)
    site = site_of(request)
    answer = await site.enrolment.rekey(data)
    name = name_of("host", data.host_id, site.view())
    about(request, "host", data.host_id, name, who=_agent(data.host_id, name), step=data.step)
    attempts.forgive(key)
    return answer


def _agent(host_id: str, name: str) -> Who:
    return Who(kind=ActorKind.AGENT, id=host_id, name=name)


def _limits(request: Request[Any, Any, Any]) -> SignInLimits:
    limits: SignInLimits = request.app.state.limits
    return limits


def _count(request: Request[Any, Any, Any], attempts: Attempts, key: str) -> None:
    if (wait := attempts.wait(key, site_of(request).now())) is not None:
        raise TooMany(wait)


ROUTES = (redeem, announce, rekey)

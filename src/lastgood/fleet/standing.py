"""How containers and stacks stand, from what was seen of them alone, and how many of a host stand how.

Containers come in, states and sentences go out; ``fleet/docker.py``, pages and metrics ask. The one rule: nothing
here knows a fleet or a clock, so whoever counts may count when something is learned. States by the Docker Engine API
1.41.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lastgood.model.docker import Container, ContainerState, Ending, Health, StackState

_SIGNALLED = frozenset({130, 137, 143})
"""Exit codes of processes that a signal ended: what a stop looks like where nobody saw who asked for it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one host, as last seen. ``containers`` is None where nobody has listed them yet."""

    containers: Mapping[ContainerState, int] | None
    stacks: Mapping[StackState, int]


def by_project(containers: Iterable[Container], failed: Iterable[str]) -> dict[str, list[Container]]:
    """The stacks of a host: projects that have containers, and those whose last deploy ``failed``."""
    projects: dict[str, list[Container]] = {project: [] for project in failed}
    for one in containers:
        if one.project is not None:
            projects.setdefault(one.project, []).append(one)
    return projects


def counts(containers: Collection[Container] | None, failed: Collection[str]) -> Counts:
    projects = by_project(containers or (), failed)
    return Counts(
        containers=None if containers is None else Counter(one.state for one in containers),
        stacks=Counter(stack_state(some, deploy_failed=name in failed)[0] for name, some in projects.items()),
    )


def stack_state(
    containers: Collection[Container], *, deploy_failed: bool = False, expected: Iterable[str] = ()
) -> tuple[StackState, str | None]:
    """The state of a stack and a sentence that says why it is not well. ``expected`` are services it should have."""
    for one in containers:
        wrong = wrong_of(one)
        if wrong is not None:
            return StackState.ERROR, f"{one.name} {wrong}."
    if deploy_failed:
        return StackState.ERROR, "Its last deploy failed."
    absent = sorted(set(expected) - {one.service for one in containers if one.service is not None})
    up = [one for one in containers if one.state in (ContainerState.RUNNING, ContainerState.PAUSED)]
    down = [one for one in containers if one not in up and not is_completed(one)]
    if up and (absent or down):
        names = ", ".join([*absent, *(one.service or one.name for one in down)][:5])
        return StackState.PARTIAL, f"Not running: {names}."
    if up and all(one.state is ContainerState.PAUSED for one in up):
        return StackState.PAUSED, None
    if up or (containers and not down and not absent):
        return StackState.RUNNING, None
    return StackState.STOPPED, None


def is_completed(one: Container) -> bool:
    """Whether it has done its work and is not meant to go on."""
    once = one.restart_policy in ("", "no", "on-failure")
    # A service that somebody stopped may end with 0 as well.
    return one.state is ContainerState.EXITED and one.exit_code == 0 and once and one.ending is not Ending.ASKED


def wrong_of(one: Container) -> str | None:
    """What is wrong with a container, in words that follow its name; None if nothing is."""
    if one.state is ContainerState.DEAD:
        return "is dead, its engine could not remove it"
    if one.state is ContainerState.RESTARTING:
        return "restarts again and again" if one.is_looping else "restarts"
    if one.oom_killed and one.state is ContainerState.EXITED:
        return "ran out of memory"
    if one.is_looping:
        return f"crashed {one.crashes} times lately"
    if one.health is Health.UNHEALTHY and one.state is ContainerState.RUNNING:
        return "is unhealthy"
    if one.state is ContainerState.EXITED and one.exit_code not in (0, None):
        if one.ending in (Ending.ASKED, Ending.ENGINE):
            return None
        if one.ending is Ending.CRASHED or one.exit_code not in _SIGNALLED:
            return f"ended with exit code {one.exit_code}"
    return None

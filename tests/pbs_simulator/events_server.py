"""Events on stores, upkeep, access and the server itself.

`upgrade` only changes the version here; that the server is away for a while is up to who owns the sockets.
"""

from __future__ import annotations

from typing import Any

from .acl import ROLES, Entry
from .events_content import store_of
from .jobs import WORKERS, worker_id
from .model import Collection, Job, Store
from .refusal import Mistake
from .stores import counters
from .tasks import Task
from .versions import Version
from .world import World

Told = dict[str, Any]
MODES = ("offline", "read-only", "delete", "unmount", "s3-refresh")


def maintenance(world: World, told: Told) -> None:
    """``mode`` null ends it."""
    mode = told["mode"]
    if mode is not None and mode not in MODES:
        raise Mistake(f"no maintenance is called {mode!r}; say one of {', '.join(MODES)} or null")
    store_of(world, told).maintenance = None if mode is None else (mode, told.get("message", ""))


def mount(world: World, told: Told) -> None:
    store = store_of(world, told)
    store.removable = store.mounted = True
    _done(world, "mount-device", store.name)


def unmount(world: World, told: Told) -> None:
    store = store_of(world, told)
    store.removable, store.mounted = True, False
    _done(world, "unmount-device", store.name)


def create_store(world: World, told: Told) -> None:
    name = told["store"]
    if name in world.stores:
        raise Mistake(f"there is a store {name!r} already; say another name")
    store = Store(name, "ordinary", None, 1 << 42, 1 << 30, Collection("daily"), namespaces={"": None}, groups={})
    world.stores[name] = store
    _done(world, "create-datastore", name)


def remove_store(world: World, told: Told) -> None:
    name = store_of(world, told).name
    del world.stores[name]
    world.jobs = [job for job in world.jobs if job.store != name]
    _done(world, "delete-datastore", name)


def gc_start(world: World, told: Told) -> None:
    store = store_of(world, told)
    if store.collection.running:
        raise Mistake(f"{store.name} is being collected already; end it with gc-finish or gc-fail")
    store.collection.running = True
    world.tasks.start(world.now, "garbage_collection", store.name, "root@pam")


def gc_finish(world: World, told: Told) -> None:
    store = store_of(world, told)
    task = _gc_ended(world, store, "OK")
    gc = store.collection
    gc.success = counters(store, task.start, world.now % 97) | {"upid": task.upid}
    gc.success_start = task.start


def gc_fail(world: World, told: Told) -> None:
    _gc_ended(world, store_of(world, told), told.get("status", "unable to open chunk store: No such file"))


def _gc_ended(world: World, store: Store, status: str) -> Task:
    gc = store.collection
    running = (task for task in world.tasks.running if task.worker_type == "garbage_collection")
    task = next((task for task in running if task.worker_id == store.name), None)
    if task is None:
        raise Mistake(f"{store.name} is not being collected; start it with gc-start")
    world.tasks.finish(task, world.now, status)
    gc.running, gc.start, gc.end, gc.state = False, task.start, world.now, status
    return task


def job_start(world: World, told: Told) -> None:
    job = _job(world, told)
    task = world.tasks.start(world.now, WORKERS[job.kind], worker_id(job), "root@pam")
    job.upid, job.end, job.state = task.upid, None, None


def job_finish(world: World, told: Told) -> None:
    job = _job(world, told)
    task = next((task for task in world.tasks.running if task.upid == job.upid), None)
    if task is None:
        raise Mistake(f"the job {job.id} does not run; start it with job-start")
    status = told.get("status", "OK")
    world.tasks.finish(task, world.now, status)
    job.end, job.state = world.now, status


def job_run(world: World, told: Told) -> None:
    job_start(world, told)
    job_finish(world, told)


def add_task(world: World, told: Told) -> None:
    task = world.tasks.start(told["start"], told["worker_type"], told.get("worker_id"), told.get("user", "root@pam"))
    if told.get("end") is not None:
        world.tasks.finish(task, told["end"], told.get("status", "OK"))


def revoke_token(world: World, told: Told) -> None:
    if world.access.tokens.pop(told["token"], None) is None:
        raise Mistake(f"there is no token {told['token']!r}; there are {', '.join(world.access.tokens)}")


def change_acl(world: World, told: Told) -> None:
    if told["role"] not in ROLES:
        raise Mistake(f"no role is called {told['role']!r}; say one of {', '.join(ROLES)}")
    entry = Entry(told["path"], told["who"], told["role"], bool(told.get("propagate", True)))
    entries = world.access.entries
    kept = [each for each in entries if (each.path, each.who, each.role) != (entry.path, entry.who, entry.role)]
    world.access.entries = kept if told.get("remove") else [*kept, entry]
    world.access.changed()


def rotate_certificate(world: World, told: Told) -> None:
    world.certificate_serial += 1


def upgrade(world: World, told: Told) -> None:
    try:
        world.version = Version.parse(told["version"])
    except ValueError as error:
        raise Mistake(str(error)) from error


def clock_jump(world: World, told: Told) -> None:
    world.clock.jump(world.clock.exact() + float(told["seconds"]))


def _job(world: World, told: Told) -> Job:
    found = next((job for job in world.jobs if (job.kind, job.id) == (told["job"], told["id"])), None)
    if found is None:
        raise Mistake(f"there is no {told['job']} job {told['id']!r}; /truth lists all jobs")
    return found


def _done(world: World, kind: str, name: str) -> None:
    task = world.tasks.start(world.now, kind, name, "root@pam")
    world.tasks.finish(task, world.now, "OK")

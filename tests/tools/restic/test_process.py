"""A process is seen to its end whatever happens, and leaves nobody behind."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from lastgood.errors import BadPayload, ConfigError
from lastgood.tools.restic import process
from lastgood.tools.restic.process import Ended

ENV = {"PATH": os.environ["PATH"]}
# Says "ready", then reacts to signals as it was told to.
STUBBORN = """
import signal, subprocess, sys
for name in sys.argv[1].split(","):
    if name:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
helper = subprocess.Popen(["sleep", "600"], process_group=0 if "group" in sys.argv[2] else None)
print(helper.pid, flush=True)
if "leave" not in sys.argv[2]:
    signal.pause() if not sys.argv[1] else helper.wait()
"""


class Heard:
    """Collects both streams and wakes a waiter when the first output comes."""

    def __init__(self) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.spoke = asyncio.Event()

    def stdout(self, piece: bytes) -> None:
        self.out += piece
        self.spoke.set()

    def stderr(self, piece: bytes) -> None:
        self.err += piece


async def run(heard: Heard, *argv: str, **fields: object) -> Ended:
    return await process.run(argv, ENV, on_stdout=heard.stdout, on_stderr=heard.stderr, **fields)  # type: ignore[arg-type]


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


def lives(pid: int) -> bool:
    """Whether the process runs; one that only waits to be collected does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def holds(condition: Callable[[], bool], within: float = 10.0) -> bool:
    """Whether ``condition`` comes true before the time is over."""
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.01)
    return True


async def test_both_streams_are_kept_apart_and_the_exit_code_is_told() -> None:
    heard = Heard()
    ended = await run(heard, "/bin/sh", "-c", "echo out; echo err >&2; exit 3")
    assert (bytes(heard.out), bytes(heard.err), ended.exit_code) == (b"out\n", b"err\n", 3)
    assert (ended.stopped, ended.forced) == (None, False)


async def test_one_line_of_many_megabytes_arrives_whole() -> None:
    heard = Heard()
    ended = await run(heard, *python("import sys; sys.stdout.write('x' * 7_300_000)"))
    assert ended.exit_code == 0
    assert len(heard.out) == 7_300_000


async def test_a_prompt_gets_no_answer_and_does_not_hang() -> None:
    heard = Heard()
    ended = await run(heard, "/bin/sh", "-c", "read word; echo $?")
    assert (ended.exit_code, bytes(heard.out)) == (0, b"1\n")


async def test_only_the_given_environment_is_seen() -> None:
    heard = Heard()
    await run(heard, "/usr/bin/env")
    assert [line.split("=")[0] for line in heard.out.decode().split()] == ["PATH"]


async def test_a_death_by_a_foreign_signal_has_the_code_that_a_shell_tells() -> None:
    ended = await run(Heard(), "/bin/sh", "-c", "kill -9 $$")
    assert (ended.exit_code, ended.stopped, ended.forced) == (137, None, False)


async def test_a_deadline_interrupts_first() -> None:
    ended = await run(Heard(), "/bin/sleep", "600", deadline_after=0.5)
    assert (ended.exit_code, ended.stopped, ended.forced) == (130, "deadline", False)
    assert 0.5 <= ended.seconds < 10.0


@pytest.mark.parametrize(
    ("ignored", "exit_code", "forced"), [("", 130, False), ("SIGINT", 143, True), ("SIGINT,SIGTERM", 137, True)]
)
@pytest.mark.parametrize("kind", ["same", "group"])
async def test_a_cancel_goes_as_far_as_it_must_and_takes_helpers_along(
    ignored: str, exit_code: int, forced: bool, kind: str
) -> None:
    heard, cancel = Heard(), asyncio.Event()
    task = asyncio.create_task(run(heard, *python(STUBBORN, ignored, kind), cancel=cancel, grace_seconds=0.3))
    await asyncio.wait_for(heard.spoke.wait(), 10)
    assert lives(int(heard.out))
    cancel.set()
    ended = await asyncio.wait_for(task, 10)
    if not ignored:
        # Python itself turns the interrupt into an exception and dies of the signal.
        assert ended.exit_code in (130, 1)
    else:
        assert ended.exit_code == exit_code
    assert (ended.stopped, ended.forced) == ("cancelled", forced)
    assert await holds(lambda: not lives(int(heard.out)))


async def test_a_cancelled_task_ends_its_process_before_it_ends_itself() -> None:
    heard = Heard()
    task = asyncio.create_task(run(heard, *python(STUBBORN, "SIGINT", "group"), grace_seconds=0.3))
    await asyncio.wait_for(heard.spoke.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert await holds(lambda: not lives(int(heard.out)))


async def test_a_task_that_is_cancelled_twice_kills_at_once() -> None:
    heard = Heard()
    task = asyncio.create_task(run(heard, *python(STUBBORN, "SIGINT,SIGTERM", "group"), grace_seconds=60.0))
    await asyncio.wait_for(heard.spoke.wait(), 10)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert await holds(lambda: not lives(int(heard.out)))


async def test_a_sink_that_fails_ends_the_process_and_is_heard() -> None:
    heard = Heard()

    def fail(piece: bytes) -> None:
        heard.stdout(piece)
        raise BadPayload("too much")

    with pytest.raises(BadPayload, match="too much"):
        await process.run(python(STUBBORN, "", ""), ENV, on_stdout=fail, on_stderr=heard.stderr, grace_seconds=0.3)
    assert await holds(lambda: not lives(int(heard.out)))


async def test_a_helper_that_outlives_the_process_does_not_hold_up_the_result() -> None:
    heard = Heard()
    ended = await asyncio.wait_for(run(heard, *python(STUBBORN, "", "leave,group")), 10)
    assert (ended.exit_code, ended.stopped) == (0, None)
    assert await holds(lambda: not lives(int(heard.out)))


async def test_a_process_that_closes_its_streams_is_still_waited_for() -> None:
    code = "import os, signal, sys\nos.close(1)\nos.close(2)\nsignal.sigtimedwait([], 0.5)\nos._exit(4)"
    ended = await run(Heard(), *python(code))
    assert ended.exit_code == 4


async def test_a_deadline_of_nothing_still_ends_the_process() -> None:
    ended = await run(Heard(), "/bin/sleep", "600", deadline_after=0.0, grace_seconds=0.3)
    assert ended.stopped == "deadline"
    assert ended.exit_code != 0


@pytest.mark.parametrize("kind", ["absent", "not executable", "no program", "a folder"])
async def test_a_program_that_cannot_be_started_is_told_with_the_mend(kind: str, tmp_path: Path) -> None:
    program = tmp_path / "restic"
    if kind == "a folder":
        program.mkdir()
    elif kind != "absent":
        program.write_text("no program at all")
        program.chmod(0o755 if kind == "no program" else 0o644)
    with pytest.raises(ConfigError, match=r"cannot be started: .*apt-get install restic"):
        await run(Heard(), str(program))


def test_it_works_under_uvloop_too() -> None:
    async def both() -> tuple[Ended, Ended, int]:
        heard, cancel = Heard(), asyncio.Event()
        plain = await run(Heard(), "/bin/sh", "-c", "echo out; exit 3")
        task = asyncio.create_task(run(heard, *python(STUBBORN, "SIGINT", "group"), cancel=cancel, grace_seconds=0.3))
        await asyncio.wait_for(heard.spoke.wait(), 10)
        cancel.set()
        ended = await task
        assert await holds(lambda: not lives(int(heard.out)))
        return plain, ended, int(heard.out)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        plain, ended, _ = runner.run(both())
    assert plain.exit_code == 3
    assert (ended.exit_code, ended.stopped) == (143, "cancelled")

"""An agent as a process: configuration in, exit code out.

Called by the command line. 0: it was stopped; 78: it needs an operator (configuration, or a hub that refuses it for
good); 1: something else. The one rule: a stop signal ends it in an orderly way, and a second one changes nothing.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from pathlib import Path

import structlog

from lastgood import logs
from lastgood.agent import policy
from lastgood.agent.agent import Agent
from lastgood.agent.enrolment import AgentConfig, read_config
from lastgood.agent.handshake import HubRefused
from lastgood.errors import ConfigError, LastgoodError

log = structlog.get_logger(__name__)

STOPPED, FAILED, OPERATOR = 0, 1, 78
_PR_SET_PDEATHSIG = 1


def run_agent(config_path: Path, *, parent: int | None = None, log_level: str = "info") -> int:
    """Run the agent of this configuration until it is stopped, or ``parent`` ends; the process's exit code."""
    logs.configure(log_level)
    debug = log_level == "debug"
    try:
        if parent is not None:
            _die_with(parent)
        asyncio.run(_run(read_config(config_path), config_path.absolute().with_name(policy.NAME)))
    except (ConfigError, HubRefused) as error:
        log.error("agent cannot run", reason=str(error), exc_info=debug)
        return OPERATOR
    except (LastgoodError, OSError) as error:
        log.error("agent failed", reason=str(error), exc_info=debug)
        return FAILED
    log.info("agent stopped")
    return STOPPED


async def _run(config: AgentConfig, policy_file: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Agent(config, policy_file=policy_file).run(stop)


def _die_with(parent: int) -> None:
    """Have the kernel send SIGTERM when the process that started us ends, however it ends.

    It may have ended while we were still being loaded; then nobody would tell us any more.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not tell of a parent's end")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)

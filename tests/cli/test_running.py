"""What a hub in the foreground asks of its surroundings."""

from __future__ import annotations

import subprocess
import sys


def test_a_hub_began_with_the_few_open_files_that_a_shell_gives() -> None:
    """Past 1024 connections it took nobody any more."""
    program = (
        "import resource\n"
        "from lastgood.cli.running import OPEN_FILES, raise_file_limit\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))\n"
        "raise_file_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], min(hard, OPEN_FILES))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    got, wanted = map(int, ended.stdout.split())
    assert got == wanted > 256

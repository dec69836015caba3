"""Three hundred thousand manifests leave the fake without being held, and so do two million blobs."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pytest

from .fake import FakeKopia

MANIFESTS = 275_000
SECONDS_OF_CPU_A_MEGABYTE = 1 / 15  # half of what an idle machine gives: other tests run beside
MOST_KB = 200_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "least"), [("snapshot list --all --json", MANIFESTS), ("blob list --json", 2_000_000)]
)
def test_the_largest_lists_are_streamed_and_quick(command: str, least: int, tmp_path: Path) -> None:
    with FakeKopia(tmp_path, size="L") as kopia:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {"KOPIA_CONFIG_PATH": str(kopia.connect()), "KOPIA_PASSWORD": "sesame"}
        lines = much = 0
        with subprocess.Popen([kopia.path, *command.split()], env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while block := process.stdout.read(1 << 20):
                lines, much = lines + block.count(b"\n"), much + len(block)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode == 0
    assert lines > least
    assert after.ru_utime - before.ru_utime < much / 1e6 * SECONDS_OF_CPU_A_MEGABYTE
    assert after.ru_maxrss < max(MOST_KB, before.ru_maxrss + 1)

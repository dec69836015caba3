"""What a terminal shows of a run that is followed."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_host_whose_name_looks_like_markup_does_not_end_the_following_of_its_run() -> None:
    run = {"kind": "backup", "host": r"web\[/x]", "status": "running", "progress": None}
    follow = f"from lastgood.cli.following import _screen\nwith _screen() as screen:\n    screen.show({run!r})\n"
    ours, theirs = os.openpty()
    try:
        done = subprocess.run([sys.executable, "-c", follow], stderr=theirs, stdout=subprocess.PIPE, timeout=30)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, shown
    assert r"backup on web\[/x]: running" in shown

"""The grammar of how tasks end."""

from __future__ import annotations

import pytest

from lastgood.model.pbs import TaskStatus
from lastgood.tools.pbs.status import task_status


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, None),
        ("OK", TaskStatus.OK),
        ("WARNINGS: 2", TaskStatus.WARNINGS),
        ("WARNINGS: 12345", TaskStatus.WARNINGS),
        ("unknown", TaskStatus.UNKNOWN),
        ("backup ended but finish flag is not set.", TaskStatus.ERROR),
        ("sync failed with some errors.", TaskStatus.ERROR),
        ("WARNINGS: many", TaskStatus.ERROR),
        ("WARNINGS: 2\nOK", TaskStatus.ERROR),
        ("ok", TaskStatus.ERROR),
        ("", TaskStatus.ERROR),
        ("x" * 4096, TaskStatus.ERROR),
    ],
)
def test_every_text_has_its_class_though_most_errors_do_not_say_so(
    text: str | None, wanted: TaskStatus | None
) -> None:
    assert task_status(text) is wanted

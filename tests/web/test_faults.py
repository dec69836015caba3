"""What a request ends in that could not be answered: the right status, a sentence, and when to come again."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lastgood.errors import NoRoom, StoreError
from tests.web.site import Home, at_home


async def broken(home: Home, error: StoreError) -> tuple[int, str | None, list[str]]:
    """Status and Retry-After of a request whose write ends in an error; and what was logged."""

    async def take(*_: object) -> None:
        raise error

    object.__setattr__(home.site, "take", take)
    object.__setattr__(home.site, "write", take)
    with capture_logs() as lines:
        answer = await home.program().post("/api/v1/recovery-kit")
    assert answer.json()["error"]["message"] == str(error)
    return answer.status_code, answer.headers.get("Retry-After"), [repr(line) for line in lines]


@pytest.mark.parametrize(("error", "status"), [(NoRoom("It is full."), 507), (StoreError("It is busy."), 503)])
async def test_a_database_that_takes_nothing_says_when_to_come_again(
    tmp_path: Path, error: StoreError, status: int
) -> None:
    async with at_home(tmp_path) as home:
        found, again, [line] = await broken(home, error)
        assert (found, again) == (status, "30")
        assert "exc_info" not in line, "on a full disk one line is enough"


@pytest.mark.parametrize("body", [b"[" * 500_000, b'{"a":' * 150_000, b'{"name": ' + b"[" * 100_000])
async def test_a_body_that_is_nested_without_end_is_refused_like_any_other_that_does_not_fit(
    tmp_path: Path, body: bytes
) -> None:
    async with at_home(tmp_path) as home:
        for path in ("/api/v1/repositories", "/api/v1/sources"):
            answer = await home.program().post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422), answer.text
            assert answer.json()["error"]["message"].endswith(".")

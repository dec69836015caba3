"""What the server means by saying no, by its literal words (traps 2 and 17)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lastgood.tools.http import shown
from lastgood.tools.pbs import refusals
from lastgood.tools.pbs.refusals import refused

RECORDED = json.loads((Path(__file__).parents[2] / "recordings" / "pbs" / "errors.json").read_text())["cases"]
CAUSES = {
    "no credentials, unknown token, wrong secret": "unauthorised",
    "endpoint with a static privilege": "forbidden",
    "groups/snapshots of a namespace without access": "forbidden",
    "namespace list with no visible namespace": "forbidden",
    "unknown datastore": "no_such_store",
    "offline maintenance, 3.2": "maintenance",
    "offline maintenance, 3.3": "maintenance",
    "being deleted": "maintenance",
    "being unmounted": "maintenance",
    "removable, not mounted": "not_mounted",
    "S3 cache refresh running": "maintenance",
    "namespace does not exist": "gone",
    "unknown query parameter": "bad_parameter",
    "unknown API path": "not_found",
    "path plus query longer": "too_long",
    "plain HTTP spoken": "redirect",
}


def test_every_recorded_refusal_has_its_cause() -> None:
    told = {}
    for case in RECORDED:
        if case["status"] == 200:
            continue
        name = next(start for start in CAUSES if case["case"].startswith(start))
        told[name] = refused("pbs-a: version", case["status"], shown(case["body"].encode())).cause
    assert told == CAUSES


@pytest.mark.parametrize(
    ("status", "text", "cause"),
    [
        (400, "datastore 'a' is in datastore is being deleted", "maintenance"),
        (400, "datastore 'a' is unavailable: offline maintenance mode: datastore 'a' is not mounted", "maintenance"),
        (400, "datastore 'a' is unavailable: offline maintenance mode: ENOENT", "maintenance"),
        (400, "unable to read group: No such file or directory (os error 2)", "gone"),
        (400, "Input/output error (os error 5)", "refused"),
        (400, "", "refused"),
        (400, "<html>Bad Request</html>", "html"),
        (403, "<html>Forbidden by the proxy</html>", "html"),
        (404, "Path '/api2/json/status/metrics' not found.", "not_found"),
        (500, "no such datastore 'a'", "server_error"),
        (502, "<html>Bad Gateway</html>", "html"),
        (503, "", "server_error"),
        (405, "method GET not allowed", "refused"),
        (302, "", "redirect"),
    ],
)
def test_the_text_decides_where_the_code_says_nothing(status: int, text: str, cause: str) -> None:
    assert refused("pbs-a: version", status, text).cause == cause


def test_a_token_that_is_refused_is_not_worth_another_try() -> None:
    assert not refused("pbs-a: version", 401, "authentication failed").retry
    assert refused("pbs-a: version", 403, "permission check failed").retry


def test_a_refusal_says_whom_was_asked_for_what_what_came_and_the_mend() -> None:
    text = "permission check failed - missing Datastore.Audit|Datastore.Backup on /datastore/main/x"
    assert str(refused("pbs-a: admin/datastore/main/groups ns=x", 403, text)) == (
        f"pbs-a: admin/datastore/main/groups ns=x was answered 403 ({text}); "
        "grant it to the token and to its user, since a token has what both have."
    )


def test_a_web_page_is_not_shown_in_the_sentence() -> None:
    told = str(refused("pbs-a: version", 502, "<html><body>Bad Gateway</body></html>"))
    assert "<" not in told
    assert "proxy" in told


def test_an_unknown_word_is_never_a_cause() -> None:
    words = {value for name, value in vars(refusals).items() if name.isupper() and isinstance(value, str)}
    assert {refused("x", status, "what nobody has seen").cause for status in range(300, 600)} <= words


def test_what_a_body_begins_with_is_one_short_line_without_control_characters() -> None:
    body = "bell\x07 and escape\x1b[31m\r\nnext line\u2028and \x9bmore\u202e".encode() + b"\xff" + b"x" * 10_000
    told = shown(body)
    assert told.startswith("bell and escape [31m next line and more \ufffdxxx")
    assert len(told) <= 300
    assert told.isprintable()

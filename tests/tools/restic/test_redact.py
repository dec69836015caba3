"""No secret passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.tools.restic.command import Place
from lastgood.tools.restic.redact import Redactor, address_passwords, holds_secret, scrub_addresses, secret_values


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/srv/repo", "/srv/repo"),
        ("sftp:user@host:/srv/repo", "sftp:user@host:/srv/repo"),
        ("sftp://user@[::1]:2222//srv/repo", "sftp://user@[::1]:2222//srv/repo"),
        ("sftp://user:hunter2@[::1]:2222//srv/repo", "sftp://user:***@[::1]:2222//srv/repo"),
        ("rest:https://user:hunter2@host:8000/path/", "rest:https://user:***@host:8000/path/"),
        ("rest:https://user:hun@ter2@host:8000/path/", "rest:https://user:***@host:8000/path/"),
        ("rest:http://:hunter2@host/", "rest:http://:***@host/"),
        ("rest:http://host:8000/a@b/", "rest:http://host:8000/a@b/"),
        ("rest:http+unix:///run/sock:/path/", "rest:http+unix:///run/sock:/path/"),
        ("s3:https://key:hunter2@host:9000/bucket", "s3:https://key:***@host:9000/bucket"),
        ("s3:s3.amazonaws.com/bucket/prefix", "s3:s3.amazonaws.com/bucket/prefix"),
        ("b2:bucket:prefix", "b2:bucket:prefix"),
        ("azure:container:/prefix", "azure:container:/prefix"),
        ("gs:bucket:/prefix", "gs:bucket:/prefix"),
        ("swift:container:/path", "swift:container:/path"),
        ("rclone:remote:path", "rclone:remote:path"),
        ("rest:http://alice:***@host:8000/alice/", "rest:http://alice:***@host:8000/alice/"),
    ],
)
def test_every_form_of_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert scrub_addresses(url) == shown
    assert Place(url=url, password="p").label == shown
    assert scrub_addresses(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        'Head "http://alice:hunter2@127.0.0.1:9/x/config": dial tcp: connection refused',
        "https://x.blob.core.windows.net/c?sv=2020&sig=hunter2&se=1",
        "https://bucket/x?X-Amz-Credential=hunter2",
        "RESTIC_PASSWORD=hunter2 restic snapshots",
        "export AWS_SECRET_ACCESS_KEY='hunter2 with space'",
        'RESTIC_PASSWORD_COMMAND="echo hunter2"',
        "B2_ACCOUNT_KEY=hunter2",
        "Authorization: Basic hunter2",
        "authorization: bearer hunter2",
        "Bearer hunter2",
    ],
)
def test_what_looks_like_a_secret_is_masked_even_if_it_is_not_known(text: str) -> None:
    assert "hunter2" not in scrub_addresses(text)
    assert "***" in scrub_addresses(text)


@pytest.mark.parametrize(
    "text",
    [
        "repository is already locked exclusively by PID 21052 on web01 by root (UID 0, GID 0)",
        "open /srv/demo-data/secret/private.key: permission denied",
        "unexpected HTTP response (401): 401 Unauthorized",
        "Basic authentication failed",
        "RESTIC_PASSWORD_FILE=/etc/restic/password",
        "mail to root@example.com: http://example.com:8000/x",
    ],
)
def test_ordinary_text_stays_readable(text: str) -> None:
    assert scrub_addresses(text) == text


def test_the_values_of_secret_variables_are_known_and_others_are_not() -> None:
    environment = {
        "AWS_SECRET_ACCESS_KEY": "s1",
        "AWS_SESSION_TOKEN": "s2",
        "B2_ACCOUNT_KEY": "s3",
        "AZURE_ACCOUNT_SAS": "s4",
        "OS_PASSWORD": "s5",
        "RESTIC_REST_PASSWORD": "s6",
        "ST_KEY": "s7",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "RESTIC_REST_USERNAME": "alice",
        "SSH_AUTH_SOCK": "/run/agent",
        "OS_AUTH_URL": "https://keystone",
        "RESTIC_KEY_HINT": "abcd",
        "AWS_SHARED_CREDENTIALS_FILE": "/etc/aws",
    }
    assert secret_values(environment) == [f"s{number}" for number in range(1, 8)]


def test_the_password_of_an_address_is_known_in_every_spelling() -> None:
    assert address_passwords("rest:https://u:p%40ss%2Fw@h/") == ["p%40ss%2Fw"]
    scrub = Place(url="rest:https://u:p%40ss%2Fw@h/", password="repository-password").redactor()
    assert scrub("p%40ss%2Fw and p@ss/w and repository-password") == "*** and *** and ***"


def test_each_line_of_a_key_is_a_secret() -> None:
    scrub = Redactor(["-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQE\n-----END KEY-----"])
    assert scrub("bad line kqhkiG9w0BAQE in key") == "bad line *** in key"


def test_a_short_secret_is_masked_where_it_stands_alone() -> None:
    assert Redactor(["ab"])("ab cab able 'ab'") == "*** cab able '***'"


def test_a_secret_that_contains_another_is_masked_whole() -> None:
    assert Redactor(["hunter", "hunter2000"])("hunter2000") == "***"


@given(st.text(min_size=4).filter(lambda value: value.strip() == value and "*" not in value), st.text())
def test_a_known_secret_never_passes(secret: str, around: str) -> None:
    assert secret not in Redactor([secret])(f"{around}{secret}{around}")


def test_a_place_shows_no_secret_when_it_is_printed() -> None:
    place = Place(
        url="rest:https://u:hunter2@h/", password="hunter3", environment={"AWS_SECRET_ACCESS_KEY": "hunter4"}
    )
    assert "hunter" not in repr(place)


@pytest.mark.parametrize(
    "url",
    [
        "rest:https://u:p@h/",
        "REST:https://u:p@h/",
        "rest:https://u:pa/ss@h/",
        "rest:https://u:p#a@h/",
        "rest:https://u:p?a@h/",
        "rest:https://u:a b@h/",
        "rest:https://u:'p@h/",
        "s3:https://k:s@h/bucket",
        "sftp://u:p@h//srv",
        "rest:https://h/r?token=abc",
        "rclone::s3,secret_access_key=abc:bucket",
    ],
)
def test_an_address_with_a_secret_in_it_was_taken_where_the_secret_spoilt_the_address(url: str) -> None:
    assert holds_secret(url)


@pytest.mark.parametrize(
    "url",
    [
        "/srv/a:b@c",
        "/srv/key=1/restic",
        "rest:http://h:8000/u@x",
        "rest:http://[::1]:8000/u@x",
        "s3:s3.amazonaws.com/bucket",
        "s3:https://h:9000/bucket",
        "sftp:u@h:/srv",
        "sftp://u@h:2222//srv/x@y",
        "azure:container:/",
        "rclone:remote:bucket",
    ],
)
def test_an_ordinary_address_holds_no_secret(url: str) -> None:
    assert not holds_secret(url)


def test_a_password_that_is_one_of_restics_own_words_does_not_hide_what_went_wrong() -> None:
    for word in ("password", "wrong", "Key"):
        assert Redactor([word])("Fatal: wrong password or no key found") == "Fatal: wrong password or no key found"

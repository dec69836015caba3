"""Which repository addresses restic takes, and what is wrong with one that it would not.

Comes in: an address as a person or a hub wrote it. Goes out: the same address without blanks around it, or
``ConfigError`` with the mistake and its mend. The one rule: an address never makes restic start a program of the
writer's choice (ssh and rclone options hidden in a host or remote), and never holds a password. Outside format:
restic's repository locations, 0.14 to 0.19.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from lastgood.errors import ConfigError
from lastgood.tools.restic.redact import holds_secret, scrub_addresses

LONGEST = 4096

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_REMOTE_SHELL = re.compile(r"[^/\s:@]+@[^/\s:@]+:")
_HOST_AND_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\.[A-Za-z]{2,}:(?!\d+(?:/|$))\S*")
_REMOTE = re.compile(r"[\w.+@][\w.+@ -]*")
FORMS = (
    "/path, sftp:user@host:/path, rest:https://host:8000/, s3:https://host/bucket, b2:bucket:path, "
    "azure:container:/path, gs:bucket:/path, swift:container:/path or rclone:remote:path"
)


def check_address(address: str) -> str:
    """The address as restic takes it. Raises ConfigError with one sentence."""
    told = address.strip(" ")
    if not told:
        raise ConfigError(f"The address is empty; write one of these: {FORMS}.")
    if len(told) > LONGEST:
        raise ConfigError(f"The address is longer than {LONGEST} characters; shorten it.")
    if told.endswith(("\n", "\r")):
        raise ConfigError("The address ends with a line break; leave it out.")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in told):
        raise ConfigError("The address holds a line break or another control character; leave it out.")
    if holds_secret(told):
        raise ConfigError(
            "The address holds a password or a key, which every page and process list would show; leave it out, and "
            "put it into the environment file or have the hub hold it (RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD "
            "for a REST server)."
        )
    if told.startswith("/"):
        return told
    scheme = _SCHEME.match(told)
    word = scheme[0][:-1].lower() if scheme else ""
    check = _CHECKS.get(word)
    if check is None or not told.startswith(word):
        raise ConfigError(_mend(told, word))
    check(told[len(word) + 1 :])
    return told


def is_local(address: str) -> bool:
    """Whether the repository is a folder of the machine that runs restic."""
    return address.startswith(("/", "local:"))


def _mend(told: str, word: str) -> str:
    """What is most likely meant by an address that begins with no word of restic's."""
    shown = scrub_addresses(told)[:200]
    if word in _CHECKS:
        return f"{shown!r} begins with capital letters; restic wants {word}: in small ones."
    if word in ("http", "https"):
        return (
            f"{shown!r} does not say what answers there; write rest:{shown} for a REST server or s3:{shown} for S3."
        )
    if word in ("ssh", "scp"):
        rest = told.partition(":")[2].lstrip("/")
        return f"{shown!r} is no address of restic's; write sftp://{rest} for a folder reached by SSH."
    if word == "file":
        return f"{shown!r} is no address of restic's; write the path alone, as /srv/restic."
    if _DRIVE.match(told):
        return f"{shown!r} is a path of Windows, where lastgood has no agents; write a path such as /srv/restic."
    if told.startswith("~"):
        return f"{shown!r} begins in a home folder, which restic does not know; write the whole path from the root."
    if _REMOTE_SHELL.match(told) or _HOST_AND_PATH.fullmatch(told):
        return (
            f"{shown!r} names a host but not the way to it; write sftp:{shown} for SSH, or rest: before a REST URL."
        )
    if not word:
        return f"{shown!r} is a relative path; write it from the root, as /srv/restic, or use one of these: {FORMS}."
    return f"restic knows no {word}: addresses; write one of these: {FORMS}."


def _local(rest: str) -> None:
    if not rest.startswith("/"):
        raise ConfigError(f"local:{rest[:200]} is a relative path; write it from the root, as local:/srv/restic.")


def _sftp(rest: str) -> None:
    if rest.startswith("//"):
        place = _split("sftp:" + rest)
        host, path = place.hostname or "", place.path
        user = place.username or ""
    else:
        login, colon, path = rest.partition(":")
        user, _, host = login.rpartition("@")
        if host.startswith("[") or not colon:
            raise ConfigError(
                "An sftp: address is written sftp:user@host:/path, or sftp://user@host:2222//path with a port or an "
                "IPv6 address in brackets."
            )
    if not host or not path.strip("/"):
        raise ConfigError("An sftp: address needs a host and a folder; write sftp:user@host:/path.")
    # ssh would take such a host or user for one of its options, and an option can name a program.
    if host.startswith("-") or user.startswith("-") or any(character.isspace() for character in user + host):
        raise ConfigError("The host of an sftp: address begins with a dash or holds a blank; mend it.")


def _rest(rest: str) -> None:
    if rest.startswith("http+unix://"):
        if not rest.removeprefix("http+unix://").startswith("/"):
            raise ConfigError("A REST server's socket is written rest:http+unix:///run/rest.sock:/path/.")
        return
    if not rest.startswith(("http://", "https://")):
        raise ConfigError("A rest: address goes on with a URL; write rest:https://host:8000/path/.")
    _host_of(rest, "rest:https://host:8000/path/")


def _s3(rest: str) -> None:
    if rest.startswith("//"):
        raise ConfigError(
            "An s3: address has no slashes behind the colon; write s3:host/bucket or s3:https://host/bucket."
        )
    if rest.startswith(("http://", "https://")):
        path = _host_of(rest, "s3:https://host/bucket").path
    else:
        path = rest.partition("/")[2]
    if not rest.partition("/")[0] or not path.strip("/"):
        raise ConfigError("An s3: address needs a host and a bucket; write s3:s3.amazonaws.com/bucket/path.")


def _bucket(word: str, what: str, with_path: bool) -> Callable[[str], None]:
    shape = f"{word}:{what}:/path" if with_path else f"{word}:{what}:path"

    def check(rest: str) -> None:
        name, colon, _ = rest.partition(":")
        if rest.startswith("//"):
            raise ConfigError(f"An address of {word} has no slashes behind the colon; write {shape}.")
        if not name or "/" in name or (with_path and not colon):
            raise ConfigError(f"An address of {word} names a {what} and a path in it; write {shape}.")

    return check


def _rclone(rest: str) -> None:
    remote, colon, _ = rest.partition(":")
    # ":sftp,ssh=..." would make a remote on the spot, and some of a remote's options name programs.
    if rest.startswith(":") or "," in remote:
        raise ConfigError(
            "An rclone: address names a remote of rclone's own configuration on the host; set its options there."
        )
    if not colon or not _REMOTE.fullmatch(remote):
        raise ConfigError("An rclone: address names a remote and a path in it; write rclone:remote:path.")


def _host_of(url: str, shape: str) -> SplitResult:
    place = _split(url)
    if not place.hostname or any(character.isspace() for character in place.netloc):
        raise ConfigError(f"The address names no host; write {shape}.")
    return place


def _split(url: str) -> SplitResult:
    try:
        place = urlsplit(url)
        place.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        raise ConfigError("The host or port of the address cannot be read; mend it.") from None
    return place


_CHECKS: dict[str, Callable[[str], None]] = {
    "local": _local,
    "sftp": _sftp,
    "rest": _rest,
    "s3": _s3,
    "b2": _bucket("b2", "bucket", with_path=False),
    "azure": _bucket("azure", "container", with_path=True),
    "gs": _bucket("gs", "bucket", with_path=True),
    "swift": _bucket("swift", "container", with_path=True),
    "rclone": _rclone,
}

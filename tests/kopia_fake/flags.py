"""Which commands and flags a release of Kopia knows; a newer flag ends it, as the real parser does."""

from __future__ import annotations

from dataclasses import dataclass, field

Release = tuple[int, int]
OLD: Release = (0, 0)

# name -> (takes a value, since)
Flags = dict[str, tuple[bool, Release]]

JSON: Flags = {"json": (False, (8, 0)), "json-indent": (False, (8, 0)), "json-verbose": (False, (8, 0))}
EVERYWHERE: Flags = {
    "config-file": (True, OLD),
    "password": (True, OLD),
    "log-dir": (True, OLD),
    "log-level": (True, OLD),
    "file-log-level": (True, OLD),
    "log-dir-max-files": (True, OLD),
    "content-log-dir-max-files": (True, OLD),
    "progress": (False, OLD),
    "check-for-updates": (False, OLD),
    "persist-credentials": (False, OLD),
    "use-keyring": (False, OLD),
    "disable-color": (False, OLD),
    "force-color": (False, OLD),
    "timezone": (True, OLD),
    "disable-file-logging": (False, (21, 0)),
    "metrics-store-on-exit": (True, (22, 3)),
}
CONNECT: Flags = {
    "readonly": (False, OLD),
    "override-hostname": (True, OLD),
    "override-username": (True, OLD),
    "description": (True, OLD),
    "cache-directory": (True, OLD),
    "content-cache-size-mb": (True, OLD),
    "metadata-cache-size-mb": (True, OLD),
    "content-cache-size-limit-mb": (True, (15, 0)),
    "metadata-cache-size-limit-mb": (True, (15, 0)),
    "path": (True, OLD),
    "url": (True, OLD),
    "server-cert-fingerprint": (True, OLD),
    "bucket": (True, OLD),
    "endpoint": (True, OLD),
    "region": (True, OLD),
    "prefix": (True, OLD),
    "access-key": (True, OLD),
    "secret-access-key": (True, OLD),
    "host": (True, OLD),
    "username": (True, OLD),
    "keyfile": (True, OLD),
    "known-hosts": (True, OLD),
}


@dataclass(frozen=True)
class Command:
    flags: Flags = field(default_factory=dict)
    direct: bool = False
    since: Release = OLD
    words: bool = False  # takes words of its own


LIST: Flags = {
    "all": (False, OLD),
    "incomplete": (False, OLD),
    "max-results": (True, OLD),
    "storage-stats": (False, (10, 6)),
    "reverse": (False, (10, 6)),
    "retention": (False, OLD),
    "show-identical": (False, OLD),
    "tags": (True, (8, 0)),
}
VERIFY: Flags = {
    "sources": (True, OLD),
    "verify-files-percent": (True, OLD),
    "max-errors": (True, OLD),
    "parallel": (True, OLD),
    "file-parallelism": (True, OLD),
    "file-queue-length": (True, OLD),
    "json": (False, (21, 0)),
}
COMMANDS: dict[str, Command] = {
    "snapshot list": Command(LIST | JSON, words=True),
    "snapshot verify": Command(VERIFY, words=True),
    "manifest list": Command({"filter": (True, OLD), "sort": (True, OLD)} | JSON),
    "manifest show": Command({}, words=True),
    "repository status": Command(
        {"reconnect-token": (False, OLD), "reconnect-token-with-password": (False, OLD)}
        | {name: (told[0], (10, 7)) for name, told in JSON.items()}
    ),
    "repository connect": Command(CONNECT, words=True),
    "repository disconnect": Command(),
    "repository throttle get": Command(JSON),
    "blob list": Command(
        {"prefix": (True, OLD), "exclude-prefix": (True, OLD), "min-size": (True, OLD), "max-size": (True, OLD)}
        | {"data-only": (False, OLD)}
        | JSON,
        direct=True,
    ),
    "blob stats": Command({"raw": (False, OLD), "prefix": (True, OLD)}, direct=True),
    "content stats": Command({"raw": (False, OLD)}, direct=True),
    "index list": Command(
        {"superseded": (False, OLD), "summary": (False, OLD), "sort": (True, OLD)} | JSON, direct=True
    ),
    "index epoch list": Command(direct=True),
    "session list": Command(direct=True),
    "logs list": Command({"all": (False, OLD)}, direct=True),
    "cache info": Command({"path": (False, OLD)}, direct=True),
    "policy list": Command(JSON),
    "policy show": Command({"global": (False, OLD)} | JSON, words=True),
    "maintenance info": Command(JSON, direct=True),
    "notification profile list": Command(JSON, since=(18, 0)),
    "notification template list": Command(JSON, since=(18, 0)),
    "server user list": Command(JSON),
    "server acl list": Command(JSON),
}
ALIASES = {"snapshots": "snapshot", "snap": "snapshot", "repo": "repository", "manifests": "manifest"}
SECOND_ALIASES = {"ls": "list", "users": "user"}
SHORT = {"n": "max-results", "a": "all", "i": "incomplete", "p": "password", "l": "show-identical"}
SHORT_RAW = {"r": "raw"}


# What Kopia knows besides: none of it is for one who only reads.
WRITERS = {
    "snapshot": "create delete edit expire fix pin migrate restore copy-history move-history",
    "repository": "create sync-to upgrade change-password set-client set-parameters repair validate-provider",
    "policy": "set edit delete remove import",
    "maintenance": "run set",
    "blob": "delete gc shards",
    "content": "delete rewrite prefetch",
    "index": "optimize recover",
    "manifest": "delete remove",
    "cache": "clear set prefetch sync",
    "notification": "profile template",
    "server": "start flush shutdown refresh snapshot upload pause resume cancel user acl throttle",
    "mount": "",
    "restore": "",
}


class Unknown(Exception):
    """The parser does not know it; the text is what it prints."""


def parsed(arguments: list[str], release: Release) -> tuple[str, dict[str, list[str]], list[str]]:
    """The command, its flags (an empty string for one without a value) and its other words."""
    command = _command([word for word in arguments if not word.startswith("-")])
    if command not in COMMANDS and not _writes(command):
        raise Unknown(f'expected command but got "{command.split(" ")[-1]}"')
    known = EVERYWHERE | (COMMANDS[command].flags if command in COMMANDS else {})
    if command in COMMANDS and release < COMMANDS[command].since:
        raise Unknown(f'expected command but got "{command.split()[0]}"')
    flags: dict[str, list[str]] = {}
    words: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, given = _flag(word, command)
        plain = name[3:] if name.startswith("no-") and name[3:] in known else name
        takes, since = known.get(plain, (False, (99, 0)))
        if release < since and command in COMMANDS:
            raise Unknown(
                f"unknown long flag '--{name}'" if word.startswith("--") else f"unknown short flag '{word}'"
            )
        value = given if given is not None else (left.pop(0) if takes and left else "")
        flags.setdefault(name, []).append(value)
    return command, flags, words[len(command.split()) :]


def _writes(command: str) -> bool:
    first, _, rest = command.partition(" ")
    known = WRITERS.get(first)
    return known is not None and (not known or rest.split(" ")[0] in known.split())


def _flag(word: str, command: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    short = SHORT | (SHORT_RAW if command.endswith("stats") else {})
    return short.get(word[1:2], word[1:2]), word[2:].lstrip("=") or None


def _command(words: list[str]) -> str:
    """The longest known command that the words begin with; else the first two of them."""
    first = [
        ALIASES.get(word, word) if place == 0 else SECOND_ALIASES.get(word, word) for place, word in enumerate(words)
    ]
    for count in (3, 2):
        if " ".join(first[:count]) in COMMANDS:
            return " ".join(first[:count])
    return " ".join(first[:2])

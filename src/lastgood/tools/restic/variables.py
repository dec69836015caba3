"""The variables by which a store is opened, and the file that holds them: lines ``NAME=value``.

Comes in: the text of an environment file, or variables that a hub holds. Goes out: names and values that restic may
be given, or ``ConfigError``. The one rule: a name that is not listed here never reaches restic (a variable such as
``LD_PRELOAD`` or ``RESTIC_PASSWORD_COMMAND`` would run a program), and no message quotes a value. Outside format:
restic's environment variables, 0.14 to 0.19, and those of its stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from lastgood.errors import ConfigError

MOST_BYTES = 16 * 1024
LONGEST_PASSWORD = 1024

_OF_A_HOST = frozenset({"AWS_SHARED_CREDENTIALS_FILE", "RCLONE_CONFIG", "SSH_AUTH_SOCK"})
"""They name files of a host that can make programs start; a hub may not set them there."""

_NAMES = """
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_DEFAULT_REGION AWS_REGION AWS_PROFILE
    RESTIC_AWS_ASSUME_ROLE_ARN RESTIC_AWS_ASSUME_ROLE_SESSION_NAME RESTIC_AWS_ASSUME_ROLE_EXTERNAL_ID
    RESTIC_AWS_ASSUME_ROLE_POLICY RESTIC_AWS_ASSUME_ROLE_REGION RESTIC_AWS_ASSUME_ROLE_STS_ENDPOINT
    AZURE_ACCOUNT_NAME AZURE_ACCOUNT_KEY AZURE_ACCOUNT_SAS AZURE_ENDPOINT_SUFFIX AZURE_FORCE_CLI_CREDENTIAL
    AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID
    B2_ACCOUNT_ID B2_ACCOUNT_KEY
    GOOGLE_PROJECT_ID GOOGLE_APPLICATION_CREDENTIALS GOOGLE_ACCESS_TOKEN
    ST_AUTH ST_USER ST_KEY SWIFT_DEFAULT_CONTAINER_POLICY
    OS_AUTH_URL OS_REGION_NAME OS_USERNAME OS_USER_ID OS_PASSWORD OS_TENANT_ID OS_TENANT_NAME OS_USER_DOMAIN_NAME
    OS_USER_DOMAIN_ID OS_PROJECT_NAME OS_PROJECT_DOMAIN_NAME OS_PROJECT_DOMAIN_ID OS_TRUST_ID
    OS_APPLICATION_CREDENTIAL_ID OS_APPLICATION_CREDENTIAL_NAME OS_APPLICATION_CREDENTIAL_SECRET
    OS_STORAGE_URL OS_AUTH_TOKEN
    RESTIC_REST_USERNAME RESTIC_REST_PASSWORD RESTIC_CACERT RESTIC_TLS_CLIENT_CERT
    RESTIC_KEY_HINT RESTIC_COMPRESSION RESTIC_PACK_SIZE RESTIC_READ_CONCURRENCY
    RCLONE_CONFIG_PASS
    HTTP_PROXY HTTPS_PROXY NO_PROXY
"""
KNOWN = _OF_A_HOST | frozenset(_NAMES.split())


def parse_environment(text: str, where: str) -> dict[str, str]:
    """The variables of an environment file; ``where`` names it in messages. Raises ConfigError."""
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name, value = name.strip(), value.strip()
        if not equals:
            raise ConfigError(f"Line {number} of {where} is not NAME=value; mend it or put a # before it.")
        if name in found:
            raise ConfigError(f"Line {number} of {where} sets {shown(name)} a second time; leave one of them.")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
    return check_environment(found, where)


def check_environment(found: Mapping[str, str], where: str, *, from_hub: bool = False) -> dict[str, str]:
    """The variables as they are, if each of them may be given to restic. Raises ConfigError."""
    allowed = KNOWN - _OF_A_HOST if from_hub else KNOWN
    where = where[:1].upper() + where[1:]
    for name, value in found.items():
        if name in ("RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE"):
            raise ConfigError(f"{where} sets {name}; the repository's password has a place of its own, put it there.")
        if name not in allowed:
            near = get_close_matches(name.upper(), sorted(allowed), n=1, cutoff=0.8)
            mend = f"did you mean {near[0]}?" if near else "only variables that open a store may stand there."
            raise ConfigError(f"{where} sets {shown(name)}, which is not for restic's stores; {mend}")
        if not value or any(character in value for character in "\0\r\n"):
            raise ConfigError(f"{where} gives {name} no value, or one with a line break; mend it.")
    if sum(len(name) + len(value.encode("utf-8", "surrogatepass")) for name, value in found.items()) > MOST_BYTES:
        raise ConfigError(f"{where} holds more than {MOST_BYTES // 1024} KiB of variables; leave some out.")
    return dict(found)


def check_password(password: str, where: str) -> str:
    """A repository's password, if restic can be given it. Raises ConfigError."""
    if not password:
        raise ConfigError(f"{where} is empty, and restic takes no empty password; write one.")
    if len(password) > LONGEST_PASSWORD:
        raise ConfigError(f"{where} is longer than {LONGEST_PASSWORD} characters; is it the right one?")
    if any(character in password for character in "\0\r\n"):
        raise ConfigError(f"{where} has more than one line; a password is one line.")
    return password


def shown(name: str) -> str:
    """A variable's name for a message: a line that was split wrongly may have brought something else."""
    plain = name.isascii() and name.replace("_", "").isalnum() and len(name) <= 64
    return name if plain else "something that is no name"

"""How restic reaches a repository from this host: an access out of the orders -> a place with its credentials.

Asked anew for each run, so that a changed file counts at once. The one rule: what the hub sent is checked again here;
neither an address nor a variable of it may start a program. Format of an environment file: lines ``NAME=value``.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lastgood.errors import ConfigError
from lastgood.tools.restic.address import check_address
from lastgood.tools.restic.command import Place
from lastgood.tools.restic.variables import (
    MOST_BYTES,
    check_environment,
    check_password,
    parse_environment,
)
from lastgood.wire.frames import RepositoryAccess

_MOST_READ = 2 * MOST_BYTES


def place(access: RepositoryAccess, *, admin: bool = False) -> Place:
    """The place; with ``admin`` by the credentials that may delete, where there are such. Raises ConfigError."""
    url = check_address(access.url)
    held = (access.admin if admin else None) or access.held
    if held is not None:
        what = f"What the hub holds for the repository {access.name}"
        return Place(
            url=url,
            password=check_password(held.password, what),
            environment=check_environment(held.environment, what, from_hub=True),
        )
    if access.password_file is None:
        raise ConfigError(
            f"The repository {access.name} has no password here; name a password file for it, or let the hub hold it."
        )
    environment = read_environment(Path(access.environment_file)) if access.environment_file else {}
    return Place(url=url, password_file=Path(access.password_file), environment=environment)


def read_environment(path: Path) -> dict[str, str]:
    """The variables of an environment file, which must be its owner's alone. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(_MOST_READ + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise ConfigError(
            f"The environment file {path} cannot be read: {error.strerror}; put it there, readable for the agent."
        ) from error
    except UnicodeDecodeError:
        raise ConfigError(f"The environment file {path} is no UTF-8 text; write lines NAME=value.") from None
    if mode & 0o077:
        raise ConfigError(
            f"The environment file {path} is open to other users (mode {mode:04o}); run: chmod 600 {path}"
        )
    if len(raw) > _MOST_READ:
        raise ConfigError(
            f"The environment file {path} is larger than {_MOST_READ // 1024} KiB; is it the right one?"
        )
    return parse_environment(text, f"the environment file {path}")

"""What the variables choose of ``pbs_*``, and names for servers and namespaces whose label is left out.

The one rule: labels by which rows of a table are joined are in every row, so each query goes through one of these.
"""

from __future__ import annotations

SERVER = 'server=~"$server"'
STORE = f'{SERVER}, datastore=~"$datastore"'
GROUP = f'{STORE}, namespace=~"$namespace", backup_type=~"$backup_type"'

ROOT = "(root)"
SAME_SERVER = "on (job, instance, server)"


def _of(family: str, chosen: str, more: tuple[str, ...]) -> str:
    return f"{family}{{{', '.join((chosen, *more))}}}"


def of_server(family: str, *more: str) -> str:
    return _of(family, SERVER, more)


def of_store(family: str, *more: str) -> str:
    return _of(family, STORE, more)


def of_group(family: str, *more: str) -> str:
    return _of(family, GROUP, more)


def _server_named(expr: str) -> str:
    joined = f'label_join({expr}, "pbs", ",", "server", "instance")'
    return f'label_replace(label_replace({joined}, "server", "$1", "pbs", ",(.+)"), "pbs", "", "", "")'


def by_server(expr: str, *labels: str) -> str:
    return _server_named(f"max by ({', '.join(('instance', 'server', *labels))}) ({expr})")


def by_store(expr: str, *labels: str) -> str:
    return by_server(expr, "datastore", *labels)


def by_group(expr: str, *labels: str) -> str:
    return with_root(by_store(expr, "namespace", "backup_type", "backup_id", *labels))


def by_job(expr: str, *labels: str) -> str:
    return with_root(by_store(expr, "namespace", "job_type", "job_id", *labels))


def with_root(expr: str) -> str:
    """The root namespace, whose label is left out, by a word."""
    return f'label_replace({expr}, "namespace", "{ROOT}", "namespace", "")'


def or_zero(expr: str, known: str) -> str:
    """Zero instead of nothing, but only where there is something of which nothing was found."""
    return f"{expr} or 0 * count({known})"


def off() -> str:
    """Servers that are silent and switched off on purpose at times."""
    return f"({of_server('pbs_expected_off')} == 1 and {of_server('pbs_up')} == 0)"


def minded(expr: str) -> str:
    """Without groups that are archived or whose server is off on purpose; ``expr`` keeps all labels of a group."""
    return f"({expr} unless {of_group('pbs_group_archived')} unless {SAME_SERVER} {off()})"

"""The tree of commands. Each module under ``cli`` holds one group; this file only names them."""

from __future__ import annotations

import typer

from lastgood.cli import (
    agent,
    alert,
    audit,
    channel,
    check,
    coverage,
    dashboards,
    enrol_code,
    exporter,
    host,
    hub,
    hub_backup,
    job,
    repository,
    restore,
    role,
    rules,
    source,
    stack,
    token,
    up,
    user,
)

app = typer.Typer(
    name="lastgood",
    help="When was the last good backup of everything you run?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up")(up.up)
app.command("serve")(hub.serve)
app.command("backup-hub")(hub_backup.backup_hub)
app.command("restore-hub")(hub_backup.restore_hub)
app.command("recovery-kit")(hub_backup.recovery_kit)
app.command("restore")(restore.restore)
app.command("check-config")(check.check_config)
app.command("healthz")(check.healthz)
app.command("dashboards")(dashboards.dashboards)
app.command("rules")(rules.rules)
app.command("version")(check.version)
app.add_typer(agent.app, name="agent")
app.add_typer(alert.app, name="alert")
app.add_typer(audit.app, name="audit")
app.add_typer(channel.app, name="channel")
app.add_typer(coverage.app, name="coverage")
app.add_typer(job.app, name="job")
app.add_typer(repository.app, name="repository")
app.add_typer(source.app, name="source")
app.add_typer(stack.app, name="stack")
app.add_typer(user.app, name="user")
app.add_typer(role.app, name="role")
app.add_typer(token.app, name="token")
app.add_typer(exporter.app, name="exporter")
app.add_typer(host.app, name="host")
app.add_typer(enrol_code.app, name="enrol-code")

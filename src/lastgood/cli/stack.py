"""``lastgood stack``: deploy, stop and restart compose projects on any host whose policy allows it.

Comes in: words of the command line, a compose file and its ``.env``. Goes out: requests to the hub. The one rule:
with ``--follow`` the exit code is 0 only if it ended well; texts travel in request bodies and stand in no argument
list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lastgood.cli.ask import DataDir, Json
from lastgood.cli.options import Debug

app = typer.Typer(help="Stacks: deploy, stop and restart compose projects.", no_args_is_help=True)

COLUMNS = (
    ("Stack", "project"),
    ("State", "state"),
    ("Containers", "containers"),
    ("Deployed", "deployed"),
    ("Last", "last_action"),
    ("Result", "last_outcome"),
    ("When", "last_at"),
    ("Reason", "reason"),
)
_DEPLOYS = (
    ("Deploy", "id"),
    ("What", "action"),
    ("Text", "text_number"),
    ("Result", "told"),
    ("By", "by"),
    ("Asked for", "asked_at"),
    ("Seconds", "duration_seconds"),
    ("Reason", "reason"),
)
_TEXTS = (("Text", "number"), ("Written", "at"), ("By", "by"))

Project = Annotated[str, typer.Argument(metavar="STACK", help="The compose project's name.")]
Host = Annotated[str, typer.Option("--host", metavar="NAME", help="On this host.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show the log until the end; exit code by the result.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Also if the project runs from another folder of the host.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until all is healthy.")]
Seconds = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=10, max=7200, help="How long it may take.")
]


@app.callback()
def _group() -> None:
    """Stacks: deploy, stop and restart compose projects."""


@app.command("deploy")
def deploy(
    project: Project,
    host: Host,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The compose file.")],
    env_file: Annotated[Path | None, typer.Option("--env-file", metavar="FILE", help="Its .env file.")] = None,
    no_wait: NoWait = False,
    take_over: TakeOver = False,
    seconds: Seconds = 900.0,
    follow: Follow = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Have a host's agent deploy a stack. The agent's local policy file must allow it.

    Example: lastgood stack deploy shop --host web-1 --file compose.yaml --env-file .env --follow
    """
    body: dict[str, Any] = {"text": _text(file), "env": None if env_file is None else _text(env_file)}
    body |= {"wait": not no_wait, "take_over": take_over, "seconds": seconds}
    _begin(data_dir, host, project, "deploy", body, follow=follow, as_json=as_json)


@app.command("redeploy")
def redeploy(
    project: Project,
    host: Host,
    number: Annotated[int, typer.Option("--text", metavar="N", min=1, help="The number of the text.")],
    no_wait: NoWait = False,
    take_over: TakeOver = False,
    seconds: Seconds = 900.0,
    follow: Follow = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Deploy an earlier text of a stack again; lastgood stack show lists them.

    Example: lastgood stack redeploy shop --host web-1 --text 3 --follow
    """
    body = {"text_number": number, "wait": not no_wait, "take_over": take_over, "seconds": seconds}
    _begin(data_dir, host, project, "deploy", body, follow=follow, as_json=as_json)


@app.command("stop")
def stop(
    project: Project,
    host: Host,
    follow: Follow = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Stop the containers of a stack; they stay there.

    Example: lastgood stack stop shop --host web-1 --follow
    """
    _begin(data_dir, host, project, "stop", None, follow=follow, as_json=as_json)


@app.command("restart")
def restart(
    project: Project,
    host: Host,
    follow: Follow = False,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Restart the containers of a stack.

    Example: lastgood stack restart shop --host web-1 --follow
    """
    _begin(data_dir, host, project, "restart", None, follow=follow, as_json=as_json)


@app.command("cancel")
def cancel(
    project: Project,
    host: Host,
    deploy_id: Annotated[str, typer.Argument(metavar="DEPLOY", help="The deploy's id.")],
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """End a deploy that waits or is under way.

    Example: lastgood stack cancel shop 01JX4Q7Y8W0000000000000000 --host web-1
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir) as hub:
        hub.post(f"{_path(hub, host, project)}/deploys/{deploy_id}/cancel")
    typer.echo("It was asked to end.")


@app.command("list")
def list_(
    host: Annotated[str, typer.Option("--host", metavar="NAME", help="Of this host; else of all.")] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The stacks of all hosts: those that have containers, and those that were deployed from here.

    Example: lastgood stack list --host web-1
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir) as hub:
        if host:
            items = hub.get(f"/hosts/{hub.find('/hosts', host, 'host')['id']}/stacks")["items"]
        else:
            items = list(hub.every("/stacks"))
    columns = COLUMNS if host else (("Host", "host"), *COLUMNS)
    show(items, columns, as_json=as_json, nothing=f"No stack of {'this' if host else 'any'} host is known yet.")


@app.command("show")
def show_(
    project: Project, host: Host, data_dir: DataDir = None, as_json: Json = False, debug: Debug = False
) -> None:
    """One stack and the texts that are kept of it.

    Example: lastgood stack show shop --host web-1
    """
    from lastgood.cli.ask import NoSuch, asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir) as hub:
        path = _path(hub, host, project)
        found = [one for one in hub.get(path.rpartition("/")[0])["items"] if one["project"] == project]
        texts = hub.get(f"{path}/texts")["items"]
    if not found:
        raise NoSuch(f"There is no stack {project!r} on {host}; lastgood stack list shows them.")
    if as_json:
        typer.echo(json.dumps({**found[0], "texts": texts}, ensure_ascii=False))
        return
    show(found, COLUMNS, as_json=False, nothing="")
    typer.echo("")
    show(texts, _TEXTS, as_json=False, nothing="It was never deployed from here.")


@app.command("text")
def text_(
    project: Project,
    host: Host,
    number: Annotated[int, typer.Option("--text", metavar="N", min=1, help="The number of the text.")],
    env: Annotated[bool, typer.Option("--env", help="Its .env file instead.")] = False,
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """Print a text as it was deployed, secrets included; for who may deploy.

    Example: lastgood stack text shop --host web-1 --text 3 > compose.yaml
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir) as hub:
        found = hub.get(f"{_path(hub, host, project)}/texts/{number}")
    typer.echo((found["env"] or "") if env else found["text"], nl=False)


@app.command("history")
def history(
    project: Project,
    host: Host,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="So many.")] = 50,
    data_dir: DataDir = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """What was deployed, stopped and restarted of a stack, newest first.

    Example: lastgood stack history shop --host web-1
    """
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.tables import show

    with asked_hub(data_dir) as hub:
        items = hub.get(f"{_path(hub, host, project)}/deploys", limit=limit)["items"]
    rows = items if as_json else [{**one, "told": one["outcome"] or one["status"]} for one in items]
    show(rows, _DEPLOYS, as_json=as_json, nothing="Nothing was deployed from here yet.")


@app.command("log")
def log(
    project: Project,
    host: Host,
    deploy_id: Annotated[str | None, typer.Argument(metavar="DEPLOY", help="Its id; else the newest.")] = None,
    follow: Follow = False,
    data_dir: DataDir = None,
    debug: Debug = False,
) -> None:
    """What compose wrote, secrets masked; live while it runs.

    Example: lastgood stack log shop --host web-1 --follow
    """
    from lastgood.cli.ask import NoSuch, asked_hub
    from lastgood.cli.stack_following import ended_well, follow_deploy, told

    with asked_hub(data_dir) as hub:
        path = _path(hub, host, project)
        if deploy_id is None:
            newest = hub.get(f"{path}/deploys", limit=1)["items"]
            if not newest:
                raise NoSuch(f"Nothing was deployed of {project} on {host} yet.")
            deploy_id = newest[0]["id"]
        ended = follow_deploy(hub, f"{path}/deploys/{deploy_id}", once=not follow)
    if follow:
        typer.echo(told(ended), err=True)
        raise typer.Exit(0 if ended_well(ended) else 1)


@app.command("forget")
def forget(project: Project, host: Host, data_dir: DataDir = None, debug: Debug = False) -> None:
    """Forget texts and history of a stack; its containers are not touched.

    Example: lastgood stack forget shop --host web-1
    """
    from lastgood.cli.ask import asked_hub

    with asked_hub(data_dir) as hub:
        hub.delete(_path(hub, host, project))
    typer.echo("It is forgotten; its containers are as they were.")


def _begin(
    data_dir: Path | None, host: str, project: str, action: str, body: Any, *, follow: bool, as_json: bool
) -> None:
    from lastgood.cli.ask import asked_hub
    from lastgood.cli.stack_following import ended_well, follow_deploy, told

    with asked_hub(data_dir) as hub:
        path = _path(hub, host, project)
        deploy_id = hub.post(f"{path}/{action}", body)["deploy_id"]
        if not follow:
            typer.echo(json.dumps({"deploy_id": deploy_id}) if as_json else deploy_id)
            return
        ended = follow_deploy(hub, f"{path}/deploys/{deploy_id}", quiet=as_json)
    typer.echo(json.dumps(ended, ensure_ascii=False) if as_json else told(ended))
    raise typer.Exit(0 if ended_well(ended) else 1)


def _path(hub: Any, host: str, project: str) -> str:
    from urllib.parse import quote

    return f"/hosts/{hub.find('/hosts', host, 'host')['id']}/stacks/{quote(project, safe='')}"


def _text(path: Path) -> str:
    from lastgood.errors import ConfigError
    from lastgood.tools.docker.text import MOST_TEXT

    try:
        with path.open("rb") as file:
            raw = file.read(MOST_TEXT + 1)
        return raw.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; name another file.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None

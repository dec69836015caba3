"""The agent's own way in: the same options as the tree of commands, which it does not load."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from lastgood.cli import agent
from lastgood.cli.agent_alone import told
from tests.flow.hub import lastgood


def test_without_options_it_says_what_the_tree_would() -> None:
    defaults = {name: one.default for name, one in inspect.signature(agent.run).parameters.items()}
    assert told(["agent", "run"]) == {
        "config_path": defaults["config"],
        "parent": defaults["parent"],
        "log_level": defaults["log_level"],
    }


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--config", "/a b/agent.toml"], (Path("/a b/agent.toml"), None, "info")),
        (["--config=/x=y.toml"], (Path("/x=y.toml"), None, "info")),
        (["--config", "a", "--config", "b"], (Path("b"), None, "info")),
        (["--die-with-parent", "17", "--log-level=warning"], (None, 17, "warning")),
        (["--debug", "--log-level", "error"], (None, None, "debug")),
    ],
)
def test_options_are_read_as_they_are_written(words: list[str], wanted: tuple[Path | None, int | None, str]) -> None:
    config, parent, level = wanted
    found = told(["agent", "run", *words])
    assert found is not None
    assert (found["parent"], found["log_level"]) == (parent, level)
    assert found["config_path"] == (config or told(["agent", "run"])["config_path"])  # type: ignore[index]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["agent"],
        ["agent", "status"],
        ["--debug", "agent", "run"],
        ["agent", "run", "--help"],
        ["agent", "run", "--config"],
        ["agent", "run", "--config="],
        ["agent", "run", "--config", "--debug"],
        ["agent", "run", "--die-with-parent", "none"],
        ["agent", "run", "--debug=yes"],
        ["agent", "run", "--debug="],
        ["agent", "run", "--colour", "red"],
        ["agent", "run", "here"],
    ],
    ids=" ".join,
)
def test_whatever_is_not_plainly_right_is_left_to_the_tree(words: list[str]) -> None:
    assert told(words) is None


def test_what_is_wrong_is_said_by_the_tree(tmp_path: Path) -> None:
    done = lastgood("agent", "run", "--colour", "red")
    assert done.returncode == 2
    assert "--colour" in done.stderr
    assert "--die-with-parent" in lastgood("agent", "run", "--help").stdout
    done = lastgood("agent", "run", "--config", str(tmp_path / "absent.toml"))
    assert done.returncode == 78
    assert "absent.toml" in done.stderr


def test_an_agent_carries_no_parser_of_commands() -> None:
    script = (
        "import sys, lastgood.cli; sys.argv = ['lastgood', 'agent', 'run', '--config', '/absent/agent.toml']\n"
        "try:\n    lastgood.cli.main()\nexcept SystemExit as end:\n    print(end.code)\n"
        "print(sorted({'typer', 'pydantic', 'lastgood.cli.app', 'lastgood.agent.run'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-2:] == ["78", "['lastgood.agent.run']"]

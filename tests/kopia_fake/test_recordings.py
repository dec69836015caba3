"""What the doubles print has the keys that the recordings have, object by object, and the same layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .fake import FakeKopia
from .odd import ODDITIES
from .scenario import Scenario

RECORDINGS = Path(__file__).parent.parent / "recordings" / "kopia"
SEEN = RECORDINGS / "seen-0.23.1"

# Recording -> the command that prints the same.
PRINTED = {
    "blob-list": "blob list --json",
    "maintenance-info": "maintenance info --json",
    "manifest-list-snapshots": "manifest list --json --filter type:snapshot",
    "snapshot-list": "snapshot list --all --incomplete --json",
    "snapshot-verify": "snapshot verify --json",
    "repository-status-filesystem": "repository status --json",
    "index-list": "index list --json",
}
# What one kind of maintenance run tells is not looked into, nor are policies' settings and names of tags.
OPEN = ("data", "tags", "labels", "files", "actions", "retention", "scheduling", "compression", "runs")


def keys(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path, key
            if key not in OPEN:
                yield from keys(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner, f"{path}[]")


@pytest.fixture(scope="module")
def kopia(tmp_path_factory: pytest.TempPathFactory) -> FakeKopia:
    folder = tmp_path_factory.mktemp("fake")
    return FakeKopia(folder, oddities=[name for name in ODDITIES if name != "unknown_keys"], size="M")


@pytest.mark.parametrize("folder", [RECORDINGS, SEEN], ids=["shaped", "seen"])
@pytest.mark.parametrize("name", sorted(PRINTED))
def test_a_recorded_key_is_printed(name: str, folder: Path, kopia: FakeKopia) -> None:
    file = folder / f"{name}.json"
    if name == "index-list" and folder == RECORDINGS:
        file = SEEN / "index-list.json"
    recorded = set(keys(json.loads(file.read_text())))
    printed = set(keys(json.loads(kopia.run(*PRINTED[name].split()).stdout)))
    assert recorded - printed == set()
    assert {key for _, key in printed - recorded} <= {
        *(
            "incomplete",
            "tags",
            "pins",
            "readonly",
            "retentionReason",
            "fileMode",
            "dirMode",
            "errors",
            "errorStrings",
        ),
        *("path", "error", "numIgnoredErrors", "size", "gid", "uid", "summ", "symlinks"),
    }


@pytest.mark.parametrize("name", ["snapshot-list", "blob-list", "policy-list", "manifest-list-snapshots"])
def test_a_recorded_list_is_laid_out_as_the_fakes(name: str, kopia: FakeKopia) -> None:
    command = {**PRINTED, "policy-list": "policy list --json"}[name].split()
    for text in ((RECORDINGS / f"{name}.json").read_text(), kopia.run(*command).stdout.decode()):
        lines = text.split("\n")
        assert (lines[0], lines[-1]) == ("[", "]")
        assert all(line[:3] == ' {"' and line[-2:] == "}," for line in lines[1:-2])


@pytest.mark.parametrize("name", ["snapshot-list", "repository-status-filesystem", "snapshot-verify"])
def test_keys_come_in_the_order_a_real_one_prints(name: str, kopia: FakeKopia) -> None:
    def orders(value: Any) -> Iterator[tuple[str, ...]]:
        if isinstance(value, dict):
            yield tuple(value)
            for inner in value.values():
                yield from orders(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from orders(inner)

    before = {pair for order in orders(json.loads((SEEN / f"{name}.json").read_text())) for pair in _pairs(order)}
    printed = json.loads(kopia.run(*PRINTED[name].split()).stdout)
    after = {pair for order in orders(printed) for pair in _pairs(order)}
    assert {(one, other) for one, other in after if (other, one) in before and (one, other) not in before} == set()


def _pairs(order: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for place, one in enumerate(order):
        for other in order[place + 1 :]:
            yield one, other


def test_the_text_of_blob_stats_is_a_real_ones_but_for_the_numbers(kopia: FakeKopia) -> None:
    def shape(text: str) -> str:
        return "".join("0" if sign.isdigit() else sign for sign in " ".join(text.split())).replace("00", "0")

    def lines(text: str) -> list[str]:
        import re

        return [re.sub(r"\s*\d+", " 0", line) for line in text.splitlines()]

    real = lines((SEEN / "blob-stats-raw.txt").read_text())
    assert lines(kopia.run("blob", "stats", "--raw").stdout.decode()) == real
    assert shape(real[0]) == "Count: 0"


def test_a_status_through_a_server_and_one_in_s3_are_as_recorded(kopia: FakeKopia, tmp_path: Path) -> None:
    with FakeKopia(tmp_path / "a", route="server") as thin, FakeKopia(tmp_path / "b", storage="s3") as cloud:
        for fake, name in ((thin, "via-server"), (cloud, "s3-objectlock")):
            recorded = json.loads((RECORDINGS / f"repository-status-{name}.json").read_text())
            printed = json.loads(fake.run("repository", "status", "--json").stdout)
            assert list(recorded) == list(printed)
            assert recorded["storage"]["type"] == printed["storage"]["type"]
            assert set(recorded["storage"]["config"] or {}) == set(printed["storage"]["config"] or {})
            assert printed["blobRetention"] == recorded["blobRetention"]
    assert Scenario().storage == "filesystem"

"""``pbs_*``: the promised names, the corrected meanings, and labels that are hard to write."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lastgood.metrics.family import Family, Type, refuse_clashes
from lastgood.metrics.pbs import VOCABULARY, natrontech
from lastgood.metrics.pbs.view import COMMENT_CHARACTERS, SERVER, expose, gather
from lastgood.metrics.rendition import Writer
from lastgood.metrics.text import Format, Section, chunks
from lastgood.metrics.vocabulary import Collected, Vocabulary
from lastgood.model.pbs import Gc, LastTask, PbsPicture, Tasks, TaskStatus, Verification
from tests.metrics.checker import faults
from tests.metrics.expectation import parsed
from tests.metrics.pbs.pictures import (
    AWKWARD,
    NOW,
    a_group,
    a_picture,
    a_rich_picture,
    a_snapshot,
    ago,
    page_of,
    rows_of,
    text_of,
)
from tests.metrics.pbs.promised import PROMISED
from tests.prometheus import lint

GOLDEN = Path(__file__).parents[2] / "golden"
LINT_EXCEPTIONS = {
    "pbs_snapshot_count": 'non-histogram and non-summary metrics should not have "_count" suffix',
}
"""Names that the published exporter fixes."""


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_name_is_told_with_its_type_and_labels(name: str) -> None:
    kind, labels = PROMISED[name]
    text = text_of(a_rich_picture())
    assert f"\n# TYPE {name} {kind}\n" in f"\n{text}"
    rows = [re.findall(r'(?:[{,])([a-z_]+)="', row) for row in rows_of(text, name)]
    assert labels in rows, "a row of the root namespace of the unnamed server"
    assert all(row in (labels, [*labels, "namespace"]) for row in rows)


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("profile", [VOCABULARY, natrontech.VOCABULARY], ids=["pbs", "natrontech"])
def test_the_page_is_the_golden_one_and_what_the_plain_writer_makes(
    format_: Format, profile: object, refresh_golden: bool
) -> None:
    vocabulary = natrontech.VOCABULARY if profile is natrontech.VOCABULARY else VOCABULARY
    assert vocabulary.collected is not None
    pictures = {"pbs": a_rich_picture(), "pbs/second": a_picture(a_group("100", a_snapshot(1)), server="second")}
    page = page_of(Writer([vocabulary]).write(pictures), format_, vocabulary)
    plain = chunks([Section(vocabulary.collected.families, vocabulary.collected.gather(pictures, None))], format_)
    assert page == b"".join(plain)
    ending = "openmetrics.txt" if format_ is Format.OPENMETRICS else "txt"
    golden = GOLDEN / f"{vocabulary.name}.{ending}"
    if refresh_golden:
        golden.write_bytes(page)
    assert page == golden.read_bytes()
    assert faults(page.decode()) == []
    assert parsed(page, format_)


def test_lint_finds_the_promised_exceptions_and_nothing_else() -> None:
    code, findings = lint(text_of(a_rich_picture()).encode())
    assert sorted(findings) == sorted(f"{name} {words}" for name, words in LINT_EXCEPTIONS.items())
    assert code == 3


def test_the_other_exporters_names_do_not_clash_among_themselves() -> None:
    refuse_clashes(natrontech.VOCABULARY.families)


# --- up, and what is told before anything is known ----------------------------------------------------------------


def test_before_the_first_picture_the_server_is_down_and_nothing_else_is_told() -> None:
    text = text_of(None)
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["pbs_up 0"]


def test_where_nobody_collects_no_family_is_told_at_all() -> None:
    assert page_of(Writer([VOCABULARY]).write({"kopia": None})) == b""


def test_up_is_over_three_rounds_after_the_last_answer_although_no_picture_came() -> None:
    picture = a_picture(reached_at=NOW, fresh_seconds=90.0)
    assert rows_of(text_of(picture, at=NOW + timedelta(seconds=89)), "pbs_up") == [" 1"]
    assert rows_of(text_of(picture, at=NOW + timedelta(seconds=90)), "pbs_up") == [" 0"]
    assert rows_of(text_of(replace(picture, up=False)), "pbs_up") == [" 0"]


def test_a_datastore_without_capacity_has_no_capacity_and_costs_the_server_nothing() -> None:
    text = text_of(a_rich_picture())
    assert rows_of(text, "pbs_up") == [" 1"]
    assert rows_of(text, "pbs_datastore_used_bytes") == ['{datastore="cloud"} 1', '{datastore="main"} 4000']
    assert '{datastore="usb"} 0' in rows_of(text, "pbs_datastore_up")


def test_the_version_goes_while_the_server_is_down_and_backup_times_stay() -> None:
    text = text_of(a_rich_picture(up=False, down_since=ago(minutes=9)))
    assert rows_of(text, "pbs_version") == []
    assert rows_of(text, "pbs_down_since_timestamp_seconds") == [f" {int(ago(minutes=9).timestamp())}"]
    assert len(rows_of(text, "pbs_group_last_snapshot_timestamp_seconds")) == 4


# --- groups and snapshots -----------------------------------------------------------------------------------------


def test_groups_of_one_id_are_kept_apart_by_type_namespace_store_and_server() -> None:
    one = a_picture(
        a_group("100", a_snapshot(1)),
        a_group("100", a_snapshot(2), type="ct"),
        a_group("100", a_snapshot(3), namespace="prod"),
        a_group("100", a_snapshot(4), store="other"),
    )
    rendition = Writer([VOCABULARY]).write({"pbs/a": one, "pbs/b": one})
    text = page_of(rendition).decode()
    rows = rows_of(text, "pbs_snapshot_count")
    assert len(rows) == len(set(rows)) == 8
    assert '{datastore="main",backup_type="vm",backup_id="100",namespace="prod",server="a"} 1' in rows
    assert faults(text) == []


def test_the_newest_snapshot_that_failed_its_verification_is_not_the_last_good_one() -> None:
    bad, good = a_snapshot(4, verification=Verification.FAILED), a_snapshot(28, size_bytes=7)
    text = text_of(a_picture(a_group("100", bad, good)))
    group = 'datastore="main",backup_type="vm",backup_id="100"'
    at = int(ago(hours=28).timestamp())
    assert rows_of(text, "pbs_group_last_good_timestamp_seconds") == [f"{{{group}}} {at}"]
    assert rows_of(text, "pbs_snapshot_size_bytes") == [f"{{{group}}} 5000000"]
    assert rows_of(text, "pbs_group_verification") == [f'{{{group},state="failed"}} 1']


def test_an_empty_group_has_no_snapshots_and_one_that_was_not_listed_has_no_number() -> None:
    text = text_of(a_picture(a_group("empty"), a_group("later", finished=None)))
    assert rows_of(text, "pbs_snapshot_count") == ['{datastore="main",backup_type="vm",backup_id="empty"} 0']
    assert rows_of(text, "pbs_group_last_good_timestamp_seconds") == []


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("x" * 47 + "\N{PILE OF POO}" * 10, "x" * 47 + "\N{PILE OF POO}" * 3),
        ("é" * 60, "é" * 50),
        ("x" * 49 + '"tail', "x" * 49 + '\\"'),
        ("x" * 49 + "\\tail", "x" * 49 + "\\\\"),
        (AWKWARD, 'he said \\"no\\" \\\\ and\\nleft\tat\ufffdonce'),
        (None, ""),
        ("", ""),
    ],
)
def test_a_comment_is_cut_by_characters_and_then_escaped(comment: str | None, told: str) -> None:
    text = text_of(a_picture(a_group("100", a_snapshot(1, comment=comment))))
    assert f'comment="{told}",owner=' in rows_of(text, "pbs_snapshot_info")[0]
    assert parsed(text.encode(), Format.TEXT)


def test_every_snapshot_has_its_own_comment_owner_and_verification() -> None:
    kept = a_snapshot(2, comment="new", verification=Verification.OK), a_snapshot(3, comment="old", owner="b@pbs")
    place = '{datastore="main",backup_type="vm",backup_id="100",backup_time='
    assert sorted(rows_of(text_of(a_picture(a_group("100", *kept))), "pbs_snapshot_info")) == [
        f'{place}"{int(ago(hours=3).timestamp())}",comment="old",owner="b@pbs",verification_state="none"}} 1',
        f'{place}"{int(ago(hours=2).timestamp())}",comment="new",owner="root@pam!pve",verification_state="ok"}} 1',
    ]


def test_more_rows_than_the_cap_leave_the_oldest_out_and_say_how_many() -> None:
    groups = [a_group(str(i), a_snapshot(i), a_snapshot(1000 + i)) for i in range(1, 5)]
    exposed = expose({group.id: group for group in groups}, most=5)
    assert exposed.cut == 3
    assert sorted({key.split("\0")[0] for key in exposed.rows}) == sorted(group.id for group in groups)
    assert sum(snapshot.backup_at < ago(hours=999) for snapshot in exposed.rows.values()) == 1


# --- tasks, garbage collection ------------------------------------------------------------------------------------


def test_two_comments_that_begin_alike_are_one_series() -> None:
    long = "x" * COMMENT_CHARACTERS
    tasks = Tasks(totals={("backup", "OK", long + "a"): 2, ("backup", "OK", long + "b"): 3, ("backup", "OK", ""): 1})
    rows = rows_of(text_of(a_picture(tasks=tasks)), "pbs_task_total")
    assert rows == [
        '{worker_type="backup",status="OK",comment=""} 1',
        f'{{worker_type="backup",status="OK",comment="{long}"}} 5',
    ]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (TaskStatus.OK, ["1"]),
        (TaskStatus.WARNINGS, ["1"]),
        (TaskStatus.ERROR, ["0"]),
        (TaskStatus.UNKNOWN, ["0"]),
        (None, []),
    ],
)
def test_garbage_collection_with_warnings_went_well_and_one_that_never_ran_tells_nothing(
    status: TaskStatus | None, told: list[str]
) -> None:
    picture = a_rich_picture()
    store = replace(picture.datastores["main"], gc=Gc(status=status))
    text = text_of(a_picture(datastores={"main": store}))
    assert [row.rpartition(" ")[2] for row in rows_of(text, "pbs_gc_status")] == told
    assert rows_of(text, "pbs_gc_removed_bytes") == []


@pytest.mark.parametrize(("seconds", "told"), [(0, ["90"]), (60, [])])
def test_the_duration_of_garbage_collection_is_that_of_the_task_which_ended_with_it(
    seconds: int, told: list[str]
) -> None:
    ended_at = ago(hours=1)
    store = replace(a_rich_picture().datastores["main"], gc=Gc(status=TaskStatus.ERROR, ended_at=ended_at))
    task = LastTask(
        worker_type="garbage_collection",
        worker_id="main",
        status=TaskStatus.ERROR,
        comment="",
        started_at=ended_at - timedelta(seconds=90 + seconds),
        ended_at=ended_at - timedelta(seconds=seconds),
    )
    tasks = Tasks(last={("garbage_collection", "main"): task})
    text = text_of(a_picture(datastores={"main": store}, tasks=tasks))
    assert [row.rpartition(" ")[2] for row in rows_of(text, "pbs_gc_duration_seconds")] == told


# --- used again ---------------------------------------------------------------------------------------------------


def test_a_rendition_after_any_change_is_what_a_new_writer_makes() -> None:
    writer, picture = Writer([VOCABULARY], rows_a_part=2), a_rich_picture()
    ids = sorted(picture.groups)
    changed = {**picture.groups, ids[0]: replace(picture.groups[ids[0]], comment="other", snapshots=())}
    fewer = {key: group for key, group in changed.items() if key != ids[1]}
    steps: list[dict[str, PbsPicture | None]] = [
        {"pbs": None},
        {"pbs": picture},
        {"pbs": replace(picture, groups=changed)},
        {"pbs": replace(picture, groups=fewer, tasks=Tasks(), jobs=None, drives=None)},
        {"pbs": replace(picture, groups=fewer), "pbs/b": replace(picture, server="b")},
        {"pbs/b": replace(picture, server="b", datastores={})},
        {"pbs": picture},
    ]
    for pictures in steps:
        assert page_of(writer.write(pictures)) == page_of(Writer([VOCABULARY]).write(pictures))


def test_what_did_not_change_is_not_written_again() -> None:
    writer, picture = Writer([VOCABULARY]), a_rich_picture()
    before = writer.write({"pbs": picture})
    after = writer.write({"pbs": replace(picture, at=NOW + timedelta(seconds=30), traffic=replace(picture.traffic))})
    assert {name for name, piece in after.pieces.items() if piece is not before.pieces[name]} == set()


def test_a_rendition_stays_as_it_is_when_the_next_one_is_made() -> None:
    writer, picture = Writer([VOCABULARY]), a_rich_picture()
    first = writer.write({"pbs": picture})
    page = page_of(first)
    writer.write({"pbs": replace(picture, groups={}, datastores={})})
    assert page_of(first) == page


# --- the other exporter's names -----------------------------------------------------------------------------------


def test_the_other_names_merge_guests_by_id_and_count_finished_snapshots_only() -> None:
    text = text_of(
        a_picture(
            a_group("100", a_snapshot(5, comment="web", verification=Verification.OK)),
            a_group("100", a_snapshot(2, comment="box"), type="ct", unfinished=3, unfinished_at=NOW),
            datastores=a_rich_picture().datastores,
        ),
        natrontech.VOCABULARY,
    )
    guest = '{datastore="main",namespace="",vm_id="100",vm_name="box"}'
    assert rows_of(text, "pbs_snapshot_vm_count") == [f"{guest} 2"]
    assert rows_of(text, "pbs_snapshot_vm_last_timestamp") == [f"{guest} {int(ago(hours=2).timestamp())}"]
    assert rows_of(text, "pbs_snapshot_vm_last_verify") == [], "the newest one was not verified"
    assert rows_of(text, "pbs_snapshot_count") == [
        '{datastore="main",namespace=""} 2',
        '{datastore="main",namespace="prod/eu"} 0',
    ]
    assert rows_of(text, "pbs_size") == ['{datastore="cloud"} 9', '{datastore="main"} 10000']


def test_where_nobody_collects_there_is_nothing_to_read() -> None:
    assert gather({}, None) is None
    assert natrontech.gather({"kopia": None}, None) is None


def test_a_family_that_no_picture_can_tell_is_refused() -> None:
    buckets: Family[Any] = Family(
        name="x", help="A help.", type=Type.HISTOGRAM, bounds=(1,), entity=SERVER, value=lambda _view, _id: None
    )
    with pytest.raises(ValueError, match="no picture can tell"):
        Writer([Vocabulary(name="x", purpose="", collected=Collected(families=(buckets,), gather=gather))])

"""Recorded payloads of real engines become our nouns, and nothing secret comes along."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from lastgood.fleet.subjects import subjects_of
from lastgood.model.docker import Container, ContainerState, Ending, EngineState, Health, Inventory
from lastgood.tools.docker import translate
from lastgood.tools.docker.labels import LONGEST
from lastgood.tools.docker.shapes import Info, Inspect, Item, Volumes, VolumeShape, moment
from tests.dock import an_engine
from tests.docker_engine import recorded

INSPECTED = (
    *("inspect-exited-7", "inspect-oom-137", "inspect-running-unhealthy", "inspect-restarting"),
    *("inspect-odd-labels", "inspect-running-healthy"),
)


def items(name: str = "containers-all.json") -> list[Item]:
    return msgspec.convert(recorded(name), list[Item])


def inspected() -> dict[str, Inspect]:
    looks = [msgspec.convert(recorded(f"{name}.json"), Inspect) for name in INSPECTED]
    return {one.id: one for one in looks}


def containers(name: str = "containers-all.json") -> dict[str, Container]:
    looks = inspected()
    told = [translate.container(one, looks.get(one.id), None, 0) for one in translate.kept(items(name))]
    return {one.name: one for one in told}


def an_item(**told: Any) -> Item:
    given: dict[str, Any] = {"Id": "ab" * 32, "Names": ["/web"], "State": "running", "Status": "Up 3 minutes"}
    return msgspec.convert(given | told, Item)


def test_every_state_of_a_real_engine_is_read() -> None:
    told = containers()
    assert {one.state for one in told.values()} == {
        ContainerState.RUNNING,
        ContainerState.EXITED,
        ContainerState.CREATED,
        ContainerState.PAUSED,
        ContainerState.RESTARTING,
    }
    assert (told["oom"].exit_code, told["oom"].oom_killed) == (137, True)
    assert (told["oneshot-fail"].exit_code, told["oneshot-fail"].oom_killed) == (7, False)
    assert told["sick"].health is Health.UNHEALTHY


def test_one_offs_are_left_out_whatever_the_case_of_their_label() -> None:
    assert any("_run_" in name for one in items() for name in one.names or ())
    assert not any("_run_" in name for name in containers())
    newer = "compose-v2.26-on-engine-26.1-containers.json"
    assert not any("-run-" in name for name in containers(newer))
    assert translate.kept([an_item(Labels={"com.docker.compose.oneoff": "TRUE"})]) == []
    assert translate.kept([an_item(Labels={"lastgood.helper": "1"})]) == []


def test_the_name_is_the_one_without_a_second_slash_and_the_key_outlives_the_container() -> None:
    shop = next(one for one in containers().values() if one.service == "db")
    assert (shop.name, shop.key, shop.project) == ("shop_db_1", "shop/db/1", "shop")
    links = an_item(Names=["/web/db", "/db", "/other/alias"])
    assert translate.name_of(links) == "db"
    assert translate.name_of(an_item(Names=None)) == "ab" * 6


def test_no_label_but_those_that_are_allowed_travels_and_long_values_are_cut() -> None:
    labels = {"com.docker.compose.project": "p", "traefik.rule": "secret", "lastgood.exclude": "x" * 1000}
    labels["docker-volume-backup.archive-pre"] = "mysqldump --password=hunter2"
    told = translate.container(an_item(Labels=labels), None, None, 0)
    assert [name for name, _ in told.labels] == [
        "com.docker.compose.project",
        "docker-volume-backup.archive-pre",
        "lastgood.exclude",
    ]
    assert len(dict(told.labels)["lastgood.exclude"]) == LONGEST
    assert b"hunter2" not in msgspec.json.encode(told)
    assert b"secret" not in msgspec.json.encode(told)


def test_commands_and_environments_of_the_recordings_stay_behind() -> None:
    told = msgspec.json.encode(list(containers().values()))
    assert b"sleep" not in told
    assert b"PATH=" not in told


def test_odd_label_values_do_no_harm() -> None:
    odd = an_item(Labels={"lastgood.exclude": 'say "hi" \\ \n größe 日本 \ud800\x00'})
    told = dict(translate.container(odd, None, None, 0).labels)["lastgood.exclude"]
    assert told == 'say "hi" \\ \n größe 日本 ��'
    assert msgspec.json.decode(msgspec.json.encode(told)) == told


@pytest.mark.parametrize(
    ("item", "health"),
    [
        ({"Status": "Up 3 minutes (unhealthy)"}, Health.UNHEALTHY),
        ({"Status": "Up 3 minutes (healthy)"}, Health.HEALTHY),
        ({"Status": "Up 1 second (health: starting)"}, Health.STARTING),
        ({"Status": "Up 1 second"}, Health.NONE),
        ({"Status": "Up 1 second", "Health": {"Status": "unhealthy"}}, Health.UNHEALTHY),
        ({"Status": "Up 1 second", "Health": {"Status": "none"}}, Health.NONE),
        ({"Status": "Exited (0) 1 second ago", "State": "exited", "Health": {"Status": "unhealthy"}}, Health.NONE),
    ],
)
def test_health_is_read_from_the_list_of_every_api(item: dict[str, Any], health: Health) -> None:
    assert translate.container(an_item(**item), None, None, 0).health is health


def test_an_engine_that_tells_health_by_inspect_alone_is_understood() -> None:
    look = msgspec.convert({"Id": "x", "State": {"Status": "running", "Health": {"Status": "unhealthy"}}}, Inspect)
    assert translate.container(an_item(), look, None, 0).health is Health.UNHEALTHY


def test_the_zero_time_is_no_moment_and_the_former_life_of_a_running_container_is_not_its_own() -> None:
    assert moment("0001-01-01T00:00:00Z") is None
    assert moment("2026-11-20T08:41:07.970921318Z") == datetime(2026, 11, 20, 8, 41, 7, 970921, tzinfo=UTC)
    assert moment("2026-11-20T08:41:07.9+01:00") == datetime(2026, 11, 20, 7, 41, 7, 900000, tzinfo=UTC)
    assert moment("yesterday") is None
    state = {"StartedAt": "2026-11-20T08:41:08Z", "FinishedAt": "2026-11-20T08:41:07Z"}
    look = msgspec.convert({"Id": "x", "State": state}, Inspect)
    assert translate.container(an_item(), look, None, 0).since == datetime(2026, 11, 20, 8, 41, 8, tzinfo=UTC)
    ended = an_item(State="exited", Status="Exited (1) 2 days ago")
    assert translate.container(ended, look, None, 0).since == datetime(2026, 11, 20, 8, 41, 7, tzinfo=UTC)


def test_mounts_have_an_order_of_ours_for_engines_have_none() -> None:
    mounts = [{"Type": "bind", "Source": f"/{letter}", "Destination": f"/{letter}"} for letter in "cab"]
    told = translate.container(an_item(Mounts=[*mounts, {"Type": "tmpfs", "Destination": "/t"}]), None, None, 0)
    assert [one.destination for one in told.mounts] == ["/a", "/b", "/c"]


def test_an_ending_is_told_of_what_has_ended_only() -> None:
    ended = an_item(State="exited", Status="Exited (1) 2 days ago")
    assert translate.container(ended, None, Ending.CRASHED, 1).ending is Ending.CRASHED
    assert translate.container(an_item(), None, Ending.CRASHED, 1).ending is None


def test_a_word_that_no_engine_said_yet_promises_nothing() -> None:
    assert translate.container(an_item(State="levitating"), None, None, 0).state is ContainerState.DEAD
    assert translate.container(an_item(State="stopped"), None, None, 0).state is ContainerState.EXITED


def test_anonymous_volumes_are_known_by_their_names_and_those_of_a_driver_by_their_options() -> None:
    shape = msgspec.convert(recorded("volumes.json"), Volumes)
    told = [translate.volume(one) for one in shape.volumes or ()]
    assert [(one.is_anonymous, one.project) for one in told] == [(False, "shop"), (False, "shop"), (True, None)]
    nfs = VolumeShape(name="n", driver="local", options={"type": "nfs", "device": ":/x", "o": "addr=nas,password=pw"})
    assert translate.volume(nfs).is_mounted_on_demand
    assert b"password" not in msgspec.json.encode(translate.volume(nfs))


def test_recorded_mounts_are_places_of_data() -> None:
    volumes = msgspec.convert(recorded("volumes.json"), Volumes).volumes or []
    inventory = Inventory(
        containers=tuple(containers().values()), volumes=tuple(translate.volume(one) for one in volumes)
    )
    keys = {one.key for one in subjects_of(inventory, an_engine())}
    assert {"volume:shop_webdata", "volume:shop_dbdata", "anonymous:mounts:/anon"} <= keys
    assert not any("de4201eb" in key for key in keys)


def test_the_engine_says_what_it_is_and_how_far_its_clock_is_off() -> None:
    info = msgspec.convert(recorded("info.trimmed.json"), Info)
    there = datetime(2026, 11, 20, 8, 41, 7, tzinfo=UTC)
    told = translate.engine(info, "docker", "1.41", "unix:///var/run/docker.sock", there, local=True)
    assert (told.state, told.version, told.name) == (EngineState.UP, "20.10.24+dfsg1", "host-a")
    assert (told.clock_offset_seconds, told.local, told.rootless, told.swarm) == (0, True, False, False)
    late = translate.engine(info, "docker", "1.41", "x", there + timedelta(seconds=90), local=True)
    assert late.clock_offset_seconds == -89
    desktop = msgspec.structs.replace(info, operating_system="Docker Desktop", security_options=["name=rootless"])
    told = translate.engine(desktop, "docker", "1.41", "x", there, local=True)
    assert (told.local, told.rootless) == (False, True)

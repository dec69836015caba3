"""What events tell: who asked for an end, who crashed, what went with its engine, each event once."""

from __future__ import annotations

import msgspec
import pytest

from lastgood.model.docker import Ending
from lastgood.tools.docker.lives import WINDOW_SECONDS, Lives
from lastgood.tools.docker.shapes import Event
from tests.docker_engine import recorded, recorded_lines

BOX = "ab" * 32
NOW = 1_795_164_000.0


class Told:
    """Events of one container, a second apart."""

    def __init__(self, lives: Lives | None = None) -> None:
        self.lives = lives or Lives()
        self.now = NOW

    def happen(self, action: str, **attributes: str) -> bool:
        self.now += 1
        return self.lives.take(event(action, self.now, **attributes))

    def die(self, code: int) -> None:
        self.happen("die", exitCode=str(code))

    @property
    def ending(self) -> Ending | None:
        return self.lives.ending(BOX)

    @property
    def crashes(self) -> int:
        return self.lives.crashes(BOX, self.now)


def event(action: str, at: float, **attributes: str) -> Event:
    told = {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": BOX, "Attributes": {**attributes, "any": "label"}},
        "time": int(at),
        "timeNano": int(at * 1e9),
    }
    return msgspec.convert(told, Event)


def test_an_end_after_a_signal_that_ends_is_asked_for_whatever_its_code() -> None:
    told = Told()
    told.happen("kill", signal="15")
    told.happen("kill", signal="9")
    told.die(137)
    told.happen("stop")
    assert (told.ending, told.crashes) == (Ending.ASKED, 0)


def test_an_end_with_another_code_than_zero_that_nobody_asked_for_is_a_crash() -> None:
    told = Told()
    told.die(3)
    assert (told.ending, told.crashes) == (Ending.CRASHED, 1)
    told.happen("start")
    assert (told.ending, told.crashes) == (None, 1)
    told.die(0)
    assert (told.ending, told.crashes) == (None, 1)


@pytest.mark.parametrize("signal", ["1", "SIGHUP", "10", "12", "28"])
def test_a_signal_that_asks_for_something_else_excuses_no_crash(signal: str) -> None:
    told = Told()
    told.happen("kill", signal=signal)
    told.die(1)
    assert told.ending is Ending.CRASHED


def test_a_stop_that_follows_explains_an_end_by_a_signal_of_the_images_own() -> None:
    told = Told()
    told.happen("kill", signal="28")
    told.die(1)
    assert told.crashes == 1
    told.happen("stop")
    assert (told.ending, told.crashes) == (Ending.ASKED, 0)


def test_crashes_are_counted_in_a_window_and_not_at_a_moment() -> None:
    told = Told()
    for _ in range(5):
        told.happen("start")
        told.die(3)
    assert told.crashes == 5
    told.now += WINDOW_SECONDS
    assert 0 < told.crashes < 5 or told.crashes == 1
    told.now += 10
    assert told.crashes == 0


def test_an_event_counts_once_however_often_the_stream_tells_it() -> None:
    told = Told()
    first = event("die", NOW, exitCode="3")
    assert told.lives.take(first)
    assert not told.lives.take(first)
    assert told.crashes == 1


def test_what_ends_with_its_engine_is_one_incident_and_no_crash() -> None:
    told = Told()
    told.die(137)
    told.lives.engine_went(told.now + 5, [])
    assert (told.ending, told.crashes) == (Ending.ENGINE, 0)
    running = Told()
    running.happen("start")
    running.lives.engine_went(running.now, [BOX, "cd" * 32])
    assert (running.ending, running.lives.ending("cd" * 32)) == (Ending.ENGINE, Ending.ENGINE)


def test_a_crash_long_before_the_engine_went_stays_one() -> None:
    told = Told()
    told.die(3)
    told.lives.engine_went(told.now + 300, [])
    assert (told.ending, told.crashes) == (Ending.CRASHED, 1)


def test_what_is_gone_is_forgotten_and_the_rest_outlives_a_restart_of_the_agent() -> None:
    told = Told()
    told.happen("kill", signal="15")
    told.die(1)
    again = Lives(told.lives.held())
    assert again.ending(BOX) is Ending.ASKED
    told.happen("destroy")
    assert told.lives.held() == {}
    again.forget_all_but([])
    assert again.held() == {}


def test_a_real_engines_hour_is_understood() -> None:
    lives = Lives()
    names = {one["Id"]: one["Names"][0] for one in recorded("containers-all.json")}
    read = msgspec.json.Decoder(Event).decode
    crashing = dict.fromkeys(names.values(), 0)
    for line in recorded_lines("events.jsonl"):
        told = read(line)
        lives.take(told)
        if told.actor.id in names:
            name = names[told.actor.id]
            crashing[name] = max(crashing[name], lives.crashes(told.actor.id, told.nanoseconds / 1e9))
    assert crashing["/crasher"] >= 3
    assert crashing["/oneshot-fail"] == 1
    assert crashing["/oneshot-ok"] == 0


def test_the_commands_of_health_probes_are_not_so_much_as_kept() -> None:
    lives, read = Lives(), msgspec.json.Decoder(Event).decode
    for line in recorded_lines("events-exec-noise.jsonl"):
        lives.take(read(line))
    assert lives.held() == {}

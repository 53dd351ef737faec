"""Time never runs backwards, whatever the system says."""

from datetime import UTC, datetime, timedelta

import pytest

from app import clock as clock_module
from app.clock import HandClock, SystemClock


class Machine:
    """A computer whose clocks a test can turn."""

    def __init__(self) -> None:
        self.wall, self.since_start = datetime(2026, 11, 22, tzinfo=UTC), 1000.0

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.since_start += seconds

    def now(self, _zone: object) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.since_start


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()

    class Turned(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return made.now(tz)

    monkeypatch.setattr(clock_module, "datetime", Turned)
    monkeypatch.setattr(clock_module.time, "monotonic", made.monotonic)
    return made


def test_the_clock_says_what_the_system_says(machine: Machine) -> None:
    clock = SystemClock()
    assert clock.now() == machine.wall
    machine.passes(5)
    assert clock.now() == machine.wall


def test_a_clock_that_was_set_back_goes_on_from_the_latest_time_seen(machine: Machine) -> None:
    clock = SystemClock()
    seen = machine.wall
    clock.not_before(seen + timedelta(days=1))
    machine.wall -= timedelta(days=365)
    assert clock.now() == seen + timedelta(days=1)
    machine.passes(60)
    assert clock.now() == seen + timedelta(days=1, minutes=1), "time goes on"


def test_an_earlier_time_seen_changes_nothing(machine: Machine) -> None:
    clock = SystemClock()
    clock.not_before(machine.wall + timedelta(hours=1))
    clock.not_before(machine.wall - timedelta(hours=1))
    assert clock.now() == machine.wall + timedelta(hours=1)


def test_when_the_system_catches_up_it_is_believed_again(machine: Machine) -> None:
    clock = SystemClock()
    clock.not_before(machine.wall + timedelta(hours=1))
    machine.wall += timedelta(hours=2)
    assert clock.now() == machine.wall


def test_a_clock_that_was_set_back_while_running_never_goes_back(machine: Machine) -> None:
    clock = SystemClock()
    before = clock.now()
    machine.wall -= timedelta(hours=1)
    assert clock.now() >= before


def test_the_hand_clock_moves_when_told_and_never_back() -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    clock = HandClock(start)
    clock.not_before(start - timedelta(days=1))
    assert clock.now() == start
    clock.move(timedelta(hours=1))
    clock.not_before(start + timedelta(hours=2))
    assert clock.now() == start + timedelta(hours=2)

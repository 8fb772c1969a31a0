import threading
from functools import partial

from bus.contract.messages import PluginRecord
from node_agent.recorder.events import Step
from node_agent.recorder.kept import KeptRecords
from node_agent.recorder.record_file import Plugin, Record, decode
from node_agent.recorder.recorder import Steps
from node_agent.sandbox.limits import Limits
from tests.support import WAIT_S

STEP = Step(1, 0, None, b"\xdd\0\0\0\0", None)


def record(fault: str = "") -> Record:
    plugin = Plugin("light", "ab")
    return Record("pi4", plugin, "command", fault, 1, Limits(), Steps([STEP], 0, 1))


class Hub:
    """A hub that is there or not."""

    def __init__(self) -> None:
        self.is_there = True
        self.now_s = 0.0
        self.came: list[PluginRecord] = []
        self.kept = KeptRecords(self._publish, lambda: self.now_s)

    def _publish(self, _plugin: str, message: PluginRecord) -> bool:
        if self.is_there:
            self.came.append(message)
        return self.is_there


def test_a_record_waits_for_the_hub_and_is_sent_once() -> None:
    hub = Hub()
    hub.is_there = False
    hub.kept.keep(record("first"))
    hub.kept.keep(record("second"))
    hub.kept.send_waiting()
    hub.is_there = True
    hub.kept.send_waiting()
    hub.kept.send_waiting()
    assert [message.fault for message in hub.came] == ["second"]
    assert decode(hub.came[0].content, "record").steps.kept == [STEP]


def test_a_new_connection_gets_the_records_of_the_last_hour() -> None:
    hub = Hub()
    hub.kept.keep(record())
    hub.kept.send_waiting()
    hub.kept.connected()
    hub.kept.send_waiting()
    hub.now_s = 3601.0
    hub.kept.connected()
    hub.kept.send_waiting()
    assert len(hub.came) == 2


def test_a_sensor_that_comes_and_goes_makes_one_record_in_ten_minutes() -> None:
    hub = Hub()
    dues = []
    for now_s in (0.0, 4.0, 599.0, 600.0):
        hub.now_s = now_s
        dues.append(hub.kept.is_due("light", "ab", "problem"))
    assert dues == [True, False, False, True]
    assert hub.kept.is_due("light", "ab", "fault")
    assert hub.kept.is_due("light", "ab", "command")
    assert hub.kept.is_due("light", "ab", "command")


def test_a_fault_of_another_version_is_kept_at_once() -> None:
    kept = Hub().kept
    dues = [kept.is_due("light", version, "fault") for version in ("ab", "ab", "cd", "cd")]
    assert dues == [True, False, True, False]


def test_a_record_is_made_in_a_thread_of_its_own_and_only_the_newest_waits() -> None:
    hub, began, may_end = Hub(), threading.Event(), threading.Event()

    def slow() -> Record:
        began.set()
        may_end.wait(WAIT_S)
        return record("first")

    hub.kept.keep_later("light", slow)
    assert began.wait(WAIT_S)
    for fault in ("second", "third"):
        hub.kept.keep_later("light", partial(record, fault))
    hub.kept.send_waiting()
    assert hub.came == []
    may_end.set()
    hub.kept.wait()
    hub.kept.send_waiting()
    assert [message.fault for message in hub.came] == ["third"]


def test_a_record_that_cannot_be_made_keeps_no_other_from_the_hub() -> None:
    hub = Hub()

    def damaged() -> Record:
        raise ValueError("damaged")

    hub.kept.keep_later("light", damaged)
    hub.kept.wait()
    hub.kept.keep_later("light", record)
    hub.kept.wait()
    hub.kept.send_waiting()
    assert len(hub.came) == 1

"""Fault log: one line when a fault begins and one when it ends."""

from plugins.shared.faults import FaultLog


def test_a_fault_is_told_when_it_begins_and_when_it_ends_with_its_duration() -> None:
    faults = FaultLog("bme680-0x77")
    assert faults.worked(0.0) == ""
    assert faults.failed("no answer", 10.0) == "fault: bme680-0x77: no answer"
    assert faults.failed("no answer", 12.0) == ""
    assert faults.failed("wrong chip", 14.0) == ""
    assert faults.worked(72.4) == (
        "fault over: bme680-0x77 after 62 s and 3 failed tries: no answer"
    )
    assert faults.worked(74.0) == ""


def test_a_second_fault_is_counted_by_itself() -> None:
    faults = FaultLog("dht22-gpio4")
    faults.failed("checksum", 1.0)
    faults.worked(3.0)
    assert faults.failed("no answer", 5.0) == "fault: dht22-gpio4: no answer"
    assert faults.worked(7.0).endswith("after 2 s and 1 failed try: no answer")

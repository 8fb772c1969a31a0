import logging

import pytest

from bus.fault import Fault


def test_a_fault_is_logged_once_and_its_end_with_its_duration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = iter([100.0, 160.5])
    fault = Fault("chip", lambda: next(times))
    fault.worked()
    for reason in ("no answer", "no answer", "wrong id"):
        fault.failed(reason)
    assert fault.reason == "wrong id"
    fault.worked()
    fault.worked()
    assert fault.reason == ""
    assert [record.getMessage() for record in caplog.records] == [
        "chip: fault: no answer",
        "chip: works again after 60.5 s",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}

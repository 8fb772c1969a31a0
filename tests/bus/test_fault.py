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


def test_a_fault_is_logged_by_the_given_logger_at_the_given_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = Fault("disk", logger=logging.getLogger("store"), level=logging.ERROR)
    begins = [fault.failed("full"), fault.failed("full")]
    assert begins == [True, False]
    assert fault.is_active
    assert [fault.worked(), fault.worked()] == [True, False]
    assert not fault.is_active
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("store", logging.ERROR),
        ("store", logging.WARNING),
    ]


def test_a_fault_is_logged_with_the_traceback_on_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = Fault("chip")
    try:
        int("boom")
    except ValueError as e:
        fault.failed(str(e), traceback=True)
    assert "Traceback" in caplog.text

"""Reasons that a recovery tells: bounded, with the place and the name of what was raised."""

from node_agent.plugins.supervisor.recovery import MAX_ERROR_CHARS, reason_of

HEAD = 'Traceback (most recent call last):\n  File "/0/app.py", line 7, in poll\n    work()\n'


def test_the_reason_of_a_long_message_has_its_place_and_the_exceptions_name() -> None:
    for message in ("x" * 50_000, "one of many lines\n" * 5_000):
        reason = reason_of(f"{HEAD}ValueError: {message}", "")
        assert reason.startswith(f"{HEAD}ValueError: ")
        assert reason.endswith(message[-900:])
        assert len(reason) <= MAX_ERROR_CHARS


def test_the_reason_of_a_deep_traceback_has_the_exception_at_its_end() -> None:
    frames = "".join(
        f'  File "/0/app.py", line {line}, in poll\n    work()\n' for line in range(99)
    )
    reason = reason_of(f"{HEAD}{frames}ValueError: wrong\n", "")
    assert reason.endswith("line 98, in poll\n    work()\nValueError: wrong\n")


def test_a_reason_without_a_traceback_is_the_error() -> None:
    assert reason_of("", "hung") == "hung"

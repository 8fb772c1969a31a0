import threading

from node_agent.plugins.poll_signal import PollSignal

WAIT_S = 60.0


def test_a_request_is_one_poll_and_the_cycle_waits_for_its_end() -> None:
    signal, polls = PollSignal(), 0

    def poll_until_stopped() -> None:
        nonlocal polls
        while signal.wait_for_request():
            with signal.polling():
                polls += 1

    thread = threading.Thread(target=poll_until_stopped)
    thread.start()
    for count in (1, 2, 3):
        signal.request()
        assert signal.wait_idle(WAIT_S)
        assert polls == count
    signal.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_a_busy_plugin_is_not_asked_again() -> None:
    signal = PollSignal()
    signal.request()
    assert signal.wait_for_request()
    with signal.polling():
        assert not signal.wait_idle(0.0)
        signal.request()
    assert signal.busy_s() == 0.0
    assert signal.wait_idle(0.0)
    assert not signal._requested.is_set()


def test_the_end_of_the_thread_releases_the_cycle() -> None:
    signal = PollSignal()
    signal.request()
    signal.end()
    assert signal.wait_idle(0.0)

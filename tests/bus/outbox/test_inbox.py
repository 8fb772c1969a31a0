import threading

from bus.contract.messages import Stored
from bus.outbox.inbox import SenderInbox

WAIT_S = 60.0


def test_acknowledgements_arrive_in_order_and_once() -> None:
    inbox = SenderInbox()
    messages = [Stored("s", [(n, n)]) for n in range(3)]
    for message in messages:
        inbox.put_stored(message)
    assert list(inbox.take_stored()) == messages
    assert list(inbox.take_stored()) == []


def test_an_acknowledgement_and_a_wake_up_end_the_wait() -> None:
    inbox, woken = SenderInbox(), threading.Semaphore(0)

    def wait_twice() -> None:
        for _ in range(2):
            inbox.wait(WAIT_S)
            woken.release()

    thread = threading.Thread(target=wait_twice)
    thread.start()
    inbox.put_stored(Stored("s", [(0, 0)]))
    assert woken.acquire(timeout=WAIT_S)
    inbox.wake()
    assert woken.acquire(timeout=WAIT_S)
    thread.join(WAIT_S)

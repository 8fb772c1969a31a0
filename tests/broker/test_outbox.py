from broker.outbox import Outbox


def test_readings_leave_in_the_order_in_which_they_came() -> None:
    outbox = Outbox("pi4")
    for n in range(3):
        outbox.add("room", n, {"n": n})
    taken = [outbox.take() for _ in range(3)]
    assert [reading.seq for reading in taken if reading] == [0, 1, 2]
    assert outbox.take() is None


def test_a_reading_counts_until_it_is_acknowledged() -> None:
    outbox = Outbox("pi4")
    outbox.add("room", 1, {})
    reading = outbox.take()
    assert reading is not None
    assert outbox.rows == 1
    outbox.acknowledge(reading.seq)
    assert outbox.rows == 0


def test_what_could_not_be_sent_goes_first_again() -> None:
    outbox = Outbox("pi4")
    for n in range(2):
        outbox.add("room", n, {})
    first = outbox.take()
    assert first is not None
    outbox.put_back(first.seq)
    assert outbox.take() == first


def test_a_full_outbox_gives_up_its_oldest_and_counts_them() -> None:
    outbox = Outbox("pi4", max_rows=3)
    for n in range(5):
        outbox.add("room", n, {})
    kept = outbox.take()
    assert kept is not None
    assert kept.seq == 2
    assert outbox.dropped == 2


def test_every_outbox_has_a_stream_of_its_own() -> None:
    streams = set()
    for _ in range(3):
        outbox = Outbox("pi4")
        outbox.add("room", 1, {})
        reading = outbox.take()
        assert reading is not None
        streams.add(reading.stream)
    assert len(streams) == 3

from tests.chaos.truth import Count, Hit, Measured, Row, Sort, count

AFTER, BEFORE, REPEATING = Sort(), Sort(stamped_first=True), Sort(repeats=True)
SENSOR = ("pi4", "s")


def measured(*times_ms: int) -> list[Measured]:
    return [Measured("pi4", "s", time_ms, time_ms - 200) for time_ms in times_ms]


def rows(*times_ms: int, first: int = 0) -> list[Row]:
    return [Row("pi4", "s", time_ms, "stream", first + i) for i, time_ms in enumerate(times_ms)]


def held(produced: list[Measured], stored: list[Row], sort: Sort = AFTER, **more: object) -> Count:
    return count(produced, stored, {SENSOR: sort}, **more)  # type: ignore[arg-type]


def test_one_reading_behind_each_measurement_is_whole() -> None:
    found = held(measured(1000, 2000, 3000), rows(1000, 2900, 3100))
    assert found.is_whole
    assert (len(found.produced), len(found.stored)) == (3, 3)


def test_a_measurement_without_a_reading_is_missing() -> None:
    found = held(measured(1000, 2000, 3000), rows(1001, 3001))
    assert found.missing == measured(2000)
    assert not found.is_whole


def test_a_sensor_whose_time_is_taken_first_is_held_against_the_measurement_behind() -> None:
    found = held(measured(1200, 2200, 3200), rows(1000, 3000), BEFORE)
    assert found.missing == measured(2200)
    assert found.unexplained == []


def test_two_readings_of_one_measurement_are_one_too_many() -> None:
    found = held(measured(1000, 2000), rows(1001, 1002, 2001))
    assert [row.timestamp_ms for row in found.twice] == [1002]
    assert held(measured(1000, 2000), rows(1001, 1002, 2001), REPEATING).is_whole


def test_one_reading_under_two_numbers_is_twice() -> None:
    found = held(measured(1000), rows(1001, 1001), REPEATING)
    assert [row.seq for row in found.twice] == [1]


def test_a_reading_of_no_measurement_is_unexplained() -> None:
    assert len(held(measured(1000), rows(900, 1001)).unexplained) == 1
    assert len(held(measured(1000), rows(700, 900), BEFORE).unexplained) == 1


def test_only_what_was_measured_as_its_process_was_hit_is_undecided() -> None:
    hit = Hit("pi4", 2050, 2060)
    found = held(measured(1000, 2000, 3000), rows(3001), hits=[hit])
    assert (found.undecided, found.missing) == (measured(2000), measured(1000))
    other = Hit("pizero", 2050, 2060)
    assert held(measured(2000), [], hits=[other]).missing == measured(2000)


def test_a_poll_that_was_paused_in_its_middle_is_undecided() -> None:
    late = [Measured("pi4", "s", 9000, 1000)]
    assert held(late, [], hits=[Hit("pi4", 1100, 8900)]).undecided == late
    assert held(late, [], hits=[Hit("pi4", 100, 900)]).missing == late


def test_a_measurement_that_is_told_of_late_takes_no_others_reading() -> None:
    late = [Measured("pi4", "s", 9001, 1000), Measured("pi4", "s", 9400, 9200)]
    found = held(late, rows(9000), BEFORE, hits=[Hit("pi4", 1100, 8900)])
    assert (found.undecided, found.missing) == (late[:1], [])


def test_what_was_in_a_file_that_was_corrupted_is_counted_apart() -> None:
    lost = rows(1001, first=1)
    found = held(measured(500, 1000, 2000), [*rows(501), *rows(2001, first=2)], damaged=lost)
    assert found.excused == measured(1000)
    assert found.is_whole


def test_a_number_that_no_row_has_is_a_gap() -> None:
    found = held(measured(1000, 2000), [*rows(1001), *rows(2001, first=2)])
    assert found.gaps == [("pi4", "stream", 1)]


def test_what_was_measured_later_is_not_counted_yet() -> None:
    found = held(measured(1000, 2000), rows(1001), until_ms=1500)
    assert (found.produced, found.missing) == (measured(1000), [])

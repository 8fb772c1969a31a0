"""InfluxDB line protocol: lines are read back as InfluxData's reference says."""

import re

from hypothesis import given
from hypothesis import strategies as st

from hub_app.history.query.export import SensorWindow
from hub_app.http.formats.export_rows import SensorWords
from hub_app.http.formats.influx import InfluxWriter, escaped

AT_MS = 1_795_373_121_000
# The bus lets no control characters in. A backslash before a mark or at the end cannot be written:
# tried with InfluxDB 1.6.
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20).map(
    lambda text: re.sub(r'\\+(?=[,= "]|\Z)', "", text)
)
NAMES = WORDS.filter(bool)
NUMBERS = st.floats(-(2**53), 2**53)


def split(text: str, mark: str) -> list[str]:
    """Split at a mark that no backslash escapes."""
    return re.split(rf"(?<!\\){mark}", text)


def plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def parsed(line: str) -> tuple[str, dict[str, str], dict[str, str], int]:
    """Return measurement, tags, fields and timestamp of a line."""
    series, fields, stamp = split(line, " ")
    measurement, *tags = split(series, ",")
    pairs = [
        dict(map(plain, split(each, "=")) for each in part) for part in (tags, split(fields, ","))
    ]
    return measurement, pairs[0], pairs[1], int(stamp)


def lines(window: SensorWindow, area: str = "") -> list[str]:
    text = InfluxWriter().write(window, SensorWords(area, {})).decode()
    return text.split("\n")[:-1]


def test_readings_are_one_line_for_each_time() -> None:
    point = (AT_MS, 21.5, 21.5, 21.5, 1)
    window = SensorWindow("pi4:dht22", ["t", "h"], 0, [(AT_MS, [point, None])])
    assert lines(window, "Living room, north") == [
        r"harvester,area=Living\ room\,\ north,node=pi4,sensor=dht22 t=21.5 1795373121000000000"
    ]


def test_means_have_their_resolution_least_greatest_and_count() -> None:
    window = SensorWindow("pi4:dht22", ["t"], 300_000, [(AT_MS, [(AT_MS, 2.0, 1.0, 3.0, 150)])])
    (line,) = lines(window)
    series, fields, stamp = line.split(" ")
    assert (series, stamp) == ("harvester_5m,node=pi4,sensor=dht22", "1795373121000000000")
    assert fields == "t=2.0,t_low=1.0,t_high=3.0,t_count=150i"


@given(area=WORDS, values=st.dictionaries(NAMES, NUMBERS, min_size=1, max_size=5))
def test_any_name_is_read_back(area: str, values: dict[str, float]) -> None:
    points = [(AT_MS, value, value, value, 1) for value in values.values()]
    window = SensorWindow("pi4:a-b", list(values), 0, [(AT_MS, list(points))])
    (line,) = lines(window, area)
    measurement, tags, fields, stamp = parsed(line)
    assert (measurement, stamp) == ("harvester", AT_MS * 10**6)
    assert tags == {"node": "pi4", "sensor": "a-b"} | ({"area": area} if area else {})
    assert {name: float(text) for name, text in fields.items()} == values


def test_backslashes_that_would_escape_are_left_out() -> None:
    texts = ["C:\\dir", "x\\", "x\\, y", 'quo\\"te', "\\\\ a"]
    assert [escaped(text) for text in texts] == ["C:\\dir", "x", r"x\,\ y", 'quo"te', r"\ a"]

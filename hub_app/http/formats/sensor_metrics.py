"""Metrics of sensors: each value under the metric of its quantity, and the age of the readings."""

from collections.abc import Iterator

from bus.contract.messages import Value
from hub_app.http.formats.metric_names import metric
from hub_app.http.formats.prometheus import ENTRIES_PER_SLICE, Families, Family, Sample, gauge
from hub_app.live.change import Change
from hub_app.live.state import State
from hub_app.live.views import ReadingView


def families(state: State, entries: list[Change], now_ms: int) -> Families:
    """Yield the families of all sensors. The values of a stale reading are absent."""
    values = _Values(state)
    taken = gauge(
        "harvester_reading_timestamp_seconds",
        "When a sensor's newest reading was taken",
        *("node", "sensor"),
    )
    age = gauge(
        "harvester_sensor_age_seconds", "Age of a sensor's newest reading", "node", "sensor"
    )
    up = gauge("harvester_sensor_up", "Whether a sensor's readings are fresh", "node", "sensor")
    for number, entry in enumerate(entries, 1):
        view: ReadingView = entry.value
        labels, age_ms = (entry.node, entry.name), max(0, now_ms - view.at_ms)
        is_fresh = age_ms <= view.stale_after_ms
        age.samples.append(Sample(labels, age_ms / 1000))
        up.samples.append(Sample(labels, int(is_fresh)))
        if is_fresh:
            taken.samples.append(Sample(labels, view.timestamp_ms / 1000))
            values.add(entry.node, entry.name, view.data)
        if number % ENTRIES_PER_SLICE == 0:
            yield None
    yield from values.families
    yield from (taken, age, up)


class _Values:
    """Values by metric. A field that is not described is in `harvester_reading`, as it is."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._undescribed = gauge(
            "harvester_reading",
            "A sensor's newest value of a field that has no description",
            *("node", "sensor", "field"),
        )
        self._by_name: dict[str, Family] = {}

    @property
    def families(self) -> Iterator[Family]:
        yield from (*self._by_name.values(), self._undescribed)

    def add(self, node: str, sensor: str, data: dict[str, Value]) -> None:
        described = self._state.description(node, sensor)
        about = self._state.about(node)
        # A sensor without an area of its own is where its node is.
        area = (described.area if described else "") or (about.area if about else "")
        fields = described.fields if described else {}
        for field, value in data.items():
            if isinstance(value, str):
                continue
            if field not in fields:
                self._undescribed.samples.append(Sample((node, sensor, field), value))
                continue
            named = metric(field, fields[field])
            family = self._by_name.get(named.name)
            if family is None:
                family = gauge(named.name, named.help, "node", "sensor", "field", "area")
                self._by_name[named.name] = family
            family.samples.append(Sample((node, sensor, field, area), named.value(value)))

"""The text format is read by Prometheus' own parser, whatever the labels and values are."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hub_app.http.formats.prometheus import Sample, counter, gauge, lines

# Prometheus splits lines at these, too.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20)


@given(st.lists(st.tuples(TEXT, st.floats(-1e15, 1e15) | st.booleans()), max_size=4, unique=True))
def test_labels_and_values_come_back_as_they_were(pairs: list[tuple[str, float]]) -> None:
    family = gauge("harvester_x", "help", "name")
    family.samples.extend(Sample((label,), value) for label, value in pairs)
    found = [
        (sample.labels["name"], sample.value)
        for read in text_string_to_metric_families("".join(lines(family)))
        for sample in read.samples
    ]
    assert found == [(label, float(value)) for label, value in pairs]


def test_a_value_that_no_float_holds_is_left_out() -> None:
    family = counter("harvester_y", "help")
    family.samples.extend(Sample((), value) for value in (10**400, float("inf"), 7))
    assert list(lines(family))[1:] == ["harvester_y_total 7.0\n"]

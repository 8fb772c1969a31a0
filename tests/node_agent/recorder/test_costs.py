from bus.contract.messages import PluginCost
from node_agent.recorder.costs import CostMeter, quantile


def test_a_plugin_costs_nothing_before_its_first_poll() -> None:
    assert CostMeter().cost() == PluginCost(0, 0, 0, 0.0, 0.0)


def test_polls_failures_calls_and_the_most_memory_are_summed_up() -> None:
    meter = CostMeter()
    for number in range(100):
        meter.polled(0.001 if number < 99 else 0.5, 12, failed=number == 7)
    for megabytes in (15, 17, 16):
        meter.saw_memory(megabytes << 20)
    assert meter.cost() == PluginCost(100, 1, 1200, 1.0, 500.0, 17.0)


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert quantile([1.0], 0.99) == 1.0

from bus.contract.messages import Fan
from node_agent.actuators.fan import FanControl


class Bench:
    def __init__(self) -> None:
        self.relay: list[bool] = []
        self.said: list[Fan] = []
        self.fan = FanControl(self.relay.append, self.said.append)


def test_in_auto_a_plugin_decides() -> None:
    bench = Bench()
    bench.fan.demand(on=True)
    bench.fan.demand(on=True)
    bench.fan.demand(on=False)
    assert bench.relay == [True, False]


def test_a_person_overrides_the_plugin_until_auto() -> None:
    bench = Bench()
    bench.fan.set_mode("off")
    bench.fan.demand(on=True)
    assert bench.relay == []
    bench.fan.set_mode("auto")
    assert bench.relay == [True]


def test_every_change_of_state_or_mode_is_said_once() -> None:
    bench = Bench()
    bench.fan.set_mode("on")
    bench.fan.set_mode("on")
    bench.fan.demand(on=True)
    bench.fan.set_mode("auto")
    assert bench.said == [Fan(on=True, mode="on"), Fan(on=True, mode="auto")]

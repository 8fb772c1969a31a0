"""Whatever happens to an outbox in whatever order, it holds exactly what was not stored."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.bus.outbox.parts import Box


class OutboxMachine(RuleBasedStateMachine):
    """`kept`: by (stream, seq), what was added and neither stored nor lost with the power."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.box = Box(self.folder)
        self.kept: dict[tuple[str, int], int] = {}
        self.ever: set[tuple[str, int]] = set()
        self.count = 0
        self.boots = 0

    @rule(number=st.integers(1, 5))
    def add(self, number: int) -> None:
        values = list(range(self.count, self.count + number))
        self.count += number
        before = self.box.box._numbering.next_seq
        self.box.add(*values)
        for offset, value in enumerate(values):
            key = (self.box.box.stream, before + offset)
            assert key not in self.ever
            self.ever.add(key)
            self.kept[key] = value

    @rule(seconds=st.sampled_from([1, 10, 70]))
    def wait(self, seconds: int) -> None:
        self.box.clock.elapsed_s += seconds
        self.box.box.tend()

    @rule(data=st.data())
    @precondition(lambda self: self.kept)
    def store(self, data: st.DataObject) -> None:
        stream, seq = data.draw(st.sampled_from(list(self.kept)))
        last = seq + data.draw(st.integers(0, 5))
        self.box.box.stored(stream, [(seq, last)])
        for key in [k for k in self.kept if k[0] == stream and seq <= k[1] <= last]:
            del self.kept[key]

    @rule()
    def kill(self) -> None:
        self.box.box.forget_stored()
        self.box.kill()
        self.box.open()

    @rule()
    def stop_and_start(self) -> None:
        self.box.box.close()
        self.box.open()

    @rule()
    def cut_the_power(self) -> None:
        self.box.box.forget_stored()
        on_disk = {(r.stream, r.seq) for r, _ in self.box.box._disk.page(None, (), 100_000)}
        self.box.kill()
        shutil.rmtree(self.box.ram.parent)
        self.boots += 1
        self.box.clock.boot_id = f"boot{self.boots}"
        self.box.open()
        self.kept = {key: value for key, value in self.kept.items() if key in on_disk}

    @invariant()
    def holds_what_is_kept_each_once_and_in_order(self) -> None:
        self.box.box.forget_stored()
        found = self.box.everything()
        assert {(r.stream, r.seq): r.data["n"] for r in found} == self.kept
        assert len(found) == len(self.kept) == self.box.box.rows
        assert [r.data["n"] for r in found] == sorted(self.kept.values())

    def teardown(self) -> None:
        self.box.box.close()
        shutil.rmtree(self.folder)


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)

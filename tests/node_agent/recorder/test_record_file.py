import hashlib
import os
import zlib

import msgspec
import pytest

from node_agent.recorder import record_file
from node_agent.recorder.events import Step
from node_agent.recorder.record_file import BadRecordError, Plugin, Record
from node_agent.recorder.recorder import Steps
from node_agent.sandbox.limits import Limits


def record(polls: int, poll_bytes: int, bundle_bytes: int = 1000) -> Record:
    # Random bytes, which cannot be compressed.
    steps = [Step(number, 0, None, os.urandom(poll_bytes), None) for number in range(polls)]
    content = os.urandom(bundle_bytes)
    plugin = Plugin("light", hashlib.sha256(content).hexdigest(), bundle=content)
    return Record("pi4", plugin, "fault", "why", 1, Limits(), Steps(steps, 0, polls - 2))


def test_a_record_that_fits_is_whole() -> None:
    made = record(5, 100)
    fitting, content = record_file.encode(made)
    assert fitting == made
    assert record_file.decode(content, "x") == made


def test_the_oldest_of_the_newest_polls_make_place() -> None:
    fitting, content = record_file.encode(record(40, 1000), 20_000)
    numbers = [step.number for step in fitting.steps.kept]
    assert numbers[:2] == [0, 1]
    assert numbers[-1] == 39
    assert fitting.steps.missing == 40 - len(numbers)
    assert fitting.steps.newest == len(numbers) - 2
    assert fitting.plugin.bundle
    assert 10_000 < len(content) <= 20_000


def test_a_poll_that_is_too_large_leaves_no_record() -> None:
    _, content = record_file.encode(record(3, 20_000), 10_000)
    assert content == b""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"harvester bundle 1\n",
        b"harvester record 1\nno zlib",
        b"harvester record 1\n" + zlib.compress(b"no record"),
        b"harvester record 1\n" + zlib.compress(bytes(64 << 20)),
        record_file.encode(record(1, 10))[1][:-1],
        record_file.encode(record(1, 10))[1] + b"more",
        b"harvester record 1\n" + zlib.compress(msgspec.msgpack.encode({"node": 1})),
    ],
)
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(BadRecordError, match="x: "):
        record_file.decode(content, "x")


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"node": '"""\nimport os\n"""'}, "$.node"),
        ({"plugin": Plugin("/home/me/plugins/light/light", "ab")}, "$.plugin.name"),
        ({"plugin": Plugin("../light", "ab")}, "$.plugin.name"),
        ({"plugin": Plugin("light", "ab", bundle=b"another")}, "its bundle has another sha256"),
        ({"made_ms": 1 << 60}, "$.made_ms"),
        ({"steps": Steps([], 0, 1)}, "steps"),
        ({"steps": Steps([], 3, 0)}, "steps"),
    ],
)
def test_a_record_names_no_file_and_writes_no_code(changed: dict[str, object], key: str) -> None:
    made = msgspec.structs.replace(record(5, 100), **changed)
    _, content = record_file.encode(made)
    with pytest.raises(BadRecordError) as refused:
        record_file.decode(content, "x.record")
    assert str(refused.value).startswith("x.record: ")
    assert key in str(refused.value)

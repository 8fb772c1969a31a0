import pytest

from node_agent.sandbox.faults import begins_fault, sentence

TRACEBACK = """Traceback (most recent call last):
  File "/1/harvester_guest.py", line 9, in called
  File "/0/app.py", line 7, in poll
    return read()
  File "/0/pkg/chip.py", line 31, in read
    raise {raised}
{said}
thread '<unnamed>' (1) panicked at src/lib.rs:1:1:"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/0/app.py", line 7, in poll
  |     raise ExceptionGroup("several", [ValueError("a")])
  | ExceptionGroup: several (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/0/other.py", line 99, in part
    | ValueError: a
    +------------------------------------"""


@pytest.mark.parametrize(
    ("written", "cause", "said"),
    [
        (
            TRACEBACK.format(raised="ValueError", said="ValueError: first\nsecond"),
            "wasm trap: unreachable",
            "ValueError: first (pkg/chip.py:31)",
        ),
        (
            "Traceback (most recent call last):\nSyntaxError: found null bytes",
            "wasm trap: unreachable",
            "SyntaxError: found null bytes",
        ),
        (GROUP, "wasm trap: unreachable", "ExceptionGroup: several (1 sub-exception) (app.py:7)"),
        (
            TRACEBACK.format(raised="SystemExit(3)", said="SystemExit: 3"),
            "Exited with i32 exit status 3",
            "called sys.exit (pkg/chip.py:31)",
        ),
        ("", "Exited with i32 exit status 3", "called sys.exit"),
        (
            "",
            "wasm trap: call stack exhausted",
            "ran out of stack: calls or data are nested too deep",
        ),
        ("", "wasm trap: unreachable", "wasm trap: unreachable"),
        (
            "",
            "wasm trap: wasm `unreachable` instruction executed",
            "aborted without a traceback",
        ),
        ("MemoryError", "wasm trap: unreachable", "needed more memory than its limit of 32 MB"),
    ],
)
def test_a_fault_is_one_sentence_with_the_place_in_the_plugins_files(
    written: str, cause: str, said: str
) -> None:
    assert sentence(written.splitlines(), cause, 32) == said


@pytest.mark.parametrize("text", [TRACEBACK, GROUP])
def test_a_traceback_begins_at_its_first_line(text: str) -> None:
    first, second, *_ = text.splitlines()
    assert begins_fault(first)
    assert not begins_fault(second)

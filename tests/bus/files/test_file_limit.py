"""Limit of open files, in a process of its own: a lowered hard limit cannot be raised again."""

import subprocess
import sys

import pytest

PROBE = """
import resource, sys
from bus.files import file_limit

soft, hard, wanted = (int(text) for text in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(file_limit.raise_by(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "room", "limit"),
    [(200, 1000, 576, 776), (200, 500, 300, 500), (200, 210, 50, 210), (200, 200, 50, 200)],
)
def test_the_limit_is_raised_by_as_much_as_is_allowed(
    soft: int, hard: int, room: int, limit: int
) -> None:
    command = [sys.executable, "-c", PROBE, str(soft), str(hard), "576"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(room), str(limit)]

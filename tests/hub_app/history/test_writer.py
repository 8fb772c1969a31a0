"""The writer of the history survives SIGKILL."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.hub_app.history.samples import rows
from tests.support import PROJECT, WAIT_S

WRITER = """
import sys
from pathlib import Path
from hub_app.history.schema import open_history
from hub_app.history.writer import Writer, Arrival
from tests.hub_app.history.samples import reading, START
writer = Writer(open_history(Path(sys.argv[1])))
n = int(sys.argv[2])
while True:
    # Time runs fast, so that readings move between the tables while it is killed.
    writer.store([Arrival(reading(n + i), False) for i in range(3)], [], START + n * 50_000)
    n += 3
    print(n, flush=True)
"""


def test_a_writer_that_is_killed_has_all_that_it_answered_for(tmp_path: Path) -> None:
    path, done = tmp_path / "history.db", 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(done)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if int(line) > done + 90:
                    break
            child.send_signal(signal.SIGKILL)
            stored = [int(line) for line in (line, *child.stdout) if line.strip().isdigit()]
            child.wait(WAIT_S)
        found = rows(path)
        assert {("s", n) for n in range(stored[-1])} <= set(found)
        assert len(set(found)) == len(found)
        done = stored[-1]

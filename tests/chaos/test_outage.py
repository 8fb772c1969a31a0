from pathlib import Path

import pytest

from tests.chaos.outage import measure

# The limit is on a hang, not on a busy machine.
_GIVE_UP_S = 200.0


@pytest.mark.timeout(300)
def test_after_an_hour_everything_arrives_once_and_new_readings_before_the_old_ones_end(
    tmp_path: Path,
) -> None:
    figures = measure(tmp_path, hours=1.0, give_up_s=_GIVE_UP_S)
    assert (figures.missing, figures.twice) == (0, 0), figures
    assert max(figures.live_s.values()) < figures.all_s, figures

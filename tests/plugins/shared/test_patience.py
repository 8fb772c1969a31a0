"""A poll that takes too long ends by itself."""

import pytest

from plugins.shared.patience import Patience, TooSlowError


def test_time_is_up_when_the_limit_has_passed_since_the_poll_began() -> None:
    patience = Patience(0.6)
    patience.begin(100.0)
    patience.check(100.6)
    with pytest.raises(TooSlowError, match=r"not done within 0\.6 s"):
        patience.check(100.61)


def test_each_poll_has_its_own_time() -> None:
    patience = Patience(0.6)
    patience.begin(100.0)
    patience.begin(102.0)
    patience.check(102.5)


def test_nothing_may_be_sent_before_a_poll_began() -> None:
    with pytest.raises(TooSlowError):
        Patience().check(1.0)

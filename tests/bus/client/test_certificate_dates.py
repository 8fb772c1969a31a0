"""Dates of certificates, in both of DER's forms."""

import datetime as dt
import ssl

import pytest

from bus.client.certificate_dates import explain, validity

UTC_TIMES = b"\x30\x1e\x17\x0d491231235959Z\x17\x0d500101000000Z"
GENERALIZED = b"\x30\x20\x17\x0d260102030405Z\x18\x0f20500102030405Z"


def test_two_digits_of_a_year_are_of_this_century_up_to_49() -> None:
    found = validity(b"before" + UTC_TIMES + b"after")
    assert found.not_before == dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    assert found.not_after == dt.datetime(1950, 1, 1, tzinfo=dt.UTC)


def test_four_digits_of_a_year_are_taken_as_they_are() -> None:
    assert validity(GENERALIZED).not_after == dt.datetime(2050, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def test_what_is_no_certificate_has_no_dates() -> None:
    with pytest.raises(ValueError, match="found no dates"):
        validity(b"x" * 100)


def test_another_reason_stays_as_it_is() -> None:
    error = ssl.SSLError(1, "wrong version number")
    assert explain(error, ("127.0.0.1", 1), dt.datetime.now(dt.UTC)) == str(error)

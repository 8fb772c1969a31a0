"""Dates of a broker's certificate, for the sentence about a clock that does not fit them."""

import datetime as dt
import re
import socket
import ssl

import msgspec

# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h).
_WRONG_TIME = frozenset((9, 10))
_TIMEOUT_S = 5.0
# Validity in DER (RFC 5280 section 4.1.2.5): a SEQUENCE of two times, UTCTime or GeneralizedTime.
_TIME = rb"(\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)"
_VALIDITY = re.compile(rb"\x30." + _TIME + _TIME, re.DOTALL)


class Validity(msgspec.Struct, frozen=True):
    """The first and the last moment of a certificate."""

    not_before: dt.datetime
    not_after: dt.datetime


def explain(error: ssl.SSLError, address: tuple[str, int], now: dt.datetime) -> str:
    """Return why the broker at `address` is not trusted; where it is the time, with all dates."""
    if getattr(error, "verify_code", 0) not in _WRONG_TIME:
        return str(error)
    try:
        found = validity(_certificate_of(address))
    except (OSError, ValueError):
        return str(error)
    return (
        f"its certificate is valid from {found.not_before:%Y-%m-%d} to {found.not_after:%Y-%m-%d}, "
        f"and the clock of this machine says {now:%Y-%m-%d}; see `timedatectl` for the clock, "
        "`harvester tls renew` on the hub makes a new certificate"
    )


def validity(der: bytes) -> Validity:
    """Return the dates of a certificate. Raises ValueError where there are none."""
    found = _VALIDITY.search(der)
    if found is None:
        raise ValueError("found no dates in the certificate")
    return Validity(_time(found[1]), _time(found[2]))


def _certificate_of(address: tuple[str, int]) -> bytes:
    """Return what the broker shows, in DER, without trusting it: nothing is sent to it.

    Raises OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(address, _TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _time(der: bytes) -> dt.datetime:
    digits = der[2:-1].decode()
    if len(digits) == 12:
        # Two digits of the year: 50 to 99 are of the last century.
        digits = ("19" if digits >= "50" else "20") + digits
    return dt.datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)

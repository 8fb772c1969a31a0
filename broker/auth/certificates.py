"""Certificate authority of the hub, with the library `cryptography`.

ECDSA on P-256, which a Pi Zero verifies in a few milliseconds.
"""

import base64
import datetime as dt
import hashlib
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.auth.server_tls import CA_KEY_NAME, CA_NAME, CERTIFICATE_NAME, KEY_NAME
from bus.errors import MisconfiguredError
from bus.files import private_file

_CA_DAYS = 3650
# The limit of browsers and Apple's systems (CA/Browser Forum until 2020, Apple HT210176).
_LEAF_TOTAL_DAYS = 825
# A Pi has no battery for its clock. Until it hears of the time from a server, it goes on from when
# it was switched off, and a fresh one from when its operating system was built.
_BACKDATED_DAYS = 365
_LEAF_DAYS = _LEAF_TOTAL_DAYS - _BACKDATED_DAYS
_CA_SUBJECT = "HARVESTER CA"
_HUB_SUBJECT = "HARVESTER hub"

# RFC 1123 section 2.1.
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")

Name = x509.DNSName | x509.IPAddress


class Pair(msgspec.Struct, frozen=True):
    """A certificate and its private key, both PEM. `repr` omits them."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Pair(...)"


class Validity(msgspec.Struct, frozen=True):
    """The names and the end of validity of a certificate."""

    names: tuple[str, ...]
    until: dt.datetime


def make_authority(now: dt.datetime) -> Pair:
    """Return a new CA, which signs certificates and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(_CA_SUBJECT)
    builder = (
        _builder(subject, subject, key.public_key(), now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def make_hub(authority: Pair, names: Sequence[str], now: dt.datetime) -> Pair:
    """Return a certificate for a server with those host names and addresses.

    Raises MisconfiguredError where one is neither.
    """
    alternatives = x509.SubjectAlternativeName([_name(text) for text in names])
    return _make(
        authority, _HUB_SUBJECT, ExtendedKeyUsageOID.SERVER_AUTH, now, alternatives=alternatives
    )


def make_client(authority: Pair, user: str, now: dt.datetime) -> Pair:
    """Return a certificate for a client that logs in as `user`."""
    return _make(authority, user, ExtendedKeyUsageOID.CLIENT_AUTH, now)


def validity(path: Path) -> Validity:
    """Return names and validity of a certificate. Raises MisconfiguredError."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        texts = tuple(str(name.value) for name in names)
    except x509.ExtensionNotFound:
        texts = ()
    except (OSError, ValueError) as e:
        raise MisconfiguredError(f"{path}: found no certificate: {e}") from e
    return Validity(texts, found.not_valid_after_utc)


def public_key_pin(path: Path) -> str:
    """Return the pin of a certificate's public key as curl takes it: "sha256//" and base 64.

    It is the SHA-256 of SubjectPublicKeyInfo (RFC 7469 section 2.4). Raises MisconfiguredError.
    """
    try:
        key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    except (OSError, ValueError) as e:
        raise MisconfiguredError(f"{path}: found no certificate: {e}") from e
    info = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return "sha256//" + base64.b64encode(hashlib.sha256(info).digest()).decode()


def init(directory: Path, names: Sequence[str], now: dt.datetime) -> None:
    """Write a new CA and the hub's certificate. Raises MisconfiguredError where there is one."""
    if (directory / CA_NAME).exists():
        raise MisconfiguredError(
            f"{directory / CA_NAME}: there is a CA already, which the nodes trust; "
            "`harvester tls renew` makes a new certificate with it"
        )
    authority = make_authority(now)
    hub = make_hub(authority, names, now)
    private_file.write(directory / CA_KEY_NAME, authority.key)
    private_file.write(directory / CA_NAME, authority.certificate)
    _write_hub(directory, hub)


def renew(directory: Path, names: Sequence[str], now: dt.datetime) -> None:
    """Replace the hub's certificate, for `names` or where there are none, for the same as before.

    Raises MisconfiguredError where there is no CA, or its key is open to others.
    """
    found = names or validity(directory / CERTIFICATE_NAME).names
    _write_hub(directory, make_hub(authority(directory), found, now))


def authority(directory: Path) -> Pair:
    """Return the CA in `directory`. Raises MisconfiguredError where there is none."""
    try:
        key = private_file.read(directory / CA_KEY_NAME)
        return Pair((directory / CA_NAME).read_bytes(), key)
    except OSError as e:
        raise MisconfiguredError(
            f"{e.filename}: {e.strerror}; `harvester tls init` makes it"
        ) from e


def _write_hub(directory: Path, hub: Pair) -> None:
    # The certificate is written last: a running hub watches it.
    private_file.write(directory / KEY_NAME, hub.key)
    private_file.write(directory / CERTIFICATE_NAME, hub.certificate)


def _make(
    authority: Pair,
    subject: str,
    purpose: x509.ObjectIdentifier,
    now: dt.datetime,
    *,
    alternatives: x509.SubjectAlternativeName | None = None,
) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise MisconfiguredError(f"{CA_KEY_NAME}: found no ECDSA key; expected the CA's own")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_subject(subject), issuer.subject, key.public_key(), now, _LEAF_DAYS)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if alternatives is not None:
        builder = builder.add_extension(alternatives, critical=False)
    return Pair(_pem(builder.sign(issuer_key, hashes.SHA256())), _key_pem(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=_BACKDATED_DAYS))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> Name:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not _HOST_NAME.match(text):
        raise MisconfiguredError(f"found {text!r}, expected a host name or an address")
    return x509.DNSName(text)


def _subject(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

"""TLS of the embedded broker: its certificate, and the certificates that it asks of clients."""

import ssl
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from bus.files import private_file

CA_NAME = "ca.pem"
CA_KEY_NAME = "ca.key"
CERTIFICATE_NAME = "hub.pem"
KEY_NAME = "hub.key"

_VERIFY_MODES = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class ServerTls(msgspec.Struct):
    """The hub's certificate in use. `refresh` loads a renewed one for new connections."""

    context: ssl.SSLContext
    directory: Path
    modified_ns: int

    def refresh(self) -> None:
        """Load the files again if they have changed.

        Raises MisconfiguredError where they are wrong, and keeps the certificate in use.
        """
        modified_ns = _modified_ns(self.directory)
        if modified_ns != self.modified_ns:
            self.modified_ns = modified_ns
            _load(self.context, self.directory)


def load(directory: Path, client_certificates: str) -> ServerTls | None:
    """Return the certificate that `harvester tls init` made in `directory`, or None.

    `client_certificates` is that key of [broker]. Raises MisconfiguredError where files are
    missing, wrong or open to others.
    """
    if not _exists(directory / CERTIFICATE_NAME):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = _VERIFY_MODES[client_certificates]
    _load(context, directory)
    if context.verify_mode is not ssl.CERT_NONE:
        try:
            context.load_verify_locations(directory / CA_NAME)
        except OSError as e:
            raise MisconfiguredError(f"{directory / CA_NAME}: found no certificate: {e}") from e
    return ServerTls(context, directory, _modified_ns(directory))


def _exists(certificate: Path) -> bool:
    try:
        return certificate.exists()
    except OSError as e:
        raise MisconfiguredError(f"{certificate}: found no certificate: {e.strerror}") from e


def _load(context: ssl.SSLContext, directory: Path) -> None:
    certificate, key = directory / CERTIFICATE_NAME, directory / KEY_NAME
    try:
        private_file.read(key)
        context.load_cert_chain(certificate, key)
    except OSError as e:
        raise MisconfiguredError(
            f"{certificate}: found no certificate with its key in {key}: {e}; "
            "expected what `harvester tls init` makes"
        ) from e


def _modified_ns(directory: Path) -> int:
    try:
        return (directory / CERTIFICATE_NAME).stat().st_mtime_ns
    except OSError:
        return 0

"""TLS of the web server: the certificate that `harvester tls init` made, and its renewal."""

import logging
from pathlib import Path

from broker.auth import server_tls
from broker.auth.server_tls import CERTIFICATE_NAME, ServerTls
from bus.config.web_table import WebConfig
from bus.errors import MisconfiguredError

logger = logging.getLogger(__name__)


def load(settings: WebConfig, directory: Path) -> ServerTls | None:
    """Return the certificate in `directory`, or None where the page is plain HTTP.

    Browsers are asked for no certificate. Raises MisconfiguredError where it is missing, wrong or
    open to others.
    """
    if not settings.tls:
        return None
    tls = server_tls.load(directory, "none")
    if tls is None:
        raise MisconfiguredError(
            f"web.tls: found no certificate {directory / CERTIFICATE_NAME}; "
            "`harvester tls init` makes it"
        )
    tls.context.set_alpn_protocols(["http/1.1"])
    return tls


def refresh(tls: ServerTls) -> None:
    """Load a renewed certificate for new connections; one that is wrong is logged."""
    try:
        tls.refresh()
    except MisconfiguredError as e:
        logger.error("the page keeps its old certificate: %s", e)  # noqa: TRY400 - the text is enough

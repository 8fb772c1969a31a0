"""The hub's key of bundles, for a node that was enrolled before hubs had one.

It comes with the list of wheels, over TLS that root's CA proves: what the machine takes from there
runs as root, so the key is trusted with less than that. A key that is there is never replaced.
"""

import logging

import msgspec

from bus.client import credentials
from bus.errors import UnavailableError
from bus.files import whole_file
from harvester.install.system import System
from harvester.update import trust

logger = logging.getLogger(__name__)

_MODE = 0o600


def take(system: System, key: str) -> bool:
    """Write the key into the login of this node where it has none; return whether it was written.

    Raises MisconfiguredError, UnavailableError.
    """
    found, hub = trust.login(system), trust.load(system)
    if not key or found.bundle_key:
        return False
    if found.ca_certificate.strip() != hub.ca_certificate.strip():
        logger.warning(
            "%s: its broker is another one than the hub of %s; it gets no key of that",
            *(trust.CREDENTIALS, trust.FILE),
        )
        return False
    path = system.path(trust.CREDENTIALS)
    content = credentials.encode(msgspec.structs.replace(found, bundle_key=key))
    try:
        status = path.stat()
        owner = (status.st_uid, status.st_gid)
        whole_file.replace(path, content, mode=_MODE, owner=owner)
    except OSError as e:
        raise UnavailableError(f"{trust.CREDENTIALS}: cannot be written: {e.strerror}") from e
    logger.info("%s: has the hub's key of bundles now", trust.CREDENTIALS)
    return True

"""Step of the hub's CA and certificate. Needs the extra `hub`."""

import datetime as dt

from broker.auth import certificates
from broker.auth.server_tls import CA_NAME
from bus.config import config_file
from harvester.hub.own_names import certificate_names
from harvester.install.step import SystemStep


class Certificate(SystemStep, frozen=True, kw_only=True):
    """The CA and the hub's certificate for every address of this machine.

    The folder belongs to the user of the service, and so do the files in it.
    """

    directory: str
    config_path: str
    is_data: bool = True

    def describe(self) -> str:
        return f"certificate for TLS in {self.directory}"

    def is_done(self) -> bool:
        return (self.system.path(self.directory) / CA_NAME).exists()

    def apply(self) -> None:
        config = config_file.load(self.system.path(self.config_path), role="hub")
        names = certificate_names(config, [])
        certificates.init(self.system.path(self.directory), names, dt.datetime.now(dt.UTC))

    def is_there(self) -> bool:
        return self.is_done()

    def undo(self) -> bool:
        """Nothing: it goes with the folder of the hub's state."""
        return self.is_there()

"""Bundle of one module's source, as a test writes it."""

from collections.abc import Iterable

from bus.contract.description import PluginDescription
from bus.contract.plugin_file import bundle
from bus.contract.plugin_file.bundle import Bundle, Module


def encoded(source: str, imports: Iterable[str] = ()) -> bytes:
    """Return the file of a bundle whose `app.py` is `source`."""
    return bundle.encode(
        Bundle(
            world="sensor-plugin",
            imports=list(imports),
            exports=["sensor-logic"],
            description=PluginDescription(),
            modules={"app": Module("0/app.py", source)},
        )
    )

"""Renderer: runs a plugin that turns JSON into text, such as the dashboard, without any grant."""

import logging
from pathlib import Path
from typing import Self

from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime

logger = logging.getLogger(__name__)

_INTERFACE = "dashboard-logic"
# A page of a hundred sensors has some 200 KB.
_PAGE_BYTES = 4 << 20


class Renderer:
    """A plugin with `dashboard-logic`, kept running between calls; one thread at a time."""

    def __init__(
        self, file: Path, cache_dir: Path, *, deadline_s: float = 5.0, memory_mb: int = 64
    ) -> None:
        """Load the plugin, compiling first where needed. Blocks; raises PluginError."""
        limits = Limits(deadline_s, memory_mb=memory_mb, result_bytes=_PAGE_BYTES)
        self._runtime = Runtime(cache_dir, limits)
        self._instance: PluginInstance | None = None
        self._runtime.__enter__()
        try:
            self._loaded = self._runtime.load(file)
        except PluginError:
            self._runtime.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def render(self, json_text: str) -> str:
        """Return the rendered text. Raises PluginError; the next call starts a new instance."""
        if self._instance is None:
            self._instance = PluginInstance(self._loaded, {}, self._runtime.limits, _log_line)
        try:
            rendered = self._instance.call(_INTERFACE, "render", json_text)
        except PluginError:
            self._drop_instance()
            raise
        return str(rendered)

    def close(self) -> None:
        self._drop_instance()
        self._loaded.close()
        self._runtime.__exit__()

    def _drop_instance(self) -> None:
        if self._instance is not None:
            self._instance.close()
            self._instance = None


def _log_line(line: str) -> None:
    logger.info("dashboard plugin: %s", line)

"""Runs a plugin that only turns JSON into text, such as the dashboard. It grants it nothing."""

import logging
from pathlib import Path
from typing import Self

from node_agent.sandbox import cache
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.engine import Ticker, make_engine
from node_agent.sandbox.errors import PluginError
from node_agent.sandbox.instance import Limits, PluginInstance

logger = logging.getLogger(__name__)

_INTERFACE = "dashboard-logic"


class Renderer:
    """A component with `dashboard-logic`, kept running between calls; one thread at a time."""

    def __init__(
        self, wasm: Path, cache_dir: Path, *, deadline_s: float = 5.0, memory_mb: int = 64
    ) -> None:
        """Load the component, compiling it first where needed. Blocks; raises PluginError."""
        cache.prepare_directory(cache_dir)
        self._limits = Limits(deadline_s, memory_mb)
        self._engine = make_engine()
        self._ticker = Ticker(self._engine)
        self._instance: PluginInstance | None = None
        try:
            self._loaded = LoadedComponent(self._engine, wasm, cache_dir)
        except PluginError:
            self._engine.close()
            raise
        self._ticker.__enter__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def render(self, json_text: str) -> str:
        """Return what the plugin renders. Raises PluginError; the next call starts it afresh."""
        if self._instance is None:
            self._instance = PluginInstance(self._loaded, {}, self._limits, _log_line)
        try:
            rendered = self._instance.call(_INTERFACE, "render", json_text)
        except PluginError:
            self._drop_instance()
            raise
        return str(rendered)

    def close(self) -> None:
        self._ticker.__exit__()
        self._drop_instance()
        self._loaded.close()
        self._engine.close()

    def _drop_instance(self) -> None:
        if self._instance is not None:
            self._instance.close()
            self._instance = None


def _log_line(line: str) -> None:
    logger.info("dashboard plugin: %s", line)

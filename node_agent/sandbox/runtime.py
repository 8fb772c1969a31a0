"""What all plugins of one process share: the engine, its clock, the cache and the limits."""

from pathlib import Path
from typing import Self

from node_agent.sandbox import cache
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.engine import Ticker, make_engine
from node_agent.sandbox.instance import Limits


class Runtime:
    """Loads components. Close it after every component that it loaded."""

    def __init__(self, cache_dir: Path, limits: Limits) -> None:
        """Raises CacheError where `cache_dir` cannot be trusted."""
        cache.prepare_directory(cache_dir)
        self._cache_dir = cache_dir
        self.limits = limits
        self._engine = make_engine()
        self._ticker = Ticker(self._engine)

    def __enter__(self) -> Self:
        self._ticker.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._ticker.__exit__()
        self._engine.close()

    def load(self, wasm: Path) -> LoadedComponent:
        """Map a component, compiling it first where needed. Blocks; raises ComponentError."""
        return LoadedComponent(self._engine, wasm, self._cache_dir)

"""Plugin runtime of one process: engines, their tickers, the compile cache and the limits.

The component that runs bundles is mapped once, however many of them there are.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from wasmtime import Engine

from bus.contract.plugin_file.bundle import SUFFIX
from bus.install import assets
from node_agent.sandbox import cache
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.choice import Wanted, choose
from node_agent.sandbox.component import LoadedComponent
from node_agent.sandbox.engine import Target, Ticker, make_engine
from node_agent.sandbox.errors import ComponentError, StaleError
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.seal import Stamp, stamp


class Runtime:
    """Loads components. Close it after every component that it loaded."""

    def __init__(
        self,
        cache_dir: Path,
        limits: Limits,
        *,
        limits_of: Callable[[str], Limits] | None = None,
        target: Wanted = "auto",
        bundle_runtime: Path | None = None,
    ) -> None:
        """`bundle_runtime` is the component that runs bundles, by default the product's.

        `limits_of` returns a plugin's own. Raises CacheError for a cache not to be trusted.
        """
        cache.prepare_directory(cache_dir)
        self._cache_dir = cache_dir
        self._target = target
        self.limits = limits
        self.limits_of = limits_of or (lambda _name: limits)
        self._digests: dict[Path, tuple[Stamp | None, str]] = {}
        self._engines: dict[Target, Engine] = {}
        self._opening = threading.Lock()
        self._bundle_runtime = bundle_runtime or assets.bundle_runtime()
        self._mapped: LoadedComponent | None = None
        self._mapping = threading.Lock()
        self._tickers = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tickers.close()
        if self._mapped is not None:
            self._mapped.close()
        for engine in self._engines.values():
            engine.close()

    def load(self, path: Path) -> LoadedPlugin:
        """Load a component or a bundle, compiling first where needed.

        Blocks; raises ComponentError.
        """
        if path.suffix == SUFFIX:
            return LoadedBundle(self._runtime_of_bundles(), path, self._cache_dir)
        return self._load_component(path)

    def _runtime_of_bundles(self) -> LoadedComponent:
        with self._mapping:
            if self._mapped is None:
                if not self._bundle_runtime.is_file():
                    raise ComponentError(
                        f"{self._bundle_runtime}: not there, so no bundle can run; run "
                        "`harvester plugins runtime`"
                    )
                self._mapped = self._load_component(self._bundle_runtime)
            return self._mapped

    def _load_component(self, wasm: Path) -> LoadedComponent:
        digest = self._digest(wasm)
        compiled, target = choose(wasm, self._cache_dir, self._target, digest)
        try:
            return LoadedComponent(self._engine(target), wasm, compiled, digest)
        except StaleError:
            cache.discard(compiled)
        compiled, target = choose(wasm, self._cache_dir, self._target, digest)
        return LoadedComponent(self._engine(target), wasm, compiled, digest)

    def _digest(self, wasm: Path) -> str:
        """Return a component's digest, computed again only when the file changes."""
        now = stamp(wasm) if wasm.exists() else None
        before, digest = self._digests.get(wasm, (None, ""))
        if now is None or now != before:
            digest = cache.sha256_of(wasm)
            self._digests[wasm] = (now, digest)
        return digest

    def _engine(self, target: Target) -> Engine:
        # Plugins load at the same time, each on its own thread.
        with self._opening:
            if target not in self._engines:
                self._engines[target] = make_engine(target)
                self._tickers.enter_context(Ticker(self._engines[target]))
            return self._engines[target]

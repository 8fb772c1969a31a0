"""Running plugins: the only place that knows wasmtime."""

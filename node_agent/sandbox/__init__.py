"""Sandbox: runs plugins as WebAssembly components. The only package that knows wasmtime."""

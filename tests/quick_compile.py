"""Compiler process for components that only tests run: half the time, slower code, more stack.

The engine of an agent maps what it makes: optimization and register allocation are no part of the
settings that an engine and a compiled file must share.
"""

from wasmtime import Config

from node_agent.sandbox import compile as compiler
from node_agent.sandbox import engine


class QuickConfig(Config):
    """A configuration that compiles quickly."""

    def __init__(self) -> None:
        super().__init__()
        self.cranelift_opt_level = "none"
        self.cranelift_flag_set("regalloc_algorithm", "single_pass")


if __name__ == "__main__":
    engine.Config = QuickConfig
    compiler.main()

"""Build steps that pyproject.toml cannot express: the product's files, its plugins, the commit.

A wheel carries the product's files in `bus/product`, where `bus.install.assets` looks for them.
Plugins that are not built yet, or that changed, are built first.
"""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
# A build backend does not look for modules here.
sys.path.insert(0, str(ROOT))

from bus.install.version import COMMIT_FILE, commit  # noqa: E402
from harvester.plugins.builder import runtime  # noqa: E402
from harvester.plugins.builder.pack import pack_all  # noqa: E402
from harvester.plugins.builder.progress import build_sources  # noqa: E402
from harvester.plugins.source import discover  # noqa: E402

# By pattern, so that no login or key that lies in these folders gets into a wheel.
FILES = (
    "config/hub.toml",
    "config/spoke.toml",
    "config/pizero.toml",
    "config/scenarios/*.toml",
    "deploy/INSTALL.md",
    "deploy/Caddyfile",
    "deploy/*.conf",
    "deploy/*.service",
    "deploy/*.timer",
    "deploy/*.path",
    "deploy/prometheus.yml",
    "deploy/grafana/**/*.json",
    "deploy/grafana/**/*.yml",
    "deploy/grafana/README.md",
    "examples/**/*.py",
    "examples/*/README.md",
    "examples/*/plugin.toml",
    "plugins/**/*.py",
    "plugins/bundle-runtime.wasm",
    "plugins/*/*.bundle",
    "plugins/*/*.wasm",
    "plugins/*/*.wasm.inputs",
    "plugins/*/plugin.toml",
    "topics.md",
    "wit/*.wit",
)


class BuildWithProduct(build_py):
    """Builds the plugins and adds the product's files to a wheel."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        # Modules of an earlier build would stay in the wheel.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        sources, wit = discover(ROOT / "plugins"), ROOT / "wit" / "plugin.wit"
        runtime.ensure()
        pack_all(sources, wit)
        build_sources(sources, wit)
        product = Path(self.build_lib) / "bus" / "product"
        for pattern in FILES:
            for source in ROOT.glob(pattern):
                _copy(source, product / source.relative_to(ROOT))
        (product / COMMIT_FILE).write_text(f"{commit()}\n")


class SourceWithCommit(sdist):
    """Records the commit, which a source distribution's own builds could not ask git for."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        (Path(base_dir) / COMMIT_FILE).write_text(f"{commit()}\n")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithProduct, "sdist": SourceWithCommit})

"""What pyproject.toml cannot say: conf/ stands at the top, for people, and is installed as
`solvent/conf`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithDefinitions(build_py):
    """Copies conf/ into the package that is built; an editable one reads it where it stands."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            built = Path(self.build_lib, "solvent", "conf")
            shutil.rmtree(built, ignore_errors=True)  # of an earlier build
            shutil.copytree("conf", built, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": WithDefinitions})

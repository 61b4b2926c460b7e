"""Does a vision-language model spend attention on the image, and would it notice if it did not?

core        the nouns (`core.types`), and what everything stands on
storage     a cell on disk
models      a checkpoint as a `VLM`, whatever its family
benchmarks  questions with right answers: a YAML each, and the engine that reads it
diagnostics the modality-usage tests, and the conditions that they show
tracking    where else results go
cells       the life of a run
studies     many cells
reports     what people look at
results     finished cells as data frames
commands    what is typed
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("solvent")
except PackageNotFoundError:  # a checkout that nobody installed
    __version__ = "0+checkout"

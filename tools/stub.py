"""Writes interventions/__init__.pyi, so that editors know the names of all interventions.

    python -m tools.stub

They are served by `interventions.__getattr__` from files, where no editor looks.
"""

from __future__ import annotations

from dataclasses import fields
from itertools import takewhile
from pathlib import Path
from textwrap import fill

import interventions
from interventions import Intervention, available
from interventions.methods.intervention import PARTS
from interventions.methods.shipped import CONFIGS

FILE = Path(interventions.__file__).with_suffix(".pyi")
HEAD = '''\
"""Written by `python -m tools.stub` from interventions/__init__.py and conf/intervention."""

from collections.abc import Sequence
from typing import Any, Protocol

{imports}

__all__ = {exported}

__version__: str

class _Named(Protocol):
    def __call__(
        self,
        *,
{parameters}
        **parts: Any,
    ) -> Intervention:
        """The intervention of a file, with some fields replaced; a dot reaches into a part."""

'''


def stub() -> str:
    """What the file has to say."""
    objects = [getattr(interventions, name) for name in interventions.__all__ if name[0] != "_"]
    homes = [(each.__module__, each.__name__) for each in {*objects, *PARTS.values()}]
    replaced = [field for field in fields(Intervention) if field.name != "name"]
    text = HEAD.format(
        imports="\n".join(_import(*home) for home in sorted(homes)),
        exported="[\n" + "".join(f'    "{name}",\n' for name in interventions.__all__) + "]",
        parameters="\n".join(f"        {each.name}: {each.type} = ...," for each in replaced),
    )
    return text + "\n".join(_variable(name) for name in available())


def _import(module: str, name: str) -> str:
    """The second name says that it is exported."""
    exported = f" as {name}" if name in interventions.__all__ else ""
    return f"from {module} import {name}{exported}"


def _variable(name: str) -> str:
    """An intervention, with the comment that its file begins with."""
    lines = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comment = takewhile(lambda line: line.startswith("# "), lines)
    about = fill(" ".join(line[2:] for line in comment), 94, break_long_words=False)
    return f'{name}: _Named\n"""{about}"""\n'


if __name__ == "__main__":
    FILE.write_text(stub(), encoding="utf-8")

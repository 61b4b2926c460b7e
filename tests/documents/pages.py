"""What stands in the pages: blocks of commands, of cells of a notebook, and of files.

A fence says what its block is; what follows the language is not shown to readers:

    ```bash            lines that are typed, in the root of a checkout
    ```bash gpu        the same, which needs what `NEEDS` says
    ```python          a cell of a notebook
    ```yaml            a file, where its first lines name one in a comment: `# mine/gain.py`
    ```                what something looks like

A page is read from its top, with what its blocks have left so far, and needs no other page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for place in ("README.md", "docs/*.md", "slurm/README.md")
    for path in sorted(ROOT.glob(place))
}
NEEDS = {  # why no test runs a block
    "gpu": "a GPU, or a checkpoint that is too large for a CPU",
    "cluster": "Slurm",
    "hub": "the Hugging Face hub, or another site",
    "packages": "a package index",
    "account": "an account, a key or somebody who watches a terminal",
    "minutes": "many minutes on a CPU",
}
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"^# (mine/[\w./]+\.(?:yaml|py))", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """What stands between two fences."""

    language: str  # "" for what something looks like
    needs: tuple[str, ...]
    text: str

    @property
    def file(self) -> str | None:
        """The file that it is, by what one of its first two lines says."""
        if self.language not in ("python", "yaml"):
            return None
        found = FILE.search("\n".join(self.text.split("\n")[:2]))
        return found and found[1]


def blocks(page: str) -> Iterator[Block]:
    """In the order of the page."""
    for info, text in FENCE.findall(PAGES[page]):
        language, *needs = info.split() or [""]
        yield Block(language=language, needs=tuple(needs), text=text)


def prose(page: str) -> str:
    """The page without what stands between fences."""
    return FENCE.sub("", PAGES[page])


def quoted(page: str) -> list[str]:
    """What stands between backticks, outside of fences."""
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", prose(page))]

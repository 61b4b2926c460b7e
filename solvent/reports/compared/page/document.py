"""The page of a comparison: one file that opens from disk and asks for nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jinja2
from markupsafe import Markup

from solvent.core.files import write_atomically
from solvent.core.text import visible
from solvent.reports.compared.frames import Comparison
from solvent.reports.compared.page import number_format
from solvent.reports.compared.page.arm_columns import spans
from solvent.reports.compared.page.gallery_entries import entries
from solvent.reports.compared.page.number_format import DASH
from solvent.reports.compared.page.page_sections import sections

LIMIT = 9_500_000  # bytes of the page
PICTURES = 6_000_000  # of these, what pictures of questions take at most
FIGURES = 1_500_000  # and figures
TEMPLATES = Path(__file__).parent / "templates"


class Figure(Protocol):
    """A figure that was drawn to a file."""

    @property
    def png(self) -> Path: ...

    @property
    def title(self) -> str: ...

    @property
    def caption(self) -> str: ...


def write_page(comparison: Comparison, path: Path, figures: Sequence[Figure] = ()) -> Path:
    """Write the page, with as many pictures as leave it below `LIMIT`. Returns `path`.

    Args:
        comparison: what it shows.
        path: of the HTML file; its folder is made.
        figures: shown at the end, with their places relative to the page.
    """
    environment = _environment()
    style = environment.get_template("page.css").render(spans=spans())
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    shown = sections(comparison) | {
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": _hash(style),
        "script_hash": _hash(script),
    }
    page = environment.get_template("page.html")

    def drawn(pictures: int, drawings: int) -> str:
        """The page, with so many bytes of either at most."""
        gallery = entries(comparison.flips, shown["by_key"], pictures)
        return page.render(**shown, **gallery, figures=[*_small(figures, path, drawings)])

    room = max(0, LIMIT - len(drawn(0, 0).encode("utf-8")))
    drawings = min(FIGURES, room // 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, drawn(min(PICTURES, room - drawings), drawings))
    return path


def _environment() -> jinja2.Environment:
    """Templates whose values are escaped, with what would not be seen written out."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_final,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("points", "interval", "share", "p_value", "whole", "decimal", "measure"):
        environment.filters[name] = getattr(number_format, name)
    return environment


def _final(value: object) -> object:
    if value is None:
        return DASH
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(text: str) -> str:
    """As a content security policy names what it lets in."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _small(figures: Sequence[Figure], page: Path, budget: int) -> Iterator[Mapping[str, Any]]:
    """Figures, as long as they fit; of the others the place alone."""
    for figure in figures:
        written = base64.b64encode(Path(figure.png).read_bytes()).decode("ascii")
        budget -= len(written)
        yield {
            "title": figure.title,
            "caption": figure.caption,
            "place": _relative(Path(figure.png), page.parent),
            "address": f"data:image/png;base64,{written}" if budget >= 0 else None,
        }


def _relative(path: Path, folder: Path) -> str:
    """From the page's folder, or its name where it lies elsewhere."""
    path, folder = path.resolve(), folder.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name

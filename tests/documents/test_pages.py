"""The pages keep their word: links lead somewhere, and what they name exists."""

from __future__ import annotations

import re
import string
from functools import cache

import pytest
from omegaconf import OmegaConf

from interventions import available
from solvent.cells.building import target
from tests.documents.pages import FILE, PAGES, ROOT, prose, quoted

FOLDERS = ("benchmarks", "conf", "conformance", "docs", "interventions", "recipes", "slurm",
           "solvent", "tests", "tools")  # fmt: skip
ALL = "\n".join(PAGES.values())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        path = ((ROOT / page).parent / file).resolve() if file else ROOT / page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path.relative_to(ROOT).as_posix()), link


def anchors(page: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    dropped = string.punctuation.replace("-", "").replace("_", "")
    plain = str.maketrans("", "", dropped)
    return {heading.lower().translate(plain).replace(" ", "-") for heading in headings}


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGES["README.md"])}
    assert {page for page in PAGES if page != "README.md"} <= linked
    for picture in (ROOT / "docs").glob("*.png"):
        assert f"{picture.name})" in ALL, f"{picture.name} is on no page"


def test_the_readme_is_a_front_page() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 170


@cache
def sources() -> dict[str, str]:
    """Python files of the repository, and what stands in them."""
    roots = [place for name in FOLDERS if (place := ROOT / name).is_dir()]
    found = [*ROOT.glob("*.py"), *(path for root in roots for path in root.rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in found}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page: str) -> None:
    """`conf/benchmark/*.yaml`, `fused.py`, `solvent/cells/`; <...> and NAME stand for anything."""
    own = {name.rpartition("/")[2] for name in FILE.findall(PAGES[page])}
    for text in quoted(page):
        if text.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and " " not in text:
            pattern = re.sub(r"<\w+>|\b[A-Z]+\b", "*", text)
            assert list(ROOT.glob(pattern.rstrip("/"))), text
    for name in set(re.findall(r"[\w/]+\.py\b", PAGES[page])):
        known = any(f"/{path}".endswith(f"/{name.lstrip('/')}") for path in sources())
        assert known or name.rpartition("/")[2] in own, name


@pytest.mark.parametrize("page", PAGES)
def test_names_that_a_page_gives_are_defined(page: str) -> None:
    """Dotted ones lead to a class, function or module; `run_cell()` is defined somewhere."""
    for name in set(re.findall(r"\b(?:solvent|interventions)(?:\.\w+)+", PAGES[page])):
        if not name.endswith((".md", ".py", ".sif")):
            module = f"{name.replace('.', '/')}"
            there = any(path.startswith((f"{module}.py", f"{module}/")) for path in sources())
            assert there or target(name, page), name
    code = "\n".join(sources().values())
    for text in quoted(page):
        if called := re.fullmatch(r"(?:(\w+)\.)?(\w+)\(\)", text):
            home, name = called.groups()
            assert re.search(rf"\b(?:def|class) {name}\b", code), text
            assert home is None or re.search(rf"\bclass {home}\b|\b{home}\b", code), text


def test_every_choice_is_named() -> None:
    names = {*available(), *(re.sub(r"(_[0-9]+)+$", "", each) for each in conditions())}
    groups = ("model", "benchmark", "diagnostic", "prompt", "compat", "tracking", "experiment")
    for group in (*groups, "import"):
        names |= {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
    missing = [name for name in sorted(names) if f"`{name}" not in ALL]
    assert not missing


def conditions() -> list[str]:
    return [str(name) for name in OmegaConf.load(ROOT / "conf" / "conditions.yaml")]

"""The page in Chromium, from disk: nothing is asked for, nothing complains; it sorts, filters and
tells, by mouse and by keyboard, and is as wide as a phone.

Skipped where there is no Chromium (Debian: `apt install chromium`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest

from solvent.reports.compared.page.document import write_page
from tests.reports.compared.made_up import made_up

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # fmt: skip
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.xdist_group("browser"),  # started once
]
STANDING = """(() => {
    const here = document.activeElement, circle = here.querySelector(".touch");
    const ring = getComputedStyle(here).outlineStyle === "solid"
        || circle && getComputedStyle(circle).stroke !== "none";
    return [here.closest("section")?.id || "nav", ring];
})()"""  # in which section the focus is, and whether it can be seen
Open = Callable[..., "playwright.Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(made_up(), tmp_path_factory.mktemp("page") / "index.html").as_uri()


@pytest.fixture
def opened(browser: playwright.Browser, file: str) -> Iterator[Open]:
    """`opened(width=390)`: the page, which must neither complain nor ask for another file."""
    complaints: list[str] = []
    contexts = []

    def start(width: int = 1280, **settings: object) -> playwright.Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **settings))
        page = contexts[-1].new_page()
        page.on("console", lambda each: complaints.append(each.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda each: complaints.append(each.url)
                if each.url != file and not each.url.startswith("data:") else None)  # fmt: skip
        page.goto(file)
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []


def column(page: playwright.Page, place: int) -> list[str]:
    """What stands in a column of the table of arms, from above, of lines that are shown."""
    rows = page.locator("#arms-table tbody tr:visible").all()
    return [row.locator("> *").nth(place).inner_text() for row in rows]


def numbers(texts: list[str]) -> list[float | None]:
    return [None if text == "–" else float(text.replace("−", "-")) for text in texts]


def test_the_table_sorts_by_mouse_and_keyboard(opened: Open) -> None:
    page = opened()
    header = page.locator("#arms-table thead th").nth(1)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    found = numbers(column(page, 1))
    known = [value for value in found if value is not None]
    assert len(known) == 60
    assert known == sorted(known)
    assert found[60:] == [None] * 4  # controls
    page.keyboard.press("Shift+Tab")  # from the header's button to that before it
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") is None
    assert page.locator("#arms-table thead th").nth(0).get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    found = numbers(column(page, 1))
    assert found[:60] == sorted(known, reverse=True)
    assert found[60:] == [None] * 4


def test_filters_hold_everywhere(opened: Open) -> None:
    page = opened()
    page.locator("a.v-worse").click()
    assert set(column(page, 2)) == {"WORSE"}
    assert page.locator("#shown").inner_text() == "16 of 64 lines"
    assert page.locator("#differences .mark:visible").count() == 16
    page.get_by_role("searchbox").fill("uniform EARLY")
    page.locator("select[name=model]").select_option("tiny")
    assert [text.split("\n")[0] for text in column(page, 0)] == ["uniform, layers early"] * 2
    assert page.locator("#differences details:visible").count() == 2
    page.get_by_role("button", name="show all").click()
    playwright.expect(page.locator("#shown")).to_have_text("64 lines")
    page.locator("select[name=direction]").select_option("gained")
    assert page.locator(".flip.gained:visible").count() == 1
    assert page.locator(".flip.lost:visible").count() == 0
    assert not page.get_by_role("columnheader", name="chance").is_visible()
    page.get_by_role("radio", name="scores").check()
    assert page.get_by_role("columnheader", name="chance").is_visible()
    assert not page.get_by_role("columnheader", name="p, adjusted").is_visible()


def test_marks_tell_n_and_interval(opened: Open) -> None:
    page = opened()
    tip = page.locator("#tip")
    first, second = (page.locator("#differences .mark").nth(place) for place in (0, 1))
    first.hover()
    assert re.search(
        r"uniform, layers early\n−\d\.\d points \[−\d\.\d, −\d\.\d\]\nn = 2,250 questions about "
        r"2,250 images\np = 0\.0002, adjusted 0\.0008\nWORSE", tip.inner_text(),
    )  # fmt: skip
    first.focus()
    page.keyboard.press("ArrowDown")
    assert tip.inner_text().startswith("uniform, layers middle")
    assert second.get_attribute("tabindex") == "0"
    assert first.get_attribute("tabindex") == "-1"
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.locator("#differences .mark").last.focus()  # far below: the window scrolls
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = tip.bounding_box()
    assert 0 <= box["y"] <= 800 - box["height"]
    for section, said in (("curves", "simultaneous ["), ("trade-off", "visual mass 0.41 → 0.")):
        page.locator(f"#{section} .mark").first.focus()
        assert said in tip.inner_text()


def test_a_keyboard_finds_its_way(opened: Open) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the answer"
    assert page.locator(":focus").bounding_box()["x"] >= 0
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(STANDING))
    order = list(dict.fromkeys(section for section, _ in seen))
    assert order[:4] == ["nav", "answer", "arms", "differences"]
    assert "curves" in order
    assert all(ring for _, ring in seen)


@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_as_wide_as_its_window(opened: Open, width: int) -> None:
    page = opened(width, color_scheme="dark")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    for choice in page.locator("input[name=set]").all():
        choice.check()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground, ink = (page.evaluate(f"getComputedStyle(document.body).{each}")
                   for each in ("backgroundColor", "color"))  # fmt: skip
    assert sum(map(int, re.findall(r"\d+", ground))) < sum(map(int, re.findall(r"\d+", ink)))


def test_it_can_be_read_without_script(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.get_by_role("columnheader", name="chance", exact=True).is_visible()
    assert page.locator("#arms-table tbody tr:visible").count() == 64
    assert not page.locator("#filters").is_visible()

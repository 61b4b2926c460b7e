"""What a reader would see at once in a figure that was laid out badly."""

from __future__ import annotations

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SMALLEST = 7.0  # points


def texts(figure: Figure) -> list[Text]:
    """All that are seen: not the names of ticks beyond the axes."""
    unseen = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks() + axis.get_minor_ticks()
        for label in (tick.label1, tick.label2)
        if not min(ends := axis.get_view_interval()) <= tick.get_loc() <= max(ends)
    }
    return [
        text
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and id(text) not in unseen
    ]


def faults(figure: Figure) -> list[str]:
    """Letters that are too small, or leave the figure, or lie on others or on data."""
    figure.canvas.draw()
    seen = texts(figure)
    boxes = {id(text): _box(text) for text in seen}
    found = [
        f"{text.get_text()!r} has {text.get_fontsize()} points"
        for text in seen
        if text.get_fontsize() < SMALLEST
    ]
    edge = Bbox.from_extents(-1, -1, figure.bbox.width + 1, figure.bbox.height + 1)
    for text in seen:
        box = boxes[id(text)]
        if not (edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 <= box.y1 <= edge.y1):
            found.append(f"{text.get_text()!r} leaves the figure")
        if text.axes is None:
            found += [
                f"{text.get_text()!r} lies on axes"
                for axes in figure.axes
                if axes.bbox.overlaps(box)
            ]
    for first, second in combinations(seen, 2):
        both_slanted = first.get_rotation() % 90 and second.get_rotation() % 90
        if boxes[id(first)].overlaps(boxes[id(second)]) and not both_slanted:
            found.append(f"{first.get_text()!r} lies on {second.get_text()!r}")
    return found


def _box(text: Text) -> Bbox:
    box = text.get_window_extent()
    return Bbox.from_extents(box.x0 + 1, box.y0 + 1, box.x1 - 1, box.y1 - 1)

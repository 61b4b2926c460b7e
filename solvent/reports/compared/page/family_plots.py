"""Forest, curves and trade-off of every family: where each mark stands and what it says.

Templates draw them; places are in percent of the plot, from the left and from the top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from solvent.reports.compared.page.number_format import decimal, interval, p_value, points, whole
from solvent.reports.compared.page.plot_scale import Scale, along, around, unsqueezed

Line = Mapping[str, Any]
View = dict[str, Any]
LABELS = 8  # of the x axis of a curve, at most


def told(arm: Line) -> str:
    """What hovering over an arm says: its difference, interval, n, p and verdict, a line each."""
    lines = [str(arm["name"]), f"{points(arm['difference_value'])} points {interval(arm)}"]
    if arm.get("n") is not None:
        images = arm.get("clusters")
        about = f" about {whole(images)} images" if images is not None else ""
        drawn = f", {whole(arm['seeds'])} seeds" if (arm.get("seeds") or 1) > 1 else ""
        lines.append(f"n = {whole(arm['n'])} questions{about}{drawn}")
    if arm.get("p") is not None:
        adjusted = arm.get("p_adjusted")
        after = f", adjusted {p_value(adjusted)}" if adjusted is not None else ""
        lines.append(f"p = {p_value(arm['p'])}{after}")
    if arm.get("verdict"):
        lines.append(str(arm["verdict"]))
    return "\n".join(lines)


def forest(arms: Sequence[Line]) -> View | None:
    """The paired differences of a family's arms on one axis; None where there are none.

    Known harms that would squeeze the others end in an arrow, and their numbers stand beside it.
    """
    shown = [arm for arm in arms if arm.get("difference_value") is not None]
    if not shown:
        return None
    margin = next((arm["margin"] for arm in shown if arm.get("margin") is not None), None)
    gentle = [arm for arm in shown if arm["role"] != "positive control"]
    scale = unsqueezed(_ends(gentle), _ends(shown), 1.5 * (margin or 0.01))
    return {
        "rows": [_forest_row(arm, scale) for arm in shown],
        "zero": scale.place(0.0),
        "band": None if margin is None else _span(scale, -margin, margin),
        "margin": margin,
        "ticks": _ticks(scale),
    }


def _ends(lines: Sequence[Line], *keys: str) -> list[float]:
    names = keys or ("difference_value", "difference_low", "difference_high")
    return [line[key] for line in lines for key in names if line.get(key) is not None]


def _span(scale: Scale, low: float, high: float) -> View:
    begin, end = scale.place(low), scale.place(high)
    return {"at": begin, "width": round(end - begin, 2)}


def _ticks(scale: Scale) -> list[View]:
    return [{"at": scale.place(tick), "label": points_short(tick)} for tick in scale.ticks()]


def points_short(value: float) -> str:
    """A tick in points: `−5`, `0`, `+2.5`."""
    said = points(value)
    return said.removesuffix(".0")


def _forest_row(arm: Line, scale: Scale) -> View:
    value, low, high = (arm[f"difference_{end}"] for end in ("value", "low", "high"))
    return {
        "arm": arm,
        "at": scale.place(value) if scale.holds(value) else None,
        "low": None if low is None else scale.place(low),
        "high": None if high is None else scale.place(high),
        "below": (low if low is not None else value) < scale.low,
        "above": (high if high is not None else value) > scale.high,
        "said": f"{points(value)} {interval(arm)}",
        "told": told(arm),
    }


def curves(lines: Sequence[Line], arms: Mapping[str, Line]) -> list[View]:
    """A panel per curve of one family, with one vertical axis for all.

    Args:
        lines: of the frame `curves`.
        arms: by key.
    """
    keys = ("difference_value", "difference_low", "difference_high", "band_low", "band_high")
    vertical = around(_ends(lines, *keys), 0.01)
    found: dict[str, list[Line]] = {}
    for line in lines:
        if line["difference_value"] is not None:
            found.setdefault(line["curve"], []).append(line)
    return [_curve(points_, vertical, arms) for points_ in found.values()]


def _curve(lines: list[Line], vertical: Scale, arms: Mapping[str, Line]) -> View:
    lines = sorted(lines, key=lambda line: line["x"])
    across = along((line["x"] for line in lines), lines[0]["kind"] == "dose")
    simultaneous = len(_bounded(lines, "band")) == len(lines)
    band = "band" if simultaneous else "difference"
    bounded = _bounded(lines, band)
    step = -(-len(lines) // LABELS)
    return {
        "title": lines[0]["title"],
        "setting": lines[0]["setting"],
        "band_is": "simultaneous band" if simultaneous else "pointwise intervals",
        "logarithmic": across.logarithmic,
        "line": _path(lines, across, vertical, "difference_value"),
        "band": " ".join(
            [
                _path(bounded, across, vertical, f"{band}_high"),
                _path(bounded[::-1], across, vertical, f"{band}_low"),
            ]
        ),
        "zero": _from_top(vertical, 0.0),
        "ticks": [
            {"at": _from_top(vertical, tick), "label": points_short(tick)}
            for tick in vertical.ticks(4)
        ],
        "labels": [
            {"at": across.place(line["x"]), "label": line["label"]} for line in lines[::step]
        ],
        "points": [_point(line, across, vertical, arms) for line in lines],
    }


def _bounded(lines: Sequence[Line], of: str) -> list[Line]:
    """Those whose interval `of` is known."""
    return [line for line in lines if None not in (line[f"{of}_low"], line[f"{of}_high"])]


def _from_top(scale: Scale, value: float) -> float:
    return round(100 - scale.place(value), 2)


def _path(lines: Sequence[Line], across: Scale, vertical: Scale, key: str) -> str:
    return " ".join(f"{across.place(line['x'])},{_from_top(vertical, line[key])}" for line in lines)


def _point(line: Line, across: Scale, vertical: Scale, arms: Mapping[str, Line]) -> View:
    low, high = line["difference_low"], line["difference_high"]
    arm = arms.get(line["key"], {})
    said = [
        f"{line['setting']} {line['label']}",
        f"{points(line['difference_value'])} points {interval(line)}",
    ]
    if line["band_low"] is not None:
        said.append(f"simultaneous {interval(line, 'band')}")
    if line["n"] is not None:
        said.append(f"n = {whole(line['n'])} questions")
    if arm.get("verdict"):
        said.append(arm["verdict"])
    return {
        "line": line,
        "verdict": arm.get("verdict"),
        "x": across.place(line["x"]),
        "y": _from_top(vertical, line["difference_value"]),
        "top": None if high is None else _from_top(vertical, high),
        "bottom": None if low is None else _from_top(vertical, low),
        "told": "\n".join(said),
    }


def trade_off(arms: Sequence[Line]) -> View | None:
    """Visual mass against the difference of a family's arms, the control at zero; None where no
    mass is known. Known harms that would squeeze the others stand at the lower edge.
    """
    shown = []
    for arm in arms:
        control = arm["role"] == "control"
        mass = arm.get("visual_mass_after")
        value = 0.0 if control else arm.get("difference_value")
        if mass is not None and value is not None:
            shown.append((arm, mass, value, control))
    shown.sort(key=lambda each: each[3])  # the control is drawn last, over the others
    if not shown or shown[0][3]:
        return None
    across = around([mass for _, mass, _, _ in shown])
    gentle = [value for arm, _, value, _ in shown if arm["role"] != "positive control"]
    vertical = unsqueezed(gentle, [value for _, _, value, _ in shown], 0.01)
    return {
        "points": [
            {
                "arm": arm,
                "x": across.place(mass),
                "y": _from_top(vertical, value),
                "told": _of_trade(arm, mass, control),
            }
            for arm, mass, value, control in shown
        ],
        "zero": _from_top(vertical, 0.0),
        "ticks": [
            {"at": _from_top(vertical, tick), "label": points_short(tick)}
            for tick in vertical.ticks(4)
        ],
        "labels": [{"at": across.place(tick), "label": f"{tick:g}"} for tick in across.ticks(4)],
    }


def _of_trade(arm: Line, mass: float, control: bool) -> str:
    before = decimal(arm.get("visual_mass_before"))
    if control:
        return f"{arm['name']}, the control\nvisual mass {decimal(mass)}"
    return f"{told(arm)}\nvisual mass {before} → {decimal(mass)}"

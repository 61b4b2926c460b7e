"""A view of a W&B project that shows one study: differences, scores, attention, arms, the page.

It needs the optional package wandb-workspaces. Online it is saved in the project; its definition is
written beside the comparison in any case.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from solvent.core.files import read_json, write_atomically
from solvent.core.redaction import redacted
from solvent.tracking.outbox import Outbox
from solvent.tracking.study_facts import arm_number, named_arms, run_id

if TYPE_CHECKING:
    import pandas as pd

    from solvent.tracking.weights_and_biases import WandB

FILE = "workspace.json"
TELL_APART = ("benchmark", "model", "prompt", "condition", "intervention", "variant", "layers")
FOREST = "forest"  # how names of figures of differences begin
BARS, MOST_RUNS = 30, 500  # of a panel
LATER = "Log in (`wandb login`) and run the same command again to save the view."

log = logging.getLogger("solvent")


def show_study(
    settings: WandB,
    *,
    study: str,
    folder: Path,
    arms: pd.DataFrame,
    figures: Sequence[Path],
    entity: str | None,
) -> None:
    """Save the view where its run is online, and write its definition. Whatever W&B does, this ends
    well.

    Args:
        settings: where the study is logged.
        study: its name.
        folder: for the definition.
        arms: that are compared.
        figures: that the study's run has.
        entity: that has the study's run online; None: it is offline.
    """
    outbox = Outbox("W&B")
    limit = settings.init_timeout + settings.finish_timeout

    def call() -> None:
        view = _view(settings, study, arms, [path.stem for path in figures], entity)
        if view is not None:
            _keep(view, folder / FILE, online=entity is not None)

    outbox.ask(call, "to make the view of the study", LATER, limit)
    outbox.dismiss()


def _view(
    settings: WandB, study: str, arms: pd.DataFrame, figures: Sequence[str], entity: str | None
) -> Any:
    """The view; None without the package that makes it."""
    try:
        with warnings.catch_warnings():  # it is written for an older pydantic
            warnings.simplefilter("ignore", DeprecationWarning)
            import wandb_workspaces.workspaces as ws
            from wandb_workspaces import expr
    except ModuleNotFoundError:
        log.warning("W&B: no view of the study is made: pip install 'solvent[workspace]' for one")
        return None
    labels = [name for name in TELL_APART if arms[name].nunique(dropna=False) > 1]
    runs = ws.RunsetSettings(
        filters=f'Metric("Group") == {_quoted(study)} and Metric("State") == "finished"',
        groupby=[expr.Config(f"labels.{name}") for name in labels],
        order=[expr.Ordering(expr.Metric("Name"), ascending=True)],
        pinned_columns=[*(f"config:labels.{name}" for name in labels), "summary:score/value",
                        "summary:score/low", "summary:score/high", "summary:visual_mass/after"],
        pinned_runs=[run_id(settings.project, study)],
    )  # fmt: skip
    return ws.Workspace(
        entity=entity or settings.entity or "",
        project=settings.project,
        name=f"Study {_without_symbols(study)}",
        sections=_sections(arms, figures),
        settings=ws.WorkspaceSettings(max_runs=MOST_RUNS),
        runset_settings=runs,
    )


def _sections(arms: pd.DataFrame, figures: Sequence[str]) -> list[Any]:
    """What is seen, from the top."""
    import wandb_workspaces.reports.v2 as wr

    differences = [arm_number(str(arm["key"]), "difference") for arm in named_arms(arms, BARS)]
    forests = [name for name in figures if name.startswith(FOREST)]
    others = [name for name in figures if name not in forests]
    return [
        _section(
            "Differences from the control, with 95 % intervals",
            *([_media(wr, "Paired differences", forests)] if forests else []),
            _bars(wr, "Difference in accuracy (without interval)", *differences),
        ),
        _section("Scores", _bars(wr, "Score", "score/value")),
        _section(
            "Attention on the image",
            _bars(wr, "Visual mass under the intervention", "visual_mass/after"),
            wr.ScatterPlot(
                title="Score over visual mass",
                x=wr.SummaryMetric("visual_mass/after"),
                y=wr.SummaryMetric("score/value"),
            ),
        ),
        _section("All arms", wr.WeavePanelSummaryTable(table_name="comparison/arms"), columns=1),
        *([_section("Figures", _media(wr, "Figures", others), columns=1)] if others else []),
        _section(
            "The whole page",
            wr.MediaBrowser(title="Page", media_keys=["page"], num_columns=1),
            columns=1,
        ),
    ]


def _section(name: str, *panels: Any, columns: int = 2) -> Any:
    import wandb_workspaces.workspaces as ws

    layout = ws.SectionLayoutSettings(columns=columns, rows=1)
    return ws.Section(name=name, panels=list(panels), is_open=True, layout_settings=layout)


def _bars(wr: Any, title: str, *metrics: str) -> Any:
    return wr.BarPlot(
        title=title, metrics=list(metrics), max_runs_to_show=MOST_RUNS, max_bars_to_show=MOST_RUNS
    )


def _media(wr: Any, title: str, names: Sequence[str]) -> Any:
    keys = [f"figure/{name}" for name in names]
    return wr.MediaBrowser(title=title, media_keys=keys, num_columns=1)


def _without_symbols(text: str) -> str:
    """Without what W&B refuses in the name of a view: `=`, `+`, emojis."""
    return "".join("-" if category(c)[0] == "S" else c for c in text)


def _quoted(text: str) -> str:
    """A text in a filter: the package reads it as Python, but changes `=`, `<` and `>` in it."""
    plain = (c if c.isalnum() or c in " ._-/" else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(plain)}"'


def _keep(view: Any, place: Path, *, online: bool) -> None:
    """Save a view, in the place of the one that was saved before, and write what it is."""
    url = read_json(place).get("url") if place.exists() else None
    if online:
        url = _saved(view, url)
        log.warning("W&B: the view of the study is %s", url)
    content = {"url": url, "view": _definition(view)}
    write_atomically(place, json.dumps(redacted(content), indent=1) + "\n")
    if not online:
        log.warning("W&B: %s defines the view of the study. %s", place, LATER)


def _saved(view: Any, url: str | None) -> str:
    """Its address."""
    import wandb_workspaces.workspaces as ws

    if url is not None:
        try:
            known = ws.Workspace.from_url(url)
        except ValueError:
            log.warning("W&B: there is no view %s any more; a new one is made", url)
        else:
            for name in ("name", "sections", "settings", "runset_settings"):
                setattr(known, name, getattr(view, name))
            view = known
    return str(view.save().url)


def _definition(view: Any) -> Mapping[str, Any]:
    """As W&B stores it; panels are numbered, as the package draws their names by chance."""
    content = view._to_model().model_dump(by_alias=True, exclude_none=True, mode="json")
    numbers = count(1)
    for section in content["spec"]["section"]["panelBankConfig"]["sections"]:
        for panel in section["panels"]:
            panel["__id__"] = f"panel{next(numbers)}"
    return content

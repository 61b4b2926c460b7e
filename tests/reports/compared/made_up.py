"""A comparison with made-up numbers, in which everything occurs that outputs must show: two models,
two benchmarks, seeds, layers, doses, a missing value in every column that may lack one, long names
and characters that a table or a page must escape.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from PIL import Image

from solvent.reports.compared.frames import Comparison, Flip

HOSTILE = "a_b & 50% <script>alert(1)</script> $x$ #1"  # of a user's own intervention
LAYERS = ("early", "middle", "late")
DOSES = (0.5, 1.0, 2.0, 4.0)
VERDICT_OF = {"uniform": "WORSE", "gaussian": "NOT SHOWN", "pai": "EQUIVALENT",
              "sap_llava": "NOT INFERIOR", "vaf": "BETTER", "knockout": "WORSE"}  # fmt: skip


def made_up(models: int = 2, benchmarks: int = 2) -> Comparison:
    """The comparison; equal arguments give equal numbers."""
    rng = np.random.default_rng(0)
    arms: list[dict[str, object]] = []
    for model in ("tiny", "llava_1_5_7b", *(f"model_{n}" for n in range(2, models)))[:models]:
        for benchmark in ("shapes", "pope", *(f"set_{n}" for n in range(2, benchmarks)))[
            :benchmarks
        ]:
            arms += _family(rng, model, benchmark)
    frame = pd.DataFrame(arms)
    rest = frame[frame["role"] != "control"]
    return Comparison(
        study="made_up",
        baseline="learned",
        arms=frame,
        cells=_cells(frame),
        slices=_slices(rng, rest),
        curves=_curves(rest),
        peaks=_peaks(rest),
        summaries=_summaries(rest),
        assay=_assay(frame),
        measures=_measures(frame),
        remarks=["uniform: computed with other code (1a2b3c4d5e, 5e4d3c2b1a) than learned"],
        flips=_flips(rest),
        provenance={"command": "python compare.py study=made_up", "solvent": "0.1.0",
                    "commit": "1a2b3c4d5e", "cells": "64", "torch": "2.13.0"},
    )  # fmt: skip


def _family(rng: np.random.Generator, model: str, benchmark: str) -> list[dict[str, object]]:
    n, clusters = (3000, 500) if benchmark == "pope" else (2250, 2250)
    control = _arm(model, benchmark, "learned", "", None, n, clusters) | {
        "role": "control", "accuracy": 0.86, "score_value": 0.86, "score_low": 0.845,
        "score_high": 0.875, "verdict": None, "control": None,
    }  # fmt: skip
    found = [control]
    shifts = {"uniform": -0.06, "gaussian": -0.01, "pai": 0.001, "sap_llava": 0.012, "vaf": 0.03,
              "knockout": -0.3}  # fmt: skip
    plan = [(name, "", each) for name in ("uniform", "gaussian") for each in LAYERS]
    plan += [("reweight", f"mass.factor={dose:g}", "all") for dose in DOSES]
    plan += [(name, "", "all") for name in ("pai", "sap_llava", "vaf", "knockout", HOSTILE)]
    for name, variant, layers in plan:
        value = shifts.get(name, 0.0) + rng.normal(0, 0.006)
        half = 0.013 if benchmark == "pope" else 0.01
        arm = _arm(model, benchmark, name, variant, layers, n, clusters)
        verdict = VERDICT_OF.get(name, "NOT SHOWN")
        drawn = name == "gaussian"
        arm |= {
            "accuracy": 0.86 + value,
            "score_value": 0.86 + value,
            "score_low": 0.845 + value,
            "score_high": 0.875 + value,
            "difference_value": value,
            "difference_low": value - half,
            "difference_high": value + half,
            "p": 0.0002 if abs(value) > half else 0.31,
            "p_adjusted": 0.0008 if abs(value) > half else 0.47,
            "correction": "BH of 52",
            "gained": 31.0, "lost": 31.0 - value * n, "discordant": 0.05 + abs(value),
            "design_effect": 1.4 if benchmark == "pope" else 1.0,
            "margin": 0.02, "p_worse": 0.4, "p_better": 0.6, "p_not_inferior": 0.03,
            "p_equivalent": 0.06, "detectable": 0.014, "needed": 4282,
            "verdict": verdict,
            "reason": "its 95 % interval reaches beyond the margin of 2.0 points",
            "sentence": (
                f"On {benchmark}, {arm['name']} changes the accuracy of {model} by "
                f"{100 * value:+.1f} points (95 % interval {100 * (value - half):+.1f} to "
                f"{100 * (value + half):+.1f}, {n:,} questions about {clusters:,} images): "
                f"{verdict}."
            ),
            "role": "positive control" if name == "knockout" else
                    "primary" if name == "pai" else "explored",
            "control": "learned",
            "seeds": 3 if drawn else 1, "seed_list": "0, 1, 2" if drawn else "0",
            "stochastic": drawn, "seed_sd": 0.004 if drawn else np.nan,
            "seeds_better": 0.33 if drawn else np.nan,
            "visual_mass_after": 0.41 * (0.0 if name == "knockout" else 1.0 + 4 * value),
            "cost": 1.07, "entries_edited": 120_000,
            "beyond_controls": "no more than: same rates by a bias" if name == "vaf" else None,
        }  # fmt: skip
        found.append(arm)
    return found


def _arm(
    model: str, benchmark: str, name: str, variant: str, layers: str | None, n: int, clusters: int
) -> dict[str, object]:
    label = name + (f" ({variant})" if variant else "")
    label += f", layers {layers}" if layers and layers != "all" else ""
    slug = "-".join(filter(str.isalnum, f"{name} {variant} {layers}".replace(".", "")))[:60]
    family = f"{model}-{benchmark}"
    return {
        "key": f"{family}-{slug}", "family": family, "title": f"{model} on {benchmark}",
        "name": label, "control": None, "role": "explored", "model": model,
        "benchmark": benchmark, "prompt": "native", "compat": "none", "imported": None,
        "condition": "real", "setting": "1a2b3c4d", "intervention": name, "variant": variant,
        "layers": layers, "seeds": 1, "seed_list": "0", "stochastic": False, "seed_sd": np.nan,
        "seeds_better": np.nan, "score_n": n, "chance": 0.5, "score_name": "score",
        "difference_value": np.nan, "difference_low": np.nan, "difference_high": np.nan,
        "score_difference_value": np.nan, "score_difference_low": np.nan,
        "score_difference_high": np.nan, "n": n, "clusters": clusters,
        "effective": float(clusters), "error": np.nan,
        "p": np.nan, "p_adjusted": np.nan, "correction": None,
        "gained": np.nan, "lost": np.nan, "discordant": np.nan, "design_effect": np.nan,
        "margin": np.nan, "p_worse": np.nan, "p_better": np.nan, "p_not_inferior": np.nan,
        "p_equivalent": np.nan, "detectable": np.nan, "needed": np.nan, "verdict": None,
        "reason": None, "sentence": None, "unparsed": 0.004, "errors": 0.0, "cut": np.nan,
        "guessed": np.nan, "skipped": np.nan, "visual_mass_before": 0.41,
        "visual_mass_after": 0.41, "visual_entropy_nats_before": 3.1,
        "visual_entropy_nats_after": 3.4, "seconds": 12.5, "cost": np.nan, "entries_edited": 0,
        "code": "1a2b3c4d5e", "beyond_controls": None,
    }  # fmt: skip


def _cells(arms: pd.DataFrame) -> pd.DataFrame:
    """One per arm, of its first seed; rates of answers are counts here."""
    kept = ["model", "benchmark", "prompt", "compat", "condition", "setting", "intervention",
            "variant", "layers", "imported", "score_value", "score_low", "score_high", "score_n",
            "chance", "accuracy", "skipped", "seconds", "visual_mass_before", "visual_mass_after",
            "visual_entropy_nats_before", "visual_entropy_nats_after", "code", "difference_value",
            "difference_low", "difference_high", "p", "verdict"]  # fmt: skip
    asked = arms[["n", "clusters"]].where(arms["difference_value"].notna())
    return arms[kept].assign(
        seed=0, unparsed=12, guessed=0, errors=0, cut=0, cells_edited=120_000, folder=arms["key"],
        difference_n=asked["n"], difference_clusters=asked["clusters"],
    )  # fmt: skip


def _slices(rng: np.random.Generator, arms: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for arm in arms.itertuples():
        for tag, value in (("kind", "colour"), ("kind", "count"), ("kind", "where"),
                           ("asked", "present"), ("asked", HOSTILE)):  # fmt: skip
            shift = arm.difference_value + rng.normal(0, 0.02)
            lines.append(
                {"key": arm.key, "tag": tag, "value": value, "n": 250, "clusters": 250,
                 "control_accuracy": 0.86, "accuracy": 0.86 + shift, "difference_value": shift,
                 "difference_low": shift - 0.04, "difference_high": shift + 0.04, "p": 0.2,
                 "p_adjusted": 0.4}
            )  # fmt: skip
    return pd.DataFrame(lines)


def _curves(arms: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for arm in arms.itertuples():
        if arm.layers in LAYERS:
            what, kind, setting = f"{arm.intervention} over layers", "layers", "layers"
            x, label = 0.5 + 2.0 * LAYERS.index(arm.layers), arm.layers
        elif arm.intervention == "reweight":
            what, kind, setting = "reweight by mass.factor", "dose", "mass.factor"
            x = float(arm.variant.partition("=")[2])
            label = f"{x:g}"
        else:
            continue
        lines.append(
            {"curve": f"{arm.family}-{arm.intervention}-{kind}", "family": arm.family,
             "title": what, "kind": kind, "setting": setting, "key": arm.key, "x": x,
             "label": label, "difference_value": arm.difference_value,
             "difference_low": arm.difference_low, "difference_high": arm.difference_high,
             "band_low": arm.difference_low - 0.004, "band_high": arm.difference_high + 0.004,
             "n": arm.n}
        )  # fmt: skip
    return pd.DataFrame(lines)


def _peaks(arms: pd.DataFrame) -> pd.DataFrame:
    best = arms[arms["intervention"] == "uniform"].drop_duplicates("family")
    return pd.DataFrame(
        {"curve": best["family"] + "-uniform-layers", "title": "uniform over layers",
         "family": best["family"], "key": best["key"], "name": best["name"],
         "chosen_value": best["difference_value"] + 0.01, "value": best["difference_value"],
         "low": best["difference_low"] - 0.005, "high": best["difference_high"] + 0.005,
         "n": best["n"] // 2, "p": 0.02}
    )  # fmt: skip


def _summaries(arms: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for over, held in (("benchmarks", "model"), ("models", "benchmark"), ("both", None)):
        groups = arms.groupby(["name", held] if held else ["name"], sort=False)
        for which, rows in groups:
            if len(rows) < 2:
                continue
            value = rows["difference_value"].mean()
            lines.append(
                {"over": over, "name": which[0], "of": which[1] if held else "", "k": len(rows),
                 "value": value, "low": value - 0.02, "high": value + 0.02,
                 "prediction_low": value - 0.05 if len(rows) > 2 else np.nan,
                 "prediction_high": value + 0.05 if len(rows) > 2 else np.nan, "tau": 0.006,
                 "i2": 0.3}
            )  # fmt: skip
    return pd.DataFrame(lines)


def _assay(arms: pd.DataFrame) -> pd.DataFrame:
    drops = arms[arms["role"] == "positive control"]
    found = drops[["family", "title", "key", "name", "difference_value", "difference_low",
                   "difference_high"]].assign(shown=True)  # fmt: skip
    return found.assign(sentence="knockout costs 30 points: the benchmark would notice.")


def _measures(arms: pd.DataFrame) -> pd.DataFrame:
    """Precision in [0, 1], and words, which are a number, without an interval."""
    lines = []
    for arm in arms[arms["benchmark"] == "pope"].itertuples():
        same = {"key": arm.key, "family": arm.family, "name": arm.name}
        lines += [
            same | {"measure": "precision", "value": 0.8, "low": 0.78, "high": 0.82, "n": arm.n,
                    "unit": None, "better": "higher"},
            same | {"measure": "words", "value": 95.1, "low": np.nan, "high": np.nan, "n": arm.n,
                    "unit": "words", "better": None},
        ]  # fmt: skip
    return pd.DataFrame(lines)


def _flips(arms: pd.DataFrame) -> list[Flip]:
    wide, tall = (Image.new("RGB", size, colour) for size, colour in
                  (((160, 96), "#0072B2"), ((96, 160), "#D55E00")))  # fmt: skip
    first = arms.iloc[0]["key"]
    return [
        Flip(arm=first, uid="shapes/1", direction="lost", question="What colour is the square?",
             options=("red", "blue"), gold="red", control_answer="red", arm_answer="blue",
             picture=wide, control_attention=wide, arm_attention=tall, control_mass=0.41,
             arm_mass=0.0, scale="0 (violet) to 1.41 (yellow) times even attention, mean over 4 "
             "heads and layers 2 to 5"),
        Flip(arm=first, uid="shapes/2", direction="gained", question=HOSTILE,
             options=(), gold="<b>two</b>", control_answer=None, arm_answer="two", picture=None),
    ]  # fmt: skip

"""What the geometry of the residual stream costs: `python -m tools.residual_cost`.

Milliseconds for one update of one layer, states of normal numbers with a few huge entries: by the
fast route, by that of states whose tokens repeat, by a plain SVD, and of an update of random
directions. Then what a study takes: 1,000 samples, 32 layers, attention and feed-forward.

python -m tools.residual_cost                    # on the CPU, processor time of one thread
python -m tools.residual_cost --threads 2        # time that passes, with so many threads
python -m tools.residual_cost --device cuda      # time that passes on a GPU
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from solvent.diagnostics.residual.factored import Route
from solvent.diagnostics.residual.layer_geometry import Variant
from solvent.diagnostics.residual.null_updates import haar_update
from solvent.diagnostics.residual.random_streams import stream

TOKENS = (64, 256)
WIDTHS = (64, 256, 1024, 2048, 4096)
SAMPLES, LAYERS, UPDATES = 1000, 32, 2
PLAIN = 2**28  # tokens^2 * width, up to which a plain SVD is waited for


def states(layers: int, tokens: int, width: int, device: str) -> tuple[Tensor, Tensor]:
    """States in bfloat16 with massive activations, and updates a third as large."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(layers, tokens, width, generator=generator)
    drawn[:, 0, : min(2, width)] = 1000.0
    update = 0.3 * torch.randn(layers, tokens, width, generator=generator)
    return drawn.to(device, torch.bfloat16), update.to(device, torch.bfloat16)


def milliseconds(job: Callable[[], object], device: str, passing: bool, repeats: int) -> float:
    """The least of several times, after one that is not counted."""
    clock = time.perf_counter if passing else time.thread_time
    times = []
    for _ in range(repeats + 1):
        started = clock()
        job()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(clock() - started)
    return 1000 * min(times[1:] or times)


def measured(
    tokens: int, width: int, *, layers: int, device: str, passing: bool, repeats: int
) -> dict[str, float | None]:
    """Milliseconds per update of every way, None where nobody would wait."""

    def timed(route: Route, repeated: bool, haar: bool) -> float:
        before, update = states(layers, tokens, width, device)
        if repeated:
            before[:, 1::2] = before[:, ::2][:, : tokens // 2]
        generator = stream(0, "cost")
        controls = {"haar": lambda x, d: haar_update(d, generator)} if haar else {}
        variant = Variant(
            combine="mean", rows="mean", alphas=(1.0, 8.0), reference="own", rtol=None,
            centre=False, route=route, at_once=layers,
        )  # fmt: skip

        def job() -> object:
            found = variant.of_layers(before, update, update, parallel=False, controls=controls)
            return found["attention"].rid.cpu()

        return milliseconds(job, device, passing, repeats) / (layers * UPDATES)

    fast = timed("fast", False, False)
    return {
        "fast": fast,
        "repeated": timed("fast", True, False),
        "svd": timed("svd", False, False) if tokens**2 * width <= PLAIN else None,
        "haar": timed("fast", False, True) - fast,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, help="of the CPU; then the time that passes counts")
    parser.add_argument("--layers", type=int, default=4, help="at a time (default 4)")
    parser.add_argument("--repeats", type=int, default=3, help="of which the least counts")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    given = parser.parse_args()
    passing = given.device != "cpu" or given.threads is not None
    torch.set_num_threads(given.threads or 1)
    study = f"{SAMPLES:,} samples x {LAYERS} layers, hours"
    table = Table("tokens", "width", "ms, fast", "repeated tokens", "plain SVD", "+ Haar", study)
    cases = [(tokens, width) for tokens in TOKENS for width in given.widths]
    for tokens, width in track(cases, transient=True):
        found = measured(
            tokens, width, layers=given.layers, device=given.device, passing=passing,
            repeats=given.repeats,
        )  # fmt: skip
        shown = ["-" if value is None else f"{value:.1f}" for value in found.values()]
        hours = (found["fast"] or 0.0) * SAMPLES * LAYERS * UPDATES / 3.6e6
        table.add_row(str(tokens), f"{width:,}", *shown, f"{hours:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()

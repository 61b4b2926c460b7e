"""What decoder layers add to the residual stream, measured layer by layer while prompts are read.

    with vlm.watch_updates(lens) as seen:
        vlm.rank(batch, candidates)
    seen.take()["uid"]["image"]["attention_rid"]  # (draw, layer), NumPy

Of every layer only the tokens that a lens chooses are kept, until it has measured them: memory does
not grow with the samples, nor with the layers. A sample's tokens are chosen by its own prompt
alone, and a measure is of one draw of them, so that neither padding nor company matters.

Axes: B batch, T tokens of the padded prompts, N tokens of one prompt, K tokens kept of a batch,
S tokens of a draw, W width of the stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from interventions.controls.rotation import layer_inputs, unrotated
from interventions.errors import InterventionError
from interventions.looking.stream import ATTENTION, LayerUpdates, follow_stream
from solvent.core.types import Lens
from solvent.models.prefill import EncodedBatch
from solvent.models.refusals import ModelError

log = logging.getLogger("solvent")

PARTS = ("before", "attention", "ffn", "after", "between")  # tensors of a layer's updates

Seen = dict[str, dict[str, Float[np.ndarray, "draw layer"]]]
"""Of one sample: set of tokens -> measure -> one number per draw and layer, NaN where undefined."""


Place = tuple[str, str, int]
"""Sample, set of tokens, and number of the draw."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chosen:
    """What is kept of a batch."""

    shape: tuple[int, int]  # of the padded batch
    row: Int[Tensor, " K"]
    column: Int[Tensor, " K"]
    sets: Mapping[str, tuple[list[Place], Int[Tensor, "batch S"]]]
    """Set of tokens -> sample, set and draw of every entry, and which of the K tokens it has."""

    def keep(self, hidden: Float[Tensor, "batch token width"]) -> Float[Tensor, "K width"]:
        """Copy the chosen tokens. Raises `ModelError` when a prompt is read in pieces."""
        if hidden.shape[:2] != self.shape:
            raise ModelError(
                f"Updates are read from whole prompts of {self.shape[1]} tokens, but a decoder "
                f"layer was called with {hidden.shape[1]}; turn chunked prefill off."
            )
        return hidden[self.row.to(hidden.device), self.column.to(hidden.device)]


@dataclass(eq=False)
class UpdateWatch:
    """Yielded by `VLM.watch_updates`: keeps what was measured of every prompt, until `take`."""

    model: PreTrainedModel
    image_token_id: int
    layers: int
    width: int
    lens: Lens
    _seen: dict[str, Seen] = field(default_factory=dict)

    def take(self) -> dict[str, Seen]:
        """Return and forget what was measured, by uid; of a prompt read twice, the second time."""
        seen, self._seen = self._seen, {}
        return seen

    @contextmanager
    def reading(self, batch: EncodedBatch) -> Iterator[None]:
        """Look while this batch is read. Nothing of what the model computes is changed.

        Raises `ModelError` when the prompts are not read in one piece, `InterventionError` where
        the residual stream of a layer cannot be followed.
        """
        chosen = self._chosen(batch)
        found: dict[str, Seen] = {uid: {} for uid in batch.uids}

        def measure(updates: LayerUpdates) -> None:
            for places, index in chosen.sets.values():
                self._measure(found, places, index, updates)

        nobody = not chosen.sets  # of the batch is asked for
        with nullcontext() if nobody else follow_stream(self.model, chosen.keep, measure):
            yield
        self._seen |= found

    def compare_rotation(self, batch: EncodedBatch, read: Callable[[], object]) -> None:
        """Measure the stream behind attention with rotation against that without, of every layer.

        `read` runs the model over the batch, and does so twice: the second time every layer is
        given what it read the first time, all of which is in memory meanwhile. Where attention
        without rotation cannot be computed, nothing is measured, and the log says why.
        """
        chosen = self._chosen(batch)
        found: dict[str, Seen] = {uid: {} for uid in batch.uids}
        turned: dict[int, Tensor] = {}

        def keep(updates: LayerUpdates) -> None:
            turned[updates.layer] = updates.after_attention

        def compare(updates: LayerUpdates) -> None:
            if updates.mixer == ATTENTION:
                for places, index in chosen.sets.values():
                    states = (updates.after_attention, turned[updates.layer])
                    off, on = (each[index.to(each.device)] for each in states)
                    self._place(found, places, updates.layer, self.lens.compare(off, on))

        if chosen.sets:
            try:
                with (
                    layer_inputs(self.model) as entered,
                    follow_stream(self.model, chosen.keep, keep),
                ):
                    read()
                with (
                    unrotated(self.model, entered),
                    follow_stream(self.model, chosen.keep, compare),
                ):
                    read()
            except InterventionError as error:
                log.warning("rotation is not compared: %s", error)
                found = {uid: {} for uid in batch.uids}
        self._seen |= found

    def _chosen(self, batch: EncodedBatch) -> _Chosen:
        """Ask the lens which tokens of every prompt are wanted."""
        ids = batch.inputs["input_ids"].cpu().numpy()
        real = batch.inputs["attention_mask"].bool().cpu().numpy()
        rows, columns, kept = [], [], 0
        sets: dict[str, tuple[list[Place], list[np.ndarray]]] = {}
        for row, uid in enumerate(batch.uids):
            there = np.flatnonzero(real[row])
            image = ids[row, there] == self.image_token_id
            wanted = self.lens.choose(uid, image, self.width)
            once = np.unique(np.concatenate([np.ravel(each) for each in wanted.values()] or [[]]))
            for name, draws in wanted.items():
                places, indices = sets.setdefault(name, ([], []))
                places += [(uid, name, draw) for draw in range(len(draws))]
                indices.append(kept + np.searchsorted(once, draws))
            rows.append(np.full(len(once), row))
            columns.append(there[once.astype(int)])
            kept += len(once)
        return _Chosen(
            shape=ids.shape,
            row=torch.from_numpy(np.concatenate(rows)),
            column=torch.from_numpy(np.concatenate(columns)),
            sets={
                name: (places, torch.from_numpy(np.concatenate(indices)))
                for name, (places, indices) in sets.items()
            },
        )

    def _measure(
        self,
        found: dict[str, Seen],
        places: Sequence[Place],
        index: Int[Tensor, "batch S"],
        updates: LayerUpdates,
    ) -> None:
        """Measure one layer on one set of tokens of all samples."""
        measured = self.lens.measure(places, _at(updates, index))
        self._place(found, places, updates.layer, measured)

    def _place(
        self,
        found: dict[str, Seen],
        places: Sequence[Place],
        layer: int,
        measured: Mapping[str, Float[Tensor, " batch"]],
    ) -> None:
        """Put the numbers of one layer in place."""
        draws = 1 + max(draw for _, _, draw in places)
        for name, values in measured.items():
            for (uid, tokens, draw), value in zip(places, values.tolist(), strict=True):
                measures = found[uid].setdefault(tokens, {})
                if name not in measures:
                    measures[name] = np.full((draws, self.layers), np.nan)
                measures[name][draw, layer] = value


def _at(updates: LayerUpdates, index: Int[Tensor, "batch S"]) -> LayerUpdates:
    """Some of the tokens that are kept of a layer."""
    parts = {name: getattr(updates, name) for name in PARTS}
    index = index.to(updates.before.device)
    some = {name: each if each is None else each[index] for name, each in parts.items()}
    return replace(updates, **some)

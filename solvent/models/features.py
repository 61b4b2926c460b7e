"""What the vision encoder makes of a picture, kept for the next question about it.

A picture is always encoded alone. Its features therefore do not depend on what else is in a batch
or was seen before, so that a cell that was interrupted goes on to the same bits.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel

from interventions.patching.upstream import IMAGE_FEATURES, as_image_features, parameters
from solvent.models.prefill import EncodedBatch
from solvent.models.refusals import ModelError

log = logging.getLogger("solvent")


def fingerprint(picture: Image.Image) -> str:
    """Names a picture in RGB by its size and pixels."""
    digest = hashlib.blake2b(repr(picture.size).encode(), digest_size=16)
    digest.update(picture.tobytes())
    return digest.hexdigest()


class FeatureCache:
    """Features of the pictures seen last, in host memory.

    Arguments:
        model: whose features; with one processor, so that a picture's pixels say it all.
        megabytes: of features at most, 2**20 bytes each; 0 computes them anew in every forward.
    """

    def __init__(self, model: PreTrainedModel, megabytes: int) -> None:
        if megabytes < 0:
            raise ModelError(
                f"Expected model.feature_cache_mb to be 0 (off) or more, but {megabytes} came; "
                "give the megabytes of host memory that image features may take."
            )
        self._model = model
        self._room = megabytes * 2**20
        self._kept: OrderedDict[Hashable, Float[Tensor, "token hidden"]] = OrderedDict()
        self.size = 0  # bytes that are kept
        self.encoded = 0  # pictures that went through the encoder
        self.active = megabytes > 0 and IMAGE_FEATURES in parameters(model)
        if megabytes and not self.active:
            log.info("%s takes no image features, only pixels", type(model).__name__)

    def fill(self, batch: EncodedBatch) -> EncodedBatch:
        """The batch with features in the place of its pixels."""
        if not self.active or "pixel_values" not in batch.inputs:
            return batch
        features, index = [], 0
        for pictures in batch.pictures:
            for picture in pictures:
                features.append(self._features(picture, batch.inputs, index, len(pictures)))
                index += 1
        inputs = {key: value for key, value in batch.inputs.items() if key != "pixel_values"}
        inputs[IMAGE_FEATURES] = as_image_features(features)
        return replace(batch, inputs=inputs)

    def _features(
        self, picture: str, inputs: Mapping[str, Tensor], index: int, siblings: int
    ) -> Float[Tensor, "token hidden"]:
        key = (picture, siblings if "batch_num_images" in inputs else None)
        found = self._kept.pop(key, None)
        if found is None:
            self.encoded += 1
            # Ordinary tensors: a calibration may later differentiate through what reads them.
            with torch.inference_mode(False), torch.no_grad():
                output = self._model.get_image_features(**alone(inputs, index, siblings))
                (part,) = output.pooler_output
            found = part.cpu()
            self.size += found.nbytes
        self._kept[key] = found  # as the one seen last
        while self._kept and self.size > self._room:
            self.size -= self._kept.popitem(last=False)[1].nbytes
        return found.to(inputs["pixel_values"].device)


def alone(inputs: Mapping[str, Tensor], index: int, siblings: int) -> dict[str, Tensor]:
    """The inputs of one picture, of a prompt with `siblings` pictures, among those of a batch."""
    pixels = inputs["pixel_values"]
    if "image_grid_thw" in inputs:  # patches of all pictures in a row
        grid = inputs["image_grid_thw"]
        counts: Sequence[int] = grid.prod(dim=-1).tolist()
        part = pixels.split(counts)[index]
        return {"pixel_values": part, "image_grid_thw": grid[index : index + 1]}
    part = {"pixel_values": pixels[index : index + 1]}
    if "image_sizes" in inputs:
        part["image_sizes"] = inputs["image_sizes"][index : index + 1]
    if "batch_num_images" in inputs:  # one picture is cut into tiles, several are not
        part["batch_num_images"] = inputs["batch_num_images"].new_tensor([siblings])
    return part


def sees_encoder(intervention: Any) -> bool:
    """Whether an intervention looks into the vision encoder, which then must run."""
    return intervention.pattern.pictured is not None

"""What the vision encoder makes of a picture, kept for the next question about it.

A picture is always encoded alone. Its features therefore do not depend on what else is in a batch
or was seen before, so that a cell that was interrupted goes on to the same bits.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from accelerate.utils import align_module_device
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from interventions.patching.upstream import IMAGE_FEATURES, parameters
from solvent.models.prefill import EncodedBatch, on_device
from solvent.models.reading import Pictures, Reader
from solvent.models.refusals import ModelError

log = logging.getLogger("solvent")

ROWS = "pooler_output"  # fields of what a vision encoder gives: a row per image token,
DEEPSTACK = "deepstack_features"  # what is added to them in layers of the decoder,
ON_THE_WAY = ("last_hidden_state", "hidden_states", "attentions")  # and what the decoder never sees

Names = tuple[str, ...]
Item = TypeVar("Item")


def fingerprint(picture: Image.Image) -> str:
    """Names a picture in RGB by its size and pixels."""
    digest = hashlib.blake2b(repr(picture.size).encode(), digest_size=16)
    digest.update(picture.tobytes())
    return digest.hexdigest()


class FeatureCache:
    """Features of the pictures seen last, in host memory.

    Arguments:
        model: whose features.
        reader: of the model's processor, for the thread that asks for features; with the one
            processor, so that the pixels of a picture say it all.
        megabytes: of features at most, 2**20 bytes each; 0 computes them anew in every forward.
    """

    def __init__(self, model: PreTrainedModel, reader: Reader, megabytes: int) -> None:
        if megabytes < 0:
            raise ModelError(
                f"Expected model.feature_cache_mb to be 0 (off) or more, but {megabytes} came; "
                "give the megabytes of host memory that image features may take."
            )
        self._model, self._reader = model, reader
        self._room = megabytes * 2**20
        self._kept: OrderedDict[Names, ModelOutput] = OrderedDict()
        self.size = 0  # bytes that are kept
        self.encoded = 0  # pictures that went through the encoder
        self.active = megabytes > 0 and IMAGE_FEATURES in parameters(model)
        if megabytes and not self.active:
            log.info("%s takes no image features, only pixels", type(model).__name__)

    def apart(self, pictures: Sequence[Item]) -> list[Sequence[Item]]:
        """Pictures of one prompt, as they are encoded: one by one, unless it matters who is there.

        `siblings_count`: some families cut a picture into tiles only where it is the only one.
        """
        if self._reader.siblings_count:
            return [pictures] if pictures else []
        return [pictures[place : place + 1] for place in range(len(pictures))]

    def unseen(
        self, reader: Reader, names: Sequence[Names], pictures: Sequence[Pictures]
    ) -> dict[Names, Mapping[str, Tensor]]:
        """What the encoder takes of those pictures of a batch whose features are not kept.

        Arguments:
            reader: of the calling thread.
            names, pictures: of every prompt.
        """
        found: dict[Names, Mapping[str, Tensor]] = {}
        for of_row, shown in zip(names, pictures, strict=True):
            for group, images in zip(self.apart(of_row), self.apart(shown), strict=True):
                key = tuple(group)
                if key not in self._kept and key not in found:
                    found[key] = reader.of_pictures(images)
        return found

    def fill(self, batch: EncodedBatch) -> EncodedBatch:
        """The batch with features in the place of its pixels."""
        if not self.active or not any(batch.names):
            return batch
        found = [
            self._features(tuple(group), images, batch)
            for of_row, shown in zip(batch.names, batch.pictures, strict=True)
            for group, images in zip(self.apart(of_row), self.apart(shown), strict=True)
        ]
        inputs = {k: v for k, v in batch.inputs.items() if not v.is_floating_point()}
        device = batch.inputs["input_ids"].device
        inputs[IMAGE_FEATURES] = {"image": joined(found, device)}
        return replace(batch, inputs=inputs)

    @contextmanager
    def of_another(self) -> Iterator[None]:
        """Inside of the block nothing is known yet, behind it what was known before: for a model
        whose vision encoder has other weights meanwhile.
        """
        kept, size = self._kept, self.size
        self._kept, self.size = OrderedDict(), 0
        try:
            yield
        finally:
            self._kept, self.size = kept, size

    def _features(self, names: Names, images: Pictures, batch: EncodedBatch) -> ModelOutput:
        """What the model makes of some pictures of a prompt, kept as the one seen last."""
        found = self._kept.pop(names, None)
        if found is None:
            self.encoded += len(names)
            inputs = batch.unseen.get(names) or self._reader.of_pictures(images)
            output = image_features(self._model, inputs)
            found = type(output)(**_moved(dict(output), torch.device("cpu")))
            self.size += _size(found)
        self._kept[names] = found
        while self._kept and self.size > self._room:
            self.size -= _size(self._kept.popitem(last=False)[1])
        return found


def image_features(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> ModelOutput:
    """What a model makes of the pictures of one prompt, without what it passed on the way.

    Arguments:
        inputs: what its vision encoder takes.
    """
    owner = model if hasattr(model, "get_image_features") else model.base_model
    # Ordinary tensors: a calibration may later differentiate through what reads them. And what the
    # inner model itself holds (LLaVA-NeXT's end of a row) is not brought back for this method.
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        align_module_device(model.base_model),
    ):
        output = owner.get_image_features(**on_device(model, inputs))
    wanted = dict(output)
    if wanted.get(ROWS) is None:
        wanted[ROWS] = wanted.get("last_hidden_state")
    kept = {name: value for name, value in wanted.items() if name not in ON_THE_WAY}
    return type(output)(**kept)


def feature_rows(output: ModelOutput) -> int:
    """Number of feature vectors, one per image token."""
    parts = output[ROWS]
    parts = [parts] if isinstance(parts, Tensor) else parts
    return sum(part.shape[:-1].numel() for part in parts)


def joined(outputs: Sequence[ModelOutput], device: torch.device) -> ModelOutput:
    """What a model makes of many pictures, from what it makes of each, in the same kind."""
    whole = dict(outputs[0])
    whole[ROWS] = _together([each[ROWS] for each in outputs])
    if DEEPSTACK in whole:
        layers = zip(*(each[DEEPSTACK] for each in outputs), strict=True)
        whole[DEEPSTACK] = [_together(layer) for layer in layers]
    return type(outputs[0])(**_moved(whole, device))


def _together(parts: Sequence[Any]) -> Any:
    """Tensors of some pictures one behind the other, or lists with a tensor for each."""
    if isinstance(parts[0], Tensor):
        return torch.cat(list(parts))
    return [tensor for part in parts for tensor in part]


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: _moved(each, device) for name, each in value.items()}
    return [_moved(each, device) for each in value] if isinstance(value, list | tuple) else value


def _size(value: Any) -> int:
    """Bytes of the tensors in something."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 0


def sees_encoder(intervention: Any) -> bool:
    """Whether an intervention looks into the vision encoder, which then must run."""
    return intervention.pattern.pictured is not None

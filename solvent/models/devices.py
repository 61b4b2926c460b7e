"""On which devices a model goes, in which precision, and what of it stays outside of them."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import convert_file_size_to_int
from transformers import BitsAndBytesConfig, PreTrainedModel

from solvent.models.refusals import ModelError, first_line

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
QUANTIZATIONS = ("none", "8bit", "4bit")
OUTSIDE = ("cpu", "disk")  # where weights may lie beside the GPUs, numbered 0, 1, ...


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What conf/model says about it. Raises `ModelError` for what cannot be."""

    dtype: str
    device: str
    max_memory: Mapping[int | str, int | str] | None  # of a device, bytes or as in 20GiB
    offload_folder: str | None
    quantization: str

    def __post_init__(self) -> None:
        _refuse_device(self.device)
        if self.dtype not in (*DTYPES, "auto"):
            raise ModelError(
                f"Expected model.dtype to be one of {', '.join(DTYPES)}, auto, but {self.dtype!r} "
                "came; choose one of them."
            )
        _refuse_quantization(self.quantization, on_gpu=self._on_gpu)
        if self.offload_folder is not None:
            try:
                Path(self.offload_folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ModelError(
                    "Expected model.offload_folder to be a folder that can be written, but "
                    f"{self.offload_folder!r} cannot be made ({error.strerror}); name another one."
                ) from error

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `from_pretrained`."""
        return {
            "dtype": self.torch_dtype,
            "device_map": self.device_map(),
            "max_memory": self._limits(),
            "offload_folder": self.offload_folder,
            "quantization_config": self._packing(),
        }

    def device_map(self) -> str | dict[str, int | str]:
        """All GPUs in a single process, one replica per GPU with several processes."""
        limits = self._limits()
        if limits is not None:
            self._refuse_limits(limits)
            return "auto"
        if not self._on_gpu:
            return {"": "cpu"}
        state = PartialState()
        if self.device == "auto" and state.num_processes == 1:
            return "auto"
        return {"": state.local_process_index}

    @property
    def torch_dtype(self) -> torch.dtype:
        """`auto` is bfloat16 on a GPU and float32 on the CPU."""
        if self.dtype == "auto":
            return torch.bfloat16 if self._on_gpu else torch.float32
        return DTYPES[self.dtype]

    @property
    def _on_gpu(self) -> bool:
        return self.device != "cpu" and torch.cuda.is_available()

    def _limits(self) -> dict[int | str, int] | None:
        """Bytes by device; GPUs by their number, which JSON has as text."""
        if not self.max_memory:
            return None
        try:
            return {
                int(device) if str(device).isdigit() else device: convert_file_size_to_int(size)
                for device, size in self.max_memory.items()
            }
        except ValueError as error:
            raise ModelError(
                "Expected model.max_memory to give every device bytes, or text such as 20GiB, but "
                f"{dict(self.max_memory)} came; write it as {{0: 20GiB, cpu: 60GiB}}."
            ) from error

    def _refuse_limits(self, limits: Mapping[int | str, int]) -> None:
        known = (*range(torch.cuda.device_count() if self._on_gpu else 0), *OUTSIDE)
        strange = [device for device in limits if device not in known]
        if strange:
            raise ModelError(
                f"Expected model.max_memory to name {', '.join(map(str, known))} where "
                f"model.device={self.device}, but {strange[0]!r} came; name the devices that may "
                "be used, and no other."
            )
        if self.device == "cuda" or PartialState().num_processes > 1:
            raise ModelError(
                "Expected model.max_memory to be empty where a process keeps its model on one GPU "
                "(model.device=cuda, or several processes); run a single process with "
                "model.device=auto to spread a model."
            )

    def _packing(self) -> BitsAndBytesConfig | None:
        """Every linear part but the unembedding; products are computed in `dtype`.

        8bit: Dettmers et al. (2022), https://arxiv.org/abs/2208.07339. 4bit: NF4, Dettmers et al.
        (2023), https://arxiv.org/abs/2305.14314.
        """
        if self.quantization == "8bit":
            # It says at every product that what comes in is rounded to float16.
            logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
            return BitsAndBytesConfig(load_in_8bit=True)
        if self.quantization == "4bit":
            return BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=self.torch_dtype,
            )
        return None


@contextmanager
def explained_placing(location: str, placement: Placement) -> Iterator[None]:
    """What goes wrong in the block because a model has no room or its form no library."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"Expected room for {location!r}, but a GPU has not enough memory "
            f"({first_line(error)}); give it several (model.device=auto), less "
            "(model.dtype=bfloat16, model.quantization=8bit or 4bit) or other memory too "
            "(model.max_memory)."
        ) from error
    except (ImportError, ValueError) as error:
        if "offload_folder" in str(error):
            raise ModelError(
                f"Expected a folder for weights of {location!r} that lie on disk in another form "
                "than they are used in, but model.offload_folder is null; name one with room."
            ) from error
        if "dispatched on the CPU or the disk" in str(error):
            raise ModelError(
                f"Expected the GPUs to hold all of {location!r}, because packed weights "
                f"(model.quantization={placement.quantization}) cannot be off-loaded, but "
                "model.max_memory or the GPUs have less; allow more, or set "
                "model.quantization=none."
            ) from error
        packed = placement.quantization != "none" and "attn_implementation" not in str(error)
        if not (packed or isinstance(error, ImportError)):
            raise
        raise ModelError(
            f"Expected {location!r} to load as its configuration and model.quantization="
            f"{placement.quantization} say, but {first_line(error)}; install what is missing, or "
            "choose another model.quantization."
        ) from error


def input_device(model: PreTrainedModel) -> torch.device:
    """Where a model's inputs go: to the first weight that is not off-loaded, or where accelerate
    computes when all are.
    """
    placed = (weight.device for weight in model.parameters() if weight.device.type != "meta")
    return next(placed, None) or torch.device(model._hf_hook.execution_device)


def devices_of(model: PreTrainedModel) -> list[str]:
    """Where its weights lie: devices of torch, and `cpu` or `disk` for what is off-loaded."""
    placed = {str(weight.device) for weight in model.parameters() if weight.device.type != "meta"}
    places = getattr(model, "hf_device_map", {}).values()
    return sorted(placed | {place for place in places if place in OUTSIDE})


def refuse_packed_unembedding(model: PreTrainedModel) -> None:
    """Scores are computed from the unembedding's own numbers: they must be there as numbers."""
    weight = model.get_output_embeddings().weight
    if weight.dtype not in DTYPES.values():
        raise ModelError(
            f"Expected the unembedding of {type(model).__name__} in one of {', '.join(DTYPES)}, "
            f"but it is packed as {str(weight.dtype).removeprefix('torch.')}; use a checkpoint "
            "whose quantisation leaves lm_head out."
        )


def _refuse_device(device: str) -> None:
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(
            f"Expected model.device to be auto, cpu or cuda, but {device!r} came; choose one of "
            "them."
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "Expected a CUDA GPU for model.device=cuda, but torch sees none; set "
            "model.device=auto or cpu, or install a CUDA build of torch."
        )


def _refuse_quantization(name: str, on_gpu: bool) -> None:
    if name not in QUANTIZATIONS:
        raise ModelError(
            f"Expected model.quantization to be one of {', '.join(QUANTIZATIONS)}, but {name!r} "
            "came; choose one of them."
        )
    if name == "none":
        return
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"Expected bitsandbytes for model.quantization={name}, but it is not installed; run "
            "`pip install bitsandbytes`, or set model.quantization=none."
        )
    if not on_gpu and "cpu" not in _packable():
        raise ModelError(
            f"Expected a GPU for model.quantization={name}, because the bitsandbytes that is "
            "installed computes on no CPU, but the model goes on the CPU; set "
            "model.quantization=none, or use a newer bitsandbytes."
        )


def _packable() -> set[str]:
    """Kinds of devices that bitsandbytes computes on."""
    import bitsandbytes  # seconds, and optional

    return getattr(bitsandbytes, "supported_torch_devices", {"cuda"})

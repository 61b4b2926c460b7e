"""Models that accelerate has placed, on one device, on several, off-loaded or replicated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from transformers import PreTrainedModel

from interventions import intervene, load
from interventions.patching.session import Forward, Session
from tests.interventions.replica import BATCHES, results
from tests.random_models import random_inputs, random_model

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")


def on_one_device(model: PreTrainedModel, folder: Path) -> None:
    dispatch_model(model, {"": "cpu"}, main_device="cpu", force_hooks=True)


def layer_by_layer(model: PreTrainedModel, folder: Path) -> None:
    """Every decoder layer and everything else its own entry; accelerate off-loads each."""
    layers = [name for name, module in model.named_modules() if "DecoderLayer" in str(type(module))]
    places = dict.fromkeys(layers, "cpu")
    for name, _ in model.named_parameters():
        if not name.startswith(tuple(f"{layer}." for layer in layers)):
            places[name.rpartition(".")[0]] = "cpu"
    dispatch_model(model, places, main_device="cpu", force_hooks=True)


def off_loaded(model: PreTrainedModel, folder: Path) -> None:
    cpu_offload(model, execution_device=CPU)


def on_disk(model: PreTrainedModel, folder: Path) -> None:
    disk_offload(model, str(folder), execution_device=CPU)


def accelerated(model: nn.Module) -> dict[str, tuple[int, Any]]:
    """The hook of every module that accelerate hooked, and the forward that calls it."""
    return {
        name: (id(module._hf_hook), module.__dict__["forward"])
        for name, module in model.named_modules()
        if hasattr(module, "_hf_hook")
    }


@pytest.mark.parametrize("name", ["uniform", "gaussian"])
@pytest.mark.parametrize("place", [on_one_device, layer_by_layer, off_loaded, on_disk])
@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
def test_dispatch_changes_no_bit(
    family: str, place: Callable[[PreTrainedModel, Path], None], name: str, tmp_path: Path
) -> None:
    model, placed = random_model(family), random_model(family)
    place(placed, tmp_path)
    inputs, hooks = random_inputs(model), accelerated(placed)
    plain = model(**inputs).logits
    assert hooks
    assert (place in (off_loaded, on_disk)) <= (next(placed.parameters()).device.type == "meta")
    with intervene(model, load(name)) as log, intervene(placed, load(name)) as other:
        assert torch.equal(model(**inputs).logits, placed(**inputs).logits)
        settings = {"max_new_tokens": 3, "do_sample": False}
        expected, found = (x.generate(**inputs, **settings) for x in (model, placed))
        assert torch.equal(expected, found)
        assert log.entries_edited == other.entries_edited > 0
    assert accelerated(placed) == hooks
    assert torch.equal(plain, placed(**inputs).logits)


SECOND = torch.device("meta")


class Elsewhere(Tensor):
    """A tensor that says it is on a second device; its numbers are in `numbers`."""

    numbers: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers: Tensor) -> Elsewhere:
        tensor = Tensor._make_wrapper_subclass(
            cls, numbers.shape, strides=numbers.stride(), dtype=numbers.dtype, device=SECOND
        )
        tensor.numbers = numbers
        return tensor

    @classmethod
    def __torch_dispatch__(cls, *_: Any, **__: Any) -> None:
        raise AssertionError("used outside TwoDevices")

    def tolist(self) -> list[Any]:
        return self.numbers.tolist()


class TwoDevices(TorchDispatchMode):
    """Raises, as two GPUs would, when one operation reads tensors of both devices.

    Constants that C++ makes directly on the second device arrive empty, so this shows where
    tensors are, not what numbers come out.
    """

    ACROSS = ("aten.copy_.default", "aten.index.Tensor", "aten.index_put_.default")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        args, kwargs = tree_map(self._labelled, (args, kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        places = {x.device for x in tensors if x.ndim or x.device == SECOND}
        if len(places) > 1 and str(func) not in self.ACROSS:
            raise RuntimeError(f"Expected all tensors to be on the same device in {func}")
        target = kwargs.get("device")
        away = SECOND in places if target is None else torch.device(target) == SECOND
        kwargs = kwargs | ({} if target is None else {"device": CPU})
        args, kwargs = tree_map(lambda x: getattr(x, "numbers", x), (args, kwargs))
        output = func(*args, **kwargs)
        if func._schema.is_mutable:
            return tensors[0]
        return tree_map(lambda x: Elsewhere(x) if away and isinstance(x, Tensor) else x, output)

    @staticmethod
    def _labelled(value: Any) -> Any:
        if not isinstance(value, Tensor) or isinstance(value, Elsewhere) or value.device != SECOND:
            return value
        return Elsewhere(torch.zeros(value.shape, dtype=value.dtype))


@pytest.mark.parametrize("name", ["learned", "uniform", "gaussian", "fixed_center"])
def test_tensors_follow_their_layer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    book = Session._book

    def book_anything(session: Session, forward: Forward) -> None:
        """Numbers that come out of empty constants may be infinite."""
        for layer, sums in forward.sums.items():
            sound = torch.zeros(len(sums.broken), dtype=torch.bool)
            forward.sums[layer] = replace(sums, broken=sound)
        book(session, forward)

    monkeypatch.setattr(Session, "_book", book_anything)
    model = random_model("llava")
    inputs = random_inputs(model)
    with TwoDevices():
        for layer in model.get_decoder().layers[1:]:
            for module in layer.modules():
                for key, value in module.named_parameters(recurse=False):
                    moved = Elsewhere(value.detach())
                    module._parameters[key] = nn.Parameter(moved, requires_grad=False)
            hook = AlignDevicesHook(execution_device=SECOND, io_same_device=True)
            add_hook_to_module(layer, hook)
        with intervene(model, load(name)) as log:
            model(**inputs)
            model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert log.forwards == 4
    assert (log.entries_edited > 0) == (name != "learned")


def test_replicas_give_the_numbers_of_one_process(tmp_path: Path) -> None:
    """Two processes with gloo, each with its share of the batches: the same bits."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [sys.executable, *command, "-m", "tests.interventions.replica", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    for family in ("llava", "qwen2_5_vl"):
        parts = [torch.load(tmp_path / f"{family}-{rank}-of-2.pt") for rank in range(2)]
        assert all(parts)
        assert sorted([*parts[0], *parts[1]]) == list(BATCHES)
        for seed, alone in results(family, "gaussian", BATCHES).items():
            part = next(part[seed] for part in parts if seed in part)
            for key in ("answers", "mass"):
                assert torch.equal(alone[key], part[key])
            for step, again in zip(alone["logits"], part["logits"], strict=True):
                assert torch.equal(step, again)

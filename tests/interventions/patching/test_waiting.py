"""A layer never waits for the device: on a GPU the host must run ahead, layer after layer.

What rows and keys are is found out in the first edited layer of a forward (and in the first that is
only measured), and costs some waiting; the layers behind it must do without. Here operations are
watched that would make the host wait; tests/gpu has the same on a GPU.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from interventions import available
from interventions.patching.decoders import SESSION
from interventions.patching.session import Session
from tests.interventions.conftest import _model
from tests.interventions.every_method import LAYERS, opened, prompt_part
from tests.random_models import CACHE, random_inputs

WAITS = {
    "aten._local_scalar_dense.default",  # item, bool, int, tolist
    "aten.nonzero.default",
    "aten.equal.default",
    "aten.masked_select.default",
    "aten.repeat_interleave.Tensor",
    "aten._unique2.default",
    "aten.lift_fresh.default",  # a tensor out of numbers of the host, which is copied over
}
BY_MASK = {"aten.index.Tensor", "aten.index_put.default", "aten.index_put_.default"}
EVERY_LAYER: Mapping[str, Mapping[str, Any]] = {
    "caac_vtc": {"layers": "all"},
    "devils": {"layers": "all"},
    "vaf": {"layers": "all"},
    "fastv_mask": {"layers": "1-", "probe.layer": 0},
}


class Noting(TorchDispatchMode):
    """Base of what looks at every operation and its result, and keeps a list."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, act: Any, types: Any, arguments: tuple[Any, ...] = (), settings: Any = None
    ) -> Any:
        result = act(*arguments, **(settings or {}))
        self.note(act, arguments, result)
        return result

    def note(self, act: Any, arguments: tuple[Any, ...], result: Any) -> None:
        raise TypeError("A base alone notes nothing.")


class Watch(Noting):
    """Notes what waits, and where it was asked for."""

    def note(self, act: Any, arguments: tuple[Any, ...], result: Any) -> None:
        name = str(act)
        masks = name in BY_MASK and any(
            isinstance(each, Tensor) and each.dtype == torch.bool for each in arguments[1]
        )
        if name in WAITS or masks:
            stack = traceback.extract_stack()[:-2]  # without this class
            asked = [line for line in stack if "/interventions/" in line.filename]
            self.found.append(f"{name} in {asked[-1].name}, line {asked[-1].lineno}")


@contextmanager
def watched_after(layer: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What waits in the layers behind one."""
    watch = Watch()

    def watched(method: Any) -> Any:
        def act(session: Session, call: Any, *rest: Any) -> Any:
            if call.layer <= layer:
                return method(session, call, *rest)
            with watch:
                return method(session, call, *rest)

        return act

    with monkeypatch.context() as patched:
        for name in ("attend", "replaces_all"):
            patched.setattr(Session, name, watched(getattr(Session, name)))
        yield watch.found


@pytest.mark.parametrize("name", available())
def test_no_layer_waits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, added = _model("llava"), torch.tensor([[40], [50]])
    inputs, changes = random_inputs(model, (9, 6)), EVERY_LAYER.get(name, {})
    mask = torch.cat([inputs["attention_mask"], torch.ones_like(added)], dim=1)
    lengths = prompt_part(name, inputs)
    with torch.no_grad(), opened(model, name, inputs, lengths=lengths, **changes) as log:
        first = min(edited_layers(model))
        assert first < LAYERS - 1
        with watched_after(first, monkeypatch) as found:
            cache = model(**inputs, use_cache=True)[CACHE]
            model(input_ids=added, attention_mask=mask, **{CACHE: cache})
    assert name == "learned" or log.entries_edited > 0
    assert found == []


def edited_layers(model: Any) -> tuple[int, ...]:
    """The layers that the open context edits."""
    return next(vars(part)[SESSION] for part in model.modules() if SESSION in vars(part)).layers


def test_the_watch_sees_what_waits() -> None:
    values = torch.tensor([1.0, -1.0])
    with Watch() as watch:
        bool((values > 0).all())
        values[values > 0]
    assert len(watch.found) == 2

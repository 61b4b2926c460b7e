"""What only a GPU can show: where tensors are, that no layer waits for it, and the same scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from interventions import available
from interventions.patching.session import Session
from tests.interventions.every_method import opened, prompt_part
from tests.interventions.patching.test_waiting import EVERY_LAYER, Noting, edited_layers
from tests.random_models import CACHE, random_inputs, random_model
from tools.gpu.clock import Clock
from tools.gpu.job import Job
from tools.gpu.report import Report
from tools.gpu.scores import INTERVENTIONS, compare, predictions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
CUDA = torch.device("cuda")


class Elsewhere(Noting):
    """Notes tensors of more than one number that an operation makes outside the GPU."""

    def note(self, act: Any, arguments: tuple[Any, ...], result: Any) -> None:
        if isinstance(result, Tensor) and result.numel() > 1 and result.device.type != "cuda":
            self.found.append(str(act))


def answer(name: str, dtype: torch.dtype, around: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt and a token behind it; `around` is entered in layers behind the first edited one."""
    model, added = random_model("llava").to(CUDA, dtype), torch.tensor([[40], [50]], device=CUDA)
    inputs = random_inputs(model, (9, 6))
    mask = torch.cat([inputs["attention_mask"].to(CUDA), torch.ones_like(added)], dim=1)
    lengths, changes = prompt_part(name, inputs), EVERY_LAYER.get(name, {})
    given = {
        key: value.to(CUDA, dtype if value.is_floating_point() else None)
        for key, value in inputs.items()
    }
    with torch.no_grad(), opened(model, name, inputs, lengths=lengths, **changes) as log:
        first, attend = min(edited_layers(model)), Session.attend

        def watched(session: Session, call: Any, *rest: Any) -> Any:
            if call.layer <= first:
                return attend(session, call, *rest)
            with around():
                return attend(session, call, *rest)

        monkeypatch.setattr(Session, "attend", watched)
        cache = model(**given, use_cache=True)[CACHE]
        model(input_ids=added, attention_mask=mask, **{CACHE: cache})
    assert name == "learned" or log.entries_edited > 0


@contextmanager
def no_waiting() -> Iterator[None]:
    """torch raises at whatever makes the host wait for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", available())
def test_no_layer_waits(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(name, dtype, no_waiting, monkeypatch)


@pytest.mark.parametrize("name", available())
def test_tensors_are_where_the_layer_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Elsewhere()
    answer(name, torch.bfloat16, lambda: watch, monkeypatch)
    assert watch.found == []


@pytest.mark.parametrize("intervention", INTERVENTIONS)
def test_scores_are_those_of_the_cpu(intervention: str, tmp_path: Any) -> None:
    asked = ("limit=60", f"intervention={intervention}", "model.dtype=float32")
    job = Job(device=CUDA, quick=True, report=Report(tmp_path, CUDA), clock=Clock(5))
    there, here = (predictions(*asked, f"model.device={each}") for each in ("cuda", "cpu"))
    compare(job, intervention, there, here, "float32")
    assert job.report.failures == []

"""Models that are spread, off-loaded or packed answer as in one place, or say why not.

And float32 is float32: torch's settings say so, which a CPU has too.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import backends, nn

from interventions import InterventionError
from interventions import load as load_intervention
from interventions.patching.output_projection import output_grams
from solvent.core.types import Prompt
from solvent.models import devices
from solvent.models.devices import Placement, refuse_packed_unembedding
from solvent.models.precision import tf32_is_allowed
from solvent.models.refusals import ModelError
from solvent.models.vlm import VLM, load
from tests.interventions.patching.test_dispatch import SECOND, Elsewhere, TwoDevices

PLACES: dict[str, Any] = {
    "dtype": "float32",
    "device": "auto",
    "max_memory": None,
    "offload_folder": None,
    "quantization": "none",
}
CANDIDATES = [["yes", "no"], ["one two three", "four"], ["The cat sat on the mat."]]
NEW = hasattr(backends.cudnn, "conv")  # settings of torch 2.9 and later
HAS_BITSANDBYTES = importlib.util.find_spec("bitsandbytes") is not None


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def prompts() -> list[Prompt]:
    draw = np.random.default_rng(0)
    sizes = ((20, 30, 3), (16, 16, 3), (16, 24, 3))
    one, two, three = (
        Image.fromarray(draw.integers(0, 255, size, dtype=np.uint8)) for size in sizes
    )
    return [
        Prompt(uid="one", images=(one,), text="Is there a red square in the picture?"),
        Prompt(uid="none", images=(), text="How many?"),
        Prompt(uid="two", images=(two, three), text="Same colour?"),
    ]


def answers(vlm: VLM, name: str) -> tuple[Any, ...]:
    """What a model says to prompts with one picture, none and two; what its decoder holds."""
    batch = vlm.encode(prompts())
    with vlm.watch_states() as seen, vlm.intervene(load_intervention(name)) as log:
        ranked = vlm.rank(batch, CANDIDATES)
        states = {uid: state.last.tolist() for uid, state in seen.take().items()}
    with vlm.watch_shares(load_intervention(name)) as budget:
        vlm.rank(batch, CANDIDATES)
        shares = [(each.uid, each.mass.tolist(), each.effective.tolist()) for each in budget.take()]
    with vlm.intervene(load_intervention(name)):
        said = vlm.generate(batch, max_new_tokens=4)
    return ranked, states, shares, said, log.entries_edited


@pytest.fixture(scope="module", params=["llava", "llava_onevision", "qwen2_5_vl", "tied"])
def folder(
    request: pytest.FixtureRequest,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A checkpoint of every family, and one whose unembedding is its embedding."""
    if request.param != "tied":
        return checkpoints[request.param]
    copy = tmp_path_factory.mktemp("tied") / "model"
    shutil.copytree(checkpoints["qwen2_5_vl"], copy)
    config = json.loads((copy / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (copy / "config.json").write_text(json.dumps(config))
    weights = load_file(copy / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    return copy


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("memory", ["half", "none"])
@pytest.mark.parametrize("kept", [0, 8])
def test_off_loading_changes_no_bit(
    folder: Path, memory: str, kept: int, settings: dict[str, Any]
) -> None:
    """Half of the weights, or all, are read from disk whenever they are needed."""
    asked = {**settings, "checkpoint": str(folder), "feature_cache_mb": kept}
    size = (folder / "model.safetensors").stat().st_size
    limits = {"cpu": size // 2} if memory == "half" else {"disk": "1GiB"}
    here, away = load(**asked), load(**{**asked, "device": "auto", "max_memory": limits})
    outside = {name for name, p in away.model.named_parameters() if p.device.type == "meta"}
    assert outside
    assert away.provenance()["devices"] == (["cpu", "disk"] if memory == "half" else ["disk"])
    encoder = ("fixed_encoder",) if here.model.config.model_type == "llava" else ()
    for name in ("uniform", "learned", *encoder):
        assert answers(here, name) == answers(away, name)
    assert outside == {n for n, p in away.model.named_parameters() if p.device.type == "meta"}


@pytest.mark.parametrize("tied", [False, True])
def test_tensors_follow_the_layers_of_a_model_on_two_devices(
    tied: bool, settings: dict[str, Any], checkpoints: dict[str, Path]
) -> None:
    """All layers but the first on a second device; the unembedding too, unless it is with the
    embedding on the first.
    """
    vlm = load(**{**settings, "checkpoint": str(checkpoints["llava"])})
    batch = vlm.encode(prompts())
    expected, said = vlm.rank(batch, CANDIDATES), vlm.respond(batch, 3)
    decoder, head = vlm.model.get_decoder(), vlm.model.get_output_embeddings()
    with TwoDevices():
        for part in [*decoder.layers[1:], decoder.norm, *(() if tied else (head,))]:
            for module in part.modules():
                for key, value in module.named_parameters(recurse=False):
                    moved = nn.Parameter(Elsewhere(value.detach()), requires_grad=False)
                    module._parameters[key] = moved
            add_hook_to_module(part, AlignDevicesHook(execution_device=SECOND))
        add_hook_to_module(head, AlignDevicesHook(execution_device=head.weight.device))
        assert vlm.device.type == "cpu"
        with torch.no_grad(), vlm.watch_states() as seen:  # a fake tensor has no inference mode
            ranked = VLM.rank.__wrapped__(vlm, batch, CANDIDATES)
            assert VLM.respond.__wrapped__(vlm, batch, 3) == said
        for here, there in zip(expected, ranked, strict=True):
            for one, other in zip(here, there, strict=True):
                assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)
        assert len(seen.take()) == 3
    if tied:
        assert head.weight.device.type == "cpu"  # it was not moved to the rows


def refusal(**changes: Any) -> str:
    with pytest.raises(ModelError) as caught:
        Placement(**{**PLACES, **changes}).arguments()
    message = str(caught.value)
    assert message.startswith("Expected")
    assert "\n" not in message
    return message


@pytest.mark.usefixtures("no_gpu")
def test_limits_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "4 pints" in refusal(max_memory={"cpu": "4 pints"})
    assert "name cpu, disk where model.device=auto, but 0 came" in refusal(max_memory={0: "1GiB"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    limits = {"1": "1GiB", "cpu": 2**30}
    asked = Placement(**{**PLACES, "max_memory": limits}).arguments()
    assert (asked["device_map"], asked["max_memory"]) == ("auto", {1: 2**30, "cpu": 2**30})
    assert "one GPU" in refusal(max_memory=limits, device="cuda")
    assert "but 1 came" in refusal(max_memory=limits, device="cpu")
    state = SimpleNamespace(num_processes=2, local_process_index=1)
    monkeypatch.setattr(devices, "PartialState", lambda: state)
    assert "several processes" in refusal(max_memory=limits)


@pytest.mark.usefixtures("no_gpu")
def test_packing_without_what_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "'3bit'" in refusal(quantization="3bit")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install bitsandbytes" in refusal(quantization="8bit")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    older = SimpleNamespace(supported_torch_devices={"cuda"})
    monkeypatch.setitem(sys.modules, "bitsandbytes", older)
    assert "Expected a GPU for model.quantization=4bit" in refusal(quantization="4bit")


@pytest.mark.usefixtures("no_gpu")
def test_what_goes_wrong_on_the_way_is_said() -> None:
    """What torch and transformers raise where there is no room, or no library."""
    placement = Placement(**PLACES)
    for error, expected in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nto"), "model.quantization=8bit"),
        (ImportError("Using `bitsandbytes` requires it\nplease"), "requires it; install"),
        (ValueError("Please provide an `offload_folder` for them"), "model.offload_folder is null"),
        (ValueError("Some modules are dispatched on the CPU or the disk. Make"), "allow more"),
    ):
        with pytest.raises(ModelError) as caught, devices.explained_placing("mine", placement):
            raise error
        assert expected in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="else"), devices.explained_placing("mine", placement):
        raise ValueError("something else")


def test_a_packed_unembedding_is_refused() -> None:
    """Its bytes are no numbers: scores made of them would be wrong, or nothing at all."""
    packed = nn.Linear(4, 6, bias=False)
    packed.weight = nn.Parameter(torch.zeros(12, 1, dtype=torch.uint8), requires_grad=False)
    model: Any = SimpleNamespace(get_output_embeddings=lambda: packed)
    with pytest.raises(ModelError, match="packed as uint8"):
        refuse_packed_unembedding(model)


@pytest.mark.skipif(
    not HAS_BITSANDBYTES, reason="needs bitsandbytes: pip install -e '.[quantized]'"
)
@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_packed_models_answer_nearly_alike(quantization: str, settings: dict[str, Any]) -> None:
    asked = {**settings, "checkpoint": "solvent/models/checkpoints/tiny"}
    whole, packed = load(**asked), load(**{**asked, "quantization": quantization})
    attention = packed.model.get_decoder().layers[0].self_attn
    assert not attention.q_proj.weight.is_floating_point()
    assert packed.model.get_output_embeddings().weight.is_floating_point()
    assert packed.provenance()["parameters"] == whole.provenance()["parameters"]
    here, there = (
        [score.log_probability for row in vlm.rank(vlm.encode(prompts()), CANDIDATES)
         for score in row]
        for vlm in (whole, packed)
    )  # fmt: skip
    assert np.corrcoef(here, there)[0, 1] > 0.99
    assert here != there
    assert answers(packed, "uniform")[-1] > 0
    text = packed.model.config.get_text_config()
    with pytest.raises(InterventionError, match="quantised"):
        output_grams(attention, text.num_attention_heads, attention.head_dim)


def old_ways() -> None:
    torch.set_float32_matmul_precision("high")
    backends.cudnn.allow_tf32 = True


def new_ways() -> None:
    backends.fp32_precision = "tf32"
    backends.cuda.matmul.fp32_precision = "tf32"
    backends.cudnn.conv.fp32_precision = "tf32"


@pytest.fixture
def tf32_as_before() -> Iterator[None]:
    """Leaves torch as a process that has loaded a model finds it."""
    yield
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = False
    if NEW:
        backends.fp32_precision = "none"
        backends.cuda.matmul.fp32_precision = "ieee"
        backends.cudnn.conv.fp32_precision = backends.cudnn.rnn.fp32_precision = "ieee"


@pytest.mark.usefixtures("tf32_as_before")
@pytest.mark.parametrize("allow", [old_ways, new_ways] if NEW else [old_ways])
def test_a_loaded_model_computes_without_tf32(
    allow: Callable[[], None], settings: dict[str, Any], checkpoints: dict[str, Path]
) -> None:
    allow()
    assert tf32_is_allowed()
    vlm = load(checkpoint=str(checkpoints["llava"]), **settings)
    assert not backends.cudnn.allow_tf32  # which raises where old and new settings differ
    assert not backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    if NEW:
        assert backends.cudnn.conv.fp32_precision == "ieee"
        assert backends.cuda.matmul.fp32_precision == "ieee"
    assert vlm.provenance()["tf32"] is False
    backends.cudnn.allow_tf32 = True  # by somebody, later
    assert vlm.provenance()["tf32"] is True

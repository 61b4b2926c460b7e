"""Finding, placing, checking and describing checkpoints; and the sentences when that fails."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import torch
import transformers
from huggingface_hub.errors import GatedRepoError
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig

import solvent.models.devices as devices_module
from solvent.core import paths
from solvent.models.checkpoint import find_source
from solvent.models.devices import Placement
from solvent.models.refusals import ModelError
from solvent.models.unembedding import Unembedding
from solvent.models.vlm import VLM, load
from tests.conftest import ROOT

PLAIN: dict[str, Any] = {
    "dtype": "auto",
    "max_memory": None,
    "offload_folder": None,
    "quantization": "none",
}


@pytest.fixture
def copy(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    """A llava checkpoint that a test may damage."""
    return Path(shutil.copytree(checkpoints["llava"], tmp_path / "copy"))


def refusal(settings: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load(**{**settings, **changes})
    message = str(caught.value)
    assert "xpected" in message
    assert "\n" not in message
    return message


def test_missing_folder(settings: dict[str, Any], tmp_path: Path) -> None:
    message = refusal(settings, checkpoint=str(tmp_path / "nowhere"))
    assert "does not exist" in message
    assert "model.checkpoint" in message


def test_folder_without_a_model(settings: dict[str, Any], tmp_path: Path) -> None:
    assert "has no config.json" in refusal(settings, checkpoint=str(tmp_path))


def test_relative_names_start_at_the_repository_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "config.json").write_text("{}")
    assert find_source("models/mine", "main", False).revision == "main"  # a hub id, not ./models
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert find_source("models/mine", "main", False).location == str(tmp_path / "models/mine")
    assert (ROOT / "solvent/models/checkpoint.py").is_file()


def test_gated_checkpoint(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned to a commit, so that nobody asked the hub before."""

    def gated(*_: Any, **__: Any) -> None:
        response = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co"))
        raise GatedRepoError("403 Client Error", response=response)

    monkeypatch.setattr(transformers.utils.hub, "hf_hub_download", gated)
    message = refusal(settings, checkpoint="owner/closed", revision="a" * 40)
    assert "accept its terms at https://huggingface.co/owner/closed" in message
    assert "hf auth login" in message


def test_hub_id_that_is_not_cached(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refusal(settings, checkpoint="nobody/nothing-7b")
    assert "hf download nobody/nothing-7b --revision main" in message


def test_text_only_model(settings: dict[str, Any], tmp_path: Path) -> None:
    LlamaConfig().save_pretrained(tmp_path)
    message = refusal(settings, checkpoint=str(tmp_path))
    assert "no model of images and text for its family 'llama' (nearest known: 'mllama')" in message


def test_processor_that_finds_no_attribute_of_its_parts(
    settings: dict[str, Any], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise AttributeError("the tokenizer has no attribute image_token")

    monkeypatch.setattr("solvent.models.vlm.load_processor", broken)
    message = refusal(settings, checkpoint=str(copy))
    assert "to hold a whole processor and tokenizer" in message
    assert "has no attribute image_token" in message


def test_checkpoint_without_safetensors(settings: dict[str, Any], copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "Expected whole safetensors weights" in refusal(settings, checkpoint=str(copy))


def test_checkpoint_with_a_missing_weight(settings: dict[str, Any], copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    name = next(key for key in weights if "q_proj" in key and "language" in key)
    del weights[name]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "1 are missing" in refusal(settings, checkpoint=str(copy))


def test_checkpoint_without_a_chat_template(settings: dict[str, Any], copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    assert "chat_template.jinja" in refusal(settings, checkpoint=str(copy))


def test_wrong_number_of_image_tokens_names_the_field(settings: dict[str, Any], copy: Path) -> None:
    file = copy / "processor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "num_additional_image_tokens": 0}))
    message = refusal(settings, checkpoint=str(copy))
    assert "image features (4)" in message
    assert "has 3" in message
    assert "num_additional_image_tokens" in message


def test_template_that_doubles_the_image(settings: dict[str, Any], copy: Path) -> None:
    file = copy / "chat_template.jinja"
    file.write_text(file.read_text().replace("<image>", "<image><image>"))
    message = refusal(settings, checkpoint=str(copy))
    assert "LlavaProcessor to read one image and a short text, but it cannot" in message
    assert "chat_template.jinja, which writes '<image><image>" in message


def test_scaled_logits_are_noticed(vlm: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    from solvent.models.check import check

    head = vlm.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda *call: 30 * torch.tanh(call[2] / 2))
    try:
        with pytest.raises(ModelError, match="unembedding times hidden state"):
            check(vlm)
    finally:
        handle.remove()
    check(vlm)


def test_settings_that_cannot_be(settings: dict[str, Any], checkpoints: dict[str, Path]) -> None:
    llava = {"checkpoint": str(checkpoints["llava"])}
    assert "fixed resolution" in refusal(settings, **llava, max_pixels=1000)
    assert "model.dtype" in refusal(settings, **llava, dtype="float8")
    assert "model.device" in refusal(settings, **llava, device="tpu")
    assert "model.image_backend" in refusal(settings, **llava, image_backend="cv2")


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="has torchvision")
def test_torchvision_is_only_needed_when_asked_for(
    settings: dict[str, Any], checkpoints: dict[str, Path], loaded: dict[str, VLM]
) -> None:
    for vlm in loaded.values():  # loaded without it, video processors and all
        assert type(vlm.processor.image_processor).__name__.endswith("Pil")
    message = refusal(settings, checkpoint=str(checkpoints["llava"]), image_backend="torchvision")
    assert "pip install torchvision" in message


def test_pixel_limits_change_the_number_of_image_tokens(
    settings: dict[str, Any], checkpoints: dict[str, Path]
) -> None:
    from solvent.models.check import PROBE

    folder = str(checkpoints["qwen2_5_vl"])
    vlm = load(**{**settings, "checkpoint": folder, "min_pixels": 64, "max_pixels": 256})
    assert vlm.encode([PROBE]).image_tokens[0] <= 256 // 64
    assert vlm.provenance()["image_size"]["longest_edge"] == 256


def test_provenance_is_plain_and_names_the_weights(vlm: VLM, checkpoints: dict[str, Path]) -> None:
    facts = vlm.provenance()
    assert json.loads(json.dumps(facts)) == facts
    folder = checkpoints[vlm.family]
    file = folder / "model.safetensors"
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= {
        *facts["sha256"]
    }
    for name, digest in facts["sha256"].items():
        assert digest == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert facts["parameters"] == sum(weight.numel() for weight in load_file(file).values())
    assert (facts["dtype"], facts["devices"], facts["attention"]) == ("float32", ["cpu"], "sdpa")
    assert facts["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("device", "gpus", "processes", "expected"),
    [
        ("cpu", 2, 1, {"": "cpu"}),
        ("auto", 0, 1, {"": "cpu"}),
        ("auto", 2, 1, "auto"),
        ("auto", 2, 2, {"": 1}),
        ("cuda", 2, 2, {"": 1}),
    ],
)
def test_one_replica_per_process(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    gpus: int,
    processes: int,
    expected: str | dict[str, int | str],
) -> None:
    state = SimpleNamespace(num_processes=processes, local_process_index=processes - 1)
    monkeypatch.setattr(devices_module, "PartialState", lambda: state)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    asked = Placement(device=device, **PLAIN)
    assert asked.device_map() == expected
    on_cpu = expected == {"": "cpu"}
    assert asked.torch_dtype is (torch.float32 if on_cpu else torch.bfloat16)


def test_cuda_is_refused_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"model\.device=cuda"):
        Placement(device="cuda", **PLAIN)


@pytest.mark.parametrize("size", [7, 64, 1000])
def test_sliced_log_probabilities_equal_log_softmax(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solvent.models.unembedding.SLICE", size)
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(16, 100, dtype=torch.bfloat16)
    hidden = torch.randn(5, 16, generator=generator).bfloat16()
    tokens = torch.tensor([0, 6, 7, 63, 99])
    logits = hidden.float() @ head.weight.float().T + head.bias.float()
    expected = logits.log_softmax(dim=-1)[torch.arange(5), tokens]
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace())
    unembedding = Unembedding(SimpleNamespace(get_output_embeddings=lambda: head, config=config))
    torch.testing.assert_close(unembedding.logits(hidden), logits)
    came = unembedding.log_probabilities(hidden, tokens)
    assert came.dtype == torch.float32
    torch.testing.assert_close(came, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 1 / 8])
@pytest.mark.parametrize("cap", [None, 30.0])
def test_the_model_says_which_of_its_scales_it_uses(scale: float, cap: float | None) -> None:
    """Also where its own logits are rounded to bfloat16."""
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 100, bias=False, dtype=torch.bfloat16)
    hidden = (40 * torch.randn(5, 16)).bfloat16()
    logits = scale * (hidden.float() @ head.weight.float().T)
    logits = logits if cap is None else cap * (logits / cap).tanh()
    named = SimpleNamespace(logits_scaling=8.0, final_logit_softcapping=30.0)
    config = SimpleNamespace(get_text_config=lambda: named)
    unembedding = Unembedding(SimpleNamespace(get_output_embeddings=lambda: head, config=config))
    assert unembedding.fit(hidden, logits.bfloat16()) < 0.5
    torch.testing.assert_close(unembedding.logits(hidden), logits, atol=1e-4, rtol=1e-5)


def test_importing_the_package_is_cheap() -> None:
    code = "import solvent.models, solvent.models.processor, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_settings_that_are_not_the_checkpoints_are_blamed(
    settings: dict[str, Any], checkpoints: dict[str, Path]
) -> None:
    llava, qwen = ({"checkpoint": str(checkpoints[name])} for name in ("llava", "qwen2_5_vl"))
    message = refusal(settings, **qwen, image_settings={"size": "big"})
    assert "values that the image processor" in message
    assert "model.image_settings, but {'size': 'big'} came" in message
    message = refusal(settings, **llava, image_settings={"crop_size": {"height": 8, "width": 8}})
    assert "or mend model.image_settings={'crop_size'" in message
    assert "'/proc/nope' cannot be made" in refusal(settings, **llava, offload_folder="/proc/nope")

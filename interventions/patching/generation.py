"""Ways of calling a model in which rows could not be addressed: each is refused in one sentence.

Rows are known by sample, position and role. That needs one call at a time, the ids of the prompt,
a cache that is as long as what was read, and all heads of a layer in one process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from interventions.engine.sequences import InterventionError
from interventions.methods.parts import shown
from interventions.patching.upstream import is_static


class Turn:
    """Whose call is running. A context follows one call at a time, in whichever thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._holders: list[int] = []  # a thread, once per call that it is in
        self._generating = False

    def take(self) -> None:
        """Start a call. Raises `InterventionError` while another thread is in one."""
        if not self._lock.acquire(blocking=False):
            raise InterventionError(
                "Expected one call at a time, but another thread is still calling this model; "
                "let the threads take turns, or give each a model of its own."
            )
        self._holders.append(threading.get_ident())

    def give(self) -> None:
        """End a call that was taken."""
        self._holders.pop()
        self._lock.release()

    def mine(self) -> bool:
        """Whether this thread is in a call."""
        return threading.get_ident() in self._holders

    @contextmanager
    def generate(self) -> Iterator[None]:
        """The turn for a whole generation. Raises `InterventionError` inside another one."""
        self.take()
        try:
            if self._generating:
                raise InterventionError(
                    "Expected one generate at a time, but generate was called inside generate; "
                    "call the model itself there, or pass a decoding loop as custom_generate."
                )
            self._generating = True
            try:
                yield
            finally:
                self._generating = False
        finally:
            self.give()

    def guarded(self, hook: Callable[..., None]) -> Callable[..., None]:
        """A hook that takes the turn, and gives it back only if it fails."""

        def taking(*args: Any, **kwargs: Any) -> None:
            self.take()
            try:
                hook(*args, **kwargs)
            except BaseException:
                self.give()
                raise

        return taking


def whole_model(model: Any) -> PreTrainedModel:
    """The model itself. Raises `InterventionError` for a wrapper around one, or no model at all."""
    if isinstance(model, PreTrainedModel):
        return model
    if isinstance(model, nn.Module):
        advice = (
            "patch the model inside it (of DistributedDataParallel .module, of torch.compile "
            "._orig_mod, of peft .get_base_model()), then call the wrapper or the model as before."
        )
    elif isinstance(getattr(model, "model", None), PreTrainedModel):
        advice = "give it the .model that this holds."
    else:
        advice = (
            "load one, as with transformers.AutoModelForImageTextToText.from_pretrained(...), and "
            "give that."
        )
    raise InterventionError(f"Expected a model of transformers, but {shown(model)} came; {advice}")


def check_generate(model: PreTrainedModel, arguments: Mapping[str, Any], edits: bool) -> None:
    """Raise `InterventionError` for what `generate` cannot do under an intervention.

    `arguments` are the keywords that `generate` received.
    """
    if arguments.get("assistant_model") is model:
        raise InterventionError(
            "Expected another model as assistant, but the assistant is the patched model itself; "
            "give a second copy as assistant_model, or draft with prompt_lookup_num_tokens."
        )
    if setting(model, arguments, "cache_implementation") == "paged":
        refuse_paged()
    if setting(model, arguments, "guidance_scale") not in (None, 1, 1.0):
        raise InterventionError(
            "Expected generate to read one prompt per row, but guidance_scale makes it read a "
            "second one that has no roles; leave guidance_scale out."
        )
    mask = arguments.get("attention_mask")
    if edits and isinstance(mask, Tensor) and mask.ndim == 2 and (mask[:, -1] == 0).any():
        raise InterventionError(
            "Expected prompts padded on the left, but some rows end in padding, which generate "
            'would continue; encode them with padding_side="left".'
        )


def setting(model: PreTrainedModel, arguments: Mapping[str, Any], name: str) -> Any:
    """A generation setting: the keyword, else the configuration given, else the model's own."""
    if arguments.get(name) is not None:
        return arguments[name]
    for config in (arguments.get("generation_config"), model.generation_config):
        if getattr(config, name, None) is not None:
            return getattr(config, name)
    return None


def stop_tokens(model: PreTrainedModel, arguments: Mapping[str, Any]) -> tuple[int, ...]:
    """Ids after which an answer is over although its batch goes on.

    Empty with beams: they trade places, so what was read in a row is not what its answer holds.
    """
    if (setting(model, arguments, "num_beams") or 1) > 1:
        return ()
    ends = setting(model, arguments, "eos_token_id")
    if isinstance(ends, Tensor):
        ends = ends.flatten().tolist()
    return () if ends is None else tuple(ends) if isinstance(ends, list | tuple) else (ends,)


def refuse_paged(*_: Any, **__: Any) -> None:
    """In the place of `init_continuous_batching`, from which every paged generation starts."""
    raise InterventionError(
        "Expected one row per sequence, but continuous batching (generate_batch, "
        'cache_implementation="paged") packs many into one row; call generate with a padded batch '
        "and the default cache."
    )


def refuse_transforms() -> None:
    """Raise `InterventionError` inside `torch.func`, whose tensors hold no numbers to measure."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise InterventionError(
            "Expected plain tensors, but torch.func transforms this call (grad, vmap, jvp), and "
            "what attention does cannot be measured there; use torch.autograd.grad or backward."
        )


def check_cache(cache: Any) -> None:
    """Raise `InterventionError` for a cache that is longer than what it has read."""
    if is_static(cache):
        raise InterventionError(
            f"Expected a cache that grows, but a {type(cache).__name__} came, which has its full "
            "length from the start (static); leave cache_implementation out, or give a "
            "DynamicCache."
        )


def check_heads(module: nn.Module, present: int, expected: int) -> None:
    """Raise `InterventionError` when a layer holds a part of its heads."""
    if present != expected:
        raise InterventionError(
            f"Expected {expected} heads in every layer, but a {type(module).__name__} has "
            f"{present}: tensor parallelism splits heads over processes; load the model with a "
            "device_map instead of a tp_plan."
        )

"""Measures of updates on a GPU are those of the CPU."""

from __future__ import annotations

import pytest
import torch

from solvent.diagnostics.residual.layer_geometry import Variant
from solvent.diagnostics.residual.null_updates import haar_update, rounding_update
from solvent.diagnostics.residual.random_streams import stream
from tests.diagnostics.residual.plain_geometry import gaussian

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]


@pytest.mark.parametrize(("tokens", "width"), [(32, 256), (40, 16)])
def test_measures_are_those_of_the_cpu(tokens: int, width: int) -> None:
    parts = [
        torch.stack([torch.from_numpy(gaussian(tokens, width, 3 * n + k)) for k in range(3)])
        for n in range(3)
    ]
    parts[0][1, ::2] = parts[0][1, 1::2]  # tokens that repeat: by vectors, not by Gram matrix
    variant = Variant(
        combine="mean", rows="mean", alphas=(1.0, 8.0), reference="own", rtol=None, centre=False,
        route="fast", at_once=2,
    )  # fmt: skip
    found = []
    for device in ("cpu", "cuda"):
        generator = stream(0, "haar")
        controls = {
            "haar": lambda states, update, draw=generator: haar_update(update, draw),
            "rounding": rounding_update,
        }
        batch = [each.to(device, torch.bfloat16) for each in parts]
        found.append(variant.of_layers(*batch, parallel=False, controls=controls))
    for name, geometry in found[1].items():
        for column, value in geometry.columns().items():
            assert value.is_cuda
            expected = found[0][name].columns()[column]
            torch.testing.assert_close(
                value.cpu(), expected, rtol=1e-6, atol=1e-8, equal_nan=True, msg=column
            )

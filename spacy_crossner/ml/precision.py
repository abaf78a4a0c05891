"""The precision that an encoder computes in: float32, or bfloat16 where that is faster."""

import copy
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, Optional, cast, get_args

import torch
from spacy.language import Language
from thinc.api import ArgsKwargs, Optimizer

from spacy_crossner.checks import check_choice
from spacy_crossner.ml.shim import ThreadSafeShim

Precision = Literal["auto", "float32", "bfloat16"]
PRECISION_VARIABLE = "SPACY_CROSSNER_PRECISION"
# Functions of torch.cpu that look for units that multiply in bfloat16.
FAST_BFLOAT16 = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")


class PrecisionShim(ThreadSafeShim):
    """A shim that runs its module in the precision that `precision` names.

    Weights, gradients and outputs stay float32: only the matrix products are computed in bfloat16.
    """

    precision: Precision = "float32"
    _copy: Optional[tuple[tuple[int, ...], torch.nn.Module]] = None

    @property
    def dtype(self) -> torch.dtype:
        """The data type of matrix products."""
        if self._mixed_precision:
            return torch.float16
        return resolve(self.precision, self.device)

    def autocast(self) -> AbstractContextManager:
        """Return a context that makes torch compute in the shim's precision."""
        if self.dtype == torch.bfloat16:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return super().autocast()

    def predict(self, inputs: ArgsKwargs) -> Any:
        """Run the module without dropout and gradients.

        inputs (ArgsKwargs): What the module is called with.
        RETURNS (Any): What it returns.
        """
        if self.dtype != torch.bfloat16:
            return super().predict(inputs)
        module = self._get_copy()
        module.eval()
        with torch.no_grad(), self.autocast():
            return module(*inputs.args, **inputs.kwargs)

    def _get_copy(self) -> torch.nn.Module:
        """Make a copy of the module whose linear weights are bfloat16, and keep it.

        Autocast alone would convert all weights for every batch, which takes longer than a short
        text. All other tensors are shared.
        """
        module = cast(torch.nn.Module, self._model)
        # in-place changes raise a tensor's version, but for the optimizer's: see `finish_update`
        state = (id(module), *(weight._version for weight in module.parameters()))
        found = self._copy
        if found is None or found[0] != state:
            found = state, copy_with_half_linears(module)
            self._copy = found
        return found[1]

    def finish_update(self, optimizer: Optimizer) -> None:
        """Apply the gradients, and clear them.

        optimizer (Optimizer): Thinc's optimizer.
        """
        self._copy = None
        super().finish_update(optimizer)

    def begin_update(self, inputs: ArgsKwargs) -> tuple[Any, Callable]:
        """Run the module and keep what its gradients need.

        inputs (ArgsKwargs): What the module is called with. It gets no gradients.
        RETURNS (Tuple[Any, Callable]): What the module returns, and the backpropagation.
        """
        if self.dtype != torch.bfloat16:
            return super().begin_update(inputs)
        # Thinc's own method knows float16 only, whose small gradients need a scaler
        module = cast(torch.nn.Module, self._model)
        module.train()
        with self.autocast():
            output = module(*inputs.args, **inputs.kwargs)

        def backprop(gradients: ArgsKwargs) -> ArgsKwargs:
            torch.autograd.backward(*gradients.args, **gradients.kwargs)
            return inputs

        return output, backprop


def copy_with_half_linears(module: torch.nn.Module) -> torch.nn.Module:
    """Copy a module, with the weights of its linear layers in bfloat16.

    module (nn.Module): The module.
    RETURNS (nn.Module): The copy. Its other tensors are those of the module.
    """
    tensors = [*module.parameters(), *module.buffers()]
    copied = copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
    for part in copied.modules():
        if type(part) is torch.nn.Linear:
            for name, tensor in list(part.named_parameters(recurse=False)):
                half = tensor.detach().to(torch.bfloat16)
                setattr(part, name, torch.nn.Parameter(half, requires_grad=False))
    return copied


def resolve(precision: Precision, device: torch.device) -> torch.dtype:
    """Choose the type to compute in.

    precision (str): "float32", "bfloat16", or "auto" for what the environment variable
        SPACY_CROSSNER_PRECISION names, or else bfloat16 where the machine has units for it.
    device (torch.device): Where the encoder is.
    RETURNS (torch.dtype): The type.
    """
    if precision == "auto":
        precision = cast(Precision, os.environ.get(PRECISION_VARIABLE, "auto"))
        check_choice(PRECISION_VARIABLE, precision, get_args(Precision))
    if precision == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device.type) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def has_fast_bfloat16(device_type: str) -> bool:
    """Check if the device has hardware support for bfloat16.

    This depends on the hardware, not on a timing, which could change the result of the same seed
    on a busy machine.

    device_type (str): "cpu", "cuda" or another of torch's.
    RETURNS (bool): Whether the encoder computes in bfloat16 under "auto".
    """
    if device_type == "cuda":
        # older GPUs emulate it; GPUs of other makers have no compute capability
        return torch.version.cuda is None or torch.cuda.get_device_capability() >= (8, 0)
    # private, because older versions of torch have no public functions for it
    checks = (getattr(torch.cpu, name, None) for name in FAST_BFLOAT16)
    return device_type == "cpu" and any(check() for check in checks if check is not None)


def find_precisions(nlp: Language) -> list[str]:
    """List the precisions that the encoders of a pipeline compute in on this machine.

    nlp (Language): The pipeline.
    RETURNS (List[str]): "float32" or "bfloat16" for each encoder.
    """
    shims: dict[int, PrecisionShim] = {}
    for _, pipe in nlp.components:
        for node in pipe.model.walk() if hasattr(pipe, "model") else ():
            shims.update({id(s): s for s in node.shims if isinstance(s, PrecisionShim)})
    return [
        str(shim.dtype).removeprefix("torch.") for shim in shims.values() if shim._model is not None
    ]

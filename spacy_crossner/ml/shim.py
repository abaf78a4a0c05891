"""How torch modules predict, and how their parameters get their updates."""

from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from thinc.api import (
    ArgsKwargs,
    Optimizer,
    PyTorchShim,
    get_torch_default_device,
    torch2xp,
    xp2torch,
)
from thinc.types import FloatsXd

from spacy_crossner.errors import CrossnerError, Errors, shorten
from spacy_crossner.ml.saved import read_saved, read_weights


class ThreadSafeShim(PyTorchShim):
    """Thinc's shim, for threads that predict at the same time, and for long trainings.

    Thinc turns a module back to training after each prediction, and so turns dropout on in the
    prediction that another thread is in the middle of. Here a module goes on predicting until it is
    trained. And Thinc replaces the data of each parameter by a tensor that shares its memory, step
    after step, and each such tensor keeps the one before alive. Here a parameter keeps its tensor.
    """

    def predict(self, inputs: ArgsKwargs) -> Any:
        """Run the module without dropout and gradients.

        inputs (ArgsKwargs): What the module is called with.
        RETURNS (Any): What it returns.
        """
        module = cast(torch.nn.Module, self._model)
        # each time: to ask for its mode first would leave room for another thread
        module.eval()
        with torch.no_grad(), self.autocast():
            return module(*inputs.args, **inputs.kwargs)

    def from_bytes(self, bytes_data: bytes) -> "ThreadSafeShim":
        """Load the module's weights. Nothing but tensors is read.

        bytes_data (bytes): What `to_bytes` made.
        RETURNS (ThreadSafeShim): The shim itself.
        """
        saved = read_saved(bytes_data, "config", "state")
        weights = read_weights(saved["state"], "head")
        module = cast(torch.nn.Module, self._model)
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            reason = shorten(error)
            raise CrossnerError(Errors.CN055.format(part="head", reason=reason)) from None
        self.cfg = saved["config"]
        device = get_torch_default_device()
        module.to(device)
        self._grad_scaler.to_(device)
        return self

    def autocast(self) -> AbstractContextManager:
        """Return a context that makes torch compute in mixed precision if that is enabled."""
        return torch.autocast("cuda", enabled=self._mixed_precision)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Apply the gradients, and clear them.

        optimizer (Optimizer): Thinc's optimizer.
        """
        for name, parameter in cast(Any, self._model).named_parameters():
            if parameter.grad is None:
                continue
            if not self._grad_scaler.found_inf:
                weights = cast(FloatsXd, torch2xp(parameter.data))
                updated, _ = optimizer(
                    (self.id, name), weights, cast(FloatsXd, torch2xp(parameter.grad))
                )
                if updated is not weights:
                    parameter.data.copy_(xp2torch(updated, device=parameter.device))
            parameter.grad.zero_()
        self._grad_scaler.update()

"""How torch parameters get their updates."""

from typing import Any, cast

from thinc.api import Optimizer, PyTorchShim, torch2xp, xp2torch
from thinc.types import FloatsXd


class SteadyShim(PyTorchShim):
    """Thinc's shim, whose memory does not grow with the number of training steps.

    Thinc replaces the data of each parameter by a tensor that shares its memory, step after step,
    and each such tensor keeps the one before alive. Here the parameter keeps its tensor.
    """

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

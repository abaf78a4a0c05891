"""A Thinc node around a torch module that is built once its dimensions are known."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Optional, cast

from thinc.api import ArgsKwargs, Model, torch2xp, xp2torch
from thinc.layers.pytorchwrapper import forward as pytorch_forward
from thinc.types import Floats2d

from spacy_crossner.ml.onnx_graph import is_graph_node, make_graph_node

if TYPE_CHECKING:  # a pipeline that runs on another engine works without torch
    from torch import Tensor, nn

Build = Callable[[int, int], "nn.Module"]


def LazyTorch(name: str, build: Build) -> Model[Floats2d, tuple[Any, ...]]:  # noqa: N802
    """Wrap a torch module that maps one array to one or more arrays.

    The input may be a tuple: the first array gets a gradient, the others are constants.

    Loading works in two steps, since Thinc can't load weights into a module that is not there:
    set `nI` and `nO`, call `build_module`, then load. `initialize` does the same from a sample.

    name (str): The node's name.
    build (Callable[[int, int], nn.Module]): Makes the module from nI and nO.
    RETURNS (Model): A node whose output is always a tuple of arrays, and whose backprop takes a
        tuple of gradients, None where there is none.
    """
    return Model(
        name,
        _forward,
        init=partial(_init, build=build),
        dims={"nI": None, "nO": None},
        attrs={"dropout_rate": 0.0, "build": build},
    )


def build_later(name: str, **settings: Any) -> Build:
    """Name a module of `spacy_crossner.ml.modules` without an import of torch.

    name (str): The class.
    settings (Any): Its arguments besides the widths of input and output.
    RETURNS (Build): Makes the module from nI and nO.
    """
    # a partial of a module's function, since a component has to be picklable
    return partial(_build, name, settings)


def _build(name: str, settings: dict[str, Any], n_in: int, n_out: int) -> "nn.Module":
    from spacy_crossner.ml import modules

    return getattr(modules, name)(n_in, n_out, **settings)


def build_module(model: Model, n_in: int, n_out: int, *, is_graph: bool = False) -> None:
    """Build the torch module of a node that has none.

    model (Model): The node.
    n_in (int): Width of the input.
    n_out (int): Number of outputs.
    is_graph (bool): Prepare the node for an ONNX graph in place of the module.
    """
    if model.layers:
        return
    model.set_dim("nI", n_in)
    model.set_dim("nO", n_out)
    if is_graph:
        model._layers.append(make_graph_node())
        return
    from spacy_crossner.ml.shim import ThreadSafeShim

    module = model.attrs["build"](n_in, n_out)
    wrapper: Model = Model(
        "pytorch",
        pytorch_forward,
        attrs={"convert_inputs": _to_torch, "convert_outputs": _from_torch},
        shims=[ThreadSafeShim(module)],
        dims={"nI": None, "nO": None},
    )
    model._layers.append(wrapper)


def _init(model: Model, X: Optional[Floats2d] = None, Y: Any = None, *, build: Build) -> None:
    if X is not None and not model.layers:
        build_module(model, X.shape[1], model.get_dim("nO"))


def _forward(
    model: Model, X: Floats2d, is_train: bool
) -> tuple[tuple[Any, ...], Callable[[tuple[Any, ...]], Floats2d]]:
    wrapper = model.layers[0]
    if is_graph_node(wrapper):
        return wrapper(X, is_train)
    from torch import nn

    # torch owns the dropout, Thinc knows the rate
    for module in cast(Any, wrapper.shims[0])._model.modules():
        if isinstance(module, nn.Dropout):
            module.p = model.attrs["dropout_rate"]
    return wrapper(X, is_train)


def _to_torch(model: Model, X: Any, is_train: bool) -> tuple[ArgsKwargs, Callable]:
    arrays: tuple[Any, ...] = X if isinstance(X, tuple) else (X,)
    device = cast(Any, model.shims[0]).device
    tensor = xp2torch(arrays[0], requires_grad=is_train, device=device)
    rest = [xp2torch(array, device=device) for array in arrays[1:]]

    def get_d_inputs(gradients: ArgsKwargs) -> Floats2d:
        return cast(Floats2d, torch2xp(gradients.args[0]))

    return ArgsKwargs(args=(tensor, *rest), kwargs={}), get_d_inputs


def _from_torch(
    model: Model, inputs_outputs: tuple[Floats2d, Any], is_train: bool
) -> tuple[tuple[Any, ...], Callable]:
    output = inputs_outputs[1]
    tensors: tuple[Tensor, ...] = output if isinstance(output, tuple) else (output,)

    def backprop(gradients: tuple[Any, ...]) -> ArgsKwargs:
        pairs = [(t, g) for t, g in zip(tensors, gradients, strict=True) if g is not None]
        return ArgsKwargs(
            args=([tensor for tensor, _ in pairs],),
            kwargs={"grad_tensors": [xp2torch(g, device=t.device) for t, g in pairs]},
        )

    return tuple(torch2xp(tensor.detach()) for tensor in tensors), backprop

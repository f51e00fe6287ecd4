"""How far PyTorch's float is off where rounding hurts: numerics.json.

Each case runs a layer or a loss in float and, on the same floats, in double; the file holds the greatest difference between the
two for each result, null for one that is not finite. numerics_test.cpp measures normnet's own error on these inputs, from a
reference in long double.
"""
import copy
import math

import torch
from torch import nn

from shared import Integers


def set_parameters(module, numbers):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fractions = numbers.fractions(parameter.shape)
            around_one = parameter.dim() == 1 or isinstance(module, nn.LayerNorm)
            parameter.copy_(fractions / 4 + (name == "weight") if around_one else fractions)


def results(module, x, dy):
    x = x.clone().requires_grad_(True)
    y = module(x)
    y.backward(dy.to(y.dtype))
    parameters = {f"d{name}": parameter.grad for name, parameter in module.named_parameters()}
    running = {name: buffer for name, buffer in module.named_buffers() if buffer.is_floating_point()}
    return {"y": y.detach(), "dx": x.grad} | parameters | running


def errors(rounded, exact):
    greatest = {name: (rounded[name].double() - exact[name]).abs().max().item() for name in exact}
    return {name: float(f"{error:.3g}") if math.isfinite(error) else None for name, error in greatest.items()}


def layer_case(layer, options, shape, center, spread):
    numbers = Integers(1)
    module = getattr(nn, layer)(**options)
    set_parameters(module, numbers)
    x = (center + spread * numbers.fractions(shape)).float()
    dy = numbers.fractions(copy.deepcopy(module)(x).shape)
    in_double = copy.deepcopy(module).double()
    case = {"layer": layer, "options": options, "shape": list(shape), "center": center, "spread": spread}
    return case | {"errors": errors(results(module, x, dy), results(in_double, x.double(), dy))}


def loss_case(shape, center, spread, label_smoothing=0.0):
    numbers = Integers(1)
    x, labels = (center + spread * numbers.fractions(shape)).float(), numbers.labels(*shape)

    def results_of(x):
        x = x.clone().requires_grad_(True)
        value = nn.CrossEntropyLoss(label_smoothing=label_smoothing)(x, labels)
        value.backward()
        return {"value": value.detach(), "dx": x.grad}

    case = {"layer": "CrossEntropyLoss", "options": {"label_smoothing": label_smoothing}, "shape": list(shape)}
    return case | {"center": center, "spread": spread, "errors": errors(results_of(x), results_of(x.double()))}


def norms(images, height, width, center, spread, eps=1e-5):
    shape = (images, 4, height, width)
    return [
        layer_case("BatchNorm2d", {"num_features": 4, "eps": eps}, shape, center, spread),
        layer_case("GroupNorm", {"num_groups": 2, "num_channels": 4, "eps": eps}, shape, center, spread),
        layer_case("LayerNorm", {"normalized_shape": list(shape[1:]), "eps": eps}, shape, center, spread),
        layer_case("InstanceNorm2d", {"num_features": 4, "affine": True, "eps": eps}, shape, center, spread),
    ]


def numerics():
    cases = []
    for center, spread in (
        (0, 1),
        (1e4, 1e-2),  # the mean is a million times the spread
        (-1e4, 1),
        (0, 1e18),
        (1e18, 1e15),
        (0, 1e-18),
        (0, 1e-40),  # denormals
        (0.1, 0),  # constants
        (1e6, 0),
    ):
        cases += norms(6, 16, 15, center, spread)
        cases += norms(1, 5, 3, center, spread)
    cases += norms(6, 16, 15, 0, 1e-18, eps=0)
    cases += norms(37, 32, 31, 100, 1)  # long sums
    for layer in ("Softmax", "LogSoftmax"):
        for shape, center, spread in (
            ((7, 10), 0, 1),
            ((7, 10), 0, 1e4),
            ((7, 10), 1e4, 1),
            ((7, 10), -1e4, 1),
            ((7, 10), 1e18, 0),
            ((7, 10), 0, 1e-40),
            ((1, 10), 0, 30),
            ((5, 3000), 0, 1),  # a long sum
            ((5, 3000), 0, 1e4),
        ):
            cases.append(layer_case(layer, {"dim": 1}, shape, center, spread))
    for shape, center, spread in (((7, 10), 0, 1), ((7, 10), 0, 1e4), ((7, 10), 1e4, 1), ((1, 10), -1e4, 30), ((5000, 10), 0, 3)):
        cases.append(loss_case(shape, center, spread))
        cases.append(loss_case(shape, center, spread, label_smoothing=0.1))
    cases.append(layer_case("Linear", {"in_features": 3000, "out_features": 4}, (5, 3000), 1, 1))
    cases.append(layer_case("Linear", {"in_features": 7, "out_features": 3000}, (5, 7), 0, 1))
    cases.append(layer_case("Linear", {"in_features": 7, "out_features": 3}, (3000, 7), 1, 1))
    cases.append(layer_case("Conv2d", {"in_channels": 3, "out_channels": 4, "kernel_size": 1}, (19, 3, 32, 31), 1, 1))
    cases.append(layer_case("AdaptiveAvgPool2d", {"output_size": 1}, (5, 3, 57, 61), 1, 1))
    cases.append(layer_case("AdaptiveAvgPool2d", {"output_size": 1}, (5, 3, 57, 61), 1e4, 1e-2))
    return cases

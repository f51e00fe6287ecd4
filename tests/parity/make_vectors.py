#!/usr/bin/env python3
"""Writes tests/parity/vectors/*.json: what PyTorch computes, for the tests beside it to compare with.

    python3 tests/parity/make_vectors.py

Here are single layers, losses, optimizers, schedules and small networks, in double, for parity_test.cpp; recipes.py has the
networks of the recipes, numerics.py what rounding does to floats.

The checked-in vectors are those of PyTorch 1.13.1 on the CPU. Inputs are multiples of 1/8 (weights of the trained network: of
1/64), short in print and full of ties and zeros, where conventions show; results carry all 17 digits. A tensor is
{"shape": [...], "data": [...]}.
"""
import json
import zlib

import torch
from torch import nn
from torch.optim import lr_scheduler

from numerics import numerics
from recipes import recipes
from shared import VECTORS, plain, write


def grid(shape, limit=2, steps=8):
    """Random multiples of 1/steps in [-limit, limit]."""
    return torch.randint(-limit * steps, limit * steps + 1, shape).double() / steps


def named(tensors):
    return {name: plain(tensor) for name, tensor in tensors if tensor.dtype == torch.float64}


def seed(name):
    torch.manual_seed(zlib.crc32(name.encode()))


# Layers: forward and backward in one or more steps, gradients added up over them.


def layer_case(layer, options, shape, training=True, steps=1, limit=2, special=()):
    module = getattr(nn, layer)(**options).double()
    case = {"layer": layer, "options": options, "training": training}
    seed(json.dumps(case) + str(shape))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(grid(parameter.shape, limit=1))
        for name, buffer in module.named_buffers():
            if buffer.dtype == torch.float64:
                buffer.copy_(grid(buffer.shape, limit=1).abs() + 0.5)
    case["parameters"] = named(module.named_parameters())
    case["buffers"] = named(module.named_buffers())
    module.train(training)
    case["steps"] = []
    for _ in range(steps):
        x = grid(shape, limit)
        x.view(-1)[: len(special)] = torch.tensor(special, dtype=torch.float64)
        x.requires_grad_(True)
        y = module(x)
        dy = grid(y.shape, limit=1)
        y.backward(dy)
        case["steps"].append({"x": plain(x), "y": plain(y), "dy": plain(dy), "dx": plain(x.grad)})
    case["gradients"] = named((name, parameter.grad) for name, parameter in module.named_parameters())
    case["buffers_after"] = named(module.named_buffers())
    return case


def convolutions():
    def conv(in_channels, out_channels, kernel_size, shape, steps=1, **options):
        base = {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": kernel_size}
        return layer_case("Conv2d", base | options, (3, in_channels, *shape), steps=steps)

    return [
        conv(3, 5, 3, (5, 4)),
        conv(3, 4, 3, (4, 5), padding=1, bias=False),
        conv(2, 4, 3, (7, 6), stride=2, padding=1),
        conv(2, 3, (3, 2), (6, 7), stride=(2, 3), padding=(2, 1), dilation=(1, 2)),
        conv(4, 6, 3, (5, 6), padding=2, dilation=2, groups=2),
        conv(4, 8, 3, (5, 4), padding=1, groups=4, bias=False),
        conv(6, 4, 1, (3, 4)),
        conv(6, 3, 1, (5, 4), stride=2, groups=3),
        conv(2, 3, (1, 5), (3, 7), padding=(0, 2)),
        conv(3, 2, 3, (4, 6), padding=(1, 0), steps=2),
        conv(4, 6, (2, 3), (6, 5), stride=(2, 1), padding=(1, 2), dilation=(2, 1), groups=2),
        conv(3, 6, (3, 2), (5, 7), stride=(1, 3), padding=(1, 0), dilation=(1, 2), groups=3, bias=False),
        conv(2, 3, 2, (7, 8), stride=3),
    ]


def linear():
    return [
        layer_case("Linear", {"in_features": 7, "out_features": 5}, (3, 7), steps=2),
        layer_case("Linear", {"in_features": 6, "out_features": 4, "bias": False}, (11, 6)),
        layer_case("Linear", {"in_features": 1, "out_features": 3}, (1, 1)),
        layer_case("Flatten", {}, (3, 2, 2, 3)),
    ]


def pooling():
    def pool(layer, shape, **options):
        return layer_case(layer, options, (3, 2, *shape))

    return [
        pool("MaxPool2d", (6, 4), kernel_size=2),
        pool("MaxPool2d", (7, 5), kernel_size=3, stride=2, padding=1),
        pool("MaxPool2d", (6, 7), kernel_size=[2, 3], stride=[1, 2], padding=[0, 1], ceil_mode=True),
        pool("MaxPool2d", (7, 6), kernel_size=2, stride=2, dilation=[3, 2]),
        pool("MaxPool2d", (6, 7), kernel_size=[3, 2], stride=[1, 3], padding=[1, 1], dilation=[2, 1], ceil_mode=True),
        pool("MaxPool2d", (7, 6), kernel_size=1, stride=[3, 2]),
        pool("AvgPool2d", (6, 4), kernel_size=2),
        pool("AvgPool2d", (7, 5), kernel_size=3, stride=2, padding=1),
        pool("AvgPool2d", (6, 7), kernel_size=[2, 3], stride=2, padding=[1, 1], ceil_mode=True, count_include_pad=False),
        pool("AvgPool2d", (6, 7), kernel_size=[3, 2], stride=[2, 2], padding=[1, 0], ceil_mode=True),
        pool("AvgPool2d", (5, 6), kernel_size=[2, 3], stride=1, padding=[1, 1], count_include_pad=False),
        pool("AvgPool2d", (7, 5), kernel_size=2, stride=[3, 2]),
        pool("AdaptiveAvgPool2d", (5, 4), output_size=1),
        pool("AdaptiveAvgPool2d", (7, 5), output_size=[3, 2]),
        pool("AdaptiveAvgPool2d", (2, 3), output_size=[3, 4]),
    ]


def normalization():
    def norm(layer, options, shape=(3, 4, 3, 2), **kwargs):
        return layer_case(layer, options, shape, **kwargs)

    batch, group = {"num_features": 4}, {"num_groups": 2, "num_channels": 4}
    return [
        norm("BatchNorm2d", batch, steps=2),
        norm("BatchNorm2d", batch | {"eps": 0.01, "momentum": 0.3}, (9, 4, 2, 1)),
        norm("BatchNorm2d", batch, training=False),
        norm("BatchNorm2d", {"num_features": 2, "momentum": 0.25}, (5, 2, 2, 1), steps=6),
        norm("BatchNorm2d", {"num_features": 2, "momentum": 0.0}, (3, 2, 2, 1)),
        norm("BatchNorm2d", {"num_features": 2, "momentum": 1.0}, (1, 2, 2, 3), steps=2),
        norm("BatchNorm2d", batch | {"affine": False}),
        norm("BatchNorm2d", batch | {"affine": False, "eps": 0.25}, training=False),
        norm("BatchNorm2d", batch | {"track_running_stats": False}, training=False),
        norm("GroupNorm", group, steps=2),
        norm("GroupNorm", group | {"num_groups": 1, "eps": 0.01}),
        norm("GroupNorm", group | {"num_groups": 4, "affine": False}, training=False),
        norm("GroupNorm", {"num_groups": 2, "num_channels": 6}, (5, 6)),
        norm("LayerNorm", {"normalized_shape": [4, 3, 2]}, steps=2),
        norm("LayerNorm", {"normalized_shape": [4, 3, 2], "elementwise_affine": False}),
        norm("LayerNorm", {"normalized_shape": [6], "eps": 0.01}, (5, 6)),
        norm("LayerNorm", {"normalized_shape": [3, 2], "eps": 0.01}, (3, 2, 3, 2), training=False),
        norm("LayerNorm", {"normalized_shape": [4], "eps": 0.01}, (3, 2, 2, 4)),
        norm("LayerNorm", {"normalized_shape": [6], "elementwise_affine": False}, (1, 6)),
        norm("InstanceNorm2d", {"num_features": 4}),
        norm("InstanceNorm2d", {"num_features": 4, "affine": True}, steps=2),
        norm("InstanceNorm2d", {"num_features": 4, "affine": True, "track_running_stats": True}, steps=2),
        norm("InstanceNorm2d", {"num_features": 4, "track_running_stats": True}, training=False),
        norm("InstanceNorm2d", {"num_features": 2, "affine": True, "track_running_stats": True}, (3, 2, 3, 2), training=False),
        norm("InstanceNorm2d", {"num_features": 2, "momentum": 0.25, "track_running_stats": True}, (3, 2, 2, 2), steps=4),
    ]


def activations():
    def activation(layer, **options):
        return layer_case(layer, options, (3, 3, 2, 3), limit=7, special=(0, -0.0, 6, -6, 0.125, -30, 30))

    return [
        activation("ReLU"),
        activation("LeakyReLU"),
        activation("LeakyReLU", negative_slope=0.25),
        activation("ReLU6"),
        activation("ELU"),
        activation("ELU", alpha=0.5),
        activation("SiLU"),
        activation("GELU"),
        activation("Sigmoid"),
        activation("Tanh"),
        activation("Softplus"),
        activation("Softplus", beta=2.0, threshold=10.0),
        activation("Softmax", dim=1),
        activation("LogSoftmax", dim=1),
        layer_case("Softmax", {"dim": 1}, (5, 4), limit=7),
        layer_case("LogSoftmax", {"dim": 1}, (5, 4), limit=7),
        layer_case("Dropout", {"p": 0.0}, (3, 2, 2, 3)),
        layer_case("Dropout", {"p": 0.5}, (3, 2, 2, 3), training=False),
    ]


# Losses, optimizers and schedules.


def loss_case(loss, options, labels, weight=None, limit=4):
    case = {"loss": loss, "options": options, "weight": weight, "labels": labels}
    seed(json.dumps(case))
    weights = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    module = getattr(nn, loss)(weight=weights, **options)
    x = grid((len(labels), 4), limit).requires_grad_(True)
    value = module(x, torch.tensor(labels))
    value.backward()
    return case | {"x": plain(x), "value": value.item(), "dx": plain(x.grad)}


def losses():
    labels, ignoring = [0, 3, 2, 1, 3, 0, 2, 2, 1], [0, -100, 2, 1, -100, 0, 2, 2, 1]
    weight = [0.5, 2.0, 0.25, 1.5]
    cases = []
    for loss in ("CrossEntropyLoss", "NLLLoss"):
        for smoothing in (0.0, 0.1, 1.0) if loss == "CrossEntropyLoss" else (None,):
            for reduction in ("mean", "sum"):
                options = {"reduction": reduction} | ({} if smoothing is None else {"label_smoothing": smoothing})
                cases.append(loss_case(loss, options, labels))
                cases.append(loss_case(loss, options, ignoring, weight))
                cases.append(loss_case(loss, options | {"ignore_index": 3}, labels, weight, limit=1000))
    return cases


def sgd_case(options, l1_penalty=0.0):
    """50 steps of two parameters; the L1 penalty is part of the loss, as its users write it."""
    case = {"options": options, "l1_penalty": l1_penalty}
    seed(json.dumps(case))
    weight, bias = nn.Parameter(grid((3,))), nn.Parameter(grid((2, 2)))
    case["parameters"] = {"weight": plain(weight), "bias": plain(bias)}
    optimizer = torch.optim.SGD([weight, bias], **options)
    case["steps"] = []
    for _ in range(50):
        slopes = [grid((3,)), grid((2, 2))]
        optimizer.zero_grad()
        loss = sum((w * slope).sum() for w, slope in zip((weight, bias), slopes))
        (loss + l1_penalty * sum(w.abs().sum() for w in (weight, bias))).backward()
        optimizer.step()
        case["steps"].append(
            {"gradients": {"weight": plain(slopes[0]), "bias": plain(slopes[1])}, "weight": plain(weight), "bias": plain(bias)}
        )
    return case


def sgd():
    return [
        sgd_case({"lr": 0.1}),
        sgd_case({"lr": 0.1, "weight_decay": 0.125}),
        sgd_case({"lr": 0.05, "momentum": 0.9}),
        sgd_case({"lr": 0.05, "momentum": 0.9, "dampening": 0.25, "weight_decay": 0.125}),
        sgd_case({"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.125}),
        sgd_case({"lr": 0.05, "momentum": 0.9, "nesterov": True}, l1_penalty=0.03125),
        sgd_case({"lr": 0.05, "momentum": 0.5}, l1_penalty=0.03125),
    ]


def schedule_case(scheduler, options, lr=0.1, steps=50):
    """Learning rate and momentum of each step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    schedule = getattr(lr_scheduler, scheduler)(optimizer, **options)
    case = {"scheduler": scheduler, "options": options, "base_lr": lr, "lr": [], "momentum": []}
    for _ in range(steps):
        case["lr"].append(optimizer.param_groups[0]["lr"])
        case["momentum"].append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    return case


def schedules():
    def one_cycle(**options):
        return schedule_case("OneCycleLR", {"max_lr": 0.5, "total_steps": 50} | options)

    return [
        schedule_case("StepLR", {"step_size": 6, "gamma": 0.1}),
        schedule_case("StepLR", {"step_size": 1, "gamma": 0.9}),
        schedule_case("MultiStepLR", {"milestones": [30, 10, 20, 20], "gamma": 0.5}),
        schedule_case("MultiStepLR", {"milestones": [0, 7]}),
        schedule_case("CosineAnnealingLR", {"T_max": 20}),
        schedule_case("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.001}),
        one_cycle(),
        one_cycle(anneal_strategy="linear", cycle_momentum=False),
        one_cycle(pct_start=0.25, div_factor=10.0, final_div_factor=100.0, base_momentum=0.8, max_momentum=0.9),
        one_cycle(pct_start=0.1, cycle_momentum=False),
        one_cycle(three_phase=True),
        one_cycle(three_phase=True, pct_start=0.45, anneal_strategy="linear"),
    ]


# Small networks, trained for ten steps on two batches of different size.


def plain_network():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, groups=2, bias=False),
        nn.GroupNorm(4, 8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )


def grouped_network():
    """The recipe dw in little: a convolution for each channel with a 1x1 convolution right behind it, and a dilated one."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False),
        nn.Conv2d(8, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, dilation=2, bias=False),
        nn.GroupNorm(1, 8),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def trajectory_case(label, network):
    seed(label)
    net = network().double()
    norms = tuple(f"{i}." for i, layer in enumerate(net) if isinstance(layer, (nn.BatchNorm2d, nn.GroupNorm)))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if not name.startswith(norms):
                parameter.copy_(grid(parameter.shape, limit=1, steps=32) / 2)
    batches = [(grid((n, 3, 9, 8), limit=1), torch.randint(0, 5, (n,))) for n in (11, 5)]
    case = {
        "network": network.__name__,
        "parameters": named(net.named_parameters()),
        "batches": [{"images": plain(images), "labels": labels.tolist()} for images, labels in batches],
    }
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)
    schedule = lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)
    loss = nn.CrossEntropyLoss()
    case["losses"] = []
    for step in range(10):
        images, labels = batches[step % 2]
        optimizer.zero_grad()
        value = loss(net(images), labels)
        value.backward()
        optimizer.step()
        schedule.step()
        case["losses"].append(value.item())
    net.eval()
    case["parameters_after"] = named(net.named_parameters())
    case["buffers_after"] = named(net.named_buffers())
    case["outputs"] = plain(net(batches[0][0]))
    return case


def trajectory():
    return [trajectory_case("trajectory", plain_network), trajectory_case("grouped trajectory", grouped_network)]


if __name__ == "__main__":
    torch.set_num_threads(1)  # PyTorch's sums depend on it
    VECTORS.mkdir(exist_ok=True)
    for group in (convolutions, linear, pooling, normalization, activations, losses, sgd, schedules, trajectory, recipes, numerics):
        write(group.__name__, group())

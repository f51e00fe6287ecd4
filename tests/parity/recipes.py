"""The recipes of examples/cifar10_norms in PyTorch, and 20 steps of training of each: recipes.json.

The networks are written here a second time, from the descriptions in examples/cifar10_norms/*.hpp, without dropout. Images,
labels and initial weights come from shared.Integers. All is in double. Of the weights after a step the file holds two numbers for
each parameter, made of its way from its initial value (see digest()), with 12 digits.

Training multiplies small differences, so no fixed tolerance would be right for 20 steps of every network: the file also says
by how much, from a second training whose initial weights are a little different.
"""
import math
from collections import OrderedDict

import torch
from torch import nn
from torch.optim import lr_scheduler

from shared import Integers

STEPS = 20
STEPS_PER_EPOCH = 2
BATCHES = (9, 6)  # images: two batches, in turn
PERTURBATION = 1e-10


def add_norm(layers, norm, channels, groups, number):
    if norm == "bn":
        layers[f"norm{number}"] = nn.BatchNorm2d(channels)
    else:
        layers[f"norm{number}"] = nn.GroupNorm(groups if norm == "gn" else 1, channels)


def era(norm):
    layers = OrderedDict()

    def block(number, in_channels, out_channels, padding):
        layers[f"conv{number}"] = nn.Conv2d(in_channels, out_channels, 3, padding=padding, bias=False)
        layers[f"relu{number}"] = nn.ReLU()
        add_norm(layers, norm, out_channels, 2, number)

    def transition(number, in_channels, out_channels):
        layers[f"trans{number}"] = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    block(1, 3, 10, 0)
    block(2, 10, 20, 0)
    transition(3, 20, 10)
    layers["pool1"] = nn.MaxPool2d(2)
    block(4, 10, 20, 1)
    block(5, 20, 30, 1)
    block(6, 30, 40, 1)
    transition(7, 40, 10)
    layers["pool2"] = nn.MaxPool2d(2)
    block(8, 10, 20, 0)
    block(9, 20, 30, 0)
    block(10, 30, 40, 0)
    layers["gap"] = nn.AvgPool2d(1)
    transition(11, 40, 10)
    layers["flatten"] = nn.Flatten()
    return nn.Sequential(layers)


def tsai8(norm):
    layers = OrderedDict()
    first_channels = 32 if norm == "ln" else 16

    def block(kind, number, in_channels, out_channels, kernel_size):
        layers[f"{kind}{number}"] = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        if norm != "ln":
            add_norm(layers, norm, out_channels, 8, number)
        layers[f"relu{number}"] = nn.ReLU()

    block("conv", 1, 3, first_channels, 3)
    block("conv", 2, first_channels, 32, 3)
    block("trans", 3, 32, 16, 1)
    layers["pool1"] = nn.MaxPool2d(2)
    block("conv", 4, 16, 32, 3)
    block("conv", 5, 32, 32, 3)
    block("conv", 6, 32, 32, 3)
    block("trans", 7, 32, 16, 1)
    layers["pool2"] = nn.MaxPool2d(2)
    block("conv", 8, 16, 32, 3)
    block("conv", 9, 32, 32, 3)
    block("conv", 10, 32, 32, 3)
    layers["gap"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    if norm == "ln":
        layers["norm11"] = nn.LayerNorm(32)
        layers["head"] = nn.Linear(32, 10)
    return nn.Sequential(layers)


class Residual(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x) + x


def dw(norm, residual=False):
    width = 2 if norm == "lnet" else 1

    def norm_and_relu(layers, number, channels):
        add_norm(layers, norm, channels, 2, number)
        layers[f"relu{number}"] = nn.ReLU()

    def conv(layers, number, in_channels, out_channels, dilation=1, bias=False):
        layers[f"conv{number}"] = nn.Conv2d(in_channels, out_channels, 3, padding=1, dilation=dilation, bias=bias)
        norm_and_relu(layers, number, out_channels)

    def pair(layers, number):
        inputs, between, outputs = 16 * width, 32 * width, 8 * width
        layers[f"expand{number}"] = nn.Conv2d(inputs, between, 3, padding=1, groups=1 if norm == "lnet" else 16, bias=False)
        layers[f"reduce{number}"] = nn.Conv2d(between, outputs, 1, bias=False)
        norm_and_relu(layers, number, outputs)

    layers, third, sixth = OrderedDict(), OrderedDict(), OrderedDict()
    conv(layers, 1, 3, 16 * width, bias=True)
    pair(layers, 2)
    layers["pool1"] = nn.MaxPool2d(2)
    conv(third, 3, 8 * width, 16 * width)
    pair(third, 4)
    if residual:
        layers["residual3"] = Residual(nn.Sequential(third))
    else:
        layers.update(third)
    layers["pool2"] = nn.MaxPool2d(2)
    conv(layers, 5, 8 * width, 16 * width, dilation=2)
    pair(sixth, 6)
    conv(sixth, 7, 8 * width, 16 * width)
    if residual:
        layers["residual6"] = Residual(nn.Sequential(sixth))
    else:
        layers.update(sixth)
    layers["gap"] = nn.AvgPool2d(6)
    layers["flatten"] = nn.Flatten()
    layers["head"] = nn.Linear(16 * width, 10)
    return nn.Sequential(layers)


def onecycle(norm):
    layers = OrderedDict()

    def block(kind, number, in_channels, out_channels, kernel_size, extent):
        layers[f"{kind}{number}"] = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        layers[f"relu{number}"] = nn.ReLU()
        if norm == "ln":
            layers[f"norm{number}"] = nn.LayerNorm([out_channels, extent, extent], elementwise_affine=False)
        else:
            add_norm(layers, norm, out_channels, 2, number)

    block("conv", 1, 3, 12, 3, 32)
    block("conv", 2, 12, 32, 3, 32)
    block("trans", 3, 32, 10, 1, 32)
    layers["pool1"] = nn.MaxPool2d(2)
    block("conv", 4, 10, 32, 3, 16)
    block("conv", 5, 32, 32, 3, 16)
    block("conv", 6, 32, 32, 3, 16)
    block("trans", 7, 32, 10, 1, 16)
    layers["pool2"] = nn.MaxPool2d(2)
    block("conv", 8, 10, 32, 3, 8)
    block("conv", 9, 32, 32, 3, 8)
    block("conv", 10, 32, 32, 3, 8)
    layers["gap"] = nn.AdaptiveAvgPool2d(1)
    layers["trans11"] = nn.Conv2d(32, 10, 1, bias=False)
    layers["flatten"] = nn.Flatten()
    return nn.Sequential(layers)


def set_initial_weights(net, perturbation):
    """As large for weights as keeps the size of what flows through, around 1 or 0 for norms and biases; all of them representable
    in float, but for a relative perturbation."""
    numbers, signs = Integers(1), Integers(3)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            fractions = numbers.fractions(parameter.shape)
            scale = 1.0 if parameter.dim() > 1 else 0.25
            while parameter.dim() > 1 and scale * scale * parameter[0].numel() > 6:
                scale /= 2
            center = 1 if parameter.dim() == 1 and name.endswith("weight") else 0
            parameter.copy_((fractions * scale + center) * (1 + perturbation * signs.fractions(parameter.shape)))


def digest_factors(count):
    return (torch.arange(count) % 7 + 1).double()


def digest(way):
    """Two numbers that change when one element does, or when neighbours are exchanged."""
    flat = way.reshape(-1)
    return [(digest_factors(flat.numel()) * flat).sum().item(), (flat * flat).sum().item()]


def train(network, batches, scheduler, l1_penalty, lr, perturbation):
    """The loss of each step, and the ways of all parameters after it; the outputs of the trained network."""
    net = network().double()
    set_initial_weights(net, perturbation)
    initial = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    schedule = scheduler and scheduler[0](optimizer)
    loss = nn.CrossEntropyLoss()
    losses, ways = [], []
    for step in range(STEPS):
        images, labels = batches[step % len(batches)]
        optimizer.zero_grad()
        value = loss(net(images), labels)
        losses.append(value.item())
        (value + l1_penalty * sum(parameter.abs().sum() for parameter in net.parameters())).backward()
        optimizer.step()
        if schedule and (scheduler[1] == "step" or (step + 1) % STEPS_PER_EPOCH == 0):
            schedule.step()
        ways.append([parameter.detach() - start for parameter, start in zip(net.parameters(), initial)])
    net.eval()
    return losses, ways, net(batches[0][0]).detach()


def differences(ours, theirs):
    """How far two trainings are apart after each step: of the losses, relative to each; of the parameters' digests, relative to
    the way of each parameter, but no less than a thousandth of the longest. recipes_test.cpp has the same."""
    losses = [abs(a - b) / b for a, b in zip(ours[0], theirs[0])]
    digests = []
    for ways, expected_ways in zip(ours[1], theirs[1]):
        least = max(expected.norm().item() for expected in expected_ways) / 1000
        difference = 0.0
        for way, expected in zip(ways, expected_ways):
            (sum_a, squares_a), (sum_b, squares_b) = digest(way), digest(expected)
            length, factors = max(math.sqrt(squares_b), least), digest_factors(way.numel()).norm().item()
            difference = max(difference, abs(sum_a - sum_b) / (factors * length), abs(squares_a - squares_b) / (2 * length**2))
        digests.append(difference)
    return losses, digests


def short(numbers, digits=12):
    return [float(f"{number:.{digits}g}") for number in numbers]


def recipe_case(recipe, norm, network, scheduler=None, l1_penalty=0.0, lr=0.01):
    # Many other seeds lead era with batch norm, which has 6 values of 1x1 maps to normalize, to where 1e-16 grows to 1e-7.
    numbers = Integers(6)
    batches = [(numbers.fractions((n, 3, 32, 32)), numbers.labels(n)) for n in BATCHES]
    losses, ways, outputs = (training := train(lambda: network(norm), batches, scheduler, l1_penalty, lr, 0))
    perturbed = train(lambda: network(norm), batches, scheduler, l1_penalty, lr, PERTURBATION)
    loss_differences, digest_differences = differences(perturbed, training)
    output_difference = ((perturbed[2] - outputs).abs().max() / outputs.abs().max()).item()
    return {
        "recipe": recipe,
        "norm": norm if l1_penalty == 0 else norm + "+l1",
        "losses": losses,
        "digests": [short(number for way in ways_of_step for number in digest(way)) for ways_of_step in ways],
        "outputs": short(outputs.reshape(-1).tolist()),
        "loss_sensitivity": short((difference / PERTURBATION for difference in loss_differences), 2),
        "digest_sensitivity": short((difference / PERTURBATION for difference in digest_differences), 2),
        "output_sensitivity": short([output_difference / PERTURBATION], 2)[0],
    }


def recipes():
    steps = (lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=6, gamma=0.1), "epoch")
    cycle = (lambda optimizer: lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=STEPS), "step")
    return [
        *(recipe_case("era", norm, era) for norm in ("bn", "gn", "ln")),
        *(recipe_case("tsai8", norm, tsai8) for norm in ("bn", "gn", "ln", "ln_body")),
        recipe_case("eva6", "bn", era, steps, l1_penalty=0.001),
        recipe_case("eva6", "gn", era, steps),
        *(recipe_case("dw", norm, dw, cycle, lr=0.1) for norm in ("bn", "gn", "lnet")),
        recipe_case("dw_residual", "bn", lambda norm: dw(norm, residual=True), cycle, lr=0.1),
        *(recipe_case("onecycle", norm, onecycle, cycle, lr=0.1) for norm in ("bn", "gn", "ln")),
    ]

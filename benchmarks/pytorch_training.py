#!/usr/bin/env python3
"""The peer: trains the same networks as bench_training with PyTorch on the CPU, or only runs them, and prints its speed as one
line of JSON.

Needs PyTorch and NumPy (Debian: python3-torch). The images lie in memory as floats, ready to be indexed: no loader is measured.
"""
import argparse
import json
import os
import pathlib
import statistics
import time

import numpy as np
import torch
from torch import nn


def make_norm(kind, channels, groups=2):
    """The norm of a kind; groups are those of "gn"."""
    if kind.startswith("gn:"):
        return nn.GroupNorm(int(kind[3:]), channels)
    return {
        "bn": lambda: nn.BatchNorm2d(channels),
        "gn": lambda: nn.GroupNorm(groups, channels),
        "ln": lambda: nn.GroupNorm(1, channels),
        "in": lambda: nn.GroupNorm(channels, channels),
        "none": lambda: nn.Identity(),
    }[kind]()


def era(kind):
    def block(inputs, outputs, padding):
        conv = nn.Conv2d(inputs, outputs, 3, padding=padding, bias=False)
        return [conv, nn.ReLU(), make_norm(kind, outputs), nn.Dropout(0.1)]

    def transition(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 1, bias=False)]

    return nn.Sequential(
        *block(3, 10, 0), *block(10, 20, 0), *transition(20, 10), nn.MaxPool2d(2),
        *block(10, 20, 1), *block(20, 30, 1), *block(30, 40, 1), *transition(40, 10), nn.MaxPool2d(2),
        *block(10, 20, 0), *block(20, 30, 0), *block(30, 40, 0), nn.AvgPool2d(1), *transition(40, 10), nn.Flatten())


def tsai8(kind, with_head=False):
    only_at_the_end = kind == "ln"
    first = 32 if only_at_the_end else 16

    def block(inputs, outputs, kernel_size):
        conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2)
        return [conv, *([] if only_at_the_end else [make_norm(kind, outputs, groups=8)]), nn.ReLU()]

    return nn.Sequential(
        *block(3, first, 3), *block(first, 32, 3), *block(32, 16, 1), nn.MaxPool2d(2),
        *block(16, 32, 3), *block(32, 32, 3), *block(32, 32, 3), *block(32, 16, 1), nn.MaxPool2d(2),
        *block(16, 32, 3), *block(32, 32, 3), *block(32, 32, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        *([nn.LayerNorm(32)] if only_at_the_end else []),
        *([nn.Linear(32, 10)] if only_at_the_end or with_head else []))


def eva6(kind):
    """Without the L1 penalty of bn+l1, as in bench_training."""
    return era("bn" if kind == "bn+l1" else kind)


def dw(kind):
    lnet = kind == "lnet"
    width = 2 if lnet else 1

    def norm_and_relu(channels):
        return [make_norm("ln" if lnet else kind, channels), nn.ReLU()]

    def conv(inputs, outputs, dilation=1, bias=False):
        return [nn.Conv2d(inputs, outputs, 3, padding=1, dilation=dilation, bias=bias), *norm_and_relu(outputs)]

    def pair():
        inputs, between, outputs = 16 * width, 32 * width, 8 * width
        expand = nn.Conv2d(inputs, between, 3, padding=1, groups=1 if lnet else inputs, bias=False)
        return [expand, nn.Conv2d(between, outputs, 1, bias=False), *norm_and_relu(outputs)]

    return nn.Sequential(
        *conv(3, 16 * width, bias=True), *pair(), nn.MaxPool2d(2),
        *conv(8 * width, 16 * width), *pair(), nn.MaxPool2d(2),
        *conv(8 * width, 16 * width, dilation=2), *pair(), *conv(8 * width, 16 * width), nn.AvgPool2d(6), nn.Flatten(),
        nn.Linear(16 * width, 10))


def onecycle(kind):
    def block(inputs, outputs, kernel_size, extent):
        conv = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
        layer_norm = nn.LayerNorm([outputs, extent, extent], elementwise_affine=False)
        return [conv, nn.ReLU(), layer_norm if kind == "ln" else make_norm(kind, outputs), nn.Dropout(0.1)]

    return nn.Sequential(
        *block(3, 12, 3, 32), *block(12, 32, 3, 32), *block(32, 10, 1, 32), nn.MaxPool2d(2),
        *block(10, 32, 3, 16), *block(32, 32, 3, 16), *block(32, 32, 3, 16), *block(32, 10, 1, 16), nn.MaxPool2d(2),
        *block(10, 32, 3, 8), *block(32, 32, 3, 8), *block(32, 32, 3, 8), nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(32, 10, 1, bias=False), nn.Flatten())


# By the names of the recipes in examples/cifar10_norms.
NETWORKS = {
    "era": era, "tsai8": tsai8, "tsai8_head": lambda kind: tsai8(kind, with_head=True), "eva6": eva6, "dw": dw,
    "onecycle": onecycle}


def load(folder, count):
    records = [np.fromfile(pathlib.Path(folder) / f"data_batch_{i}.bin", np.uint8).reshape(-1, 3073) for i in range(1, 6)]
    records = np.concatenate(records)[:count]
    images = (records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255 - 0.5) / 0.5
    return torch.from_numpy(images), torch.from_numpy(records[:, 0].astype(np.int64))


def random_images(count):
    return torch.randn(count, 3, 32, 32), torch.randint(0, 10, (count,))


def train(model, images, labels, batch_size):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def epoch(count):
        order = torch.randperm(count)
        total = 0.0
        steps = count // batch_size
        start = time.perf_counter()
        for step in range(steps):
            chosen = order[step * batch_size:(step + 1) * batch_size]
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            total += loss.item()
        return steps * batch_size / (time.perf_counter() - start), total / steps

    epoch(min(5 * batch_size, len(images)))  # touches new memory and wakes the threads: not counted
    images_per_second, loss = epoch(len(images))
    return {"images_per_second": round(images_per_second), "loss": loss}


@torch.inference_mode()
def evaluate(model, images, batch_size):
    model.eval()

    def run(batches):
        start = time.perf_counter()
        for i in range(batches):
            model(images[i * batch_size:(i + 1) * batch_size])
        return batches * batch_size / (time.perf_counter() - start)

    batches = len(images) // batch_size
    run(min(5, batches))
    return {"images_per_second": round(run(batches))}


@torch.inference_mode()
def latency(model, images):
    model.eval()
    model(images[:1])
    seconds = []
    for i in range(len(images)):
        image = images[i:i + 1]
        start = time.perf_counter()
        model(image)
        seconds.append(time.perf_counter() - start)
    return {"microseconds": round(1e6 * statistics.median(seconds), 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["train", "eval", "latency"], default="train")
    parser.add_argument("--recipe", choices=NETWORKS, default="era")
    parser.add_argument("--norm", default="bn")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--images", type=int, default=0, help="how many; 0: as many as take a few seconds")
    parser.add_argument("--data", help="the folder of the CIFAR-10 .bin files; random images without it")
    options = parser.parse_args()

    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))  # some builds default to one
    torch.manual_seed(1)
    count = options.images or (1000 if options.mode == "latency" else 12800)
    images, labels = load(options.data, count) if options.data else random_images(count)
    if options.mode != "latency" and len(images) < options.batch_size:
        parser.error(f"--images: expected at least one batch of {options.batch_size}, got {len(images)}")
    model = NETWORKS[options.recipe](options.norm)

    if options.mode == "train":
        figures = train(model, images, labels, options.batch_size)
    elif options.mode == "eval":
        figures = evaluate(model, images, options.batch_size)
    else:
        figures = latency(model, images)
    print(json.dumps({
        "mode": options.mode, "recipe": options.recipe, "norm": options.norm,
        "batch_size": 1 if options.mode == "latency" else options.batch_size, "threads": torch.get_num_threads(),
        "torch": torch.__version__, **figures}))


if __name__ == "__main__":
    main()

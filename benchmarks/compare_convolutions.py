#!/usr/bin/env python3
"""Measures the three passes of many convolutions with normnet and PyTorch in turn and prints their speed as a Markdown table.

    compare_convolutions.py build/release/benchmarks/bench_convolutions
    compare_convolutions.py build/release/benchmarks/bench_convolutions --only '@14' --algorithm direct --against-im2col

GFLOP/s count the operations of the definition, whatever the algorithm does, so that an algorithm that saves some may be beyond
the peak: the most that multiply-adds in registers reach on the same threads, which normnet's side measures in each turn. Each
ratio is that of two neighbouring measurements; printed are medians.

normnet is measured through its layer, so the packing of weights counts; PyTorch through torch.conv2d and
aten::convolution_backward, one gradient at a time, on contiguous NCHW tensors, without autograd. Needs PyTorch.
"""
import argparse
import math
import os
import re
import statistics
import sys
import time
from typing import NamedTuple

from alternate import add_keep_memory, check_simd, measure, print_header, print_row, pytorch_environment, ratios


class Convolution(NamedTuple):
    inputs: int
    outputs: int
    size: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def __str__(self):
        extras = [f"{name} {value}" for name, value, usual in (
            ("stride", self.stride, 1), ("padding", self.padding, 0), ("dilation", self.dilation, 1), ("groups", self.groups, 1))
            if value != usual]
        return " ".join([f"{self.inputs}->{self.outputs}", f"{self.kernel}x{self.kernel}", f"@{self.size}", *extras])

    def options(self):
        return ["--in", self.inputs, "--out", self.outputs, "--size", self.size, "--kernel", self.kernel, "--stride", self.stride,
                "--padding", self.padding, "--dilation", self.dilation, "--groups", self.groups]


# At the sizes at which networks for CIFAR-10 have them, smallest channels first.
CONVOLUTIONS = [
    Convolution(3, 10, 32),
    Convolution(3, 16, 32, padding=1),
    Convolution(3, 64, 32, padding=1),
    Convolution(8, 16, 8, padding=1, dilation=2),
    Convolution(10, 20, 30),
    Convolution(10, 20, 14, padding=1),
    Convolution(10, 20, 7),
    Convolution(16, 32, 32, padding=1),
    Convolution(16, 32, 32, padding=1, groups=16),
    Convolution(16, 32, 16, padding=1, groups=16),
    Convolution(16, 32, 8, padding=1, groups=16),
    Convolution(20, 10, 28, kernel=1),
    Convolution(20, 30, 14, padding=1),
    Convolution(20, 30, 5),
    Convolution(30, 40, 14, padding=1),
    Convolution(30, 40, 3),
    Convolution(32, 16, 32, kernel=1),
    Convolution(32, 32, 16, padding=1),
    Convolution(32, 32, 8, padding=1),
    Convolution(40, 10, 14, kernel=1),
    Convolution(64, 64, 16, padding=1),
    Convolution(64, 64, 16, padding=1, groups=64),
    Convolution(64, 128, 16, stride=2, padding=1),
    Convolution(128, 128, 8, padding=1),
    Convolution(128, 128, 8, stride=2, padding=1, groups=128),
    Convolution(256, 256, 4, padding=1),
    Convolution(256, 512, 8, kernel=1),
    Convolution(512, 512, 4, padding=1),
]

PASSES = {"forward": "forward", "input_gradient": "dx", "weight_gradient": "dw"}


def median_seconds(run, seconds):
    """Over a while and at least three calls, as bench_convolutions does; the first is not counted."""
    run()
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class PyTorch:
    def __init__(self, threads):
        import torch  # after the environment is set
        torch.set_num_threads(threads)
        self.torch = torch

    def measure(self, convolution, gflop, options):
        """GFLOP/s of each pass."""
        torch, c = self.torch, convolution
        backward = torch.ops.aten.convolution_backward
        with torch.inference_mode():
            x = torch.rand(options.batch_size, c.inputs, c.size, c.size) * 2 - 1
            weight = torch.rand(c.outputs, c.inputs // c.groups, c.kernel, c.kernel) * 2 - 1
            how = {"stride": c.stride, "padding": c.padding, "dilation": c.dilation}
            dy = torch.rand_like(torch.conv2d(x, weight, None, groups=c.groups, **how)) * 2 - 1
            lists = [[value, value] for value in how.values()]

            def gradients(of_input, of_weight):
                return backward(dy, x, weight, None, *lists, False, [0, 0], c.groups, [of_input, of_weight, False])

            passes = {"forward": lambda: torch.conv2d(x, weight, None, groups=c.groups, **how),
                      "input_gradient": lambda: gradients(True, False),
                      "weight_gradient": lambda: gradients(False, True)}
            return {name: gflop / median_seconds(run, options.seconds) for name, run in passes.items()}


def compare(convolution, pytorch, options):
    command = [options.bench_convolutions, *convolution.options(), "--batch-size", options.batch_size,
               "--threads", options.threads, "--seconds", options.seconds]
    ours, im2col, theirs = [], [], []
    for _ in range(options.times):
        ours.append(measure([*command, "--algorithm", options.algorithm]))
        check_simd(ours[-1], options.simd)
        if options.against_im2col:
            im2col.append(measure([*command, "--algorithm", "im2col"]))
        if pytorch:
            theirs.append(pytorch.measure(convolution, ours[-1]["gflop"], options))

    def of(lines, name):
        return [line[name] for line in lines]

    def speed(figures):
        middle = statistics.median(figures)
        return f"{middle:.{1 if middle < 9.95 else 0}f}"

    medians = {}
    for name, short in PASSES.items():
        figures = of(ours, name)
        cells = [speed(figures), f"{100 * statistics.median(figures) / max(of(ours, 'peak')):.0f} %"]
        for others in (im2col, theirs):
            if others:
                medians.setdefault(others is theirs, {})[name] = statistics.median(ratios(figures, of(others, name)))
                cells += [speed(of(others, name)), f"{medians[others is theirs][name]:.2f}"]
        print_row(convolution, short, *cells)
    return medians


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_convolutions", help="the program")
    parser.add_argument("--only", default="", help="a regular expression: the convolutions whose names it finds something in")
    parser.add_argument("--list", action="store_true", help="print the names, and measure nothing")
    parser.add_argument("--algorithm", default="automatic", help="of normnet")
    parser.add_argument("--against-im2col", action="store_true", help="also normnet with im2col and GEMM")
    parser.add_argument("--without-pytorch", action="store_true")
    add_keep_memory(parser)
    parser.add_argument("--simd", choices=["avx2"], help="PyTorch uses AVX2 alone; the program must be compiled for it")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both; all cores unless given")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=0.1, help="for each pass and side in each turn")
    parser.add_argument("--times", type=int, default=5, help="alternations")
    options = parser.parse_args()
    chosen = [convolution for convolution in CONVOLUTIONS if re.search(options.only, str(convolution))]
    if options.list:
        print("\n".join(map(str, chosen)))
        return
    if not chosen:
        parser.error(f"--only: no convolution among {len(CONVOLUTIONS)} has \"{options.only}\" in its name")
    environment = {} if options.without_pytorch else pytorch_environment(options)
    if any(os.environ.get(name) != value for name, value in environment.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **environment})  # read at a program's start
    pytorch = None if options.without_pytorch else PyTorch(options.threads)

    others = (["im2col", "ratio"] if options.against_im2col else []) + (["PyTorch", "ratio"] if pytorch else [])
    print_header("convolution", "pass", "normnet, GFLOP/s", "of peak", *others)
    totals = [compare(convolution, pytorch, options) for convolution in chosen]
    for other, what in ((False, "im2col"), (True, "PyTorch")):
        for name in PASSES:
            values = [medians[other][name] for medians in totals if other in medians]
            if values:
                mean = math.exp(statistics.mean(map(math.log, values)))
                print(f"\nGeometric mean of the ratios to {what}, {PASSES[name]}: {mean:.2f}; least: {min(values):.2f}")


if __name__ == "__main__":
    main()

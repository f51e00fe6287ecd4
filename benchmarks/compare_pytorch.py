#!/usr/bin/env python3
"""Runs normnet and PyTorch in turn, several times, on the same networks and images, and prints how much faster normnet is.

    compare_pytorch.py build/release/benchmarks/bench_training --data data/cifar-10-batches-bin --mode train,eval,latency
    compare_pytorch.py build/avx2/benchmarks/bench_training --simd avx2      # both with AVX2 alone
    compare_pytorch.py build/release/benchmarks/bench_training --against-im2col

Each ratio is that of two neighbouring runs; printed are its median and its extremes.
"""
import argparse
import pathlib
import statistics

from alternate import add_keep_memory, check_simd, measure, print_header, print_row, pytorch_environment, ratios, spread

# Of each mode: what it is called, its figure, and how many images PyTorch takes; normnet takes twice as many.
MODES = {
    "train": ("training, images/s", "images_per_second", 6400),
    "eval": ("evaluation, images/s", "images_per_second", 12800),
    "latency": ("a single image, microseconds", "microseconds", 300),
}


def compare(mode, recipe, norm, options):
    _, figure, images = MODES[mode]
    images = options.images or images
    common = ["--mode", mode, "--recipe", recipe, "--norm", norm, "--threads", options.threads,
              "--batch-size", options.batch_size]
    if options.data:
        common += ["--data", options.data]
    peer = pathlib.Path(__file__).resolve().parent / "pytorch_training.py"
    environment = pytorch_environment(options)
    figures = {"normnet": [], "im2col": [], "PyTorch": []}
    for _ in range(options.times):
        ours = [options.bench_training, *common, "--images", 2 * images]
        line = measure(ours)
        check_simd(line, options.simd)
        figures["normnet"].append(line[figure])
        if options.against_im2col:
            figures["im2col"].append(measure([*ours, "--algorithm", "im2col"])[figure])
        theirs = measure([options.python, peer, *common, "--images", images], environment)
        figures["PyTorch"].append(theirs[figure])

    def times_faster_than(other):
        slower_first = mode == "latency"  # microseconds, not images/s
        return ratios(figures[other], figures["normnet"]) if slower_first else ratios(figures["normnet"], figures[other])

    cells = [recipe, norm, *(f"{statistics.median(figures[side]):,.0f}" for side in ("normnet", "PyTorch")),
             spread(times_faster_than("PyTorch"))]
    if options.against_im2col:
        cells += [f"{statistics.median(figures['im2col']):,.0f}", spread(times_faster_than("im2col"))]
    print_row(*cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_training", help="the program")
    parser.add_argument("--mode", default="train", help="train, eval, latency or several of them; each is a table")
    parser.add_argument("--data", help="the folder of the CIFAR-10 .bin files; made-up images without it")
    parser.add_argument("--recipes", default="era")
    parser.add_argument("--norms", default="bn,gn,ln")
    parser.add_argument("--threads", type=int, default=0, help="of both; 0: all cores")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=0, help="of PyTorch, normnet takes twice as many; 0: a few seconds")
    parser.add_argument("--times", type=int, default=5, help="alternations")
    add_keep_memory(parser)
    parser.add_argument("--simd", choices=["avx2"], help="PyTorch uses AVX2 alone; the program must be compiled for it")
    parser.add_argument("--against-im2col", action="store_true", help="also normnet with im2col and GEMM in every convolution")
    parser.add_argument("--python", default="/usr/bin/python3", help="an interpreter that has PyTorch")
    options = parser.parse_args()
    modes = options.mode.split(",")
    for mode in modes:
        if mode not in MODES:
            parser.error(f"--mode: expected {', '.join(MODES)} or several of them, got \"{mode}\"")

    for mode in modes:
        title = f"{MODES[mode][0]}: network"
        im2col = ["normnet, im2col", "automatic : im2col"] if options.against_im2col else []
        print_header(title, "norm", "normnet", "PyTorch", "times faster (extremes)", *im2col)
        for recipe in options.recipes.split(","):
            for norm in options.norms.split(","):
                compare(mode, recipe, norm, options)
        print(flush=True)


if __name__ == "__main__":
    main()

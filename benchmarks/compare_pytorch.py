#!/usr/bin/env python3
"""Runs normnet and PyTorch in turn, several times, on the same networks and images, and prints how much faster normnet trains.

    compare_pytorch.py build/release/benchmarks/bench_training --data data/cifar-10-batches-bin

Shared machines are noisy, so only figures of one run are compared: each ratio is that of two neighbouring runs.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys


def measure(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"compare_pytorch.py: {command[0]} failed: {result.stderr.strip()}")
    return json.loads(result.stdout.splitlines()[-1])["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_training", help="the program")
    parser.add_argument("--data", help="the folder of the CIFAR-10 .bin files; made-up images without it")
    parser.add_argument("--recipes", default="era")
    parser.add_argument("--norms", default="bn,gn,ln")
    parser.add_argument("--threads", type=int, default=0, help="of both; 0: all cores")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=6400, help="trained on by PyTorch; normnet takes twice as many")
    parser.add_argument("--times", type=int, default=5, help="alternations")
    parser.add_argument("--python", default="/usr/bin/python3", help="an interpreter that has PyTorch")
    options = parser.parse_args()

    peer = str(pathlib.Path(__file__).resolve().parent / "pytorch_training.py")
    print("| network | norm | normnet, images/s | PyTorch, images/s | ratio: median | minimum | maximum |")
    print("|---|---|---|---|---|---|---|")
    for recipe in options.recipes.split(","):
        for norm in options.norms.split(","):
            common = ["--recipe", recipe, "--norm", norm, "--threads", str(options.threads), "--batch-size", str(options.batch_size)]
            if options.data:
                common += ["--data", options.data]
            ours, theirs = [], []
            for _ in range(options.times):
                ours.append(measure([options.bench_training, *common, "--images", str(2 * options.images)]))
                theirs.append(measure([options.python, peer, *common, "--images", str(options.images)]))
            ratios = [a / b for a, b in zip(ours, theirs)]
            print(f"| {recipe} | {norm} | {statistics.median(ours):,.0f} | {statistics.median(theirs):,.0f} "
                  f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |", flush=True)


if __name__ == "__main__":
    main()

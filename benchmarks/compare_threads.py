#!/usr/bin/env python3
"""Trains on 1, 2, ... threads in turn, several times, and prints how the speed grows.

    compare_threads.py build/release/benchmarks/bench_training --data data/cifar-10-batches-bin
    compare_threads.py build/release/benchmarks/bench_training --threads 1,2,4,8,16

A speed-up is that over the first number of threads in the same turn; printed are medians.
"""
import argparse
import os
import statistics

from alternate import measure, print_header, print_row, ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench_training", help="the program")
    parser.add_argument("--mode", choices=["train", "eval"], default="train")
    parser.add_argument("--data", help="the folder of the CIFAR-10 .bin files; synthetic images without it")
    parser.add_argument("--recipes", default="era")
    parser.add_argument("--norms", default="bn")
    parser.add_argument("--threads", help="numbers of threads, such as 1,2,4; from 1 to all cores unless given")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=12800)
    parser.add_argument("--times", type=int, default=5, help="turns")
    options = parser.parse_args()
    threads = list(range(1, len(os.sched_getaffinity(0)) + 1))
    if options.threads:
        counts = options.threads.split(",")
        if not all(count.isdecimal() and int(count) > 0 for count in counts):
            parser.error(f"--threads: expected numbers from 1 on, separated by commas, got \"{options.threads}\"")
        threads = [int(count) for count in counts]

    print_header("network", "norm", "threads", "images/s", "speed-up", "efficiency")
    for recipe in options.recipes.split(","):
        for norm in options.norms.split(","):
            command = [options.bench_training, "--mode", options.mode, "--recipe", recipe, "--norm", norm,
                       "--batch-size", options.batch_size, "--images", options.images]
            if options.data:
                command += ["--data", options.data]
            speeds = {count: [] for count in threads}
            for _ in range(options.times):
                for count in threads:
                    speeds[count].append(measure([*command, "--threads", count])["images_per_second"])
            for count in threads:
                speed_up = statistics.median(ratios(speeds[count], speeds[threads[0]]))
                print_row(recipe, norm, count, f"{statistics.median(speeds[count]):,.0f}", f"{speed_up:.2f}",
                          f"{100 * speed_up * threads[0] / count:.0f} %")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Trains, and predicts one image after the other, alone and beside busy loops of other programs, with several programs in turn.

    busy_machine.py pool=build/pool/benchmarks/bench_training openmp=build/release/benchmarks/bench_training --data DIR

The programs are versions of bench_training, each with the name that it has in the table. Printed are medians.
"""
import argparse
import contextlib
import statistics
import subprocess
import sys

from alternate import measure, print_header, print_row


@contextlib.contextmanager
def busy_loops(count):
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def numbers(text):
    if not all(part.isdecimal() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"expected numbers, separated by commas, got \"{text}\"")
    return [int(part) for part in text.split(",")]


def program(text):
    name, separator, path = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"expected NAME=PROGRAM, got \"{text}\"")
    return name, path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", type=program, metavar="NAME=PROGRAM")
    parser.add_argument("--data", help="the folder of the CIFAR-10 .bin files; synthetic images without it")
    parser.add_argument("--recipe", default="era")
    parser.add_argument("--loops", type=numbers, default=[0, 1, 2], help="numbers of busy loops, such as 0,1,2")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="numbers of threads, such as 1,2")
    parser.add_argument("--images", type=int, default=5120, help="to train on")
    parser.add_argument("--predictions", type=int, default=200)
    parser.add_argument("--times", type=int, default=3, help="turns")
    options = parser.parse_args()

    names = [name for name, _ in options.programs]
    print_header("busy loops", "threads", *(f"{name}, trained images/s" for name in names), *(f"{name}, us an image" for name in names))
    for loops in options.loops:
        for threads in options.threads:
            speeds, times = {name: [] for name in names}, {name: [] for name in names}
            with busy_loops(loops):
                for _ in range(options.times):
                    for name, path in options.programs:
                        command = [path, "--recipe", options.recipe, "--threads", threads]
                        if options.data:
                            command += ["--data", options.data]
                        speeds[name].append(measure([*command, "--images", options.images])["images_per_second"])
                        latency = [*command, "--mode", "latency", "--images", options.predictions]
                        times[name].append(measure(latency)["microseconds"])
            print_row(loops, threads, *(f"{statistics.median(speeds[name]):,.0f}" for name in names),
                      *(f"{statistics.median(times[name]):,.0f}" for name in names))


if __name__ == "__main__":
    main()

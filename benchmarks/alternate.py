"""What the comparing scripts share: programs that print a line of JSON, run in turn, and ratios of neighbouring runs.

Shared machines are noisy, so only figures of one run are compared: each ratio is that of two neighbouring measurements, and what
is printed is the median of several.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys

# What makes PyTorch use AVX2 alone: its own kernels, and oneDNN's.
PYTORCH_AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}

# What makes glibc keep PyTorch's memory (--keep-memory), as normnet keeps its own. Otherwise large tensors go back to the system
# after each call, and the next one is slowed by touching new pages, in passes of few operations several times.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_TOP_PAD_": str(2**28)}


def add_keep_memory(parser):
    parser.add_argument("--keep-memory", action="store_true",
                        help="PyTorch runs with a glibc told to keep its memory, not as it is by default")


def pytorch_environment(options):
    return {**(KEEP_MEMORY if options.keep_memory else {}), **(PYTORCH_AVX2 if options.simd == "avx2" else {})}


def stop(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def measure(command, environment=None):
    """Runs a program; what it says in its last line."""
    command = [str(part) for part in command]
    try:
        result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    except OSError as error:
        stop(f"{command[0]}: {error.strerror}")
    if result.returncode != 0:
        stop(f"{command[0]} failed: {result.stderr.strip()}")
    return json.loads(result.stdout.splitlines()[-1])


def check_simd(line, simd):
    """Stops when normnet was compiled for another instruction set than the one that is asked for."""
    if simd and line["simd"] != simd:
        stop(f"--simd {simd}: expected a program compiled for {simd}, as by cmake --preset {simd}, got one for {line['simd']}")


def ratios(numerators, denominators):
    return [a / b for a, b in zip(numerators, denominators)]


def spread(values):
    """The median with the extremes: "1.52 (1.43 to 1.61)"."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def print_row(*cells):
    """A row of a Markdown table, at once: tables take minutes."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def print_header(*cells):
    print_row(*cells)
    print("|" + "---|" * len(cells), flush=True)

"""What the scripts of this folder share: how vectors are written, and numbers that the C++ tests make for themselves."""
import json
import pathlib

import torch

VECTORS = pathlib.Path(__file__).parent / "vectors"


def plain(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "data": tensor.reshape(-1).tolist()}


def write(name, cases):
    """One line a case."""
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (VECTORS / f"{name}.json").write_text(f"[\n{lines}\n]\n")


class Integers:
    """The same numbers in shared.hpp, so that no file need hold them: a linear congruential generator of 32 bits, of which the
    upper 16 count (Knuth's multiplier: "Numerical Recipes in C", section 7.1)."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state >> 16

    def labels(self, count, classes=10):
        return torch.tensor([self.next() % classes for _ in range(count)])

    def fractions(self, shape):
        """A tensor of multiples of 2^-15 from -1 to 1: floats hold them exactly, and a convolution of them is hardly ever 0."""
        size = torch.Size(shape)
        values = [self.next() / 2**15 - 1 for _ in range(size.numel())]
        return torch.tensor(values, dtype=torch.float64).reshape(size)

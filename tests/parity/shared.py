"""What the scripts of this folder share: how vectors are written."""
import json
import pathlib

VECTORS = pathlib.Path(__file__).parent / "vectors"


def plain(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "data": tensor.reshape(-1).tolist()}


def write(name, cases):
    """One line a case."""
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (VECTORS / f"{name}.json").write_text(f"[\n{lines}\n]\n")

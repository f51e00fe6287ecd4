"""Results as cifar10_norms writes them, made up: for report_test.py."""

import json
import math
import random
import struct
import zlib

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

# Final train and test accuracy, network size, and what was published, by recipe and norm.
EXPERIMENTS = {
    "era": (20, "ten convolutions, dropout 0.1", "constant", {
        "bn": ("BN", 75.7, 76.4, 39490, (74.53, 74.71, 20)),
        "gn": ("GN", 74.4, 74.6, 39490, (72.95, 72.93, 20)),
        "ln": ("LN", 74.1, 73.9, 39490, (72.99, 73.42, 20))}),
    "tsai8": (11, "ten convolutions, 32 outputs for 10 classes as published", "constant", {
        "bn": ("BN", 81.9, 73.5, 52960, (80.47, 72.66, 9)),
        "gn": ("GN", 73.9, 71.1, 52960, (73.52, 70.55, 11)),
        "ln": ("LN", 53.0, 52.9, 57866, (None, 52.27, 9)),
        "gn:1": ("GN1", 72.8, 70.0, 52960, None)}),
    "eva6": (20, "the network of era, learning rate in steps", "steps of 6 epochs", {
        "gn": ("GN", 73.9, 74.0, 39490, None),
        "ln": ("LN", 73.1, 73.2, 39490, None),
        "bn+l1": ("BN+L1", 66.0, 67.2, 39490, None)}),
}


def make_run(rng, seed, epochs, train, test):
    """A learning curve that ends near the given accuracies."""
    shift = rng.gauss(0, 0.35)
    records = []
    for epoch in range(1, epochs + 1):
        learned = 1 - math.exp(-4.2 * epoch / epochs) * 0.62
        train_acc = (train + shift) * learned + rng.gauss(0, 0.15)
        test_acc = (test + shift) * learned + rng.gauss(0, 0.8 * (1.2 - epoch / epochs))
        records.append({
            "epoch": epoch, "train_loss": 2.35 * (1 - train_acc / 100) + 0.12, "train_acc": round(train_acc, 3),
            "test_loss": 2.3 * (1 - test_acc / 100) + 0.14, "test_acc": round(test_acc, 2), "lr": 0.01,
            "train_seconds": 6.1 + rng.gauss(0, 0.1), "images_per_second": 8100 + rng.gauss(0, 90), "test_seconds": 0.5})
    return {"seed": seed, "epochs": records}


def make_confusion(rng, test, outputs):
    """1,000 images of each class, cats and dogs mixed up most."""
    rows = []
    for truth in range(10):
        weights = [rng.uniform(0.2, 1.6) for _ in range(10)]
        if CLASSES[truth] in ("cat", "dog"):
            weights[5 if truth == 3 else 3] = 9
        weights[truth] = 0
        right = round(10 * test + rng.gauss(0, 70))
        wrong = [round((1000 - right) * weight / sum(weights)) for weight in weights]
        wrong[truth] = 1000 - sum(wrong)
        rows.append(wrong + [0] * (outputs - 10))
    return rows


def make_results(seeds=(1, 2, 3), names=tuple(EXPERIMENTS), study=True):
    """Finished results of the named recipes."""
    rng = random.Random(7)
    experiments = []
    pictures = [{"experiment": None, "norm": None, "kind": "samples", "title": "20 random samples", "file": "samples.png"}]
    for name in names:
        epochs, description, schedule, wanted = EXPERIMENTS[name]
        norms = []
        for norm, (title, train, test, parameters, published) in wanted.items():
            confusion = make_confusion(rng, test, 32 if parameters == 52960 else 10)
            file = f"{name}/misclassified_{norm.replace(':', '')}.png"
            norms.append({
                "norm": norm, "title": title, "parameters": parameters, "multiply_adds": 140 * parameters, "schedule": schedule,
                "l1_penalty": 0.001 if norm == "bn+l1" else 0,
                "published": published and {"train_acc": published[0], "test_acc": published[1], "epoch": published[2]},
                "seconds_per_epoch": {"mean": 6 + rng.random(), "std": 0.11 if len(seeds) > 1 else None},
                "images_per_second": {"mean": 8000 + 300 * rng.random(), "std": 95.5 if len(seeds) > 1 else None},
                "activation_mb": 101.5 + 20 * rng.random(), "peak_rss_mb": 285.4,
                "runs": [make_run(rng, seed, epochs, train, test) for seed in seeds],
                "confusion": confusion, "class_accuracy": [row[i] / 10 for i, row in enumerate(confusion)]})
            pictures.append({"experiment": name, "norm": norm, "kind": "misclassified",
                             "title": f"{title}: misclassified test images", "file": file})
        experiments.append({"recipe": name, "description": description, "epochs": epochs, "batch_size": 128,
                            "learning_rate": 0.01, "momentum": 0.9, "flip": 0.5 if name == "eva6" else 0,
                            "crop_padding": 1 if name == "eva6" else 0, "schedule": schedule, "norms": norms})
    results = {
        "program": "cifar10_norms", "version": "0.1.0", "command": "cifar10_norms --recipe all --seed 1,2,3", "finished": True,
        "started": "2026-01-15T09:30:00Z", "seconds": 5025.3, "synthetic": False,
        "data": 'CIFAR-10 from "data/cifar-10-batches-bin"', "train_images": 50000, "test_images": 10000, "threads": 2,
        "simd": "avx512", "classes": CLASSES, "experiments": experiments, "pictures": pictures}
    if study:
        results["study"] = make_study(rng)
    return results


def make_study(rng):
    """Batch norm fails at small batches; the others do not."""
    sizes = [2, 4, 8, 16, 32, 64, 128, 256]
    points = []
    for norm, reached, loss in (("bn", 70, 45), ("gn", 68.5, 3), ("ln", 68, 3)):
        for size in sizes:
            for seed in (1, 2):
                accuracy = reached - loss * 2 / size - 0.012 * size + rng.gauss(0, 0.7)
                points.append({"norm": norm, "batch_size": size, "learning_rate": 0.01 * size / 128, "seed": seed,
                               "train_acc": accuracy + 1, "test_acc": accuracy, "seconds": 20 + 160 / size})
    return {"epochs": 5, "limit": 10000, "norms": ["bn", "gn", "ln"], "batch_sizes": sizes, "points": points}


def stop_in_the_middle(results):
    """As the results look while the second norm of the last recipe is trained."""
    results = json.loads(json.dumps(results))
    results["finished"] = False
    results.pop("study", None)
    last = results["experiments"][-1]
    del last["norms"][2:]
    running = last["norms"][1]
    del running["runs"][1:]
    del running["runs"][0]["epochs"][7:]
    for name in ("confusion", "class_accuracy"):
        del running[name]
    running["peak_rss_mb"] = None
    return results


def write_png(path, width, height):
    """A picture with a colour gradient."""
    rows = b"".join(b"\0" + bytes(value for x in range(width) for value in (255 * x // width, 255 * y // height, 128))
                    for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

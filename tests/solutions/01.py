"""Right answers to lab 1."""

import numpy as np


def predictions():
    return {1: "c", 2: "b", 3: "c", 4: "a", 5: "c"}


def batches(images, labels, batch_size, rng):
    order = rng.permutation(len(labels))
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        yield images[chosen][:, np.newaxis].astype(np.float32) / 255, labels[chosen]


def find_faults(images, labels):
    faults, seen = [], set()
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        key = image.tobytes()
        if not image.any() or not 0 <= label <= 9 or key in seen:
            faults.append(place)
        seen.add(key)
    return faults

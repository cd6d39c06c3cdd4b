"""Wrong answers to lab 1, each with a slip that its name tells."""

import numpy as np


def predictions__expects_an_error():
    return {1: "a", 2: "b", 3: "c", 4: "a", 5: "c"}


def predictions__loses_the_last_batch():
    return {1: "c", 2: "a", 3: "c", 4: "a", 5: "c"}


def predictions__thinks_that_uint8_stops_at_255():
    return {1: "c", 2: "b", 3: "b", 4: "a", 5: "c"}


def predictions__trusts_the_best_of_thirty():
    return {1: "c", 2: "b", 3: "c", 4: "b", 5: "c"}


def predictions__leaves_one_open():
    return {1: "c", 2: "b", 3: "c", 4: "a", 5: "?"}


def predictions__returns_a_list():
    return ["c", "b", "c", "a", "c"]


def _ready(images):
    return images[:, np.newaxis].astype(np.float32) / 255


def batches__drops_the_last(images, labels, batch_size, rng):
    order = rng.permutation(len(labels))
    for place in range(len(order) // batch_size):
        chosen = order[place * batch_size : (place + 1) * batch_size]
        yield _ready(images[chosen]), labels[chosen]


def batches__shuffles_apart(images, labels, batch_size, rng):
    images, labels = rng.permutation(images), rng.permutation(labels)
    for first in range(0, len(labels), batch_size):
        yield _ready(images[first : first + batch_size]), labels[first : first + batch_size]


def batches__does_not_shuffle(images, labels, batch_size, rng):
    for first in range(0, len(labels), batch_size):
        yield _ready(images[first : first + batch_size]), labels[first : first + batch_size]


def batches__shuffles_in_place(images, labels, batch_size, rng):
    order = rng.permutation(len(labels))
    images[:], labels[:] = images[order], labels[order]
    yield from batches__does_not_shuffle(images, labels, batch_size, rng)


def batches__draws_with_repetition(images, labels, batch_size, rng):
    order = rng.integers(len(labels), size=len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield _ready(images[chosen]), labels[chosen]


def batches__returns_a_list(images, labels, batch_size, rng):
    return list(batches__does_not_shuffle(images, labels, batch_size, rng))


def batches__keeps_raw_pixels(images, labels, batch_size, rng):
    order = rng.permutation(len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield images[chosen][:, np.newaxis].astype(np.float32), labels[chosen]


def batches__has_a_generator_of_its_own(images, labels, batch_size, rng):
    order = np.random.default_rng(0).permutation(len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield _ready(images[chosen]), labels[chosen]


def batches__is_the_stub_with_its_bugs(images, labels, batch_size, rng):
    image_order = rng.permutation(len(images))
    label_order = rng.permutation(len(labels))
    for first in range(0, len(images) - batch_size, batch_size):
        chosen = slice(first, first + batch_size)
        x = (images[image_order[chosen]] / 255).astype(np.float32)
        yield x, labels[label_order[chosen]]


def find_faults__ignores_repetitions(images, labels):
    return [i for i in range(len(labels)) if not images[i].any() or not 0 <= labels[i] <= 9]


def find_faults__compares_neighbours_only(images, labels):
    return [
        i
        for i in range(len(labels))
        if not images[i].any() or not 0 <= labels[i] <= 9 or (i and np.array_equal(images[i], images[i - 1]))
    ]


def find_faults__names_the_first_of_equals_too(images, labels):
    keys = [image.tobytes() for image in images]
    return [i for i in range(len(labels)) if not images[i].any() or not 0 <= labels[i] <= 9 or keys.count(keys[i]) > 1]


def find_faults__forgets_negative_labels(images, labels):
    seen, faults = set(), []
    for i, image in enumerate(images):
        if not image.any() or labels[i] > 9 or image.tobytes() in seen:
            faults.append(i)
        seen.add(image.tobytes())
    return faults


def find_faults__names_a_sample_twice(images, labels):
    seen, faults = set(), []
    for i, image in enumerate(images):
        if not image.any():
            faults.append(i)
        if not 0 <= labels[i] <= 9:
            faults.append(i)
        if image.tobytes() in seen and image.any():
            faults.append(i)
        seen.add(image.tobytes())
    return faults

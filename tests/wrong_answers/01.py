"""Wrong answers to lab 1, each with a slip that its name tells."""

import numpy as np


def predictions__expects_an_error():
    """nothing is wrong for Python: shuffle both separately and run the lab's checks of counts and ranges"""
    return {1: "a", 2: "b", 3: "c", 4: "a", 5: "c"}


def predictions__loses_the_last_batch():
    """15 full batches hold 960 samples: where are the other 40?"""
    return {1: "c", 2: "a", 3: "c", 4: "a", 5: "c"}


def predictions__thinks_that_uint8_stops_at_255():
    """NumPy does not stop at the largest value: run np.array([200], np.uint8) + np.uint8(100)"""
    return {1: "c", 2: "b", 3: "b", 4: "a", 5: "c"}


def predictions__trusts_the_best_of_thirty():
    """part of the best result is luck: let 30 students guess 100 coin tosses, and the best one 100 more"""
    return {1: "c", 2: "b", 3: "c", 4: "b", 5: "c"}


def predictions__leaves_one_open():
    """return a letter for each question, such as {1: 'a', 2: 'b'}"""
    return {1: "c", 2: "b", 3: "c", 4: "a", 5: "?"}


def predictions__returns_a_list():
    """return a letter for each question, such as {1: 'a', 2: 'b'}"""
    return ["c", "b", "c", "a", "c"]


def _ready(images):
    return images[:, np.newaxis].astype(np.float32) / 255


def batches__drops_the_last(images, labels, batch_size, rng):
    """the last batch, of 3, is missing: range must end at n, not at n // batch_size * batch_size"""
    order = rng.permutation(len(labels))
    for place in range(len(order) // batch_size):
        chosen = order[place * batch_size : (place + 1) * batch_size]
        yield _ready(images[chosen]), labels[chosen]


def batches__shuffles_apart(images, labels, batch_size, rng):
    """images and labels must follow the same order; two shuffles are two orders"""
    images, labels = rng.permutation(images), rng.permutation(labels)
    for first in range(0, len(labels), batch_size):
        yield _ready(images[first : first + batch_size]), labels[first : first + batch_size]


def batches__does_not_shuffle(images, labels, batch_size, rng):
    """draw the order from rng: rng.permutation(n)"""
    for first in range(0, len(labels), batch_size):
        yield _ready(images[first : first + batch_size]), labels[first : first + batch_size]


def batches__shuffles_in_place(images, labels, batch_size, rng):
    """an operator such as -= or x[...] = works in place; the caller still needs its array: make a new one"""
    order = rng.permutation(len(labels))
    images[:], labels[:] = images[order], labels[order]
    yield from batches__does_not_shuffle(images, labels, batch_size, rng)


def batches__draws_with_repetition(images, labels, batch_size, rng):
    """rng.integers and rng.choice draw with replacement; rng.permutation holds each index once"""
    order = rng.integers(len(labels), size=len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield _ready(images[chosen]), labels[chosen]


def batches__returns_a_list(images, labels, batch_size, rng):
    """use yield inside the loop"""
    return list(batches__does_not_shuffle(images, labels, batch_size, rng))


def batches__keeps_raw_pixels(images, labels, batch_size, rng):
    """divide by 255"""
    order = rng.permutation(len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield images[chosen][:, np.newaxis].astype(np.float32), labels[chosen]


def batches__has_a_generator_of_its_own(images, labels, batch_size, rng):
    """draw from the argument rng, not from your own"""
    order = np.random.default_rng(0).permutation(len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield _ready(images[chosen]), labels[chosen]


def batches__is_the_stub_with_its_bugs(images, labels, batch_size, rng):
    """the last batch, of 3, is missing: range must end at n, not at n // batch_size * batch_size"""
    image_order = rng.permutation(len(images))
    label_order = rng.permutation(len(labels))
    for first in range(0, len(images) - batch_size, batch_size):
        chosen = slice(first, first + batch_size)
        x = (images[image_order[chosen]] / 255).astype(np.float32)
        yield x, labels[label_order[chosen]]


def find_faults__ignores_repetitions(images, labels):
    """duplicates are not found, or only neighbours or images with equal labels are compared"""
    return [i for i in range(len(labels)) if not images[i].any() or not 0 <= labels[i] <= 9]


def find_faults__compares_neighbours_only(images, labels):
    """an image can occur more than twice: compare with all earlier ones"""
    return [
        i
        for i in range(len(labels))
        if not images[i].any() or not 0 <= labels[i] <= 9 or (i and np.array_equal(images[i], images[i - 1]))
    ]


def find_faults__names_the_first_of_equals_too(images, labels):
    """the first of equal images is good; only later ones are faulty"""
    keys = [image.tobytes() for image in images]
    return [i for i in range(len(labels)) if not images[i].any() or not 0 <= labels[i] <= 9 or keys.count(keys[i]) > 1]


def find_faults__forgets_negative_labels(images, labels):
    """a label can be negative"""
    seen, faults = set(), []
    for i, image in enumerate(images):
        if not image.any() or labels[i] > 9 or image.tobytes() in seen:
            faults.append(i)
        seen.add(image.tobytes())
    return faults


def find_faults__names_a_sample_twice(images, labels):
    """a sample with two faults is listed once"""
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


def batches__shuffles_inside_each_batch_only(images, labels, batch_size, rng):
    """draw one order for all samples, not one within each batch"""
    for first in range(0, len(labels), batch_size):
        chosen = first + rng.permutation(min(batch_size, len(labels) - first))
        yield _ready(images[chosen]), labels[chosen]


def batches__divides_by_256(images, labels, batch_size, rng):
    """divide by 255, the largest pixel, not by 256"""
    order = rng.permutation(len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield images[chosen][:, np.newaxis].astype(np.float32) / 256, labels[chosen]


def batches__divides_by_the_largest_of_the_batch(images, labels, batch_size, rng):
    """divide by 255 in every batch, not by the largest pixel that occurs"""
    order = rng.permutation(len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        x = images[chosen][:, np.newaxis].astype(np.float32)
        yield x / x.max(), labels[chosen]


def batches__scales_to_minus_one(images, labels, batch_size, rng):
    """divide by 255 and subtract nothing"""
    order = rng.permutation(len(labels))
    for first in range(0, len(labels), batch_size):
        chosen = order[first : first + batch_size]
        yield _ready(images[chosen]) * 2 - 1, labels[chosen]


def batches__float64(images, labels, batch_size, rng):
    """use astype(np.float32) before the division"""
    o = rng.permutation(len(labels))
    for f in range(0, len(labels), batch_size):
        yield (images[o[f : f + batch_size]][:, None] / 255, labels[o[f : f + batch_size]])


def batches__missing_axis(images, labels, batch_size, rng):
    """one axis of size 1 is missing: x[:, np.newaxis]"""
    o = rng.permutation(len(labels))
    for f in range(0, len(labels), batch_size):
        yield (images[o[f : f + batch_size]].astype("float32") / 255, labels[o[f : f + batch_size]])


def batches__labels_first(images, labels, batch_size, rng):
    """yield the images first, then the labels"""
    o = rng.permutation(len(labels))
    for f in range(0, len(labels), batch_size):
        yield (labels[o[f : f + batch_size]], _ready(images[o[f : f + batch_size]]))


def batches__same_batch_each_time(images, labels, batch_size, rng):
    """every batch is the same slice: take first : first + batch_size"""
    o = rng.permutation(len(labels))
    for _f in range(0, len(labels), batch_size):
        yield (_ready(images[o[:batch_size]]), labels[o[:batch_size]])


def batches__divides_uint8_floor(images, labels, batch_size, rng):
    """divide by 255 once, and convert to float32 before that"""
    o = rng.permutation(len(labels))
    for f in range(0, len(labels), batch_size):
        yield ((images[o[f : f + batch_size]] // 255)[:, None].astype("float32"), labels[o[f : f + batch_size]])


def find_faults__returns_mask(images, labels):
    """these are truth values, one for each element: return the indices of those that are true"""
    return [not i.any() or not 0 <= x <= 9 for i, x in zip(images, labels, strict=False)]


def find_faults__9_is_bad(images, labels):
    """9 is a digit"""
    s = set()
    o = []
    for i, (a, x) in enumerate(zip(images, labels, strict=False)):
        k = a.tobytes()
        if not a.any() or x < 0 or x >= 9 or (k in s):
            o.append(i)
        s.add(k)
    return o


def find_faults__returns_count(images, labels):
    """return all the numbers, not one"""
    return sum(not i.any() for i in images)


def find_faults__keeps_duplicates_only_by_label(images, labels):
    """images with equal labels are no duplicates: compare the pixels"""
    return [
        i
        for i in range(len(labels))
        if not images[i].any() or labels[i] < 0 or labels[i] > 9 or (labels[i] in list(labels[:i]))
    ]

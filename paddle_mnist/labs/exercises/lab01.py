"""Exercises of lab 1: counting labels, a generator of batches, and finding faulty samples."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_COUNT = '''
def count_digits(labels):
    """Return how often each digit occurs.

    labels: integers from 0 to 9, [n].
    Returns: integers [10]; the number at place d says how often d occurs, 0 if it does not.
    """
'''

_BATCHES = '''
def batches(images, labels, batch_size, rng):
    """Yield the samples in batches, each sample once, in an order drawn from rng.

    images: uint8 [n, 28, 28].  labels: integers [n].  rng: a numpy.random.Generator.
    Yields: (x, t): x float32 [batch_size, 1, 28, 28] in [0, 1], and t [batch_size], the labels of x.
    The last batch holds what is left.
    """
'''

_FAULTS = '''
def find_faults(images, labels):
    """Return the places of the samples that should not be learnt from, in rising order.

    A sample is faulty if its image has no ink (all pixels 0), if its label is not from 0 to 9, or if its image is
    equal, pixel for pixel, to the image of an earlier sample.
    images: uint8 [n, 28, 28].  labels: integers [n].
    Returns: a list of integers.
    """
'''


def _check_count(answer: Answer) -> None:
    for labels in ([3, 1, 4, 1, 5, 9, 2, 6, 5], [0, 0, 1], [9], []):
        given = np.array(labels, dtype=np.uint8)
        wanted = np.array([labels.count(digit) for digit in range(10)])
        on = f"labels = {labels}"
        slips = [
            (np.bincount(given), "it ends at the largest label: see what minlength does in numpy.bincount"),
            (wanted[np.unique(labels).astype(int)], "digits that do not occur are left out: they count 0 times"),
            (wanted[1:], "digits begin at 0"),
            (np.append(0, wanted[1:]), "the digit 0 is not counted"),
            (wanted / max(len(labels), 1), "these are shares; counts are asked for"),
        ]
        expect(call(answer, given, on=on), wanted, on, slips)


def _check_batches(answer: Answer) -> None:
    n, size = 23, 5
    # The first pixel tells which sample an image is, so that pairs can be followed; all of it is ink of 255 or less.
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(1, n + 1) * 10
    labels = np.arange(n) * 7 % 10
    on = f"{n} samples in batches of {size}, rng = numpy.random.default_rng(1)"
    pairs = _collect(answer, images, labels, size, 1, on)
    sizes = [len(t) for _, t in pairs]
    expect(
        sizes,
        [5, 5, 5, 5, 3],
        f"the sizes of the batches of {on}",
        [([5, 5, 5, 5], "the last batch, of 3, is missing: the range must go on to n, not to n // batch_size * size")],
    )
    _check_form(pairs[0], on)
    seen = np.concatenate([np.rint(x[:, 0, 0, 0] * 25.5).astype(int) - 1 for x, _ in pairs])
    if sorted(seen.tolist()) != list(range(n)):
        raise Wrong(
            "some samples come twice and others never",
            on,
            "rng.integers and rng.choice draw with repetition; a permutation holds each number once",
        )
    if not np.array_equal(np.concatenate([np.ravel(t) for _, t in pairs]), labels[seen]):
        raise Wrong(
            "the labels do not belong to their images",
            on,
            "images and labels must be picked by one and the same order; two shuffles are two orders",
        )
    if seen.tolist() == list(range(n)):
        raise Wrong("the samples come in the order of the file", on, "the order is to be drawn from rng")
    again = _collect(answer, images, labels, size, 1, on)
    if not all(np.array_equal(a[0], b[0]) for a, b in zip(pairs, again, strict=True)):
        raise Wrong("two runs with the same seed differ", on, "draw from rng, which is given, not from np.random")
    other = _collect(answer, images, labels, size, 2, on)
    if all(np.array_equal(a[0], b[0]) for a, b in zip(pairs, other, strict=True)):
        raise Wrong("seeds 1 and 2 give the same order", on, "draw from rng, which is given, not from one of your own")


def _collect(
    answer: Answer, images: np.ndarray, labels: np.ndarray, size: int, seed: int, on: str
) -> list[tuple[np.ndarray, np.ndarray]]:
    def run(images: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        made = answer(images, labels, size, np.random.default_rng(seed))
        if made is None or not hasattr(made, "__next__"):
            kind = "nothing" if made is None else f"a {type(made).__name__}"
            raise Wrong(f"it returns {kind}, where a generator is asked for", on, "use yield inside the loop")
        pairs = []
        for _, pair in zip(range(100), made, strict=False):
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise Wrong(f"it yields a {type(pair).__name__}", on, "yield a pair: images, labels")
            pairs.append((np.array(pair[0]), np.array(pair[1])))  # a copy: an array may be used again
        return pairs

    try:
        return call(run, images, labels, on=on)
    except Wrong as wrong:
        if isinstance(wrong.__cause__, Wrong):
            raise wrong.__cause__ from None
        raise


def _check_form(pair: tuple[np.ndarray, np.ndarray], on: str) -> None:
    x, t = pair
    if x.shape != (5, 1, 28, 28):
        why = "one axis of size 1 is missing: x[:, np.newaxis]" if x.shape == (5, 28, 28) else "count the axes of x"
        raise Wrong(f"x has shape {list(x.shape)}, where [5, 1, 28, 28] is right", on, why)
    if t.shape != (5,):
        raise Wrong(f"t has shape {list(t.shape)}, where [5] is right", on, "labels are a plain row of numbers")
    if x.max() > 1:
        raise Wrong(f"the largest pixel is {x.max():g}, where 1 is the most", on, "divide by 255")
    if x.dtype != np.float32:
        raise Wrong(f"x is {x.dtype}, where float32 is right", on, "astype(np.float32) before the division")
    if x.max() < 10 / 255 * 0.99:
        raise Wrong("the pixels are nearly 0", on, "divide by 255 once, and convert to float32 before it")


def _check_faults(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    clean = rng.integers(1, 256, (6, 28, 28)).astype(np.uint8)
    one_dot = clean.copy()
    one_dot[3] = 0
    one_dot[3, 27, 27] = 1  # very little ink is ink
    blank, twice, both = clean.copy(), clean.copy(), clean.copy()
    blank[[0, 4]] = 0
    twice[[2, 5]] = twice[1]
    both[1] = 0
    both[4] = both[0]
    labels = np.arange(6)
    alike = np.array([7, 7, 7, 7, 7, 7])
    for on, images, t, wanted, slips in (
        ("six good samples", clean, labels, [], []),
        ("six good samples that all show a 7", clean, alike, [], []),
        ("an image with a single faint dot", one_dot, labels, [], [([3], "1 is ink too, only 0 is paper")]),
        (
            "samples 0 and 4 blank",
            blank,
            labels,
            [0, 4],
            [([4], "sample 0 is blank as well: only the repetition was found")],
        ),
        (
            "samples 2 and 5 equal to sample 1, with other labels",
            twice,
            labels,
            [2, 5],
            [
                ([1, 2, 5], "the first of equal images is good: only later ones are faulty"),
                ([2], "an image may come more than twice"),
                ([5], "an image may come more than twice"),
                ([], "repeated images are not looked for, or only neighbours or equal labels are compared"),
            ],
        ),
        (
            "labels 0, 9, 10, 3, -1, 4",
            clean,
            np.array([0, 9, 10, 3, -1, 4]),
            [2, 4],
            [([2], "a label may be below 0"), ([1, 2, 4], "9 is a digit"), ([0, 2, 4], "0 is a digit")],
        ),
        (
            "sample 1 blank, sample 4 equal to sample 0 and its label 12",
            both,
            np.array([0, 1, 2, 3, 12, 5]),
            [1, 4],
            [
                ([1, 4, 4], "a sample with two faults is to be named once"),
                ([4, 1], "the places are to rise"),
                ([4, 1, 4], "a sample with two faults is to be named once"),
            ],
        ),
    ):
        found = call(answer, images, t, on=on)
        expect(list(found) if isinstance(found, np.ndarray) else found, wanted, on, slips)


EXERCISES = (
    Exercise(
        _COUNT,
        _check_count,
        (
            ("Begin with ten zeros.", "先准备十个零。"),
            (
                "numpy.bincount counts integers; its argument minlength says how long the result is at least.",
                "numpy.bincount 可以统计整数；参数 minlength 规定结果至少有多长。",
            ),
        ),
    ),
    Exercise(
        _BATCHES,
        _check_batches,
        (
            ("Draw one order, and pick images and labels by it.", "只抽取一个顺序，图像和标签都按它来取。"),
            (
                "order = rng.permutation(len(labels)); then a for loop over range(0, n, batch_size) that yields.",
                "order = rng.permutation(len(labels))；然后用 for 循环遍历 range(0, n, batch_size)，在循环里 yield。",
            ),
        ),
    ),
    Exercise(
        _FAULTS,
        _check_faults,
        (
            (
                "Three tests, and one loop that names a sample if any of them fails.",
                "做三项检查；循环中只要有一项不过，就记下该样本。",
            ),
            (
                "image.tobytes() can be put in a set, and a set says at once whether it was seen before.",
                "image.tobytes() 可以放进集合，集合能立刻告诉你它以前出现过没有。",
            ),
        ),
    ),
)

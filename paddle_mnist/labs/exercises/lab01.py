"""Exercises of lab 1: predictions, a generator of batches with bugs to find, and finding faulty samples."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect
from paddle_mnist.labs.exercises.choices import Question, body, check_choices

_PREDICTIONS = '''
def predictions():
    """Answer five questions before you run anything. 先猜答案，不要先运行。

    1. Images and labels are shuffled separately, then a net trains on them. What tells you first?
       图像和标签分别打乱，然后用来训练网络。你最先从哪里发现问题？
       a) Python raises an error. 程序报错。
       b) The shapes no longer match. 形状对不上。
       c) The net reads new digits no better than by guessing. 网络读新数字只相当于瞎猜。
    2. 1,000 samples in batches of 64. How many batches does an epoch have?
       1,000 个样本，每批 64 个。一轮有多少批？
       a) 15   b) 16   c) 64
    3. x is uint8. What is x + 100 for a pixel of 200?
       x 是 uint8。某个像素是 200，x + 100 是多少？
       a) 300   b) 255   c) 44
    4. You try 30 settings and keep the one that reads the most test digits. A fresh set of test digits will show
       你试了 30 种设置，留下读对测试数字最多的那一种。换一批新的测试数字，准确率多半
       a) a little less.  稍低一点。
       b) the same.  一样。
       c) a little more.  稍高一点。
    5. Of 1,000 images, 990 are sevens. A net answers 7 for every image. Its accuracy is
       1,000 张图像中有 990 张是 7。网络对每张图像都回答 7。它的准确率是
       a) 10 %   b) 50 %   c) 99 %
    Returns: a dict from the number of each question to a letter.
    """
'''

_BATCHES = '''
def batches(images, labels, batch_size, rng):
    """Yield the samples in batches, each sample once, in an order drawn from rng.

    images: uint8 [n, 28, 28].  labels: integers [n].  rng: a numpy.random.Generator.
    Yields: (x, t): x float32 [batch_size, 1, 28, 28] in [0, 1], and t [batch_size], the labels of x.
    The last batch holds what is left. The lines below do something else: find the three bugs.
    """
'''

_FAULTS = '''
def find_faults(images, labels):
    """Return the indices of the samples to leave out of training, in ascending order.

    A sample is faulty if its image has no ink (all pixels 0), if its label is not from 0 to 9, or if its image is
    equal, pixel for pixel, to the image of an earlier sample.
    images: uint8 [n, 28, 28].  labels: integers [n].
    Returns: a list of integers.
    """
'''


_QUESTIONS = (
    Question(
        "images and labels shuffled separately",
        "c",
        {
            "a": "nothing is wrong for Python: shuffle both separately and run the lab's checks of counts and ranges",
            "b": "shuffling changes the order and no shape: print both shapes before and after",
        },
    ),
    Question(
        "1,000 samples in batches of 64",
        "b",
        {
            "a": "15 full batches hold 960 samples: where are the other 40?",
            "c": "64 is the number of samples in a batch; count how often 64 fits into 1,000",
        },
    ),
    Question(
        "200 + 100 as uint8",
        "c",
        {
            "a": "a uint8 has 256 values, 0 to 255: run np.array([200], np.uint8) + np.uint8(100)",
            "b": "NumPy does not stop at the largest value: run np.array([200], np.uint8) + np.uint8(100)",
        },
    ),
    Question(
        "the best of 30 settings on the test digits",
        "a",
        {
            "b": "part of the best result is luck: let 30 students guess 100 coin tosses, and the best one 100 more",
            "c": "the winner's luck does not grow: let 30 students guess 100 coin tosses, and the best one 100 more",
        },
    ),
    Question(
        "always answering 7 where 990 of 1,000 are sevens",
        "c",
        {
            "a": "that holds if each digit is equally frequent; count how many answers are right here",
            "b": "count how many of the 1,000 answers are right",
        },
    ),
)


def _check_predictions(answer: Answer) -> None:
    check_choices(answer, _QUESTIONS)


def _check_batches(answer: Answer) -> None:
    n, size = 23, 5
    # The first pixel tells which sample an image is, so that pairs can be followed; no pixel is brighter than 230.
    images = np.random.default_rng(0).integers(0, 231, (n, 28, 28)).astype(np.uint8)
    images[:, 0, 0] = np.arange(1, n + 1) * 10
    labels = np.arange(n) * 7 % 10
    on = f"{n} samples in batches of {size}, rng = numpy.random.default_rng(1)"
    pairs = _collect(answer, images, labels, size, 1, on)
    sizes = [len(t) for _, t in pairs]
    expect(
        sizes,
        [5, 5, 5, 5, 3],
        f"the sizes of the batches of {on}",
        [
            (
                [5, 5, 5, 5],
                "the last batch, of 3, is missing: range must end at n, not at n // batch_size * batch_size",
            ),
            ([5, 5, 5, 5, 5], "every batch is the same slice: take first : first + batch_size"),
        ],
    )
    _check_form(pairs[0], on)
    _check_first_pixels([x[:, 0, 0, 0] for x, _ in pairs], on)
    seen = np.concatenate([np.rint(x[:, 0, 0, 0] * 25.5).astype(int) - 1 for x, _ in pairs])
    if sorted(seen.tolist()) != list(range(n)):
        raise Wrong(
            "some samples are repeated and others are missing",
            on,
            "rng.integers and rng.choice draw with replacement; rng.permutation holds each index once",
        )
    gap = np.abs(np.concatenate([x[:, 0] for x, _ in pairs]) - images[seen] / 255)
    if gap.max() > 1e-5:
        raise Wrong(
            f"a pixel differs from images / 255 by {gap.max():.3g}",
            on,
            "keep every pixel where it is, and divide by 255 only",
        )
    if not np.array_equal(np.concatenate([np.ravel(t) for _, t in pairs]), labels[seen]):
        raise Wrong(
            "the labels do not belong to their images",
            on,
            "images and labels must follow the same order; two shuffles are two orders",
        )
    if seen.tolist() == list(range(n)):
        raise Wrong("the samples come in the order of the file", on, "draw the order from rng: rng.permutation(n)")
    blocks = [set(range(first, min(first + size, n))) for first in range(0, n, size)]
    if all(set(seen[first : first + size].tolist()) in blocks for first in range(0, n, size)):
        raise Wrong(
            "each batch holds neighbours of the file", on, "draw one order for all samples, not one within each batch"
        )
    again = _collect(answer, images, labels, size, 1, on)
    if not all(np.array_equal(a[0], b[0]) for a, b in zip(pairs, again, strict=True)):
        raise Wrong("two runs with the same seed differ", on, "draw from the argument rng, not from np.random")
    other = _collect(answer, images, labels, size, 2, on)
    if all(np.array_equal(a[0], b[0]) for a, b in zip(pairs, other, strict=True)):
        raise Wrong("seeds 1 and 2 give the same order", on, "draw from the argument rng, not from your own")


def _collect(
    answer: Answer, images: np.ndarray, labels: np.ndarray, size: int, seed: int, on: str
) -> list[tuple[np.ndarray, np.ndarray]]:
    def run(images: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        made = answer(images, labels, size, np.random.default_rng(seed))
        if made is None or not hasattr(made, "__next__"):
            kind = "nothing" if made is None else f"a {type(made).__name__}"
            raise Wrong(f"it returns {kind}; expected a generator", on, "use yield inside the loop")
        pairs = []
        for _, pair in zip(range(100), made, strict=False):
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise Wrong(f"it yields a {type(pair).__name__}", on, "yield a pair: images, labels")
            pairs.append((np.array(pair[0]), np.array(pair[1])))  # a copy: an array may be used again
        return pairs

    return call(run, images, labels, on=on)


def _check_form(pair: tuple[np.ndarray, np.ndarray], on: str) -> None:
    x, t = pair
    if x.ndim == 1 and t.ndim > 1:
        raise Wrong(
            f"x has shape {list(x.shape)}; expected [5, 1, 28, 28]", on, "yield the images first, then the labels"
        )
    if x.shape != (5, 1, 28, 28):
        why = "one axis of size 1 is missing: x[:, np.newaxis]" if x.shape == (5, 28, 28) else "count the axes of x"
        raise Wrong(f"x has shape {list(x.shape)}; expected [5, 1, 28, 28]", on, why)
    if t.shape != (5,):
        raise Wrong(f"t has shape {list(t.shape)}; expected [5]", on, "labels are an array with one axis")
    if x.max() > 1:
        raise Wrong(f"the largest pixel is {x.max():g}; expected at most 1", on, "divide by 255")
    if x.dtype != np.float32:
        raise Wrong(f"x is {x.dtype}; expected float32", on, "use astype(np.float32) before the division")
    if x.min() < 0:
        raise Wrong(f"the smallest pixel is {x.min():g}; expected at least 0", on, "divide by 255 and subtract nothing")
    if x.max() < 10 / 255 * 0.99:
        raise Wrong("the pixels are nearly 0", on, "divide by 255 once, and convert to float32 before that")


def _check_first_pixels(values: list[np.ndarray], on: str) -> None:
    """Compare the first pixels of all batches with multiples of 10 / 255."""
    every = np.concatenate(values)

    def are_tens(scaled: np.ndarray) -> bool:
        return bool(np.abs(scaled / 10 - np.rint(scaled / 10)).max() < 1e-3)

    if are_tens(every * 255):
        return
    why = "divide by 255 and do nothing else to the pixels"
    if are_tens(every * 256):
        why = "divide by 255, the largest pixel, not by 256"
    elif are_tens(every * 230) or max(float(part.max()) for part in values) == 1:
        why = "divide by 255 in every batch, not by the largest pixel that occurs"
    raise Wrong(f"the first pixels are {np.round(every[:5], 4).tolist()}; expected multiples of 10 / 255", on, why)


_SAME_LABEL = "images with equal labels are no duplicates: compare the pixels"


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
        (
            "six good samples that all show a 7",
            clean,
            alike,
            [],
            [([1, 2, 3, 4, 5], _SAME_LABEL)],
        ),
        ("an image with a single faint dot", one_dot, labels, [], [([3], "a pixel of 1 is ink too; only 0 is paper")]),
        (
            "samples 0 and 4 blank",
            blank,
            labels,
            [0, 4],
            [([4], "sample 0 is blank as well: only the duplicate is found")],
        ),
        (
            "samples 2 and 5 equal to sample 1, with other labels",
            twice,
            labels,
            [2, 5],
            [
                ([1, 2, 5], "the first of equal images is good; only later ones are faulty"),
                ([2], "an image can occur more than twice: compare with all earlier ones"),
                ([5], "an image can occur more than twice: compare with all earlier ones"),
                ([], "duplicates are not found, or only neighbours or images with equal labels are compared"),
            ],
        ),
        (
            "labels 0, 9, 10, 3, -1, 4",
            clean,
            np.array([0, 9, 10, 3, -1, 4]),
            [2, 4],
            [([2], "a label can be negative"), ([1, 2, 4], "9 is a digit"), ([0, 2, 4], "0 is a digit")],
        ),
        (
            "sample 1 blank, sample 4 equal to sample 0 and its label 12",
            both,
            np.array([0, 1, 2, 3, 12, 5]),
            [1, 4],
            [
                ([1, 4, 4], "a sample with two faults is listed once"),
                ([4, 1], "list the indices in ascending order"),
                ([4, 1, 4], "a sample with two faults is listed once"),
            ],
        ),
    ):
        found = call(answer, images, t, on=on)
        expect(list(found) if isinstance(found, np.ndarray) else found, wanted, on, slips)


_BUGS = """\
    raise NotImplementedError  # delete this line; the rest runs, and three things in it are wrong
    image_order = rng.permutation(len(images))
    label_order = rng.permutation(len(labels))
    for first in range(0, len(images) - batch_size, batch_size):
        chosen = slice(first, first + batch_size)
        x = (images[image_order[chosen]] / 255).astype(np.float32)
        yield x, labels[label_order[chosen]]
"""

EXERCISES = (
    Exercise(
        _PREDICTIONS,
        _check_predictions,
        (
            (
                "Each choice can be tried in two or three lines of Python. Guess first.",
                "每个选项都可以用两三行 Python 试出来。先猜。",
            ),
            (
                "For question 4: the best of many results is partly luck, and luck does not repeat.",
                "第 4 题：许多结果中最好的那个，有一部分是运气，而运气不会重复。",
            ),
        ),
        body(5),
    ),
    Exercise(
        _BATCHES,
        _check_batches,
        (
            (
                "Check three things: do labels stay with their images, is any sample lost, how many axes has x?",
                "检查三件事：标签还和自己的图像在一起吗？有没有样本丢失？x 有几个轴？",
            ),
            (
                "One order serves both; range must go up to len(images); x[:, np.newaxis] adds an axis of size 1.",
                "图像和标签共用一个顺序；range 要走到 len(images)；x[:, np.newaxis] 加上大小为 1 的轴。",
            ),
        ),
        _BUGS,
    ),
    Exercise(
        _FAULTS,
        _check_faults,
        (
            (
                "Three tests, and one loop that appends the index if any of them fails.",
                "做三项检查；循环中只要有一项不过，就记下该样本。",
            ),
            (
                "image.tobytes() can be stored in a set, and looking it up tells whether it occurred before.",
                "image.tobytes() 可以放进集合，集合能立刻告诉你它以前出现过没有。",
            ),
        ),
    ),
)

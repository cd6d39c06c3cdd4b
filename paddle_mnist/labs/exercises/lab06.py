"""Exercises of lab 6: predictions, a backward walk with bugs to find, and the backward rule of a new operation."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect
from paddle_mnist.labs.exercises.choices import Question, body, check_choices

_PREDICTIONS = '''
def predictions():
    """Answer five questions before you run anything. 先猜答案，不要先运行。

    1. y = x * x * x for x = 2. What is x.grad after y.backward()?
       y = x * x * x，x = 2。y.backward() 之后，x.grad 是多少？
       a) 4   b) 8   c) 12
    2. b has shape [3], x has shape [5, 3], and L is the sum of all elements of x + b. Then b.grad is
       b 的形状是 [3]，x 的形状是 [5, 3]，L 是 x + b 所有元素之和。b.grad 是
       a) [1, 1, 1]
       b) [5, 5, 5]
       c) an array [5, 3] of ones.  形状为 [5, 3]、全为 1 的数组。
    3. Backward visits a value once, but too early: before one of the values that use it.
       反向只访问每个值一次，但对某个值访问得太早：在一个用到它的值之前。
       a) Python raises an error. 程序报错。
       b) What the value was computed from gets a gradient in which a part is missing.
          用来算出这个值的那些值，得到的梯度缺了一部分。
       c) The gradients are right, because sums do not depend on their order. 梯度是对的，因为求和与顺序无关。
    4. A number is doubled 30 times by y = y + y. How often does the lab's engine apply a rule of backward?
       用 y = y + y 把一个数翻倍 30 次。实验中的引擎要应用多少次反向规则？
       a) 30 times.  30 次。
       b) 60 times.  60 次。
       c) more than a billion times.  十亿多次。
    5. In Paddle, a loop calls loss.backward() for one batch, then for the next, and never clear_grad(). W.grad holds
       在 Paddle 中，循环先对一批调用 loss.backward()，再对下一批调用，从不调用 clear_grad()。W.grad 是
       a) the gradient of the second batch.  第二批的梯度。
       b) the mean of both.  两批梯度的平均。
       c) the sum of both.  两批梯度之和。
    Returns: a dict from the number of each question to a letter.
    """
'''

_BACKWARD = '''
def backward(graph, last):
    """Return the gradient of L with respect to every value that it was computed from, where L is the value `last`.

    graph: for each computed value, a list of (used, slope), one pair for each use of another value. Values are names,
        slopes are numbers. A name that is not in the dict was given. L = a² + 3 a for a = 2, in three steps, is
        {"p": [("a", 2.0), ("a", 2.0)], "q": [("a", 3.0)], "L": [("p", 1.0), ("q", 1.0)]}.
    last: the name of L. The dict may hold other values too, which L does not depend on.
    Returns: a dict from the name of each value that L depends on, and of L itself, to a number. Here
        {"L": 1.0, "p": 1.0, "q": 1.0, "a": 7.0}. The lines below do something else: find the bugs.
    """
'''

_NORMALISE = '''
def normalise_backward(x, dy):
    """Return dx, the gradient of a layer that scales each row to the mean square 1.

    y[s, j] = x[s, j] / r[s], where r[s] = sqrt(mean over j of x[s, j]²).
    x: [n, k], no row all 0.  dy: [n, k], the gradient of the loss with respect to y.
    Returns: dx [n, k].
    """
'''

_QUESTIONS = (
    Question(
        "x * x * x at x = 2",
        "c",
        {
            "a": "x is used three times, and the gradients of all uses add up; this is one of them",
            "b": "8 is the value of y; the slope of x³ is asked for",
        },
    ),
    Question(
        "the gradient of a bias that was broadcast",
        "b",
        {
            "a": "each element of b is used once for every row of x: how many rows are there?",
            "c": "a gradient has the shape of what it belongs to: sum over the rows",
        },
    ),
    Question(
        "a value visited too early",
        "b",
        {
            "a": "an incomplete gradient is a number like any other, so nothing fails: try it with L = a b + a",
            "c": "the sum arrives whole, but the value has passed on what it had by then, and passes it on only once",
        },
    ),
    Question(
        "30 doublings",
        "b",
        {
            "a": "each sum uses y twice: how many uses have 30 sums?",
            "c": "that is one call for each path, as in the first attempt; the engine visits every value once",
        },
    ),
    Question(
        "backward twice without clear_grad",
        "c",
        {
            "a": "the lab runs this: compare tensors['W1'].grad after one and after two calls",
            "b": "nothing divides by the number of calls: compare tensors['W1'].grad after one and after two calls",
        },
    ),
)


def _check_predictions(answer: Answer) -> None:
    check_choices(answer, _QUESTIONS)


def _check_backward(answer: Answer) -> None:
    doubled = {f"y{n}": [(f"y{n - 1}", 1.0), (f"y{n - 1}", 1.0)] for n in range(1, 13)}
    for on, graph, last in (
        ("a chain: u = 3 a, L = 5 u", {"u": [("a", 3.0)], "L": [("u", 5.0)]}, "L"),
        (
            "L = a² + 3 a",
            {"p": [("a", 2.0), ("a", 2.0)], "q": [("a", 3.0)], "L": [("p", 1.0), ("q", 1.0)]},
            "L",
        ),
        (
            "a long and a short way: u = 2 a, v = 3 u, L = v + 4 u",
            {"u": [("a", 2.0)], "v": [("u", 3.0)], "L": [("u", 4.0), ("v", 1.0)]},
            "L",
        ),
        (
            "the same ways, the long one named first",
            {"u": [("a", 2.0)], "v": [("u", 3.0)], "L": [("v", 1.0), ("u", 4.0)]},
            "L",
        ),
        (
            "L does not depend on w",
            {"w": [("a", 9.0), ("b", 1.0)], "L": [("a", 2.0)]},
            "L",
        ),
        ("L was given", {"w": [("a", 9.0)]}, "L"),
        ("twelve doublings", doubled, "y12"),
    ):
        wanted = _gradients(graph, last)
        on = f"{on}: {graph}" if len(graph) < 6 else on
        found = call(answer, graph, last, on=on)
        if not isinstance(found, dict):
            raise Wrong(f"it returns a {type(found).__name__}, not a dict", on, "return a dict from names to numbers")
        more = sorted(set(map(str, found)) - set(wanted))
        if more:
            raise Wrong(f"it returns a gradient for {', '.join(more)}", on, "return only values that L depends on")
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise Wrong(f"it returns no gradient for {', '.join(missing)}", on, "start with L itself, at 1.0")
        slips = [
            (
                _as_reached(graph, last, add=False),
                "a later use overwrites an earlier one: the gradients of all uses add",
            ),
            (
                _as_reached(graph, last, add=True),
                "a value passes its gradient on before all its uses have reported: order",
            ),
            (
                _gradients(graph, last, add=False),
                "a later use overwrites an earlier one: the gradients of all uses add",
            ),
            (_gradients(graph, last, slopes=False), "the slopes are not used"),
        ]
        expect(found, wanted, on, slips, "print the order in which the values are visited")


def _gradients(graph, last, add=True, slopes=True):
    ordered = []

    def visit(name):
        if name not in ordered:
            for used, _ in graph.get(name, []):
                visit(used)
            ordered.append(name)

    visit(last)
    gradients = dict.fromkeys(ordered, 0.0) | {last: 1.0}
    for name in reversed(ordered):
        for used, slope in graph.get(name, []):
            gradients[used] = add * gradients[used] + (slope if slopes else 1.0) * gradients[name]
    return gradients


def _as_reached(graph, last, add):
    """Return what comes out if every value is visited as soon, and as often, as it is reached."""
    gradients, waiting = {last: 1.0}, [last]
    while waiting:
        name = waiting.pop(0)
        for used, slope in graph.get(name, []):
            gradients[used] = add * gradients.get(used, 0.0) + slope * gradients[name]
            waiting.append(used)
    return gradients


def _check_normalise(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for n, k in ((1, 2), (1, 3), (4, 3), (3, 3), (2, 1)):
        x, dy = rng.standard_normal((n, k)), rng.standard_normal((n, k))
        on = f"x {x.round(2).tolist()}, dy {dy.round(2).tolist()}" if n == 1 else f"x and dy of shape [{n}, {k}]"
        r = np.sqrt((x**2).mean(axis=1, keepdims=True))
        y = x / r
        through_r = y * (dy * y).mean(axis=1, keepdims=True)
        wanted = (dy - through_r) / r
        slips = [
            (dy / r, "r depends on x too: x is used twice, and the gradients of both uses add"),
            (-through_r / r, "only the use in r is counted; x is also used in the numerator"),
            ((dy + through_r) / r, "a larger r makes y smaller: the part through r has a minus"),
            ((dy - y * (dy * y).sum(axis=1, keepdims=True)) / r, "r holds the mean of the squares, not their sum"),
            ((dy - y * (dy * y).mean(axis=0)) / r, "each row has its own r: take the mean along axis 1"),
            ((dy - y * (dy * y).mean()) / r, "each row has its own r: take the mean along axis 1, with keepdims=True"),
            (dy - through_r, "divide by r: y is x / r"),
            (y, "this is the forward pass"),
        ]
        # With one column y is 1 or -1 whatever x is, and every part of dx cancels: compare with the size of its parts.
        scale = float(np.abs(dy / r).max())
        found = call(answer, x, dy, on=on)
        if k == 1 and np.shape(found) == wanted.shape and np.allclose(found, 0, atol=1e-9 * scale):
            continue
        expect(found, wanted, on, slips, "check dx by measuring, with your numerical_gradient of lab 3")


_BUGS = """\
    raise NotImplementedError  # delete this line; the rest runs, and has two bugs
    gradients = {last: 1.0}
    waiting = [last]
    while waiting:
        name = waiting.pop(0)
        for used, slope in graph.get(name, []):
            gradients[used] = slope * gradients[name]
            waiting.append(used)
    return gradients
"""

EXERCISES = (
    Exercise(
        _PREDICTIONS,
        _check_predictions,
        (
            (
                "Each question is about counting uses: how often is a value used, and what happens to each use?",
                "每个问题都是在数使用次数：一个值用了几次，每次使用会怎样？",
            ),
            (
                "Questions 1, 2 and 4 can be tried with the lab's Value, question 5 with Paddle.",
                "第 1、2、4 题可以用实验中的 Value 试，第 5 题用 Paddle 试。",
            ),
        ),
        body(5),
    ),
    Exercise(
        _BACKWARD,
        _check_backward,
        (
            (
                "Follow L = a² + 3 a by hand. What is lost when a is reached a second time?",
                "手工走一遍 L = a² + 3 a。第二次到达 a 时，丢掉了什么？",
            ),
            (
                "Adding is not enough: a value visited twice passes its gradient on twice. Find an order first.",
                "只改成相加还不够：一个值被访问两次，就会把梯度传两次。要先找出顺序。",
            ),
            (
                "Visit what a value uses before you write it down, each value once; then read the list from its end.",
                "记下一个值之前，先访问它用到的值，每个值只访问一次；然后从列表末尾往前走。",
            ),
        ),
        _BUGS,
    ),
    Exercise(
        _NORMALISE,
        _check_normalise,
        (
            (
                "x is used in the numerator and in r. Find the gradient of each use, then add them.",
                "x 既用在分子里，又用在 r 里。分别求出两次使用的梯度，再相加。",
            ),
            (
                "Each r[s] is used by all y of its row: dr[s] is the sum over j of dy[s, j] times -x[s, j] / r[s]².",
                "每个 r[s] 被该行所有的 y 用到：dr[s] 是对 j 求和的 dy[s, j] 乘以 -x[s, j] / r[s]²。",
            ),
            (
                "The slope of r with respect to x[s, j] is x[s, j] / (k r[s]), where k is the number of columns.",
                "r 对 x[s, j] 的斜率是 x[s, j] / (k r[s])，其中 k 是列数。",
            ),
        ),
    ),
)

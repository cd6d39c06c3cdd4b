# %% [markdown]
# # 6. Autograd in forty lines · 四十行自动求导
#
# In lab 3 we wrote the backward pass by hand. Change the net, and it has to be written again. Paddle never asks for
# that: you write the forward pass, and call `loss.backward()`. How does it know? It records what is computed, and walks
# back through the record. This lab builds such an engine, in forty lines, and trains lab 3's net on it.
#
# > 在实验 3 中，我们手写了反向传播。网络一改，它就得重写。Paddle 从不要求这样做：
# > 你写前向传播，再调用 `loss.backward()`。它怎么知道该怎么做？它记录计算过程，再沿着记录倒着走。
# > 本实验用四十行搭建这样一个引擎，并用它训练实验 3 的网络。

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: lab 1 says why

import inspect
import time

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.accuracy import in_percent
from paddle_mnist.labs.graphs import draw_record
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch import layers

lab = Lab("06_autograd")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## A number that remembers · 会记忆的数
#
# Begin with single numbers, sums and products. A `Number` remembers which numbers it was computed from, and its slope
# with respect to each of them. Python lets us define what `+` and `*` do, so the record is written while we compute.
#
# > 先从单个的数、加法和乘法开始。一个 `Number` 记得自己是由哪些数算出来的，以及它对每个数的斜率。
# > Python 允许我们定义 `+` 和 `*` 的含义，所以一边计算，一边就写下了记录。


# %%
lab.section("A number that remembers")


class Number:
    def __init__(self, data, *uses):
        self.data = data
        self.uses = uses  # pairs: a number that was used, and our slope with respect to it
        self.grad = 0.0  # the gradient of L with respect to this number, once it is known

    def __add__(self, other):
        return Number(self.data + other.data, (self, 1.0), (other, 1.0))

    def __mul__(self, other):
        return Number(self.data * other.data, (self, other.data), (other, self.data))


a, b = Number(2.0), Number(5.0)
L = a * b + a
print("L =", L.data, "; it was computed from", [used.data for used, _ in L.uses])
assert L.data == 12.0
assert L.uses[1][0] is a, "a is used a second time, in the sum"

# %% [markdown]
# ## Backward, first attempt · 反向，第一次尝试
#
# L's own gradient is 1. Each number adds what arrives to its gradient, and passes it on, times the slope, to every
# number that it used. Lab 3 told us why it *adds*: the gradients of a value that is used several times add up.
#
# **Predict, then run:** for a = 2 and b = 5, what are dL/da and dL/db of L = a b + a? And what would dL/da be if the
# second use overwrote the first?
#
# > L 自己的梯度是 1。每个数把传来的梯度加到自己的梯度上，再乘以斜率，传给它用过的每个数。
# > 为什么是*加*？实验 3 说过：一个值用了几次，它的梯度就是各次使用的梯度之和。
# >
# > **先预测，再运行**：当 a = 2、b = 5 时，L = a b + a 的 dL/da 和 dL/db 是多少？
# > 如果第二次使用覆盖了第一次，dL/da 会变成多少？


# %%
lab.section("Backward, first attempt")
calls = 0


def push(number, gradient):
    global calls
    calls += 1
    number.grad += gradient
    for used, slope in number.uses:
        push(used, gradient * slope)


push(L, 1.0)
print("dL/da =", a.grad, "  dL/db =", b.grad)
assert (a.grad, b.grad) == (6.0, 2.0)
first_use, second_use = 1.0 * b.data, 1.0
assert a.grad == first_use + second_use
print(f"overwritten instead of added, dL/da would be {second_use} or {first_use}, whichever comes last")

# %% [markdown]
# The answer is right. But look at the cost. Double a number n times, y = y + y. Each sum uses y twice, so it passes its
# gradient on twice.
#
# **Predict, then run:** how often is `push` called for 15 doublings?
#
# > 答案是对的，但看看代价。把一个数翻倍 n 次，y = y + y。每个和用了两次 y，所以把梯度传了两次。
# >
# > **先预测，再运行**：翻倍 15 次，`push` 会被调用多少次？


# %%
def doubled(x, n):
    y = x
    for _ in range(n):
        y = y + y
    return y


calls, x = 0, Number(1.0)
push(doubled(x, 15), 1.0)
print(f"15 doublings: dL/dx = {x.grad:g}, found with {calls:,} calls")
assert x.grad == 2**15
assert calls == 2**16 - 1, "one for each path from the end to a number"

# %% [markdown]
# ## The right order · 正确的顺序
#
# `push` walks every *path*, and here the number of paths doubles with every sum. There is a better way: let a number
# wait until all its uses have reported, and then pass its gradient on once. For that we need an order in which every
# number comes before the numbers it used: a *topological order*.
#
# It is easy to find. Visit a number only once; visit what it used first; then write it down. Each number is written
# down after everything it used. Read the list from its end.
#
# > `push` 走遍每一条*路径*，而这里每多一个和，路径的数目就翻一倍。有更好的办法：让一个数等到它的所有使用都汇报完毕，
# > 再把自己的梯度传一次。为此需要一个顺序，使每个数都排在它用过的数之前：这就是*拓扑顺序*。
# >
# > 它很容易找到：每个数只访问一次；先访问它用过的数；然后把它记下来。这样，每个数都记在它用过的数之后。
# > 再从列表的末尾往前读。


# %%
lab.section("The right order")


def in_order(last):
    """Return everything that a number was computed from, and itself: each after all that it used."""
    ordered, seen = [], set()

    def visit(number):
        if number not in seen:
            seen.add(number)
            for used, _ in number.uses:
                visit(used)
            ordered.append(number)

    visit(last)
    return ordered


calls, x = 0, Number(1.0)
L = doubled(x, 15)
L.grad = 1.0
for number in reversed(in_order(L)):
    calls += 1
    for used, slope in number.uses:
        used.grad += number.grad * slope
print(f"15 doublings: dL/dx = {x.grad:g}, found with {calls} visits")
assert x.grad == 2**15
assert calls == 16

# %% [markdown]
# ## Broadcasting · 广播
#
# A net computes with arrays. NumPy adds a bias [3] to every row of an array [5, 3]: it *broadcasts* the bias. So each
# bias is used five times.
#
# **Predict, then run:** y = x + b has shape [5, 3], and the gradient dy is 1 everywhere. What is db?
#
# > 网络用数组计算。NumPy 把偏置 `[3]` 加到 `[5, 3]` 的每一行上：偏置被*广播*了。所以每个偏置用了五次。
# >
# > **先预测，再运行**：y = x + b 的形状是 `[5, 3]`，梯度 dy 处处为 1。db 是什么？


# %%
lab.section("Broadcasting")


def fitted(gradient, shape):
    """Return a gradient summed over all uses of each element of an array of this shape that was broadcast."""
    while gradient.ndim > len(shape):  # axes that broadcasting put in front
        gradient = gradient.sum(axis=0)
    for axis, size in enumerate(shape):
        if size == 1:  # an axis of size 1, repeated
            gradient = gradient.sum(axis=axis, keepdims=True)
    return gradient


dy = np.ones((5, 3))
print("db =", fitted(dy, (3,)), "  for a column [5, 1]:", fitted(dy, (5, 1)).ravel())
assert np.array_equal(fitted(dy, (3,)), [5, 5, 5])
assert np.array_equal(fitted(dy, (5, 1)), 3 * np.ones((5, 1)))
assert np.array_equal(fitted(dy, (5, 3)), dy), "nothing was repeated, nothing is summed"

# %% [markdown]
# ## The engine · 引擎
#
# Now everything together, for arrays. A slope is no longer a number, so a `Value` remembers a *rule* for each value
# that it used: a function from its own gradient to that value's share. The rules of `@` are those of lab 3, dx = dy Wᵀ
# and dW = xᵀ dy. `sum` keeps the axes that it sums over, with size 1, so that its gradient broadcasts back.
#
# These are the forty lines. `in_order` and `fitted` from above serve them.
#
# > 现在把一切合在一起，用于数组。斜率不再是一个数，所以 `Value` 为它用过的每个值记住一条*规则*：
# > 一个函数，由自己的梯度算出那个值应得的一份。`@` 的规则就是实验 3 的 dx = dy Wᵀ 和 dW = xᵀ dy。
# > `sum` 保留求和的轴，大小为 1，这样它的梯度可以广播回去。
# >
# > 四十行就在这里，上面的 `in_order` 和 `fitted` 供它们使用。


# %%
lab.section("The engine")


class Value:
    def __init__(self, data, made_by="", *uses):
        self.data = np.asarray(data, dtype=float)
        self.made_by = made_by
        self.uses = uses  # pairs: a value that was used, and the rule that gives its share of our gradient

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, "+", (self, lambda d: d), (other, lambda d: d))

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, "*", (self, lambda d: d * other.data), (other, lambda d: d * self.data))

    def __matmul__(self, other):
        result = self.data @ other.data
        return Value(result, "@", (self, lambda d: d @ other.data.T), (other, lambda d: self.data.T @ d))

    def relu(self):
        return Value(np.maximum(self.data, 0), "relu", (self, lambda d: d * (self.data > 0)))

    def exp(self):
        result = np.exp(self.data)
        return Value(result, "exp", (self, lambda d: d * result))

    def log(self):
        return Value(np.log(self.data), "log", (self, lambda d: d / self.data))

    def sum(self, axis=None):
        return Value(self.data.sum(axis, keepdims=True), "sum", (self, lambda d: np.broadcast_to(d, self.data.shape)))

    def backward(self):
        ordered = in_order(self)
        for value in ordered:
            value.grad = np.zeros_like(value.data)
        self.grad = np.ones_like(self.data)
        for value in reversed(ordered):
            for used, rule in value.uses:
                used.grad += fitted(rule(value.grad), used.data.shape)


def as_value(other):
    return other if isinstance(other, Value) else Value(other)


def code_lines(function):
    """Count the lines of code: neither blank nor comment nor docstring."""
    lines = [line.strip() for line in inspect.getsource(function).splitlines()]
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines)


methods = [method for method in vars(Value).values() if inspect.isfunction(method)]
engine = 1 + sum(map(code_lines, [*methods, as_value]))  # 1 for the line of the class
helpers = sum(map(code_lines, [in_order, fitted]))
print(f"the engine has {engine} lines of code; the order and the broadcasting add {helpers}")
assert engine <= 40

a, b = Value(2.0), Value(5.0)
L = a * b + a
L.backward()
assert (a.grad, b.grad) == (6.0, 2.0), "as before"

# %% [markdown]
# ## Check it by measuring · 用测量来检查
#
# Every rule may hide a mistake. So use all of them in one expression, with a broadcast and a value used twice, and
# compare with measured slopes, as in lab 3.
#
# > 每条规则都可能藏着错误。所以把它们全部用在一个式子里，其中有广播，也有用了两次的值，
# > 再像实验 3 那样与量出来的斜率比较。


# %%
lab.section("Check it by measuring")
rng = np.random.default_rng(0)
arrays = {"x": rng.standard_normal((5, 4)), "W": rng.standard_normal((4, 3)), "b": rng.standard_normal(3)}


def everything(x, W, b):
    y = (x @ W + b).relu()
    return ((y * y + y.exp()).sum(axis=1).log() * b.sum()).sum()


values = {name: Value(array) for name, array in arrays.items()}
everything(**values).backward()
for name, array in arrays.items():
    measured = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        for h in (1e-6, -1e-6):
            moved = {other: Value(arrays[other]) for other in arrays}
            moved[name].data = array.copy()
            moved[name].data[place] += h
            measured[place] += everything(**moved).data.item() / (2 * h)
    gap = np.abs(values[name].grad - measured).max()
    print(f"{name}: the largest gap between gradient and measured slope is {gap:.1e}")
    assert gap < 1e-6

# %% [markdown]
# ## Lab 3's net · 实验 3 的网络
#
# Now write down the forward pass of lab 3's net, with its loss, and nothing else. Lab 3 gave the loss of a sample in
# the form log(Σ exp(z)) - z[label]; picking out z[label] is a product with the one-hot row and a sum. As before, we
# subtract the largest score so that no exp overflows. It is subtracted as a plain array, without a record: a shift of
# all scores does not change the loss, so no gradient is lost.
#
# > 现在写出实验 3 网络的前向传播和损失，别的什么都不写。实验 3 把一个样本的损失写成 log(Σ exp(z)) - z[标签]；
# > 取出 z[标签] 就是与 one-hot 的行相乘再求和。和以前一样，先减去最大的得分，使 exp 不会溢出。
# > 减去的是普通数组，不做记录：所有得分平移同一个数不改变损失，所以没有丢失梯度。


# %%
lab.section("Lab 3's net")


def loss_of(params, x, one_hot):
    hidden = (x @ params["W1"] + params["b1"]).relu()
    z = hidden @ params["W2"] + params["b2"]  # [n, 10] scores
    z = z + -z.data.max(axis=1, keepdims=True)
    losses = z.exp().sum(axis=1).log() + (z * one_hot).sum(axis=1) * -1.0  # [n, 1]
    return losses.sum() * (1 / len(one_hot))


def random_params(hidden=50, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "W1": rng.standard_normal((784, hidden)) * np.sqrt(2 / 784),
        "b1": np.zeros(hidden),
        "W2": rng.standard_normal((hidden, 10)) * np.sqrt(2 / hidden),
        "b2": np.zeros(10),
    }


def by_hand(params, x, labels):
    """Return loss and gradients by the layers of lab 3, which the package has too."""
    first, second = layers.Affine(params["W1"], params["b1"]), layers.Affine(params["W2"], params["b2"])
    relu, last = layers.ReLU(), layers.SoftmaxWithLoss()
    loss = last.forward(second.forward(relu.forward(first.forward(x))), labels)
    first.backward(relu.backward(second.backward(last.backward())))
    return loss, {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}


def rows(images):
    return images.reshape(-1, 784) / 255  # [n, 784], float64


samples = lab.budget(10_000, 2_000)
train_images, train_labels = rows(digits.train.images[:samples]), digits.train.labels[:samples].astype(int)
one_hot = np.eye(10)[train_labels]

arrays = random_params()
params = {name: Value(array) for name, array in arrays.items()}
loss = loss_of(params, Value(train_images[:100]), one_hot[:100])
loss.backward()
hand_loss, hand = by_hand(arrays, train_images[:100], train_labels[:100])
print(f"loss by the engine {loss.data.item():.12f}, by hand {hand_loss:.12f}")
assert np.isclose(loss.data.item(), hand_loss, rtol=1e-12)
for name in params:
    gap = np.abs(params[name].grad - hand[name]).max()
    print(f"{name}: the largest gap between the two gradients is {gap:.1e}")
    assert gap < 1e-12

# %% [markdown]
# This is the record that the engine made of that one line of the loss. The blue numbers are the order in which backward
# visits it: from L to the parameters, each value only after everything that uses it.
#
# > 这就是引擎为这一次损失计算所做的记录。蓝色的数字是反向访问的顺序：从 L 走到参数，
# > 每个值都在所有用到它的值之后。

# %%
names = {id(value): name for name, value in params.items()} | {id(loss): "L"}
names[id(in_order(loss)[0])] = "x"
figure, axes = plt.subplots(figsize=(14, 5), layout="constrained")
draw_record(axes, in_order(loss), names)
axes.set_title("The record of one loss: backward (blue numbers) reaches a value only after all its uses", fontsize=14)
lab.save(figure, "record.png")
position = {id(value): place for place, value in enumerate(reversed(in_order(loss)))}
for value in in_order(loss):
    assert all(position[id(value)] < position[id(used)] for used, _ in value.uses)

# %% [markdown]
# ## Paddle does the same · Paddle 也是这样做的
#
# A Paddle tensor with `stop_gradient=False` is such a value. Give Paddle the same numbers, in the same float64.
#
# > `stop_gradient=False` 的 Paddle 张量就是这样一个值。把同样的数、同样的 float64 交给 Paddle。

# %%
lab.section("Paddle does the same")
cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16 shows how)
import paddle

tensors = {name: paddle.to_tensor(array, stop_gradient=False) for name, array in arrays.items()}
x, labels = paddle.to_tensor(train_images[:100]), paddle.to_tensor(train_labels[:100])


def paddle_loss():
    hidden = paddle.nn.functional.relu(x @ tensors["W1"] + tensors["b1"])
    return paddle.nn.functional.cross_entropy(hidden @ tensors["W2"] + tensors["b2"], labels)


theirs = paddle_loss()
theirs.backward()
assert np.isclose(float(theirs), loss.data.item(), rtol=1e-12)
for name, tensor in tensors.items():
    gap = np.abs(tensor.grad.numpy() - params[name].grad).max()
    print(f"{name}: the largest gap between Paddle's gradient and ours is {gap:.1e}")
    assert gap < 1e-12

# %% [markdown]
# There is one difference to know about. Our `backward` starts every gradient at 0. Paddle's *adds* to what is there, so
# that several losses can be summed. This is why every training loop in Paddle calls `clear_grad` once a step.
#
# > 有一处不同需要知道。我们的 `backward` 让每个梯度从 0 开始，而 Paddle 的是*加*到原有的梯度上，
# > 这样可以把几个损失加起来。所以 Paddle 的每个训练循环每一步都要调用一次 `clear_grad`。

# %%
paddle_loss().backward()  # a second time, without clearing
assert np.allclose(tensors["W1"].grad.numpy(), 2 * params["W1"].grad), "twice the gradient"
tensors["W1"].clear_grad()

# %% [markdown]
# ## Train on it · 用它来训练
#
# The same digits in the same order, once with the gradients of lab 3 and once with the engine's. Then a third net,
# which lab 3 could not train without a new backward pass. It has one more layer, and a shortcut around it: the hidden
# values are used twice, once by the layer and once by the sum.
#
# **Predict, then run:** which lines of the engine must change for the third net?
#
# > 同样的数字，同样的顺序，一次用实验 3 的梯度，一次用引擎的梯度。然后是第三个网络，
# > 要用实验 3 的方法训练它，就得重写反向传播。它多了一层，还有一条绕过这一层的捷径：
# > 隐藏值用了两次，一次给这一层，一次给求和。
# >
# > **先预测，再运行**：为了第三个网络，引擎的哪几行需要修改？


# %%
lab.section("Train on it")


def loss_with_shortcut(params, x, one_hot):
    hidden = (x @ params["W1"] + params["b1"]).relu()
    hidden = (hidden @ params["W3"] + params["b3"]).relu() + hidden  # the shortcut
    z = hidden @ params["W2"] + params["b2"]
    z = z + -z.data.max(axis=1, keepdims=True)
    losses = z.exp().sum(axis=1).log() + (z * one_hot).sum(axis=1) * -1.0
    return losses.sum() * (1 / len(one_hot))


def by_engine(loss_of):
    def gradients(arrays, x, labels):
        params = {name: Value(array) for name, array in arrays.items()}
        loss = loss_of(params, Value(x), np.eye(10)[labels])
        loss.backward()
        return loss.data.item(), {name: value.grad for name, value in params.items()}

    return gradients


def train(arrays, gradients, epochs, rate=0.1):
    """Return the loss of each step and the seconds a step took."""
    rng, losses, began = np.random.default_rng(0), [], time.perf_counter()
    for _ in range(epochs):
        order = rng.permutation(len(train_labels))
        for first in range(0, len(order), 100):
            chosen = order[first : first + 100]
            loss, slopes = gradients(arrays, train_images[chosen], train_labels[chosen])
            for name in arrays:
                arrays[name] -= rate * slopes[name]
            losses.append(loss)
    return np.array(losses), (time.perf_counter() - began) / len(losses)


epochs = lab.budget(8, 4)
extra = {"W3": np.random.default_rng(3).standard_normal((50, 50)) * np.sqrt(2 / 50), "b3": np.zeros(50)}
nets = {
    "by hand": (random_params(), by_hand),
    "by the engine": (random_params(), by_engine(loss_of)),
    "by the engine, with a shortcut": (random_params() | extra, by_engine(loss_with_shortcut)),
}
losses, seconds = {}, {}
for name, (arrays, gradients) in nets.items():
    losses[name], seconds[name] = train(arrays, gradients, epochs)
    print(f"{name:31} last losses {losses[name][-20:].mean():.4f}   {1000 * seconds[name]:.1f} ms a step")
gap = np.abs(losses["by hand"] - losses["by the engine"]).max()
print(f"the largest gap between the losses by hand and by the engine: {gap:.1e}")
assert gap < 1e-9
assert all(each[-20:].mean() < 0.5 * each[0] for each in losses.values())

figure, axes = plt.subplots(figsize=(8, 4.4))
styles = ({"linewidth": 6, "alpha": 0.35}, {"linewidth": 1.5}, {"linewidth": 1.5, "linestyle": "--"})
for place, (name, style) in enumerate(zip(losses, styles, strict=True)):
    smooth = np.convolve(losses[name], np.ones(20) / 20, mode="valid")
    axes.plot(range(20, len(smooth) + 20), smooth, color=COLOURS[(0, 0, 1)[place]], label=name, **style)
axes.set(
    title="The engine trains as gradients by hand do; a new net needs no new backward pass",
    ylim=(0, None),
    xlim=(0, None),
)
axes.set(xlabel="step (100 digits)", ylabel="loss, mean of the last 20 steps")
axes.legend()
lab.save(figure, "training.png")

# %% [markdown]
# The answer is: none. The engine knows sums, products and rectifiers, and any net made of them.
#
# Nothing was chosen by looking at results, so we can open the test digits.
#
# > 答案是：一行也不用改。引擎认识加法、乘法和 ReLU，也就认识由它们组成的任何网络。
# >
# > 我们没有根据结果做过任何选择，所以可以看测试数字了。

# %%
lab.section("The test, once")


def is_right(arrays, images, labels):
    """Return booleans [n]: whether the net without shortcut reads each digit right."""
    hidden = np.maximum(images @ arrays["W1"] + arrays["b1"], 0)
    return (hidden @ arrays["W2"] + arrays["b2"]).argmax(axis=1) == labels


tested = is_right(nets["by the engine"][0], rows(digits.eval.images), digits.eval.labels)
print(f"lab 3's net, trained by the engine, on {len(tested):,} test digits: {in_percent(tested)}")
assert tested.mean() > 0.8

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 06 --start`, and write into `labs/my/06.py`.
#
# 1. `predictions()`: five short questions. Choose before you run anything.
# 2. `backward(graph, last)`: find the bugs. A walk back through a graph, with two mistakes.
# 3. `normalise_backward(x, dy)`: the backward rule of a new operation, in which x is used twice.
#
# > 先运行 `python -m paddle_mnist.check 06 --start`，再把答案写进 `labs/my/06.py`。
# >
# > 1. `predictions()`：五个小问题。先选答案，不要先运行。
# > 2. `backward(graph, last)`：找错误。沿着计算图倒着走，其中有两处错误。
# > 3. `normalise_backward(x, dy)`：一个新运算的反向规则，其中 x 用了两次。

# %%
lab.finish(accuracy=round(float(tested.mean()), 4))

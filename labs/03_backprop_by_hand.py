# %% [markdown]
# # 3. Backprop by hand · 手写反向传播
#
# A net has tens of thousands of weights. Which way should each one move, so that the net's answers get better?
# Backpropagation answers this for all of them at once, for about twice the price of a forward pass.
#
# > 网络有几万个权重。每个权重该往哪个方向调，网络的回答才会变好？
# > 反向传播一次就给出所有权重的答案，代价大约只是前向传播的两倍。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch import gradient_check, layers
from paddle_mnist.scratch.two_layer_net import TwoLayerNet

lab = Lab("03_backprop_by_hand")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## A computation graph · 计算图
#
# Any computation is a graph of small steps. Take
#
#     L = (x w + b)²
#
# in three steps: u = x w, then v = u + b, then L = v². Forward, each step passes its value on. Backward, each step is
# given dL/d(its output), multiplies by its own slope, and so finds dL/d(each input). That is the chain rule.
#
# > 任何计算都是由许多小步骤组成的图。上式分三步：u = x w,v = u + b,L = v²。
# > 前向时，每一步把值往后传。反向时，每一步得到 L 对自己输出的导数，乘以自己的斜率，
# > 就得到 L 对每个输入的导数。这就是链式法则。

# %%
x, w, b = 3.0, 2.0, -1.0
u = x * w  # forward, from left to right
v = u + b
L = v**2

dL = 1.0  # backward, from right to left: dL/dL is 1
dv = dL * 2 * v  # the slope of v² is 2 v
du = dv * 1  # a sum passes the gradient on as it is
db = dv * 1
dw = du * x  # a product swaps: w gets x ...
dx = du * w  # ... and x gets w
print(f"L = {L}   dL/dw = {dw}   dL/db = {db}   dL/dx = {dx}")
assert (L, dv, dw, db, dx) == (25.0, 10.0, 30.0, 10.0, 20.0)

# %%
figure, axes = plt.subplots(figsize=(9, 4))
nodes = {
    "x": (0, 1.5),
    "w": (0, -0.5),
    "×": (1.2, 0.5),
    "b": (1.2, -1.1),
    "+": (2.4, 0.5),
    "square": (3.6, 0.5),
    "L": (4.8, 0.5),
}
edges = [
    ("x", "×", x, dx),
    ("w", "×", w, dw),
    ("×", "+", u, du),
    ("b", "+", b, db),
    ("+", "square", v, dv),
    ("square", "L", L, dL),
]
for start, end, forward, backward in edges:
    axes.annotate("", nodes[end], nodes[start], arrowprops={"arrowstyle": "->", "shrinkA": 15, "shrinkB": 17})
    middle = (np.array(nodes[start]) + nodes[end]) / 2
    axes.text(middle[0], middle[1] + 0.08, f"{forward:g}", color=COLOURS[0], ha="center", va="bottom", fontsize=13)
    axes.text(middle[0], middle[1] - 0.1, f"{backward:g}", color=COLOURS[1], ha="center", va="top", fontsize=13)
for name, place in nodes.items():
    axes.text(*place, name, ha="center", va="center", bbox={"boxstyle": "round,pad=0.4", "fc": "white"}, fontsize=13)
axes.set(xlim=(-0.4, 5.2), ylim=(-1.4, 1.8))
axes.set_title("L = (x w + b)²: values forward (blue, above), gradients backward (red, below)")
axes.set_axis_off()
lab.save(figure, "graph.png")

# %% [markdown]
# Can we trust these slopes? Measure them: move w a little to both sides, and see how L changes.
#
#     dL/dw ≈ (L(w + h) - L(w - h)) / 2h
#
# > 这些斜率可信吗？量一量就知道：把 w 向两边各移动一点，看 L 变化多少（公式见上）。

# %%
h = 1e-6
measured = ((x * (w + h) + b) ** 2 - (x * (w - h) + b) ** 2) / (2 * h)
print(f"by the chain rule {dw}, measured {measured:.6f}")
assert abs(measured - dw) < 1e-6

# %% [markdown]
# ## The layer Affine · Affine 层
#
# The same rule for arrays. A batch x of n samples gives y = x W + b. Given dy, the gradient with respect to y:
#
#     dx = dy Wᵀ            [n, i] = [n, o] by [o, i]
#     dW = xᵀ dy            [i, o] = [i, n] by [n, o]
#     db = sum of dy's rows [o]
#
# There is no need to learn this by heart: only one order of the factors gives the right shape.
#
# > 对数组是同样的规则。n 个样本的一批 x 给出 y = x W + b。已知 L 对 y 的梯度 dy，就得到上面三式。
# > 不必死记：只有一种相乘的顺序能得到正确的形状。


# %%
class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x  # backward needs it
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


rng = np.random.default_rng(0)
x, W, b = rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
dy = rng.standard_normal((5, 3))
ours, theirs = Affine(W, b), layers.Affine(W, b)
assert np.array_equal(ours.forward(x), theirs.forward(x))
assert np.array_equal(ours.backward(dy), theirs.backward(dy))
assert np.array_equal(ours.dW, theirs.dW) and np.array_equal(ours.db, theirs.db)
print("x", x.shape, "W", W.shape, "y", (x @ W).shape, "-> dx", ours.backward(dy).shape, "dW", ours.dW.shape)
assert ours.dW.shape == W.shape
assert ours.db.shape == b.shape

# %% [markdown]
# ## The layer ReLU · ReLU 层
#
# The rectifier lets positive values through and turns the others into 0. So its slope is 1 or 0: backward, the
# gradient passes where the input was positive and stops elsewhere.
#
# > ReLU 让正数通过，其余变成 0。所以它的斜率是 1 或 0：
# > 反向时，输入为正的地方梯度通过，其他地方被截断。


# %%
class ReLU:
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * self.positive


relu = ReLU()
assert relu.forward(np.array([-2.0, 0.0, 3.0])).tolist() == [0, 0, 3]
assert relu.backward(np.array([10.0, 10.0, 10.0])).tolist() == [0, 0, 10]

# %% [markdown]
# ## Softmax with loss · Softmax 与损失
#
# Softmax turns scores into probabilities p. The loss is the cross entropy: the mean of -log p[label]. It is 0 if the
# net is certain and right, and grows without bound if it is certain and wrong. Together they have the simplest
# gradient of all:
#
#     dL/dscores = (p - one-hot label) / n
#
# > Softmax 把得分变成概率 p。损失是交叉熵：-log p[标签] 的平均值。网络又肯定又正确时为 0；
# > 又肯定又错误时无限增大。两者合在一起，梯度最为简单（公式见上，one-hot 表示标签处为 1、其余为 0）。


# %%
class SoftmaxWithLoss:
    def forward(self, scores, labels):
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        self.p = powers / powers.sum(axis=1, keepdims=True)  # [n, k]
        self.labels = labels
        return -np.log(self.p[np.arange(len(labels)), labels]).mean()

    def backward(self):
        d = self.p.copy()
        d[np.arange(len(d)), self.labels] -= 1
        return d / len(d)


scores, labels = rng.standard_normal((6, 10)), np.array([3, 1, 4, 1, 5, 9])
ours, theirs = SoftmaxWithLoss(), layers.SoftmaxWithLoss()
assert np.isclose(ours.forward(scores, labels), theirs.forward(scores, labels))
assert np.allclose(ours.backward(), theirs.backward())
assert np.allclose(ours.backward().sum(axis=1), 0), "what one score gains the others lose"

# %% [markdown]
# ## A net is a chain · 网络是一条链
#
# Affine, ReLU, Affine, then softmax with loss. Forward through the chain, backward through the reversed chain. This
# function is all of backpropagation.
#
# > Affine、ReLU、Affine，最后是 Softmax 与损失。前向沿着链走，反向倒着走。
# > 下面这个函数就是反向传播的全部。


# %%
def loss_and_gradient(params, x, labels, rectifier=ReLU):
    first, second = Affine(params["W1"], params["b1"]), Affine(params["W2"], params["b2"])
    chain, last = [first, rectifier(), second], SoftmaxWithLoss()
    for layer in chain:
        x = layer.forward(x)
    loss = last.forward(x, labels)
    d = last.backward()
    for layer in reversed(chain):
        d = layer.backward(d)
    return loss, {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}


def random_params(inputs, hidden, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "W1": rng.standard_normal((inputs, hidden)) * np.sqrt(2 / inputs),
        "b1": np.zeros(hidden),
        "W2": rng.standard_normal((hidden, outputs)) * np.sqrt(2 / hidden),
        "b2": np.zeros(outputs),
    }


# %% [markdown]
# ## Check the gradient · 检查梯度
#
# A wrong gradient often goes unnoticed: the net learns, only worse. So check each one against measured slopes, on a
# tiny net, in float64. We compare by
#
#     |a - b| / (|a| + |b|)
#
# which is near 1e-9 if all is well, and near 1 if nothing is.
#
# > 错误的梯度往往不易察觉：网络照样学习，只是学得差。所以要在一个很小的网络上，用 float64，
# > 把每个梯度与量出来的斜率比较。上式的值正常时约为 1e-9，完全错误时接近 1。


# %%
def check(rectifier):
    rng = np.random.default_rng(1)
    params = random_params(6, 5, 4)
    x, labels = rng.standard_normal((7, 6)), rng.integers(0, 4, 7)
    _, gradient = loss_and_gradient(params, x, labels, rectifier)
    errors = {}
    for name, value in params.items():
        measured = np.zeros_like(value)
        for place in np.ndindex(value.shape):
            for sign in (1, -1):
                moved = {**params, name: value.copy()}
                moved[name][place] += sign * 1e-5
                measured[place] += sign * loss_and_gradient(moved, x, labels, rectifier)[0] / 2e-5
        errors[name] = gradient_check.relative_error(gradient[name], measured)
    return errors


errors = check(ReLU)
print("relative errors:", {name: f"{error:.1e}" for name, error in errors.items()})
assert max(errors.values()) < 1e-7

# %% [markdown]
# ## What a wrong backward looks like · 反向写错了是什么样
#
# Leave out one thing: let the rectifier's backward pass everything, also where the input was negative. Nothing
# crashes, every shape is right. The check sees it at once. And it says where: the layers behind the rectifier (W2, b2)
# are right, those before it (W1, b1) are wrong.
#
# > 漏掉一处：让 ReLU 的反向把所有梯度都放过去，包括输入为负的地方。程序不报错，形状也都对。
# > 梯度检查却立刻发现了，而且指出在哪里：ReLU 之后的层（W2、b2）是对的，之前的层（W1、b1）错了。


# %%
class LeakyBackward(ReLU):
    def backward(self, dy):
        return dy  # the mask is forgotten


class Severed(ReLU):
    def backward(self, dy):
        return 0 * dy  # nothing is passed on: the first layer never learns


errors = check(LeakyBackward)
print("with a wrong ReLU:", {name: f"{error:.1e}" for name, error in errors.items()})
assert errors["W2"] < 1e-7 and errors["b2"] < 1e-7
assert errors["W1"] > 0.05 and errors["b1"] > 0.05

# %% [markdown]
# ## Train · 训练
#
# Now learn the digits. Take a batch, get the gradient, move each weight a little against it:
#
#     W ← W - rate · dL/dW
#
# We train three nets from the same start: with the right backward, and with two wrong ones.
#
# > 现在来学数字。取一批样本，求出梯度，把每个权重朝梯度的反方向移动一点（公式见上）。
# > 我们从相同的起点训练三个网络：一个反向正确，另外两个各有一处错误。

# %%
count = lab.budget(20_000, 4_000)
train_images = digits.train.images[:count].reshape(-1, 784).astype(np.float32) / 255  # [n, 784]
train_labels = digits.train.labels[:count].astype(int)  # [n]
test_images = digits.eval.images.reshape(-1, 784).astype(np.float32) / 255
test_labels = digits.eval.labels
epochs = lab.budget(10, 3)

RATE = 0.1


def train(rectifier):
    params, rng, losses = random_params(784, 50, 10), np.random.default_rng(0), []
    params = {name: value.astype(np.float32) for name, value in params.items()}  # half the bytes, twice the speed
    for _ in range(epochs):
        order = rng.permutation(len(train_labels))
        for first in range(0, len(order), 100):
            chosen = order[first : first + 100]
            loss, gradient = loss_and_gradient(params, train_images[chosen], train_labels[chosen], rectifier)
            for name in params:
                params[name] -= RATE * gradient[name]
            losses.append(loss)
    hidden = np.maximum(test_images @ params["W1"] + params["b1"], 0)  # [n, 50]
    answers = (hidden @ params["W2"] + params["b2"]).argmax(axis=1)  # [n]
    return losses, np.mean(answers == test_labels)


kinds = {"right backward": ReLU, "mask forgotten": LeakyBackward, "nothing passed on": Severed}
results = {name: train(rectifier) for name, rectifier in kinds.items()}
for name, (losses, accuracy) in results.items():
    print(f"{name:17} last losses {np.mean(losses[-20:]):.3f}   accuracy {accuracy:.1%}")

# %%
figure, axes = plt.subplots(figsize=(8, 4.5))
for place, (name, (losses, accuracy)) in enumerate(results.items()):
    smooth = np.convolve(losses, np.ones(20) / 20, mode="valid")
    axes.plot(smooth, color=COLOURS[place], linestyle=("-", "--", ":")[place], label=f"{name}: {accuracy:.1%} right")
axes.set(title="A wrong backward learns too, only worse", xlabel="step (100 digits)", ylabel="loss, mean of 20 steps")
axes.legend()
lab.save(figure, "training.png")

right, forgotten = results["right backward"], results["mask forgotten"]
assert right[1] > 0.8
assert np.mean(right[0][-20:]) < 0.5 * right[0][0]
for name in ("mask forgotten", "nothing passed on"):
    assert results[name][1] > 0.25, "it learns nevertheless: this is why it goes unnoticed"
    assert np.mean(results[name][0][-20:]) > np.mean(right[0][-20:]), "but worse"

# %% [markdown]
# ## The package's two-layer net · 软件包里的两层网络
#
# `TwoLayerNet` is this chain, with one layer more: the course puts a ReLU after the last Affine too. Given the same
# weights, and scores above 0, its gradients are ours.
#
# > `TwoLayerNet` 就是这条链，只是多了一层：课程在最后的 Affine 之后也放了 ReLU。
# > 在权重相同、得分都大于 0 时，它的梯度与我们的相同。

# %%
net = TwoLayerNet(784, 50, 10, seed=0)
x, labels = train_images[:100], train_labels[:100]
assert (net.predict(x) > 0).all()
loss, gradient = loss_and_gradient(net.params, x, labels)
assert np.isclose(loss, net.loss(x, labels))
for name, value in net.gradient(x, labels).items():
    assert np.allclose(gradient[name], value), name

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 03 --start`, and write into `labs/my/03.py`.
#
# 1. `numerical_gradient(f, x)`: slopes by measuring.
# 2. `affine_backward(x, W, dy)`: the three gradients of Affine.
# 3. `gradients(params, x, labels)`: the gradients of a net of two layers with sigmoid.
#
# > 先运行 `python -m paddle_mnist.check 03 --start`，再把答案写进 `labs/my/03.py`。
# >
# > 1. `numerical_gradient(f, x)`：用测量求斜率。
# > 2. `affine_backward(x, W, dy)`:Affine 的三个梯度。
# > 3. `gradients(params, x, labels)`：带 Sigmoid 的两层网络的梯度。

# %%
lab.finish(accuracy=round(float(right[1]), 4))

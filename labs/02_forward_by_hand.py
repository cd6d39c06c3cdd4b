# %% [markdown]
# # 2. Forward by hand · 手写前向传播
#
# How does a net turn 784 pixels into a digit? By sums, products and one curve. This lab builds a net of three layers
# from single neurons, sends one image through it, then a hundred at once.
#
# > 网络怎样把 784 个像素变成一个数字？靠求和、相乘和一条曲线。本实验从单个神经元开始搭建三层网络，
# > 先送入一张图像，再一次送入一百张。

# %%
import time

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch import layers, three_layer_net
from paddle_mnist.scratch.learners import build

lab = Lab("02_forward_by_hand")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## One neuron · 一个神经元
#
# A neuron multiplies each of its inputs by a weight, adds everything up, and adds its bias:
#
#     z = x[0] w[0] + x[1] w[1] + x[2] w[2] + b
#
# A large positive weight says "this input speaks for me", a negative one "against me". The bias says how easily the
# neuron is pleased.
#
# > 神经元把每个输入乘以一个权重，全部相加，再加上偏置（公式见上）。
# > 大的正权重表示"这个输入支持我"，负权重表示"反对我"。偏置表示这个神经元有多容易被激活。

# %%
x = np.array([1.0, 0.5, 0.0])  # [3] three inputs
w = np.array([2.0, -1.0, 4.0])  # [3] a weight for each
b = -0.5
z = x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + b
print("z =", z)
assert z == 1.0
assert z == x @ w + b, "the @ operator multiplies and adds up in one go"

# %% [markdown]
# ## The sigmoid · Sigmoid 函数
#
# The neuron's answer is not z itself but a value between 0 (no) and 1 (yes):
#
#     sigmoid(z) = 1 / (1 + exp(-z))
#
# It is 1/2 at 0, and it is nearly flat beyond ±5: there, changing z changes almost nothing. Its slope is greatest at
# 0, where it is 1/4. This will matter in lab 4.
#
# > 神经元给出的不是 z 本身，而是 0（否）到 1（是）之间的一个值，由上面的公式算出。
# > 它在 0 处等于 1/2，超过 ±5 以后几乎是平的：在那里改变 z 几乎不起作用。
# > 它在 0 处最陡，斜率是 1/4。到实验 4 这一点会很重要。


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


curve = np.linspace(-8, 8, 401)
height = sigmoid(curve)
slope = height * (1 - height)
figure, axes = plt.subplots(figsize=(7, 4))
axes.plot(curve, height, color=COLOURS[0], linewidth=2, label="sigmoid(z)")
axes.plot(curve, slope, color=COLOURS[1], linewidth=2, linestyle="--", label="its slope, sigmoid(z) (1 - sigmoid(z))")
axes.axvline(0, color="0.8", linewidth=1, zorder=0)
axes.set(title="The sigmoid: steep in the middle, flat on both sides", xlabel="z", ylabel="value")
axes.legend()
lab.save(figure, "sigmoid.png")

assert sigmoid(0.0) == 0.5
assert np.allclose(sigmoid(-curve), 1 - height), "symmetric about (0, 1/2)"
assert np.allclose(slope, np.gradient(height, curve), atol=1e-3), "the formula of the slope is right"
assert slope.max() == 0.25

# %% [markdown]
# Computers trip where mathematics does not: exp(1000) is too large for a float. The same curve written with tanh never
# overflows, and that is how the package writes it.
#
# > 数学上没有问题的地方，计算机却可能出错：exp(1000) 超出了浮点数的范围。
# > 用 tanh 写出的同一条曲线永远不会溢出，软件包就是这样写的。


# %%
def safe_sigmoid(z):
    return 0.5 * np.tanh(0.5 * z) + 0.5


with np.errstate(over="ignore"):  # NumPy would warn here
    assert np.isinf(np.exp(1000.0))
assert np.allclose(safe_sigmoid(curve), sigmoid(curve))
assert np.array_equal(safe_sigmoid(curve), layers.sigmoid(curve))
assert safe_sigmoid(-1000.0) == 0

# %% [markdown]
# ## A layer is a matrix product · 一层就是一次矩阵乘法
#
# Several neurons that look at the same inputs are a layer. Write the weights of each as a column of a matrix W. Then
# one product computes them all:
#
#     z = x W + b        [3] by [3, 2] gives [2]
#
# > 看着同样输入的几个神经元组成一层。把每个神经元的权重写成矩阵 W 的一列，一次乘法就算出全部：
# > `[3]` 乘以 `[3, 2]` 得到 `[2]`。

# %%
W = np.array([[2.0, 1.0], [-1.0, 0.0], [4.0, 3.0]])  # [3, 2]: column k belongs to neuron k
b = np.array([-0.5, 0.25])  # [2]
z = x @ W + b
print("x", x.shape, "W", W.shape, "b", b.shape, "-> z", z.shape, "=", z)
assert z.shape == (2,)
for k in range(2):
    assert z[k] == x @ W[:, k] + b[k]

# %% [markdown]
# Why the curve between the layers? Without it, two layers are one: (x W1) W2 = x (W1 W2). Layers without a curve add
# nothing, however many there are.
#
# > 为什么层与层之间要有曲线？没有它，两层就等于一层：（x W1）W2 = x (W1 W2)。
# > 没有曲线，层数再多也没有用。

# %%
rng = np.random.default_rng(0)
W1, W2 = rng.standard_normal((3, 4)), rng.standard_normal((4, 2))
assert np.allclose((x @ W1) @ W2, x @ (W1 @ W2)), "two layers without a curve are one"
assert not np.allclose(sigmoid(x @ W1) @ W2, x @ (W1 @ W2)), "with a curve they are not"

# %% [markdown]
# ## Softmax · Softmax 函数
#
# The last layer has ten neurons, one for each digit. Their values z are *scores*: any numbers. Softmax makes
# probabilities of them, all positive and with sum 1:
#
#     p[k] = exp(z[k]) / (exp(z[0]) + … + exp(z[9]))
#
# The largest score keeps the largest probability. Taking the same number off all scores changes nothing, so we take
# off the largest, and no exp can overflow.
#
# > 最后一层有十个神经元，每个数字一个。它们的值 z 是*得分*，可以是任意数。
# > Softmax 把得分变成概率：全部为正，总和为 1（公式见上）。
# >
# > 得分最高的，概率也最大。所有得分减去同一个数，结果不变；所以我们减去最大的那个，exp 就不会溢出。


# %%
def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


scores = np.array([1.0, 3.0, 0.0])
p = softmax(scores)
print("scores", scores, "-> probabilities", p.round(3))
assert np.isclose(p.sum(), 1)
assert p.argmax() == scores.argmax()
assert np.allclose(softmax(scores + 100), p)
assert np.isfinite(softmax(scores * 1000)).all()

# %% [markdown]
# ## The net of three layers · 三层网络
#
# 784 pixels, 50 hidden neurons, 100 hidden neurons, ten scores. Which weights? For now, random ones.
#
# > 784 个像素，50 个隐藏神经元，100 个隐藏神经元，十个得分。权重取什么？先取随机数。

# %%
net = build("three-layer", seed=0)  # the package's net, with random weights
weights = net.net.params
for name, value in weights.items():
    print(f"{name}: {list(value.shape)}")
assert weights["W1"].shape == (784, 50)
assert weights["W2"].shape == (50, 100)
assert weights["W3"].shape == (100, 10)
numbers = sum(value.size for value in weights.values())
print(f"{numbers:,} numbers are to be learnt")
assert numbers == (784 * 50 + 50) + (50 * 100 + 100) + (100 * 10 + 10)

# %% [markdown]
# Here is the whole forward pass. Six lines: that is all a net does when it reads a digit.
#
# > 下面就是完整的前向传播，一共六行：网络读一个数字时，做的全部事情就是这些。


# %%
def forward(weights, x):
    z1 = x @ weights["W1"] + weights["b1"]
    a1 = safe_sigmoid(z1)
    z2 = a1 @ weights["W2"] + weights["b2"]
    a2 = safe_sigmoid(z2)
    z3 = a2 @ weights["W3"] + weights["b3"]
    return softmax(z3)


def rows(images):
    return images.reshape(-1, 784).astype(np.float32) / 255  # [n, 28, 28] -> [n, 784] in [0, 1]


test_images, test_labels = rows(digits.eval.images), digits.eval.labels
untrained = np.mean(forward(weights, test_images).argmax(axis=1) == test_labels)
print(f"random weights read {untrained:.1%} right: guessing")
assert untrained < 0.35

# %% [markdown]
# ## Weights that know something · 学过的权重
#
# How good weights are found is the story of labs 3 and 4. Here we let the package find some: it goes through the
# training digits a few times and moves the weights a little after each hundred.
#
# > 好的权重怎样找到，是实验 3 和 4 的内容。这里先让软件包来找：它把训练数字过几遍，每看一百个就把权重调整一点。

# %%
train_images, train_labels = rows(digits.train.images[:20_000]), digits.train.labels[:20_000].astype(int)
epochs = lab.budget(12, 6) if len(train_labels) < 10_000 else lab.budget(6, 2)
for _ in range(epochs):
    order = rng.permutation(len(train_labels))
    for first in range(0, len(order), 100):
        chosen = order[first : first + 100]
        net.train_step(train_images[chosen], train_labels[chosen], lr=1.0)
weights = net.net.params

# %% [markdown]
# ## One image · 一张图像
#
# Follow one image. A plain row of 784 numbers goes in, and the shapes say what happens at each step.
#
# > 跟着一张图像走一遍。送入的是 784 个数排成的一行，每一步的形状说明发生了什么。

# %%
image = test_images[0]  # [784]
a1 = safe_sigmoid(image @ weights["W1"] + weights["b1"])
a2 = safe_sigmoid(a1 @ weights["W2"] + weights["b2"])
scores = a2 @ weights["W3"] + weights["b3"]
p = softmax(scores)
for name, value in (("image", image), ("a1", a1), ("a2", a2), ("scores", scores), ("p", p)):
    print(f"{name:6} {list(value.shape)}")
print(f"the net reads a {p.argmax()} with probability {p.max():.2f}; the label is {test_labels[0]}")
assert (a1.shape, a2.shape, p.shape) == ((50,), (100,), (10,))
assert np.allclose(p, forward(weights, image))
assert np.allclose(p, three_layer_net.predict(weights, image), atol=1e-6), "the package computes the same"

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.4), width_ratios=(1, 1.5, 1.5), layout="constrained")
left.imshow(image.reshape(28, 28), cmap="gray_r")
left.set(title=f"In: a {test_labels[0]}, 784 pixels", xlabel="column", ylabel="row")
middle.bar(range(50), a1, color=COLOURS[5])
middle.set(title="The 50 neurons of layer 1", xlabel="neuron", ylabel="activation, 0 to 1", ylim=(0, 1))
right.bar(range(10), p, color=[COLOURS[1] if k == p.argmax() else COLOURS[0] for k in range(10)])
right.set(title=f"Out: the net reads a {p.argmax()}", xlabel="digit", ylabel="probability", ylim=(0, 1))
right.set_xticks(range(10))
lab.save(figure, "one_image.png")

# %% [markdown]
# ## A batch · 一批图像
#
# The same six lines take a hundred images: put them in the rows of an array. Each image is a row on the way in and a
# row on the way out. The bias [50] is added to every row of [100, 50]: NumPy calls that broadcasting.
#
# > 同样的六行也能处理一百张图像：把它们放在数组的各行。每张图像进去是一行，出来也是一行。
# > 偏置 `[50]` 会加到 `[100, 50]` 的每一行上，NumPy 称之为广播。

# %%
batch = test_images[:100]  # [100, 784]
p = forward(weights, batch)
print("batch", batch.shape, "-> probabilities", p.shape)
assert p.shape == (100, 10)
assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
one_by_one = np.stack([forward(weights, image) for image in batch])
assert np.allclose(p, one_by_one, atol=1e-5), "a batch changes the speed, not the answer"

# %% [markdown]
# Why bother? Speed. For one image, each weight is fetched from memory and used once. For a batch it is fetched once
# and used a hundred times.
#
# > 何必要批次？为了速度。处理一张图像时，每个权重从内存取来只用一次；处理一批时，取来一次能用一百次。


# %%
def seconds(run):
    """Return the shortest of twenty runs: the others were disturbed."""
    times = []
    for _ in range(20):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


some = test_images[:400]
slow = seconds(lambda: [forward(weights, image) for image in some])
fast = seconds(lambda: forward(weights, some))
print(f"400 images: one by one {1000 * slow:.1f} ms, as one batch {1000 * fast:.1f} ms, {slow / fast:.0f} times faster")
assert fast < slow

# %% [markdown]
# ## How many are right · 正确率
#
# The accuracy is the share of test digits whose most probable digit is the label. Batch by batch, with the last,
# smaller batch counted too.
#
# > 正确率是测试数字中，概率最大的数字恰好等于标签的比例。一批一批地数，最后那个较小的批次也要算进去。

# %%
right_ones = 0
for first in range(0, len(test_labels), 100):
    p = forward(weights, test_images[first : first + 100])
    right_ones += np.sum(p.argmax(axis=1) == test_labels[first : first + 100])
accuracy = right_ones / len(test_labels)
print(f"accuracy on {len(test_labels):,} test digits: {accuracy:.1%}")
assert np.isclose(accuracy, three_layer_net.accuracy(weights, test_images, test_labels))
assert accuracy > 0.8

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 02 --start`, and write into `labs/my/02.py`.
#
# 1. `sigmoid(z)`: for any z, without overflow.
# 2. `softmax(z)`: for a batch of scores, row by row.
# 3. `forward(weights, biases, x)`: a net of any number of layers, for one image or a batch.
#
# > 先运行 `python -m paddle_mnist.check 02 --start`，再把答案写进 `labs/my/02.py`。
# >
# > 1. `sigmoid(z)`：适用于任何 z，不溢出。
# > 2. `softmax(z)`：对一批得分逐行计算。
# > 3. `forward(weights, biases, x)`：任意层数的网络，输入可以是一张图像，也可以是一批。

# %%
lab.finish(accuracy=round(float(accuracy), 4))

# %% [markdown]
# # 2. Forward by hand · 手写前向传播
#
# How does a net turn 784 pixels into a digit? By sums, products and one curve. This lab builds a net of three layers
# from single neurons, sends one image through it, then a hundred at once. At the end it asks a question that every
# later lab depends on: how sure is an accuracy?
#
# > 网络怎样把 784 个像素变成一个数字？靠求和、相乘和一条曲线。本实验从单个神经元开始搭建三层网络，
# > 先送入一张图像，再一次送入一百张。最后提出一个后面每个实验都要用到的问题：一个准确率有多可靠？

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: lab 1 says why

import time

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs import accuracy
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch import layers, three_layer_net

lab = Lab("02_forward_by_hand")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## One neuron · 一个神经元
#
# A neuron multiplies each of its inputs by a weight, adds everything up, and adds its bias:
#
# > 神经元把每个输入乘以一个权重，全部相加，再加上偏置：
#
#     z = x[0] w[0] + x[1] w[1] + x[2] w[2] + b
#
# A large positive weight says "this input speaks for me", a negative one "against me". The bias says how easily the
# neuron fires. **Predict, then run:** what is z for the numbers below? Do it in your head.
#
# > 大的正权重表示“这个输入支持我”，负权重表示“反对我”。偏置表示这个神经元有多容易被激活。
# > **先预测，再运行**：对下面这些数，z 等于多少？请心算。

# %%
lab.section("One neuron")
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
# > 神经元给出的不是 z 本身，而是 0（否）到 1（是）之间的一个值：
#
#     sigmoid(z) = 1 / (1 + exp(-z))
#
# It is 1/2 at 0. Beyond ±5 it is nearly flat: changing z there changes almost nothing. Its slope is greatest at 0,
# where it is 1/4. This will matter in lab 4.
#
# > 它在 0 处等于 1/2。超过 ±5 以后几乎是平的：在那里改变 z 几乎不起作用。
# > 它在 0 处最陡，斜率是 1/4。到实验 4 这一点会很重要。


# %%
lab.section("The sigmoid")


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
assert slope.max() == 0.25 and slope[np.abs(curve) > 5].max() < 0.01

# %% [markdown]
# Mathematics has no trouble with exp(1000), but a computer does: the number is too large for a float. The same curve
# written with tanh never overflows, and that is how the package writes it.
#
# > 数学上 exp(1000) 没有问题，计算机却有：这个数超出了浮点数的范围。
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
# Several neurons that look at the same inputs form a layer. Write the weights of each neuron as a column of a matrix W.
# Then one product computes them all; three inputs and two neurons make a W of shape [3, 2]:
#
# > 看着同样输入的几个神经元组成一层。把每个神经元的权重写成矩阵 W 的一列，一次乘法就算出全部；
# > 三个输入、两个神经元，W 的形状就是 `[3, 2]`：
#
#     z = x W + b
#
# Keep this convention in mind, because the whole course uses it: samples are rows, and a weight matrix has the shape
# [inputs, outputs].
#
# > 请记住这个约定，整个课程都用它：样本是行，权重矩阵的行数是输入数，
# > 列数是输出数。

# %%
lab.section("A layer is a matrix product")
W = np.array([[2.0, 1.0], [-1.0, 0.0], [4.0, 3.0]])  # [3, 2]: column k belongs to neuron k
b = np.array([-0.5, 0.25])  # [2]
z = x @ W + b
print("x", x.shape, "W", W.shape, "b", b.shape, "-> z", z.shape, "=", z)
assert z.shape == (2,)
for k in range(2):
    assert z[k] == x @ W[:, k] + b[k]

# %% [markdown]
# Why do we need the curve between the layers? Without it, two layers are one, because (x W1) W2 = x (W1 W2). However
# many layers there are, without a curve they can do no more than a single one.
#
# > 层与层之间为什么需要曲线？没有它，两层就等于一层，因为 (x W1) W2 = x (W1 W2)。
# > 没有曲线，不管有多少层，能做的都不比一层多。

# %%
rng = np.random.default_rng(0)
W1, W2 = rng.standard_normal((3, 4)), rng.standard_normal((4, 2))
assert np.allclose((x @ W1) @ W2, x @ (W1 @ W2)), "two layers without a curve are one"
assert not np.allclose(sigmoid(x @ W1) @ W2, x @ (W1 @ W2)), "with a curve they are not"

# %% [markdown]
# ## Softmax · Softmax 函数
#
# The last layer has ten neurons, one for each digit. Their values z are *scores*: any numbers. Softmax turns scores
# into probabilities p, all positive and summing to 1:
#
# > 最后一层有十个神经元，每个数字一个。它们的值 z 是*得分*，可以是任意数。
# > Softmax 把得分变成概率 p，全部为正，总和为 1：
#
#     p[k] = exp(z[k]) / (exp(z[0]) + … + exp(z[9]))
#
# The highest score gets the highest probability. **Predict, then run:** what happens to the probabilities if we add 100
# to every score? And if we multiply every score by 10?
#
# > 得分最高的，概率也最大。**先预测，再运行**：如果给每个得分都加上 100，概率会怎样？如果每个得分都乘以 10 呢？

# %%
lab.section("Softmax")


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))  # see below
    return powers / powers.sum(axis=-1, keepdims=True)


scores = np.array([1.0, 3.0, 0.0])
p = softmax(scores)
print("scores        ", scores, "-> probabilities", p.round(3))
print("plus 100      ", scores + 100, "-> probabilities", softmax(scores + 100).round(3))
print("10 times      ", scores * 10, "-> probabilities", softmax(scores * 10).round(3))
assert np.isclose(p.sum(), 1)
assert p.argmax() == scores.argmax()
assert np.allclose(softmax(scores + 100), p), "only the differences between scores count"
assert softmax(scores * 10).max() > 0.999, "larger differences: nearly certain"

# %% [markdown]
# Adding the same number to all scores changes nothing: it multiplies the top and the bottom of the fraction by the same
# factor. So we may subtract the largest score first. Then the largest power is exp(0) = 1, and none can overflow.
#
# > 给所有得分加上同一个数，什么也不会变：分子和分母乘上了同一个因子。所以可以先减去最大的得分，
# > 这样最大的幂是 exp(0) = 1，不会有任何一个溢出。

# %%
assert np.isfinite(softmax(scores * 1000)).all()

# %% [markdown]
# ## A net of three layers · 三层网络
#
# 784 pixels, 50 hidden neurons, 100 hidden neurons, ten scores. The task sets the first number and the last. The two in
# between are a choice: more neurons can learn more, and cost more time.
#
# Which weights? For now random ones, positive and negative, so small that a sum of 784 products stays near 0, where the
# sigmoid is steep. (Lab 10 shows what happens with others.)
#
# > 784 个像素，50 个隐藏神经元，100 个隐藏神经元，十个得分。第一个数和最后一个数由任务决定，
# > 中间两个是我们的选择：神经元越多，能学的越多，花的时间也越多。
# >
# > 权重取什么？先取随机数，有正有负，而且很小，使 784 个乘积之和保持在 0 附近，那里 Sigmoid 最陡。
# > （实验 10 会展示取其他值会怎样。）

# %%
lab.section("A net of three layers")
net = three_layer_net.ThreeLayerNet(seed=0, dtype=np.float32)  # the package's net, with random weights
weights = net.params
for name, value in weights.items():
    print(f"{name}: {list(value.shape)}")
assert weights["W1"].shape == (784, 50)
assert weights["W2"].shape == (50, 100)
assert weights["W3"].shape == (100, 10)
numbers = sum(value.size for value in weights.values())
print(f"{numbers:,} numbers to learn")
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


valid_images, valid_labels = rows(digits.valid.images), digits.valid.labels
untrained = forward(weights, valid_images).argmax(axis=1) == valid_labels  # [n] booleans
print(f"with random weights the net reads {untrained.mean():.1%} of the validation digits right: guessing")
assert untrained.mean() < 0.35

# %% [markdown]
# ## Weights that know something · 学过的权重
#
# How good weights are found is the story of labs 3 and 4. Here we borrow the package's gradient, which says for each
# weight which way to move it. The loop goes through the training digits several times and moves every weight a little
# after each batch of a hundred. How far it moves is set by the number `rate`; 1.0 suits this net.
#
# `lab.budget(16, 8)` is 16. It is 8 where the environment variable `PADDLE_MNIST_LAB_BUDGET` is `small`, so that a lab
# can be tried in a hurry. We also keep two earlier states of the weights, to compare later.
#
# > 好的权重怎样找到，是实验 3 和 4 的内容。这里先借用软件包算出的梯度，它指出每个权重该往哪个方向移动。
# > 循环把训练数字过几遍，每看一百个就把所有权重移动一点。移动多少由 `rate` 决定；1.0 适合这个网络。
# >
# > `lab.budget(16, 8)` 等于 16；如果环境变量 `PADDLE_MNIST_LAB_BUDGET` 设为 `small`，就等于 8，便于快速试跑。
# > 我们还保留权重的两个早期状态，以便后面比较。

# %%
lab.section("Weights that know something")
train_images, train_labels = rows(digits.train.images[:20_000]), digits.train.labels[:20_000].astype(int)
epochs = lab.budget(16, 8) if len(train_labels) < 10_000 else lab.budget(6, 3)
rate = np.float32(1.0)
states = []
for _ in range(epochs):
    order = rng.permutation(len(train_labels))
    for first in range(0, len(order), 100):
        chosen = order[first : first + 100]
        for name, gradient in net.gradient(train_images[chosen], train_labels[chosen]).items():
            net.params[name] -= rate * gradient
    states.append({name: value.copy() for name, value in net.params.items()})
early, late, weights = states[1], states[-2], states[-1]
print(f"went {epochs} times through {len(train_labels):,} digits")

# %% [markdown]
# ## One image · 一张图像
#
# Follow one image. A plain row of 784 numbers goes in, and the shapes say what happens at each step. We choose a
# validation digit that the net reads right but not easily: one whose best probability is near 0.6.
#
# > 跟着一张图像走一遍。送入的是 784 个数排成的一行，每一步的形状说明发生了什么。
# > 我们选一个网络读对了、但读得不轻松的验证数字：它的最大概率接近 0.6。

# %%
lab.section("One image")
p = forward(weights, valid_images)  # [n, 10]
read_right = p.argmax(axis=1) == valid_labels
doubtful = np.where(read_right, np.abs(p.max(axis=1) - 0.6), np.inf).argmin()

image, label = valid_images[doubtful], valid_labels[doubtful]  # [784]
a1 = safe_sigmoid(image @ weights["W1"] + weights["b1"])
a2 = safe_sigmoid(a1 @ weights["W2"] + weights["b2"])
scores = a2 @ weights["W3"] + weights["b3"]
p = softmax(scores)
for name, value in (("image", image), ("a1", a1), ("a2", a2), ("scores", scores), ("p", p)):
    print(f"{name:6} {list(value.shape)}")
second, best = np.argsort(p)[-2:]
print(f"the label is {label}; the net reads a {best} with probability {p[best]:.2f}, a {second} with {p[second]:.2f}")
assert (a1.shape, a2.shape, p.shape) == ((50,), (100,), (10,))
assert np.allclose(p, forward(weights, image), atol=1e-6)
assert np.allclose(p, three_layer_net.predict(weights, image), atol=1e-6), "the package computes the same"

# %% [markdown]
# What does a neuron look at? Multiply each pixel by its weight and draw the products where the pixels are: blue speaks
# for this neuron, orange against it. The sum of this picture, plus the bias, is z. We show the most active of the 50
# neurons of the first layer, the least active, and one in between.
#
# Nobody told them what to look for. Nor is it the random start that we see: since then their weights have moved by more
# than their own length.
#
# > 一个神经元在看什么？把每个像素乘以它的权重，把乘积画在像素的位置上：蓝色支持这个神经元，橙色反对。
# > 这张图的总和加上偏置就是 z。下面是第一层 50 个神经元中最活跃的、最不活跃的，以及居中的一个。
# >
# > 没有人告诉它们该看什么。我们看到的也不是随机的起点：从那以后，它们的权重移动的距离已超过起点自身的长度。

# %%
first = three_layer_net.ThreeLayerNet(seed=0, dtype=np.float32).params["W1"]  # the random start again
seen = train_images.mean(axis=0) > 0.05  # pixels that often have ink
moved = np.linalg.norm((weights["W1"] - first)[seen]) / np.linalg.norm(first[seen])
print(f"the weights of the first layer have moved by {moved:.1f} times their initial length")
assert moved > 1

figure, panels = plt.subplots(1, 5, figsize=(13.5, 3.4), width_ratios=(1, 1, 1, 1, 1.5), layout="constrained")
panels[0].imshow(image.reshape(28, 28), cmap="gray_r")
panels[0].set_title(f"The image, labelled {label}")
blue_orange = plt.matplotlib.colors.LinearSegmentedColormap.from_list("", [COLOURS[1], "white", COLOURS[0]])
chosen = a1.argmax(), np.abs(a1 - 0.5).argmin(), a1.argmin()
reach = max(np.abs(image * weights["W1"][:, k]).max() for k in chosen)
for panel, k in zip(panels[1:4], chosen, strict=True):
    products = image * weights["W1"][:, k]  # [784]
    panel.imshow(products.reshape(28, 28), cmap=blue_orange, vmin=-reach, vmax=reach)
    panel.set_title(f"neuron {k}: z = {products.sum() + weights['b1'][k]:.1f},\nanswer {a1[k]:.2f}")
    assert np.isclose(safe_sigmoid(products.sum() + weights["b1"][k]), a1[k], atol=1e-5)
for panel in panels[:4]:
    panel.set(xticks=[], yticks=[])
panels[4].bar(range(10), p, color=[COLOURS[1] if k == best else COLOURS[0] for k in range(10)])
panels[4].set(
    title=f"The net: {best} or {second}?", xlabel="digit", ylabel="probability", ylim=(0, 1), xticks=range(10)
)
figure.suptitle("Each neuron adds up ink that speaks for it (blue) and against it (orange)")
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
lab.section("A batch")
batch = valid_images[:100]  # [100, 784]
p = forward(weights, batch)
print("batch", batch.shape, "-> probabilities", p.shape)
assert p.shape == (100, 10)
assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
one_by_one = np.stack([forward(weights, image) for image in batch])
assert np.allclose(p, one_by_one, atol=1e-5), "a batch changes the speed, not the answer"

# %% [markdown]
# Why bother? Speed. For one image, each weight is fetched from memory and used once. For a batch it is fetched once
# and used a hundred times, and Python's own work is done once instead of a hundred times.
#
# > 何必要批次？为了速度。处理一张图像时，每个权重从内存取来只用一次；处理一批时，取来一次能用一百次，
# > Python 自身的开销也只有一次而不是一百次。


# %%
def seconds(run):
    """Return the shortest of twenty runs: the others were disturbed."""
    times = []
    for _ in range(20):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


some = valid_images[:400]
slow = seconds(lambda: [forward(weights, image) for image in some])
fast = seconds(lambda: forward(weights, some))
print(f"400 images: one by one {1000 * slow:.1f} ms, as one batch {1000 * fast:.1f} ms, {slow / fast:.0f} times faster")
assert fast < slow

# %% [markdown]
# ## How many are right · 准确率
#
# The *accuracy* is the share of digits whose most probable digit is the label. We count batch by batch, and the last,
# smaller batch counts too.
#
# > *准确率*是概率最大的数字恰好等于标签的比例。我们一批一批地数，最后那个较小的批次也要算进去。

# %%
lab.section("How many are right")


def is_right(weights, images, labels):
    """Return booleans [n]: whether each digit is read right."""
    answers = [forward(weights, images[first : first + 100]).argmax(axis=1) for first in range(0, len(images), 100)]
    return np.concatenate(answers) == labels


right = is_right(weights, valid_images, valid_labels)
print(f"{right.sum()} of {len(right)} validation digits are read right: {right.mean():.1%}")
assert np.isclose(right.mean(), three_layer_net.accuracy(weights, valid_images, valid_labels))
assert right.mean() > 0.8

# %% [markdown]
# ## How sure is an accuracy? · 准确率有多可靠？
#
# Other digits would have given another accuracy. How different? Imagine a net that reads exactly 90 % of all the digits
# in the world, and test it with 500 of them, again and again.
#
# **Predict, then run:** how far from 90 % will one such test typically be: 0.1, 1 or 5 percentage points?
#
# > 换一批数字，准确率就会不同。差多少呢？设想一个网络，它恰好能读对世界上 90 % 的数字；
# > 用其中 500 个来测试它，一次又一次。
# >
# > **先预测，再运行**：一次这样的测试通常偏离 90 % 多少：0.1、1 还是 5 个百分点？

# %%
lab.section("How sure is an accuracy?")
tests = rng.random((10_000, 500)) < 0.9  # ten thousand tests of 500 digits: True is read right
results = tests.mean(axis=1)  # [10_000] accuracies
print(f"the accuracies of ten thousand tests spread by {100 * results.std():.2f} points around {results.mean():.1%}")
assert 0.01 < results.std() < 0.02

# %% [markdown]
# There is a formula for this spread. A digit read right counts 1, a digit read wrong 0. If a share p counts 1, the
# variance of one such number is p (1 - p). The accuracy is the mean of n of them, and the variance of a mean is n times
# smaller. The root of it is the *standard error* σ:
#
# > 这个离散程度有公式。读对的数字记 1，读错的记 0。如果记 1 的比例是 p，一个这样的数的方差是 p (1 - p)。
# > 准确率是 n 个这样的数的平均，平均值的方差是它的 n 分之一。再开平方，就是*标准误差* σ：
#
#     σ = √(p (1 - p) / n)
#
# About two tests in three end within one standard error, and 95 in 100 within two. From here on we write both numbers:
# 90.0 ± 1.3 %. Four times as many digits halve the error.
#
# It also explains why we look at the test digits only once. Test twenty nets that are equally good, and keep the best
# one: its result is luck.
#
# > 大约三分之二的测试落在一个标准误差以内，百分之九十五落在两个以内。从现在起我们把两个数都写出来：
# > 90.0 ± 1.3 %。数字多到四倍，误差减半。
# >
# > 误差还说明了为什么测试数字只看一次。测试二十个同样好的网络，留下最好的那个：它的成绩靠的是运气。


# %%
def standard_error(right):
    p = np.mean(right)
    return np.sqrt(p * (1 - p) / len(right))


error = np.sqrt(0.9 * 0.1 / 500)
within = {k: np.mean(np.abs(results - 0.9) <= k * error) for k in (1, 2)}
print(f"by the formula {100 * error:.2f} points")
print(f"within one standard error of 90 %: {within[1]:.0%} of the tests; within two: {within[2]:.0%}")
assert np.isclose(error, results.std(), rtol=0.05)
assert 0.6 < within[1] < 0.75 and within[2] > 0.93
assert standard_error(right) == accuracy.standard_error(right), "the package has this function, and later labs use it"
print("our net on the validation digits:", accuracy.in_percent(right))
best_of_twenty = rng.binomial(500, 0.9, (10_000, 20)).max(axis=1) / 500
print(f"the best of twenty nets that all read 90 % shows {best_of_twenty.mean():.1%} on average")
assert 0.92 < best_of_twenty.mean() < 0.93

figure, axes = plt.subplots(figsize=(8, 4))
for place, n in enumerate((100, 500, 10_000)):
    shares = 100 * rng.binomial(n, 0.9, 10_000) / n
    points = 100 * np.sqrt(0.9 * 0.1 / n)
    bins = np.arange(80, 100, max(100 / n, 0.2)) - max(100 / n, 0.2) / 2
    weight = np.full(len(shares), 1 / np.histogram(shares, bins)[0].max())
    name = f"{n:,} digits: ± {points:.1f} points"
    axes.hist(shares, bins, weights=weight, color=COLOURS[place], alpha=0.6, label=name)
axes.axvline(90, color="black", linewidth=1)
axes.set(title="The same net, tested ten thousand times: more digits, less luck", xlim=(80, 98), yticks=[])
axes.set(xlabel="accuracy of one test, %", ylabel="how often")
axes.legend(loc="upper left")
lab.save(figure, "how_sure.png")

# %% [markdown]
# ## Which of two nets is better? · 两个网络哪个更好？
#
# Compare our net with itself at two earlier times. All are tested on the same digits, and most digits are read right by
# both, or wrong by both. Those say nothing about which is better. So look at each digit's *difference*: +1 if only the
# first net reads it right, -1 if only the second does, else 0. The mean of these is the difference of the accuracies,
# and its standard error is the spread of these numbers divided by √n. This is called a *paired* comparison. Its error
# is smaller than that of two separate tests.
#
# As a rule of thumb, believe a difference of more than two standard errors.
#
# > 把我们的网络与它自己的两个早期状态比较。它们测试的是同样的数字，大多数数字两者都读对，或者都读错，
# > 这些说明不了谁更好。所以看每个数字的*差*：只有第一个网络读对记 +1，只有第二个读对记 -1，否则记 0。
# > 它们的平均就是准确率之差，标准误差是这些数的标准差除以 √n。这叫做*配对*比较，
# > 它的误差比两次独立测试的要小。
# >
# > 经验规则：差超过两个标准误差才可信。


# %%
lab.section("Which of two nets is better?")


def paired_difference(right, other):
    each = right.astype(float) - other.astype(float)  # [n], 1, 0 or -1
    return each.mean(), each.std() / np.sqrt(len(each))


for name, older in (("after two epochs", early), ("one epoch ago", late)):
    other = is_right(older, valid_images, valid_labels)
    difference, error = paired_difference(right, other)
    separate = np.hypot(standard_error(right), standard_error(other))  # if each had digits of its own
    verdict = "believe it" if abs(difference) > 2 * error else "it may be luck"
    print(f"now against {name}: {100 * difference:+.1f} ± {100 * error:.1f} points: {verdict}", end="")
    print(f"  (with separate digits ± {100 * separate:.1f})")
    assert np.allclose((difference, error), accuracy.paired_difference(right, other))
    assert error < separate
difference, error = paired_difference(right, is_right(early, valid_images, valid_labels))
assert difference > 2 * error, "the net has learned since then"

# %% [markdown]
# ## The test, once · 测试，只做一次
#
# Everything so far used the validation digits. Now that nothing is left to choose, look at the test digits, once.
#
# > 到目前为止都只用了验证数字。现在没有什么要选择的了，可以看测试数字了，只看一次。

# %%
lab.section("The test, once")
tested = is_right(weights, rows(digits.eval.images), digits.eval.labels)
print(f"on {len(tested):,} test digits: {accuracy.in_percent(tested)}")
assert tested.mean() > 0.8

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 02 --start`, and write into `labs/my/02.py`.
#
# 1. `predictions()`: six short questions. Choose before you run anything.
# 2. `softmax(z)`: find the bugs. The lines in the file are right for one sample, and wrong for a batch.
# 3. `forward(weights, biases, x)`: a net of any number of layers, for one image or a batch.
#
# > 先运行 `python -m paddle_mnist.check 02 --start`，再把答案写进 `labs/my/02.py`。
# >
# > 1. `predictions()`：六个小问题。先选答案，不要先运行。
# > 2. `softmax(z)`：找错误。文件里的几行对单个样本是对的，对一批样本却是错的。
# > 3. `forward(weights, biases, x)`：任意层数的网络，输入可以是一张图像，也可以是一批。

# %%
lab.finish(accuracy=round(float(tested.mean()), 4))

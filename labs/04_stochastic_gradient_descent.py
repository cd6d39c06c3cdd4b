# %% [markdown]
# # 4. Stochastic gradient descent · 随机梯度下降
#
# The gradient says which way is up. So walk the other way, one small step after the other. Two questions decide how
# well that works: how long is a step, and how many digits do we look at before each step?
#
# > 梯度指出哪个方向是上坡。那就往反方向走，一小步一小步地走。
# > 效果好坏取决于两个问题：一步迈多长？迈一步之前看多少个数字？

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: lab 1 says why

import time

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.accuracy import in_percent
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch.network import Network

lab = Lab("04_stochastic_gradient_descent")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## One valley · 一个山谷
#
# First with a single number w. The loss is w², its slope is 2 w, and the best w is 0. So a step is
#
# > 先看只有一个数 w 的情形。损失是 w²，斜率是 2 w，最好的 w 是 0。所以一步是
#
#     w ← w - rate · 2 w = (1 - 2 rate) w
#
# **Predict, then run:** from w = 1, where do eight steps lead with a rate of 0.01, 0.45, 0.9, 1 and 1.05? The factor
# 1 - 2 rate tells it all.
#
# > **先预测，再运行**：从 w = 1 出发，学习率为 0.01、0.45、0.9、1 和 1.05 时，八步之后各走到哪里？
# > 因子 1 - 2 rate 决定一切。


# %%
lab.section("One valley")


def walk(rate, steps=8, w=1.0):
    path = [w]
    for _ in range(steps):
        w = w - rate * 2 * w
        path.append(w)
    return np.array(path)  # [steps + 1]


figure, grid = plt.subplots(1, 5, figsize=(13, 3.2), sharey=True, layout="constrained")
valley = np.linspace(-2.3, 2.3, 200)
names = "too short", "good", "back and forth", "for ever", "away"
for axes, rate, name in zip(grid, (0.01, 0.45, 0.9, 1.0, 1.05), names, strict=True):
    path = walk(rate)
    print(f"rate {rate:4}: w after each step", path.round(2))
    axes.plot(valley, valley**2, color="0.7")
    axes.plot(path, path**2, "o-", color=COLOURS[1], markersize=4, linewidth=1)
    axes.set(title=f"rate {rate:g}: {name}", xlabel="w")
grid[0].set_ylabel("loss, w²")
figure.suptitle("Eight steps down a valley: the rate decides where they lead")
lab.save(figure, "valley.png")

assert abs(walk(0.01)[-1]) > 0.8, "too short: it has hardly moved"
assert abs(walk(0.45)[-1]) < 1e-6, "good: a tenth remains after each step"
assert np.all(np.diff(np.sign(walk(0.9))) != 0), "it jumps back and forth across the valley, and still arrives"
assert np.all(np.abs(walk(1.0)) == 1), "each jump is as long as the last"
assert np.all(np.diff(np.abs(walk(1.05))) > 0), "farther away at each step: it diverges"

# %% [markdown]
# ## The sigmoid network · Sigmoid 网络
#
# Now the net of Michael Nielsen's book: 784 pixels, a layer of 30 sigmoids, and ten sigmoids. Its loss for a sample is
# half the squared distance between its ten answers a and the one-hot label y:
#
# > 现在来看 Michael Nielsen 书中的网络：784 个像素，一层 30 个 Sigmoid，再一层十个 Sigmoid。
# > 一个样本的损失是十个输出 a 与 one-hot 标签 y 之间距离平方的一半：
#
#     L = ½ Σ_k (a[k] - y[k])²
#
# As in the labs before, samples are rows and a weight matrix is [inputs, outputs]. (The book writes samples as columns,
# and so does the package's `Network`. Its weights are ours, transposed.)
#
# > 与前面的实验一样，样本是行，权重矩阵的行数是输入数，列数是输出数。
# > （书中把样本写成列，软件包的 `Network` 也是如此。它的权重就是我们的权重的转置。）

# %%
lab.section("The sigmoid network")
count = min(lab.budget(10_000, 2_000), len(digits.train.labels))


def rows(images):
    return images.reshape(-1, 784).astype(np.float32) / 255  # [n, 784]


x = rows(digits.train.images[:count])
labels = digits.train.labels[:count].astype(int)  # [n]
y = np.eye(10, dtype=np.float32)[labels]  # [n, 10], one-hot
valid, valid_labels = rows(digits.valid.images[:2000]), digits.valid.labels[:2000]


def random_net(seed):
    """Return weights [784, 30] and [30, 10] and biases [30] and [10], drawn as the book draws them."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape).astype(np.float32) for shape in ((784, 30), (30, 10))]
    biases = [rng.standard_normal(outputs).astype(np.float32) for outputs in (30, 10)]
    return weights, biases


def forward(weights, biases, x):
    """Return the activations of all layers, the input x [n, 784] first."""
    activations = [x]
    for W, b in zip(weights, biases, strict=True):
        activations.append(0.5 * np.tanh(0.5 * (activations[-1] @ W + b)) + 0.5)  # [n, outputs]
    return activations


print("shapes of the activations of five samples:", [a.shape for a in forward(*random_net(0), x[:5])])
assert forward(*random_net(0), x[:5])[-1].shape == (5, 10)

# %% [markdown]
# ## Delta · 误差项 δ
#
# Call δ the gradient of L with respect to a layer's sums z, before the sigmoid. In the last layer z[k] acts on L only
# by way of a[k]: the slope of ½ (a - y)² is a - y, and that of the sigmoid is a (1 - a). The gradients of W and b
# follow as in lab 3. Going back one layer, each activation `below` is used once for every output k, so its gradient is
# a sum over k. Then its own sigmoid multiplies by its slope:
#
# > 用 δ 表示 L 对一层的和 z（Sigmoid 之前）的梯度。在最后一层，z[k] 只通过 a[k] 影响 L：
# > ½ (a - y)² 的斜率是 a - y，Sigmoid 的斜率是 a (1 - a)。W 和 b 的梯度与实验 3 相同。往回走一层，
# > 每个激活值 `below` 对每个输出 k 用一次，所以它的梯度是对 k 求和，再乘以它自己那个 Sigmoid 的斜率：
#
#     δ[s, k]       = (a[s, k] - y[s, k]) · a[s, k] (1 - a[s, k])
#     dW[j, k]      = Σ_s below[s, j] δ[s, k],   db[k] = Σ_s δ[s, k]
#     δ_below[s, j] = (Σ_k δ[s, k] W[j, k]) · below[s, j] (1 - below[s, j])
#
# The gradient of a batch is the *mean* over its samples, so we divide δ by n at once.
#
# > 一批的梯度是各样本梯度的*平均*，所以我们一开始就把 δ 除以 n。


# %%
lab.section("Delta")


def gradient(weights, biases, x, y):
    """Return the gradients of the mean loss, shaped as weights and biases."""
    activations = forward(weights, biases, x)
    a = activations[-1]
    delta = (a - y) * a * (1 - a) / len(x)  # [n, 10]
    dW, db = [], []
    for layer in reversed(range(len(weights))):
        below = activations[layer]  # [n, inputs]
        dW.insert(0, below.T @ delta)
        db.insert(0, delta.sum(axis=0))
        if layer:  # below the first layer are the pixels: they have no sigmoid, and nothing to learn
            delta = delta @ weights[layer].T * below * (1 - below)
    return dW, db


def step(weights, biases, x, y, rate):
    """Take one step; the arrays are changed in place."""
    dW, db = gradient(weights, biases, x, y)
    for parameter, slope in zip(weights + biases, dW + db, strict=True):
        parameter -= np.float32(rate) * slope


weights, biases = random_net(0)
theirs = Network([784, 30, 10], dtype=np.float32)
theirs.weights = [W.T.copy() for W in weights]
theirs.biases = [b[:, np.newaxis].copy() for b in biases]
step(weights, biases, x[:10], y[:10], rate=3.0)
theirs.update_mini_batch((x[:10], labels[:10]), eta=3.0)
for ours, other in zip(weights, theirs.weights, strict=True):
    assert np.allclose(ours, other.T, atol=1e-5), "the package takes the same step"

# %% [markdown]
# The gradient is also what measuring gives. Move one weight of the first layer to both sides and look at the loss.
#
# > 梯度也与测量的结果一致。把第一层的一个权重向两边移动，看看损失。

# %%
exact = [value.astype(float) for value in weights], [value.astype(float) for value in biases]
dW, _ = gradient(*exact, x[:10].astype(float), y[:10])
place = np.unravel_index(np.abs(dW[0]).argmax(), dW[0].shape)
losses = []
for h in (1e-5, -1e-5):
    exact[0][0][place] += h
    losses.append(0.5 * np.sum((forward(*exact, x[:10].astype(float))[-1] - y[:10]) ** 2) / 10)
    exact[0][0][place] -= h
measured = (losses[0] - losses[1]) / 2e-5
print(f"one weight: gradient {dW[0][place]:.8f}, measured {measured:.8f}")
assert np.isclose(measured, dW[0][place], rtol=1e-5)

# %% [markdown]
# ## Which rate? · 学习率取多少？
#
# In lab 3 a rate of 0.1 was fine. It says nothing about this net: a step is the rate *times the gradient*, and another
# loss and other layers have other gradients. So try a whole range, three times larger each time, and look at the
# validation digits. The test digits stay closed until everything is chosen.
#
# **Predict, then run:** with batches of 10, what happens at a rate of 0.01, and what at a rate of 100?
#
# > 实验 3 中 0.1 的学习率很合适。这对眼下的网络说明不了什么：一步等于学习率*乘以梯度*，损失不同、层不同，
# > 梯度也就不同。所以要试一系列的值，每次大约增大到三倍，用验证数字来看效果。在一切都选定之前，不看测试数字。
# >
# > **先预测，再运行**：每批 10 个时，学习率取 0.01 会怎样？取 100 呢？


# %%
lab.section("Which rate?")
epochs = lab.budget(6, 4)


def is_right(weights, biases, images, labels):
    """Return booleans [n]: whether each digit is read right."""
    return forward(weights, biases, images)[-1].argmax(axis=1) == labels


def train(batch_size, rate, epochs=epochs, net=None):
    """Return the share of validation digits read right after each epoch, and the net: weights, biases."""
    weights, biases = net if net else random_net(seed=1)
    rng, shares = np.random.default_rng(1), []
    for _ in range(epochs):
        order = rng.permutation(count)
        for first in range(0, count, batch_size):
            chosen = order[first : first + batch_size]
            step(weights, biases, x[chosen], y[chosen], rate)
        shares.append(np.mean(is_right(weights, biases, valid, valid_labels)))
    return shares, (weights, biases)


rates = (0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0)
tens = {rate: train(10, rate) for rate in rates}
for rate, (shares, _) in tens.items():
    print(f"batches of 10, rate {rate:6}: {shares[-1]:.1%} after {epochs} epochs")
best_rate = max(rates, key=lambda rate: tens[rate][0][-1])
print("best rate:", best_rate)
assert best_rate in (3.0, 10.0) and tens[best_rate][0][-1] > 0.75
assert tens[0.01][0][-1] < tens[best_rate][0][-1] - 0.2, "too small: it learns, but slowly"
assert tens[100.0][0][-1] < 0.3, "too large: it does not learn at all"

# %% [markdown]
# Why does the large rate fail? Its first steps drive the sigmoids onto their flat ends. There the slope a (1 - a) is
# nearly 0, so almost no gradient comes back. The net is stuck: even at the best rate, further training does not help.
#
# > 学习率过大为什么会失败？最初几步就把 Sigmoid 推到平坦的两端，那里的斜率 a (1 - a) 几乎是 0，
# > 梯度几乎传不回来。网络卡住了：即使换成最好的学习率再训练，也没有用。

# %%
_, stuck = train(10, 100.0, epochs=1)
a = forward(*stuck, valid)[-1]  # [n, 10]
flat = np.mean(a * (1 - a) < 0.01)
again, _ = train(10, best_rate, epochs=3, net=stuck)
print(f"after one epoch at rate 100, the slope is below 0.01 at {flat:.1%} of the outputs")
print(f"after three more epochs at rate {best_rate}: {again[-1]:.1%} right")
assert flat > 0.9
assert again[-1] < 0.3

# %% [markdown]
# ## Mini-batches · 小批量
#
# The true gradient is the mean over *all* digits: exact but expensive. The gradient of a single digit is cheap, and
# mostly noise. A mini-batch lies between. How well does each point the true way? Measure the cosine of the angle
# between the two: 1 is the same direction, 0 means that they have nothing to do with each other.
#
# **Predict, then run:** at the random start, what is the cosine for a batch of 30 digits: 0.1, 0.5 or 0.9? And will it
# be larger or smaller once the net has learned?
#
# > 真正的梯度是对*所有*数字求平均：精确，但代价高。单个数字的梯度便宜，但大多是噪声。小批量介于两者之间。
# > 它们指得准不准？我们测量两个方向夹角的余弦：1 表示方向相同，0 表示毫无关系。
# >
# > **先预测，再运行**：在随机的起点，30 个数字的一批，余弦是 0.1、0.5 还是 0.9？网络学会之后，它会变大还是变小？


# %%
lab.section("Mini-batches")


def direction(net, chosen):
    """Return the gradient of these samples as one row of length 1."""
    dW, db = gradient(*net, x[chosen], y[chosen])
    row = np.concatenate([part.ravel() for part in dW + db])
    return row / np.linalg.norm(row)


sizes = (1, 3, 10, 30, 100, 300, 1000)


def cosines(net):
    """Return for each batch size the mean cosine between the gradient of a batch and that of all digits."""
    rng = np.random.default_rng(0)
    truth = direction(net, np.arange(count))
    return [np.mean([direction(net, rng.choice(count, n, replace=False)) @ truth for _ in range(40)]) for n in sizes]


at_start, after = cosines(random_net(seed=1)), cosines(tens[best_rate][1])
for n, before, later in zip(sizes, at_start, after, strict=True):
    print(f"batch of {n:4}: cosine {before:.2f} at the start, {later:.2f} after {epochs} epochs")
assert np.all(np.diff(at_start) > 0)
assert after[0] < after[3] < after[-1]
assert np.all(np.array(after[:5]) < np.array(at_start[:5]) - 0.2)

figure, axes = plt.subplots(figsize=(7.5, 4.2))
axes.plot(sizes, at_start, "o-", color=COLOURS[0], label="at the random start")
axes.plot(sizes, after, "s--", color=COLOURS[1], label=f"after {epochs} epochs")
axes.set(title="At the start a few digits show the way; a trained net needs many", xscale="log", ylim=(-0.05, 1.05))
axes.set(xlabel="digits in a batch", ylabel="cosine with the gradient of all digits")
axes.legend()
lab.save(figure, "batch_direction.png")

# %% [markdown]
# Why? At the start each of the ten outputs is about a half, while nine of them should be 0. So all digits
# ask for the same thing, "answer less", and a few of them show the way. Once that is done, each digit asks for
# something else, and what they agree on is small beside that.
#
# > 为什么？起初，十个输出都大约是二分之一，而其中九个应该是 0。所以所有数字要求的都一样：
# > “回答小一点”，少数几个数字就能指出方向。这一步完成之后，每个数字要求的各不相同，
# > 它们的共同之处相比之下很小。

# %%
mean_start, mean_after = (forward(*net, valid)[-1].mean() for net in (random_net(seed=1), tens[best_rate][1]))
print(f"mean of all outputs: {mean_start:.2f} at the start, {mean_after:.2f} after {epochs} epochs (0.1 is right)")
assert mean_start > 0.3 and abs(mean_after - 0.1) < 0.05

# %% [markdown]
# Yet many rough steps may still beat a few exact ones, since they are so much cheaper. Is it so? The comparison is fair
# only if each batch size has its own best rate, found on the validation digits. Each net sees the same number of
# digits.
#
# **Predict, then run:** which batch size wins, and by how much?
#
# > 不过，许多粗略的步子也许仍胜过少数精确的步子，因为它们便宜得多。是这样吗？
# > 要公平比较，每种批次大小都要用它自己最好的学习率，用验证数字来选。每个网络看到的数字一样多。
# >
# > **先预测，再运行**：哪种批次大小胜出？胜出多少？

# %%
lab.section("Batch sizes, each at its best rate")
tried = (1.0, 3.0, 10.0, 30.0)
sweep = {10: {rate: tens[rate][0] for rate in tried}}
sweep |= {size: {rate: train(size, rate)[0] for rate in tried} for size in (100, 1000)}
best = {size: max(tried, key=lambda rate: sweep[size][rate][-1]) for size in sweep}
for size, rate in best.items():
    steps = -(-count // size)
    print(f"batches of {size:4}: {steps:4} steps an epoch, best rate {rate:4}: {sweep[size][rate][-1]:.1%}")
assert sweep[10][best[10]][-1] > sweep[100][best[100]][-1] > sweep[1000][best[1000]][-1]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
for place, (size, by_rate) in enumerate(sweep.items()):
    style = {"color": COLOURS[place], "marker": "os^"[place], "linestyle": ("-", "--", ":")[place]}
    left.plot(tried, [100 * shares[-1] for shares in by_rate.values()], label=f"batches of {size}", **style)
    shares = 100 * np.array(by_rate[best[size]])
    right.plot(range(1, epochs + 1), shares, label=f"batches of {size}, rate {best[size]:g}", **style)
left.set(title=f"After {epochs} epochs, at each rate", xlabel="rate", xscale="log", ylabel="validation digits right, %")
left.set(xticks=tried, xticklabels=[f"{rate:g}" for rate in tried], ylim=(0, 100))
left.minorticks_off()
right.set(title="Each batch size at its best rate", xlabel="epoch", xticks=range(1, epochs + 1))
right.legend(loc=(0.5, 0.36))
figure.suptitle("Many rough steps beat a few exact ones, even if each has its best rate")
lab.save(figure, "rates_and_batches.png")

# %% [markdown]
# Batch size and rate are chosen now. The winner's result on the validation digits is a little too good, since the
# winner was chosen for it. So look at the test digits, once.
#
# > 批次大小和学习率都选定了。胜者在验证数字上的成绩会偏高一点，因为它正是凭这个成绩选出来的。
# > 所以现在看测试数字，只看一次。

# %%
tested = is_right(*tens[best_rate][1], rows(digits.eval.images), digits.eval.labels)
print(f"batches of 10, rate {best_rate}: {in_percent(tested)} of {len(tested):,} test digits")
assert tested.mean() > 0.7

# %% [markdown]
# ## One at a time against matrices · 逐个样本与矩阵
#
# A batch can be computed in two ways: a loop over its samples that adds up their gradients, or one matrix product,
# which hides the sum over the samples inside. The gradient is the same. The time is not.
#
# > 一批样本有两种算法：循环逐个样本，把梯度加起来；或者一次矩阵乘法，对样本的求和藏在乘法里面。
# > 梯度一样，时间却不一样。


# %%
lab.section("One at a time against matrices")
weights, biases = random_net(seed=1)


def one_at_a_time(x, y):
    total = [np.zeros_like(W) for W in weights]
    for s in range(len(x)):
        dW, _ = gradient(weights, biases, x[s : s + 1], y[s : s + 1])
        total = [t + d for t, d in zip(total, dW, strict=True)]
    return [t / len(x) for t in total]


def fastest(run):
    times = []
    for _ in range(50):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)  # the others were disturbed


looped, at_once = one_at_a_time(x[:10], y[:10]), gradient(weights, biases, x[:10], y[:10])[0]
for a, b in zip(looped, at_once, strict=True):
    assert np.allclose(a, b, atol=1e-4)
slow = fastest(lambda: one_at_a_time(x[:10], y[:10]))
fast = fastest(lambda: gradient(weights, biases, x[:10], y[:10]))
print(
    f"a batch of 10: sample by sample {1000 * slow:.2f} ms, as matrices {1000 * fast:.2f} ms: {slow / fast:.0f} times"
)
assert slow > 2 * fast

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 04 --start`, and write into `labs/my/04.py`.
#
# 1. `predictions()`: change one thing and say what happens. Five short questions.
# 2. `descend(slope, start, rate, steps)`: find the bugs. The path down a valley, with two mistakes.
# 3. `train_epoch(gradient, params, x, t, batch_size, rate, order)`: an epoch of mini-batches.
#
# > 先运行 `python -m paddle_mnist.check 04 --start`，再把答案写进 `labs/my/04.py`。
# >
# > 1. `predictions()`：改变一处，说出会发生什么。五个小问题。
# > 2. `descend(slope, start, rate, steps)`：找错误。下坡的路径，其中有两处错误。
# > 3. `train_epoch(gradient, params, x, t, batch_size, rate, order)`：用小批量训练一轮。

# %%
lab.finish(accuracy=round(float(tested.mean()), 4))

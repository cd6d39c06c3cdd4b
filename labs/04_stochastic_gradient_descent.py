# %% [markdown]
# # 4. Stochastic gradient descent · 随机梯度下降
#
# The gradient says which way is up. So walk the other way, one small step after the other. Two questions decide how
# well that works: how long is a step, and how many digits do we look at before each?
#
# > 梯度指出哪个方向是上坡。那就往反方向走，一小步一小步地走。
# > 效果好坏取决于两个问题：一步迈多长？迈一步之前看多少个数字？

# %%
import time

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch.network import Network

lab = Lab("04_stochastic_gradient_descent")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## One valley · 一个山谷
#
# First with a single number w. The loss is w², its slope is 2 w, and the best w is 0. A step is
#
#     w ← w - rate · 2 w = (1 - 2 rate) w
#
# If the rate is tiny, w hardly moves. At 0.45 it is nearly there after a step. Above 0.5 it jumps over the valley to
# and fro. Above 1 each jump is longer than the last, and w runs away.
#
# > 先看只有一个数 w 的情形。损失是 w²，斜率是 2 w，最好的 w 是 0。每一步按上式更新。
# > 学习率很小时，w 几乎不动。取 0.45 时，一步就差不多到了。超过 0.5，它在山谷两侧来回跳。
# > 超过 1，每一跳都比上一跳更远，w 就跑掉了。


# %%
def walk(rate, steps=8, w=1.0):
    path = [w]
    for _ in range(steps):
        w = w - rate * 2 * w
        path.append(w)
    return np.array(path)  # [steps + 1]


assert abs(walk(0.01)[-1]) > 0.8, "too small: it has hardly moved"
assert abs(walk(0.45)[-1]) < 1e-6, "about right"
assert np.all(np.diff(np.sign(walk(0.9))) != 0), "large: it changes sides at each step, and still arrives"
assert np.all(np.diff(np.abs(walk(1.05))) > 0), "too large: farther away at each step"

figure, grid = plt.subplots(1, 4, figsize=(12, 3.2), sharey=True, layout="constrained")
valley = np.linspace(-1.6, 1.6, 200)
for axes, rate in zip(grid, (0.01, 0.45, 0.9, 1.05), strict=True):
    path = walk(rate)
    axes.plot(valley, valley**2, color="0.7")
    axes.plot(path, path**2, "o-", color=COLOURS[1], markersize=4, linewidth=1)
    axes.set(title=f"rate {rate}", xlabel="w")
grid[0].set_ylabel("loss, w²")
figure.suptitle("Eight steps down a valley: too short, right, too long, away")
lab.save(figure, "valley.png")

# %% [markdown]
# ## The sigmoid network · Sigmoid 网络
#
# Now the net of Michael Nielsen's book: 784 pixels, a layer of 30 sigmoids, ten sigmoids. Its loss for a sample is
# ½‖a - y‖²: a are the ten activations, y is 1 at the label and 0 elsewhere. In this net, a sample is a *column*.
#
# > 现在来看 Michael Nielsen 书中的网络：784 个像素，一层 30 个 Sigmoid，再一层十个 Sigmoid。
# > 一个样本的损失是 ½‖a - y‖²:a 是十个激活值，y 在标签处为 1，其余为 0。在这个网络里，一个样本是一*列*。

# %%
count = min(lab.budget(10_000, 2_000), len(digits.train.labels))
x = digits.train.images[:count].reshape(-1, 784).astype(np.float32) / 255  # [n, 784]
labels = digits.train.labels[:count].astype(int)  # [n]
y = np.eye(10, dtype=np.float32)[labels]  # [n, 10], one-hot
test = digits.eval.images[:2000].reshape(-1, 784).astype(np.float32) / 255, digits.eval.labels[:2000].astype(int)

net = Network([784, 30, 10], seed=0, dtype=np.float32)
print("weights:", [w.shape for w in net.weights], " biases:", [b.shape for b in net.biases])
assert [w.shape for w in net.weights] == [(30, 784), (10, 30)]
assert net.feedforward(x[:5].T).shape == (10, 5)

# %% [markdown]
# ## A step, written out · 写出一步
#
# Go forward, keep the activations; go backward with δ, the gradient at each layer's sum z; then move every weight by
# the *mean* of the samples' gradients. All samples of a batch go through together.
#
# > 前向时保留激活值；反向时用 δ，即损失对每层求和值 z 的梯度；
# > 然后按各样本梯度的*平均*移动每个权重。一批里的所有样本一起通过。


# %%
def step(weights, biases, x, y, rate):
    """Take a step on columns x [784, n] and y [10, n]; the arrays are changed in place."""
    activations = [x]
    for w, b in zip(weights, biases, strict=True):
        activations.append(0.5 * np.tanh(0.5 * (w @ activations[-1] + b)) + 0.5)  # [outputs, n]
    a = activations[-1]
    delta = (a - y) * a * (1 - a)  # [10, n]
    for layer in reversed(range(len(weights))):
        below = activations[layer]  # [inputs, n]
        dw, db = delta @ below.T, delta.sum(axis=1, keepdims=True)
        delta = (weights[layer].T @ delta) * below * (1 - below)
        weights[layer] -= rate / x.shape[1] * dw
        biases[layer] -= rate / x.shape[1] * db


ours = [w.copy() for w in net.weights], [b.copy() for b in net.biases]
step(*ours, x[:10].T, y[:10].T, rate=3.0)
net.update_mini_batch((x[:10], labels[:10]), eta=3.0)
for mine, theirs in zip(ours[0] + ours[1], net.weights + net.biases, strict=True):
    assert np.allclose(mine, theirs, atol=1e-5), "the package takes the same step"

# %% [markdown]
# ## Mini-batches · 小批量
#
# The true gradient is the mean over *all* digits: exact, and dear. The gradient of one digit is cheap, and mostly
# noise. A mini-batch lies between. We measure how well each points the true way, by the cosine of the angle between
# the two: 1 is the same direction, 0 is no relation.
#
# > 真正的梯度是对*所有*数字求平均：精确，但代价高。单个数字的梯度便宜，但大多是噪声。小批量介于两者之间。
# > 我们用夹角的余弦来衡量它指得准不准：1 表示方向相同，0 表示毫无关系。


# %%
def direction(chosen):
    nabla_b, nabla_w = net.backprop(x[chosen].T, y[chosen].T)
    flat = np.concatenate([part.ravel() for part in nabla_w + nabla_b])  # all gradients in one row
    return flat / np.linalg.norm(flat)


rng = np.random.default_rng(0)
truth = direction(np.arange(count))
sizes = (1, 3, 10, 30, 100, 300, 1000)
cosines = [np.mean([direction(rng.choice(count, n, replace=False)) @ truth for _ in range(30)]) for n in sizes]
for n, cosine in zip(sizes, cosines, strict=True):
    print(f"batch of {n:4}: cosine {cosine:.2f}")
assert cosines[0] < 0.5
assert cosines[-1] > 0.9
assert np.all(np.diff(cosines) > 0)

figure, axes = plt.subplots(figsize=(7, 4))
axes.plot(sizes, cosines, "o-", color=COLOURS[0])
axes.set_xscale("log")
axes.set(
    title="The more digits in a batch, the truer its gradient",
    xlabel="digits in a batch",
    ylabel="cosine with the true gradient",
    ylim=(0, 1.05),
)
lab.save(figure, "batch_direction.png")

# %% [markdown]
# Ten times as many digits cost ten times as much, but do not make the direction ten times better. So many rough steps
# beat a few exact ones. Here each net sees the same number of digits; only the batches differ.
#
# > 数字多十倍，代价也是十倍，方向却不会好十倍。所以许多粗略的步子胜过少数精确的步子。
# > 下面每个网络看到的数字一样多，只是每批大小不同。


# %%
epochs = lab.budget(6, 4)


def train(batch_size, rate):
    net = Network([784, 30, 10], seed=1, dtype=np.float32)
    counts = net.SGD((x, labels), epochs, batch_size, rate, test_data=test, report=lambda line: None)
    return 100 * np.array([net_count / len(test[1]) for net_count in counts])  # [epochs], %


by_batch = {size: train(size, 3.0) for size in (10, 100, 1000)}
for size, accuracy in by_batch.items():
    print(f"batches of {size:4}, {-(-count // size):5} steps an epoch: {accuracy[-1]:.1f} % after {epochs} epochs")
assert by_batch[10][-1] > by_batch[100][-1] > by_batch[1000][-1]

# %% [markdown]
# ## Learning rates · 学习率
#
# Too small: the net learns, but it would take days. Too large: the first steps drive the sigmoids onto their flat
# ends. There the slope a (1 - a) is nearly 0, so no gradient comes back, and the net is stuck for good.
#
# > 太小：网络在学，但要学上好几天。太大：最初几步就把 Sigmoid 推到平坦的两端，
# > 那里的斜率 a (1 - a) 几乎是 0，梯度传不回来，网络就永远卡住了。

# %%
by_rate = {rate: train(10, rate) for rate in (0.01, 3.0, 100.0)}
for rate, accuracy in by_rate.items():
    print(f"rate {rate:6}: {accuracy[-1]:.1f} %")
assert by_rate[3.0][-1] > 70
assert by_rate[0.01][-1] < by_rate[3.0][-1] - 20
assert by_rate[100.0][-1] < by_rate[3.0][-1] - 20

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
for axes, results, name in ((left, by_rate, "rate"), (right, by_batch, "batch of")):
    for place, (value, accuracy) in enumerate(results.items()):
        axes.plot(
            range(1, epochs + 1),
            accuracy,
            marker="os^"[place],
            linestyle=("-", "--", ":")[place],
            color=COLOURS[place],
            label=f"{name} {value:g}",
        )
    axes.set(xlabel="epoch", ylim=(0, 100))
    axes.set_xticks(range(1, epochs + 1))
    axes.legend()
left.set(title="Rates, in batches of 10", ylabel="test digits read right, %")
right.set(title="Batches, at rate 3")
lab.save(figure, "rates_and_batches.png")

# %% [markdown]
# Is the net with the large rate really stuck? Look at its outputs: nearly all are at an end of the sigmoid.
#
# > 学习率过大的网络真的卡住了吗？看看它的输出：几乎全都在 Sigmoid 的两端。

# %%
stuck = Network([784, 30, 10], seed=1, dtype=np.float32)
stuck.SGD((x, labels), 1, 10, 100.0, report=lambda line: None)
a = stuck.feedforward(test[0].T)  # [10, n]
flat = np.mean(a * (1 - a) < 0.01)
print(f"outputs where the slope is below 0.01: {flat:.1%}")
assert flat > 0.9

# %% [markdown]
# ## One at a time against matrices · 逐个样本与矩阵
#
# A batch can be computed in two ways: a loop over its samples that adds up their gradients, or one matrix product in
# which the sum over the samples is hidden. The gradient is the same. The time is not.
#
# > 一批样本有两种算法：循环逐个样本，把梯度加起来；或者一次矩阵乘法，对样本的求和藏在乘法里面。
# > 梯度一样，时间却不一样。


# %%
def one_at_a_time(x, y):
    total = None
    for column in range(x.shape[1]):
        _, nabla_w = net.backprop(x[:, [column]], y[:, [column]])
        total = nabla_w if total is None else [t + w for t, w in zip(total, nabla_w, strict=True)]
    return total


def fastest(run):
    times = []
    for _ in range(50):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)  # the others were disturbed


columns, targets = x[:10].T, y[:10].T  # [784, 10] and [10, 10]
looped, at_once = one_at_a_time(columns, targets), net.backprop(columns, targets)[1]
for a, b in zip(looped, at_once, strict=True):
    assert np.allclose(a, b, atol=1e-3)
slow = fastest(lambda: one_at_a_time(columns, targets))
fast = fastest(lambda: net.backprop(columns, targets))
print(
    f"a batch of 10: sample by sample {1000 * slow:.2f} ms, as matrices {1000 * fast:.2f} ms: {slow / fast:.1f} times"
)
assert slow > 2 * fast

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 04 --start`, and write into `labs/my/04.py`.
#
# 1. `sgd_step(params, grads, rate)`: one step for a dict of arrays.
# 2. `descend(slope, start, rate, steps)`: the whole path down.
# 3. `train_epoch(gradient, params, x, t, batch_size, rate, order)`: an epoch of mini-batches.
#
# > 先运行 `python -m paddle_mnist.check 04 --start`，再把答案写进 `labs/my/04.py`。
# >
# > 1. `sgd_step(params, grads, rate)`：对一个数组字典走一步。
# > 2. `descend(slope, start, rate, steps)`：下坡的完整路径。
# > 3. `train_epoch(gradient, params, x, t, batch_size, rate, order)`：用小批量训练一轮。

# %%
lab.finish(accuracy=round(float(by_rate[3.0][-1]) / 100, 4))

# %% [markdown]
# # 12. Optimizers · 优化器
#
# The gradient says where the loss falls. How far to go, and whether to remember earlier steps, is the optimizer's
# business. This lab writes four optimizers down, shows that Paddle's are the same, and compares them: first in a valley
# where everything can be seen, then on digits, each at the best rate of a search.
#
# > 梯度告诉我们损失往哪个方向下降。走多远、要不要记住以前的步子，由优化器决定。
# > 本实验写出四种优化器，证明 Paddle 的与它们相同，然后比较：先在一个看得清一切的山谷里，再用数字；
# > 每种都用搜索得到的最佳学习率。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from paddle.nn import Linear

from paddle_mnist import engine, learners
from paddle_mnist.loader import batches, shuffled
from paddle_mnist.recipes import settings_for
from paddle_mnist.splits import Split

lab = Lab("12_optimizers")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# Four thousand digits are enough to tell optimizers apart, so we take no more, even if all of MNIST is here. Rates are
# chosen by the loss on *validation* digits; the test digits are not touched in this lab.
#
# > 四千个数字足以区分优化器的好坏，所以即使本机有全部 MNIST，也只用这么多。
# > 学习率按*验证*数字上的损失来选；本实验不碰测试数字。

# %%
train = Split(digits.train.images[:4000], digits.train.labels[:4000])
valid = Split(digits.valid.images[:500], digits.valid.labels[:500])
print("training:", train.images.shape, " validation:", valid.images.shape)
assert train.images.shape == (len(train.labels), 28, 28)

# %% [markdown]
# ## Four rules · 四条规则
#
# Let w be a weight, g the gradient of the loss with respect to it, and lr the learning rate.
#
# - *SGD* goes against the gradient.
# - *Momentum* goes on in a direction that stays the same, like a ball that rolls.
# - *RMSProp* divides each weight's gradient by its usual size, so every weight moves at about the same speed.
# - *Adam* does both. Its m and s begin at 0, which is too small; the hats correct this in step t = 1, 2, 3 …
#
# > 设 w 是一个权重，g 是损失对它的梯度，lr 是学习率。
# >
# > - *SGD* 逆着梯度走。
# > - *Momentum* 会沿着一直不变的方向继续前进，像一个滚动的球。
# > - *RMSProp* 把每个权重的梯度除以它平时的大小，于是所有权重以差不多的速度移动。
# > - *Adam* 两样都做。它的 m 和 s 从 0 开始，偏小；带帽子的量在第 t = 1、2、3 …… 步对此加以修正。
#
#     SGD        w = w - lr g
#     Momentum   v = 0.9 v + g            w = w - lr v
#     RMSProp    s = 0.9 s + 0.1 g²       w = w - lr g / √(s + tiny)
#     Adam       m = 0.9 m + 0.1 g        s = 0.999 s + 0.001 g²
#     with       m̂ = m / (1 - 0.9^t)      ŝ = s / (1 - 0.999^t)
#     then       w = w - lr m̂ / (√ŝ + tiny)


# %%
def sgd(w, g, memory, lr):
    return w - lr * g


def momentum(w, g, memory, lr):
    memory["v"] = 0.9 * memory.get("v", 0) + g
    return w - lr * memory["v"]


def rmsprop(w, g, memory, lr):
    memory["s"] = 0.9 * memory.get("s", 0) + 0.1 * g**2
    return w - lr * g / np.sqrt(memory["s"] + 1e-7)


def adam(w, g, memory, lr):
    t = memory["t"] = memory.get("t", 0) + 1
    memory["m"] = 0.9 * memory.get("m", 0) + 0.1 * g
    memory["s"] = 0.999 * memory.get("s", 0) + 0.001 * g**2
    m, s = memory["m"] / (1 - 0.9**t), memory["s"] / (1 - 0.999**t)
    return w - lr * m / (np.sqrt(s) + 1e-8)


RULES = {"sgd": sgd, "momentum": momentum, "rmsprop": rmsprop, "adam": adam}
NAMES = {"sgd": "SGD", "momentum": "Momentum", "rmsprop": "RMSProp", "adam": "Adam"}

# %% [markdown]
# ## The same as Paddle's · 与 Paddle 相同
#
# Are our four rules those of Paddle? Give both the same gradients, and compare after ten steps.
#
# > 我们写的四条规则与 Paddle 的一样吗？给两者同样的梯度，走十步后比较。

# %%
lab.section("The same as Paddle's")
PADDLES = {
    "sgd": lambda w: paddle.optimizer.SGD(0.1, [w]),
    "momentum": lambda w: paddle.optimizer.Momentum(0.1, 0.9, [w]),
    "rmsprop": lambda w: paddle.optimizer.RMSProp(0.1, rho=0.9, epsilon=1e-7, parameters=[w]),
    "adam": lambda w: paddle.optimizer.Adam(0.1, parameters=[w]),
}
gradients = np.random.default_rng(0).normal(size=(10, 5)).astype(np.float32)  # [steps, weights]
for name, rule in RULES.items():
    ours, memory = np.ones(5), {}
    theirs = paddle.create_parameter([5], "float32", default_initializer=paddle.nn.initializer.Constant(1.0))
    optimizer = PADDLES[name](theirs)
    for g in gradients:
        ours = rule(ours, g.astype(float), memory, lr=0.1)
        (theirs * paddle.to_tensor(g)).sum().backward()  # the gradient of this sum is g
        optimizer.step()
        optimizer.clear_grad()
    gap = np.abs(ours - theirs.numpy()).max()
    print(f"{NAMES[name]:9} after ten steps differs by {gap:.1e}")
    assert gap < 1e-4

# %% [markdown]
# ## A valley · 山谷
#
# Try them where we can see everything: two weights, and a loss that is a long valley. It is a hundred times as steep
# across as it is along. Sixty steps for each.
#
# **Predict, then run:** SGD must use one rate for both directions. Which direction limits it, and which one suffers?
#
# > 先在一个看得清一切的地方试试：只有两个权重，损失是一条狭长的山谷，横向的陡度是纵向的一百倍。每种走六十步。
# >
# > **先预测，再运行**：SGD 在两个方向上只能用同一个学习率。哪个方向限制了它，哪个方向吃亏？
#
#     loss(w) = (w[0]² + 100 w[1]²) / 2          gradient = [w[0], 100 w[1]]

# %%
lab.section("A valley")
CURVATURE = np.array([1.0, 100.0])  # [2] how fast the slope changes along each axis


def walk(rule, lr, steps=60):
    w, memory = np.array([-4.0, 0.4]), {}
    path = [w]
    for _ in range(steps):
        w = rule(w, CURVATURE * w, memory, lr)
        path.append(w)
    return np.array(path)  # [steps + 1, 2]


def valley_loss(w):
    return (CURVATURE * w**2).sum(axis=-1) / 2


# %% [markdown]
# To be fair, each rule gets its own rate: the best of a search over 61 rates from 0.001 to 1, judged by the mean loss
# of the last ten steps, so that a path that only passes through the lowest point does not win.
#
# > 为了公平，每条规则用自己的学习率：从 0.001 到 1 的 61 个学习率中最好的一个，按最后十步的平均损失来判断，
# > 免得只是路过最低点的路径获胜。

# %%
rates = np.geomspace(0.001, 1, 61)
best_rate, paths = {}, {}
with np.errstate(over="ignore", invalid="ignore"):  # some rates are far too large
    for name, rule in RULES.items():
        ends = [valley_loss(walk(rule, lr)[-10:]).mean() for lr in rates]
        best_rate[name] = rates[np.nanargmin(ends)]
        paths[name] = walk(rule, best_rate[name])
        print(f"{NAMES[name]:9} best rate {best_rate[name]:.3g}: loss {np.nanmin(ends):.2g} in steps 51 to 60")
end = {name: valley_loss(path[-10:]).mean() for name, path in paths.items()}
assert valley_loss(paths["sgd"][0]) > 10
assert end["sgd"] > 0.5, "even at its best rate SGD crawls along the valley"
assert max(end["momentum"], end["rmsprop"], end["adam"]) < 0.05 * end["sgd"]

figure, grid = plt.subplots(2, 2, figsize=(11, 5), sharex=True, sharey=True, layout="constrained")
along, across = np.meshgrid(np.linspace(-4.5, 2.2, 160), np.linspace(-0.65, 0.65, 160))
heights = valley_loss(np.stack([along, across], axis=-1))  # [160, 160]
for axes, colour, (name, path) in zip(grid.flat, COLOURS, paths.items(), strict=False):
    axes.contour(along, across, heights, levels=[0.05, 0.5, 1.5, 4, 8, 13, 20], colors="0.8", linewidths=0.8)
    axes.plot(*path.T, "o-", color=colour, markersize=3, linewidth=1)
    axes.plot(0, 0, "k+", markersize=12)
    axes.set_title(f"{NAMES[name]}, best rate {best_rate[name]:.2g}: ends at loss {end[name]:.1g}", fontsize=10)
    axes.set(xlim=(-4.5, 2.2), ylim=(-0.65, 0.65))
for axes in grid[1]:
    axes.set_xlabel("w[0], along the valley")
for axes in grid[:, 0]:
    axes.set_ylabel("w[1], across")
figure.suptitle("In a narrow valley SGD zigzags and stops short; the others arrive (+ is the lowest point)")
lab.save(figure, "valley.png")

# %% [markdown]
# The steep direction limits the rate: above 2/100 SGD would climb out of the valley (lab 13). At that rate the flat
# direction hardly moves. Momentum adds up the steps along the valley while those across cancel. RMSProp and Adam divide
# by each direction's own size.
#
# > 陡的方向限制了学习率：超过 2/100，SGD 就会爬出山谷（见实验 13）。而在这样的学习率下，平缓的方向几乎不动。
# > Momentum 让沿山谷的步子累加，横向的步子互相抵消。RMSProp 和 Adam 则除以每个方向自己的大小。

# %% [markdown]
# ## How far Momentum goes · Momentum 走多远
#
# **Predict, then run:** the gradient is 1 in every step. How many times as far as SGD has Momentum gone after many
# steps?
#
# > **先预测，再运行**：每一步的梯度都是 1。走了很多步之后，Momentum 走的路程是 SGD 的多少倍？

# %%
lab.section("How far Momentum goes")
distance = {}
for name in ("sgd", "momentum"):
    w, memory = 0.0, {}
    for step in range(1000):
        w = RULES[name](w, 1.0, memory, lr=0.01)
        distance[name, step + 1] = -w
for steps in (1, 10, 100, 1000):
    print(f"after {steps:4} steps: {distance['momentum', steps] / distance['sgd', steps]:.2f} times as far")
assert 9.8 < distance["momentum", 1000] / distance["sgd", 1000] < 10

# %% [markdown]
# When the *direction* does not change, Momentum's steps add up: 1 + 0.9 + 0.81 + … = 10. So Momentum at rate 0.1 walks
# about as far as SGD at rate 1, and its best rate should be about ten times smaller. We shall see.
#
# > 当*方向*不变时，Momentum 的步子会累加：1 + 0.9 + 0.81 + …… = 10。所以学习率为 0.1 的 Momentum 走得大致与学习率为 1
# > 的 SGD 一样远，它的最佳学习率应该大约小十倍。下面来看。

# %% [markdown]
# ## On digits, rate by rate · 用数字逐个试学习率
#
# Now a small net of sigmoids with ten scores, trained by the loop of lab 7. Every optimizer gets three passes over the
# digits at several rates. Its curve has the shape of a U: too slow on the left, too wild on the right.
#
# > 现在用一个输出十个得分的 Sigmoid 小网络，由实验 7 的循环训练。每种优化器用几个不同的学习率各遍历数据三遍。
# > 画出来的曲线呈 U 形：左边太慢，右边太乱。


# %%
lab.section("On digits, rate by rate")


class Sigmoids(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.fc1 = Linear(784, 10)
        self.fc2 = Linear(10, 10)
        self.fc3 = Linear(10, 10)

    def forward(self, images):
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        return self.fc3(F.sigmoid(self.fc2(F.sigmoid(self.fc1(x)))))  # [n, 10]


MAKE = {
    "sgd": lambda lr, w: paddle.optimizer.SGD(lr, w),
    "momentum": lambda lr, w: paddle.optimizer.Momentum(lr, 0.9, w),
    "rmsprop": lambda lr, w: paddle.optimizer.RMSProp(lr, rho=0.9, epsilon=1e-7, parameters=w),
    "adam": lambda lr, w: paddle.optimizer.Adam(lr, parameters=w),
}
valid_images, valid_labels = map(paddle.to_tensor, next(batches(valid, 500, "classify")))


def train_net(name, lr, seed=0, epochs=3):
    """Return the loss of every batch, and the loss on the validation digits at the end."""
    paddle.seed(seed)
    net = Sigmoids()
    optimizer = MAKE[name](lr, net.parameters())
    losses = []
    for epoch in range(epochs):
        for images, labels in batches(train, 100, "classify", order=shuffled(len(train.labels), seed, epoch)):
            loss = F.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            losses.append(float(loss))
    with paddle.no_grad():
        return losses, float(F.cross_entropy(net(valid_images), valid_labels))


SWEEP = {
    "sgd": lab.budget([0.01, 0.1, 0.3, 1.0, 3.0, 10.0], [0.01, 3.0]),
    "momentum": lab.budget([0.01, 0.03, 0.1, 0.3, 1.0, 3.0], [0.01, 0.3]),
    "rmsprop": lab.budget([0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3], [0.0003, 0.03]),
    "adam": lab.budget([0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3], [0.0003, 0.03]),
}
curves, ends = {}, {}
for name, choices in SWEEP.items():
    for lr in choices:
        curves[name, lr], ends[name, lr] = train_net(name, lr)
best = {name: min(choices, key=lambda lr: ends[name, lr]) for name, choices in SWEEP.items()}
for name, lr in best.items():
    print(f"{NAMES[name]:9} best rate tried {lr:<6g} validation loss {ends[name, lr]:.3f}")
    assert ends[name, lr] < 1.2 < ends[name, SWEEP[name][0]], "the best rate learns, and the smallest hardly begins"
assert best["momentum"] < best["sgd"]
assert max(best["rmsprop"], best["adam"]) < best["momentum"], "dividing by the gradient's size asks for a smaller rate"

# %% [markdown]
# Momentum's best rate is smaller than SGD's, as expected. The factor need not be ten: on digits the direction changes
# from batch to batch, so not all steps add up.
#
# > Momentum 的最佳学习率果然比 SGD 的小。不一定正好是十倍：在数字上，方向每一批都在变，所以步子不会全部累加。

# %% [markdown]
# The package's loop does the same with the same seed, rate and batches:
#
# > 软件包的循环用同样的种子、学习率和批次，算出的也一样：

# %%
settings = settings_for("fc", "classify", optimizer="sgd", lr=best["sgd"], clip_norm=0.0, epochs=3)
record = engine.fit(learners.build(settings), train, valid, settings)[-1]
print(f"validation loss by the loop above {ends['sgd', best['sgd']]:.5f}, by the package {record['valid_loss']:.5f}")
assert abs(record["valid_loss"] - ends["sgd", best["sgd"]]) < 0.01

# %% [markdown]
# Is the winner the winner? One run each is one throw of the dice. Three more seeds at each best rate tell how much a
# loss changes by chance alone: the mean, ± the standard error of the mean.
#
# > 赢家真的是赢家吗？每种只跑一次，就像只掷一次骰子。在每个最佳学习率上再用三个种子，
# > 就知道损失单凭运气会变多少：平均值 ± 平均值的标准误差。

# %%
SEEDS = lab.budget(4, 2)
repeated, errors = {}, {}
for name, lr in best.items():
    repeated[name] = [ends[name, lr], *(train_net(name, lr, seed)[1] for seed in range(1, SEEDS))]
    errors[name] = np.std(repeated[name], ddof=1) / np.sqrt(SEEDS)
    print(f"{NAMES[name]:9} rate {lr:<6g} validation loss {np.mean(repeated[name]):.3f} ± {errors[name]:.3f}")
means = {name: np.mean(losses) for name, losses in repeated.items()}
chosen = sum(ends[name, lr] for name, lr in best.items())
print(f"sum of the four losses: when chosen {chosen:.2f}, repeated {sum(means.values()):.2f}")
assert max(means.values()) < 1.5, "at its best rate each of them learns"
assert lab.budget(sum(means.values()) > chosen, True), "see below"

# %% [markdown]
# The means are worse than the losses by which the rates were chosen. That is no accident: if you pick the smallest of
# several numbers, you also pick the luckiest. So judge a choice by new runs, as here, or by new digits, never by the
# number that made you choose.
#
# > 平均值比当初用来选择的损失差。这不是偶然：从几个数里挑最小的，也就挑中了运气最好的。
# > 所以要像这里一样用新的训练来评判一个选择，或者用新的数字，绝不要用促使你选择它的那个数。

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.3), layout="constrained")
for colour, (name, choices) in zip(COLOURS, SWEEP.items(), strict=False):
    left.semilogx(choices, [ends[name, lr] for lr in choices], "o-", color=colour, label=NAMES[name])
    smooth = np.convolve(curves[name, best[name]], np.ones(8) / 8, mode="valid")
    label = f"{NAMES[name]}, rate {best[name]:g}: {means[name]:.2f} ± {errors[name]:.2f}"
    right.plot(np.arange(len(smooth)) + 8, smooth, color=colour, label=label)
left.axhline(np.log(10), color="0.6", linestyle="--", label="guessing")
left.set(title="Each optimizer has a rate of its own", xlabel="learning rate", ylabel="validation loss, 3 epochs")
right.set(title="At its own best rate, each one learns", xlabel="step", ylabel="training loss (mean of 8 steps)")
right.set_ylim(bottom=0)
left.legend()
right.legend(fontsize=9, title=f"validation loss, mean of {SEEDS} seeds")
lab.save(figure, "rates.png")

# %% [markdown]
# No optimizer wins everywhere. RMSProp and Adam spare you part of the search, because each weight gets steps of its own
# size, whatever the size of its gradients. The other way to help SGD, a rate that changes while the net learns, is the
# next lab.
#
# > 没有哪种优化器处处都赢。RMSProp 和 Adam 替你省下一部分搜索，因为不管梯度多大，每个权重都有适合自己的步长。
# > 帮助 SGD 的另一种办法，即让学习率随着训练变化，见下一个实验。

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 12 --start`, write into `labs/my/12.py`, and check with
# `python -m paddle_mnist.check 12`. `--hint` gives hints.
#
# 1. `predictions()`: change one thing about an optimizer, and say what happens.
# 2. `adagrad_step(w, s, gradient, lr)`: the rule that the course uses, which never forgets.
# 3. `adam_step(w, m, s, gradient, t, lr)`: find the three mistakes in an Adam that seems to learn.
#
# > 用 `python -m paddle_mnist.check 12 --start` 开始，把答案写进 `labs/my/12.py`，
# > 再用 `python -m paddle_mnist.check 12` 检查。`--hint` 给出提示。
# >
# > 1. `predictions()`：改变优化器的一个方面，说出会发生什么。
# > 2. `adagrad_step(w, s, gradient, lr)`：课程用到的规则，它从不遗忘。
# > 3. `adam_step(w, m, s, gradient, t, lr)`：找出一个看似能学习的 Adam 里的三个错误。

# %%
lab.finish(best_rates=best, validation_loss={name: round(float(mean), 3) for name, mean in means.items()})

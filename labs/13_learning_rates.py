# %% [markdown]
# # 13. Learning rates · 学习率
#
# One number decides more than any other whether a net learns: the learning rate. This lab finds the largest rate that
# still goes downhill, changes the rate while the net learns, and explains a failure that you can watch on your own
# machine: the course's recipe, which ends with some seeds in a net that answers the same number to every digit.
#
# > 决定网络能否学习的，首先是一个数：学习率。本实验找出仍能下坡的最大学习率，让学习率随训练变化，
# > 并解释一个可以在你自己的机器上看到的失败：课程的训练方案在某些种子下会得到一个对所有数字都回答同一个数的网络。

# %%
from itertools import islice

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from paddle.nn import Linear
from paddle.optimizer import lr

from paddle_mnist import fast
from paddle_mnist.loader import batches, shuffled
from paddle_mnist.nets import CNN
from paddle_mnist.splits import Split

lab = Lab("13_learning_rates")
digits = dataset.open_dataset("auto", log=print)
train = Split(digits.train.images[:4000], digits.train.labels[:4000])  # enough, even if all of MNIST is here
valid_images = paddle.to_tensor(digits.valid.images[:500, np.newaxis].astype(np.float32) / 255)  # [n, 1, 28, 28]

# %% [markdown]
# ## The edge of stability · 稳定的边缘
#
# Take one weight and the loss c w² / 2. Its slope is c w, and c, the curvature, says how fast the slope changes. One
# step of gradient descent multiplies w by a fixed number:
#
# > 取一个权重，损失是 c w² / 2。斜率是 c w；c 叫曲率，表示斜率变化的快慢。梯度下降的一步把 w 乘以一个固定的数：
#
#     w - lr c w = (1 - lr c) w
#
# %% [markdown]
# **Predict, then run:** the curvature is 100, as across the valley of lab 12. What happens at the rates 0.005, 0.01,
# 0.019, 0.02 and 0.021? Write down the factor 1 - lr c for each.
#
# > **先预测，再运行**：曲率为 100，与实验 12 山谷的横向一样。学习率为 0.005、0.01、0.019、0.02、0.021 时会怎样？
# > 写出每个学习率的因子 1 - lr c。

# %%
lab.section("The edge of stability")
ends = {}
for rate in (0.005, 0.01, 0.019, 0.02, 0.021):
    w = path = [1.0]
    for _ in range(50):
        path = [*path, path[-1] - rate * 100 * path[-1]]
    ends[rate] = path[-1]
    print(f"rate {rate:<6g} factor {1 - 100 * rate:5.2f}: w goes", *[f"{w:.2f}" for w in path[:4]], f"… {path[-1]:.2g}")
assert abs(ends[0.01]) < 1e-9, "one step is enough: 1/c is the best rate there is"
assert abs(ends[0.019]) < 0.01
assert abs(abs(ends[0.02]) - 1) < 1e-6, "at the edge it jumps from side to side for ever"
assert abs(ends[0.021]) > 100

# %% [markdown]
# So a step goes down only while the factor lies between -1 and 1. Keep this rule in mind: it will explain the failure
# below. A net has many directions with many curvatures, and the steepest one sets the limit for all.
#
# > 所以，只有当因子在 -1 和 1 之间时，一步才是往下走。请记住这条规则：它会解释下面的失败。
# > 网络有许多方向、许多曲率，最陡的那个方向为所有方向定下上限。
#
#     a step goes down only while   lr < 2 / curvature

# %% [markdown]
# ## Schedules · 学习率调度
#
# A large rate learns fast and then keeps jumping about the bottom. A small rate settles, but takes long to get there.
# So begin large and end small. Paddle has a class for every usual schedule, in `paddle.optimizer.lr`:
#
# - constant: a plain number;
# - steps: `PiecewiseDecay`, lr, then lr/4, then lr/16;
# - cosine: `CosineAnnealingDecay`, lr (1 + cos π t) / 2, with t from 0 to 1 over the training;
# - and any of them after a warm-up, in which the rate grows from 0: `LinearWarmup`.
#
# The optimizer takes the scheduler in place of the number, and the loop calls `rate.step()` after each batch.
#
# > 学习率大，学得快，但最后总在谷底附近跳来跳去；学习率小，能稳定下来，但要走很久。所以开始要大，结束要小。
# > 每种常用的调度，Paddle 在 `paddle.optimizer.lr` 里都有一个类：
# >
# > - 不变：一个普通的数；
# > - 分段：`PiecewiseDecay`，先 lr，再 lr/4，再 lr/16；
# > - 余弦：`CosineAnnealingDecay`，lr (1 + cos π t) / 2，t 在训练过程中从 0 变到 1；
# > - 其中任何一种都可以接在预热之后，预热时学习率从 0 升起：`LinearWarmup`。
# >
# > 优化器接收调度器代替那个数，循环在每一批之后调用 `rate.step()`。

# %%
lab.section("Schedules")
EPOCHS, RATE = 4, 0.1
STEPS = EPOCHS * -(-len(train.labels) // 100)
WARM = STEPS // 10
REST = STEPS - WARM


def warmed(then):
    return lr.LinearWarmup(then, warmup_steps=WARM, start_lr=0.0, end_lr=RATE)


def steps():
    return lr.PiecewiseDecay([REST // 3, 2 * REST // 3], [RATE, RATE / 4, RATE / 16])


SCHEDULES = {
    "constant": lambda: warmed(RATE),
    "steps": lambda: warmed(steps()),
    "cosine": lambda: warmed(lr.CosineAnnealingDecay(RATE, T_max=REST)),
    "cosine, no warm-up": lambda: lr.CosineAnnealingDecay(RATE, T_max=STEPS),
    "constant, no warm-up": lambda: lr.LambdaDecay(RATE, lambda step: 1.0),
}

rate, rates = SCHEDULES["cosine"](), []
for _ in range(STEPS):
    rates.append(rate())
    rate.step()
t = np.maximum(np.arange(STEPS) - WARM, 0) / REST  # 0 at the end of the warm-up, 1 at the end
formula = RATE * np.minimum(np.arange(STEPS) / WARM, 1) * (1 + np.cos(np.pi * t)) / 2
print("Paddle's rates:", *[f"{rates[i]:.3f}" for i in (0, WARM // 2, WARM, STEPS // 2, STEPS - 1)])
assert np.allclose(rates, formula), "LinearWarmup and CosineAnnealingDecay compute this"

# %% [markdown]
# The course uses another one, `PolynomialDecay`: from lr to an end rate along a straight line, or along a power of it.
#
# > 课程用的是另一种，`PolynomialDecay`：从 lr 沿直线（或其幂）降到最终的学习率。

# %%
polynomial = lr.PolynomialDecay(0.01, decay_steps=100, end_lr=0.001, power=1.0)
for step in range(100):
    assert abs(polynomial() - (0.001 + 0.009 * (1 - step / 100))) < 1e-9
    polynomial.step()

# %% [markdown]
# Now train by them: lab 12's net of sigmoids, RMSProp, with a rate on the large side. To compare falling rates fairly,
# all three start with the *same warm-up*; the last two curves show what the warm-up itself is worth. Three seeds each,
# the mean loss on the training digits at the end.
#
# **Predict, then run:** which matters more here, how the rate ends or how it begins?
#
# > 现在用它们来训练：实验 12 的 Sigmoid 网络，RMSProp，学习率取得偏大。为了公平地比较下降方式，三种都用*同样的预热*；
# > 最后两条曲线说明预热本身有多大作用。每种三个种子，看训练结束时训练数字上的平均损失。
# >
# > **先预测，再运行**：这里哪个更重要，学习率怎样结束，还是怎样开始？


# %%
class Sigmoids(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.fc1 = Linear(784, 10)
        self.fc2 = Linear(10, 10)
        self.fc3 = Linear(10, 10)

    def forward(self, images):
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        return self.fc3(F.sigmoid(self.fc2(F.sigmoid(self.fc1(x)))))  # [n, 10]


all_images, all_labels = map(paddle.to_tensor, next(batches(train, 4000, "classify")))


def train_by(rate, seed):
    paddle.seed(seed)
    net = Sigmoids()
    optimizer = paddle.optimizer.RMSProp(rate, rho=0.9, epsilon=1e-7, parameters=net.parameters())
    rates, losses = [], []
    for epoch in range(EPOCHS):
        for images, labels in batches(train, 100, "classify", order=shuffled(len(train.labels), seed, epoch)):
            loss = F.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
            loss.backward()
            rates.append(optimizer.get_lr())
            optimizer.step()
            optimizer.clear_grad()
            rate.step()  # the scheduler moves on by one
            losses.append(float(loss))
    with paddle.no_grad():
        return rates, losses, float(F.cross_entropy(net(all_images), all_labels))


SEEDS = lab.budget(3, 1)
runs = {name: [train_by(make(), seed) for seed in range(SEEDS)] for name, make in SCHEDULES.items()}
ended = {name: np.array([end for _, _, end in run]) for name, run in runs.items()}
for name, losses in ended.items():
    print(f"{name:21} ends at {losses.mean():.3f}, seed by seed", losses.round(2))
mean = {name: losses.mean() for name, losses in ended.items()}
assert mean["constant"] < mean["constant, no warm-up"], "the warm-up helps the constant rate"
assert mean["cosine"] < mean["cosine, no warm-up"], "and the falling one"
assert mean["cosine"] < mean["constant"], "with the same warm-up, the falling rate ends lower"

# %%
figure, (top, bottom) = plt.subplots(2, 1, figsize=(8.5, 6.4), sharex=True, height_ratios=[1, 2], layout="constrained")
for colour, (name, run) in zip(COLOURS, runs.items(), strict=False):
    line = "--" if "no warm-up" in name else "-"
    top.plot(run[0][0], line, color=colour)
    losses = np.mean([losses for _, losses, _ in run], axis=0)
    smooth = np.convolve(losses, np.ones(8) / 8, mode="valid")
    bottom.plot(np.arange(len(smooth)) + 8, smooth, line, color=colour, label=f"{name}: ends at {mean[name]:.2f}")
top.set(title="A warm-up helps most; after it, a falling rate ends lower", ylabel="learning rate")
bottom.set(xlabel="step", ylabel=f"training loss (8 steps, {SEEDS} seeds)")
bottom.legend()
lab.save(figure, "schedules.png")

# %% [markdown]
# Why the warm-up? In the first step RMSProp has seen one gradient only, so it takes it for the usual size, and moves
# every weight by a full step, whatever the gradient. A few small steps let it find out first.
#
# > 为什么要预热？第一步时 RMSProp 只见过一个梯度，就把它当作平常的大小，于是不管梯度如何，每个权重都走满满的一步。
# > 先走几个小步，它才能弄清平常的大小。

# %%
memory = 0.1 * np.array([1e-3, 1.0, 1e3]) ** 2
first = 0.1 * np.array([1e-3, 1.0, 1e3]) / np.sqrt(memory)
print("first steps of three weights whose gradients are 0.001, 1 and 1000:", first.round(3))
assert np.allclose(first, 0.1 / np.sqrt(0.1))

# %% [markdown]
# ## The recipe that fails · 会失败的方案
#
# The course trains the convolutional net of lab 8 to answer with a number: square error, SGD, rate 0.01. As published,
# some seeds fail. Let us watch the first forty steps of six seeds. `fast.train_step` does what `plain_step` does, in
# a fraction of the time (lab 16); it returns `None` where it does not know the net or the processor.
#
# **Predict, then run:** the gradient points downhill. What does the very first step do to the loss?
#
# > 课程训练实验 8 的卷积网络直接输出一个数：平方误差，SGD，学习率 0.01。按发布的样子，它在某些种子下会失败。
# > 我们来看六个种子的前四十步。`fast.train_step` 做的与 `plain_step` 相同，只是快得多（见实验 16）；
# > 遇到不认识的网络或处理器，它返回 `None`。
# >
# > **先预测，再运行**：梯度指向下坡的方向。第一步会使损失怎样变化？


# %%
lab.section("The recipe that fails")


def first_steps(seed, count, clip=None):
    """Train as the course does; return the losses, and from 500 digits the answers and the share of ReLUs that live."""
    paddle.seed(seed)
    net = CNN()
    optimizer = paddle.optimizer.SGD(0.01, net.parameters(), grad_clip=clip)

    def plain_step(images, labels):
        loss = F.square_error_cost(net(paddle.to_tensor(images)), paddle.to_tensor(labels)).mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    step = fast.train_step(net, "regress", optimizer) or plain_step
    every = batches(train, 100, "regress", order=shuffled(len(train.labels), seed, 0))
    losses = [step(images, labels) for images, labels in islice(every, count)]
    with paddle.no_grad():
        maps = F.relu(net.conv2(net.max_pool1(F.relu(net.conv1(valid_images))))).numpy()  # [n, 20, 14, 14]
        return losses, net(valid_images).numpy()[:, 0], float(np.mean(maps > 0))


CNN_SEEDS = lab.budget(6, 1)
COUNT = lab.budget(40, 20)
published = [first_steps(seed, COUNT) for seed in range(CNN_SEEDS)]
for seed, (losses, _, _) in enumerate(published):
    print(f"seed {seed}: loss", *[f"{x:.0f}" for x in losses[:6]], "…", f"{losses[-1]:.0f}")
    assert losses[1] > 2 * losses[0], "the first step goes up, not down"

# %% [markdown]
# The very first step makes the loss many times larger. Where the outputs have shot up, so have the gradients, and the
# next step throws the weights back so far that most ReLUs see nothing above 0 any more. A ReLU that does so for every
# digit is dead: no gradient passes it. How many of these nets still tell digits apart? We show each of them 500 digits,
# and look at the spread of its answers, from the smallest to the largest.
#
# > 第一步就使损失增大了许多倍。输出猛增，梯度也随之猛增，下一步又把权重反向甩出很远，
# > 使大多数 ReLU 再也见不到大于 0 的输入。对所有数字都如此的 ReLU 就“死”了：梯度无法通过。
# > 这些网络里还有几个能分辨数字？给每个网络看 500 个数字，看它的回答从最小到最大散开多少。

# %%
spread = {"as published": [float(np.ptp(answers)) for _, answers, _ in published]}
living = [alive for _, _, alive in published]
for seed, (width, alive) in enumerate(zip(spread["as published"], living, strict=True)):
    print(f"seed {seed}: of the second ReLU's outputs {alive:6.2%} are above 0;", end=" ")
    print(f"answers spread over {width:.3f}{'   dead' if width < 0.1 else ''}")
dead = sum(width < 0.1 for width in spread["as published"])
print(f"{dead} of {CNN_SEEDS} nets answer the same number to every digit, after {COUNT} steps")
assert dead >= 1, "at least one of these seeds is dead"
assert max(alive for alive, width in zip(living, spread["as published"], strict=True) if width < 0.1) < 0.1

# %% [markdown]
# With more steps, some of them may recover. In full training runs on all of MNIST, 2 of 8 seeds ended dead, and 8 of 8
# where the pixels run from -1 to 1 (`benchmarks/seeds.py`).
#
# > 继续训练，其中一些也许能恢复。在完整的 MNIST 上训练到底，8 个种子里有 2 个最终死掉；
# > 像素取 -1 到 1 时则是 8 个里有 8 个（`benchmarks/seeds.py`）。

# %% [markdown]
# ## A slice of the loss surface · 损失曲面的一个切面
#
# Why does the first step go up, when the gradient points down? Stand at the first weights w, with the gradient g, and
# look straight ahead: what is the loss at w - a g, for a growing from 0? SGD will stop at a = 0.01.
#
# The length of the whole gradient, over all weights, is called its *global norm*. The curvature along g, from three
# points a tiny distance ε apart, tells where the edge of stability is:
#
# > 梯度明明指向下坡，为什么第一步反而上升？站在最初的权重 w 处，梯度为 g，向正前方看：
# > 当 a 从 0 增大时，w - a g 处的损失是多少？SGD 会停在 a = 0.01 处。
# >
# > 整个梯度（所有权重合在一起）的长度叫*全局范数*。用相距很小的 ε 的三个点可以算出沿 g 的曲率，
# > 从而知道稳定的边缘在哪里：
#
#     norm = √(sum of the squares of all gradients of all parameters)
#     curvature = (loss(w + ε g) - 2 loss(w) + loss(w - ε g)) / (ε² norm²)          edge = 2 / curvature


# %%
lab.section("A slice of the loss surface")


def slice_along_gradient(seed, distances):
    """Return the losses at w - a g for each a of the distances, the edge, and the norm of g."""
    paddle.seed(seed)
    net = CNN()
    forward = fast.accelerate(net)
    images, labels = map(paddle.to_tensor, next(batches(train, 100, order=shuffled(len(train.labels), seed, 0))))
    F.square_error_cost(forward(images), labels).mean().backward()
    start = [(p, p.numpy(), p.grad.numpy()) for p in net.parameters()]
    norm = np.sqrt(sum((g.astype(float) ** 2).sum() for _, _, g in start))

    def loss_at(a):
        for p, w, g in start:
            p.set_value((w - a * g).astype(np.float32))
        with paddle.no_grad():
            outputs = forward(images).numpy().astype(float)  # [100, 1]
        return np.mean((outputs - labels.numpy()) ** 2)

    tiny = 1e-5
    curvature = (loss_at(-tiny) - 2 * loss_at(0) + loss_at(tiny)) / (tiny * norm) ** 2
    return np.array([loss_at(a) for a in distances]), 2 / curvature, norm


distances = np.linspace(0, 0.012, lab.budget(25, 13))
slices = [slice_along_gradient(seed, distances) for seed in range(CNN_SEEDS)]
at_rate = int(np.argmin(np.abs(distances - 0.01)))
for seed, (losses, edge, norm) in enumerate(slices):
    print(f"seed {seed}: norm {norm:.0f}, edge at {edge:.4f}; loss {losses[0]:.0f}, lowest {losses.min():.0f}", end="")
    print(f", at 0.01 {losses[at_rate]:.0f}; a clipped step goes to {0.01 * 5 / norm:.5f}")
    assert losses.min() < losses[0] < losses[at_rate], "down at first, but far up where the step ends"
    assert edge < 0.01, "the course's rate is beyond the edge"

# %% [markdown]
# For every seed the rate of 0.01 lies beyond the edge. The step flies across the valley and lands high on the other
# wall.
#
# Why is the first gradient so long? The targets run from 0 to 9, 4.5 on average, while the outputs begin near 0: all
# outputs together are too small, and every digit of the batch pulls in the same direction. Subtract 4.5 from the
# targets, and see.
#
# > 对每个种子来说，0.01 的学习率都在边缘之外。这一步飞过山谷，落在对面高高的山壁上。
# >
# > 最初的梯度为什么这么长？目标从 0 到 9，平均 4.5，而输出开始时接近 0：所有输出一起偏小，
# > 批中的每个数字都往同一个方向拉。把目标减去 4.5 看看。

# %%
for seed, (_, _, norm) in enumerate(slices):
    paddle.seed(seed)
    net = CNN()
    images, labels = map(paddle.to_tensor, next(batches(train, 100, order=shuffled(len(train.labels), seed, 0))))
    F.square_error_cost(net(images), labels - 4.5).mean().backward()
    centred = np.sqrt(sum((p.grad.numpy().astype(float) ** 2).sum() for p in net.parameters()))
    print(f"seed {seed}: norm of the first gradient {norm:.0f}, with centred targets {centred:.0f}")
    assert centred < 0.4 * norm

# %% [markdown]
# ## Clipping · 梯度裁剪
#
# The fix leaves the recipe as it is, and only forbids giant steps. If the global norm is above 5, all gradients are
# shortened by the same factor. The direction stays, the length becomes 5:
#
# > 修复办法保持方案不变，只是不许迈巨大的步子。如果全局范数大于 5，就把所有梯度按同一个因子缩短。
# > 方向不变，长度变为 5：
#
#     g = g · 5 / max(norm, 5)

# %%
lab.section("Clipping")
clipped = [first_steps(seed, COUNT, paddle.nn.ClipGradByGlobalNorm(5.0)) for seed in range(CNN_SEEDS)]
spread["clipped at 5"] = [float(np.ptp(answers)) for _, answers, _ in clipped]
for seed, (losses, answers, alive) in enumerate(clipped):
    print(f"seed {seed}: loss", *[f"{x:.0f}" for x in losses[:4]], f"… {losses[-1]:.0f}, answers", end=" ")
    print(f"{answers.min():.1f} to {answers.max():.1f}, above 0: {alive:.0%}")
    assert max(losses) < 2 * losses[0], "no step explodes"
    assert np.mean(losses[-5:]) < 0.6 * losses[0], "it learns"
assert min(spread["clipped at 5"]) > 0.1, "each net tells digits apart"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)
jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(valid_images))
for axes, name, results, colour in (
    (left, "as published", published, COLOURS[1]),
    (right, "clipped at 5", clipped, COLOURS[0]),
):
    for seed, (_, answers, _) in enumerate(results):
        axes.plot(seed + jitter, np.clip(answers, -2, 12), ".", color=colour, ms=3, alpha=0.5)
        if spread[name][seed] < 0.1:
            axes.text(seed, answers.mean() + 0.7, "dead", ha="center", fontsize=9)
    axes.set(xlabel="seed", xticks=range(CNN_SEEDS), ylim=(-2, 12))
left.set(title=f"As published: {dead} of {CNN_SEEDS} nets answer one and the same number")
left.set_ylabel(f"answers to 500 digits, after {COUNT} steps")
right.set_title("Gradient clipped at 5: every net tells digits apart")
lab.save(figure, "dead.png")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for seed, ((losses, edge, _), (wild, _, _), (tame, _, _)) in enumerate(zip(slices, published, clipped, strict=True)):
    colour = COLOURS[seed % len(COLOURS)]
    left.semilogy(distances, losses, "-" if seed < len(COLOURS) else ":", color=colour, linewidth=1.4)
    left.plot(edge, np.interp(edge, distances, losses), "o", color=colour)
    right.semilogy(wild, color=COLOURS[1], alpha=0.7, label=None if seed else "as published")
    right.semilogy(tame, color=COLOURS[0], alpha=0.7, label=None if seed else "clipped at 5")
left.axvline(0.01, color="0.4", linestyle="--", label="the course's rate")
left.set(title="The first step ends beyond the edge (dots)", xlabel="a", ylabel="loss at w - a g")
right.set(title="So the loss explodes, unless steps are short", xlabel="step", ylabel="loss of the batch")
left.legend()
right.legend()
lab.save(figure, "clipping.png")

# %% [markdown]
# The package clips by default, and says so; `--clip-norm 0` is the recipe as published. With clipping, 0 of 40 full
# training runs collapsed (`benchmarks/seeds.py`). While the gradient is longer than 5, a step has the length
# 0.01 · 5 = 0.05, whatever the gradient's size: it cannot fly across the valley.
#
# > 软件包默认裁剪，并会说明；`--clip-norm 0` 则是发布时的方案。用了裁剪，40 次完整训练中 0 次崩溃
# > （`benchmarks/seeds.py`）。只要梯度长于 5，一步的长度就是 0.01 · 5 = 0.05，与梯度的大小无关：它飞不过山谷。

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 13 --start`, write into `labs/my/13.py`, and check with
# `python -m paddle_mnist.check 13`. `--hint` gives hints.
#
# 1. `clip_by_global_norm(gradients, limit)`: what the last section uses.
# 2. `largest_rate(slope, w)`: find the edge of stability by measuring, without a formula for the curvature.
# 3. `rate(step, steps)`: a schedule of your own that reaches a mark with five seeds.
#
# > 用 `python -m paddle_mnist.check 13 --start` 开始，把答案写进 `labs/my/13.py`，
# > 再用 `python -m paddle_mnist.check 13` 检查。`--hint` 给出提示。
# >
# > 1. `clip_by_global_norm(gradients, limit)`：最后一节用到的裁剪。
# > 2. `largest_rate(slope, w)`：不用曲率公式，通过测量找到稳定的边缘。
# > 3. `rate(step, steps)`：自己设计一个调度，用五个种子都达到目标。

# %%
lab.finish(ends={name: round(float(m), 3) for name, m in mean.items()}, dead=dead, spread=spread["as published"])

# %% [markdown]
# # 12. Optimizers · 优化器
#
# The gradient says where the loss falls. How far to go, and whether to remember earlier steps, is the optimizer's
# business. This lab writes four optimizers down, compares them, and finds out why the course's own recipe fails with
# some seeds.
#
# > 梯度告诉我们损失往哪个方向下降。走多远、要不要记住以前的步子，由优化器决定。
# > 本实验写出四种优化器，加以比较，并弄清课程自己的训练方案为什么在某些随机种子下会失败。

# %%
from itertools import islice

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()
import paddle
import paddle.nn.functional as F

from paddle_mnist import engine, fast, learners
from paddle_mnist.loader import batches, shuffled
from paddle_mnist.nets import CNN
from paddle_mnist.recipes import settings_for
from paddle_mnist.splits import Split

lab = Lab("12_optimizers")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# Four thousand digits are enough to tell optimizers apart, so we take no more, even if all of MNIST is here.
#
# > 四千个数字足以区分优化器的好坏，所以即使本机有全部 MNIST，也只用这么多。

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
#     SGD        w = w - lr g
#     Momentum   v = 0.9 v + g                 w = w - lr v
#     RMSProp    s = 0.9 s + 0.1 g²            w = w - lr g / √(s + tiny)
#     Adam       m = 0.9 m + 0.1 g             s = 0.999 s + 0.001 g²
#                w = w - lr m̂ / (√ŝ + tiny)    m̂ = m / (1 - 0.9^t)    ŝ = s / (1 - 0.999^t)
#
# Momentum goes on in a direction that stays the same: a ball that rolls. RMSProp divides each weight's gradient by its
# usual size, so every weight moves at about the same speed. Adam does both. Its m and s begin at 0, which is too
# small; the hats correct this in step t = 1, 2, 3 …
#
# > 设 w 是一个权重，g 是损失对它的梯度，lr 是学习率，规则见上。
# > Momentum 会沿着一直不变的方向继续前进，像一个滚动的球。RMSProp 把每个权重的梯度除以它平时的大小，
# > 于是所有权重以差不多的速度移动。Adam 两样都做。它的 m 和 s 从 0 开始，偏小；
# > 带帽子的量在第 t = 1、2、3 …… 步对此加以修正。


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
# ## A valley · 山谷
#
# Try them where we can see everything: two weights, and a loss that is a long valley. It is twenty times as steep
# across as it is along.
#
#     loss(w) = (w[0]² + 20 w[1]²) / 2          gradient = [w[0], 20 w[1]]
#
# > 先在一个看得清一切的地方试试：只有两个权重，损失是一条狭长的山谷，横向的陡度是纵向的二十倍，公式见上。

# %%
CURVATURE = np.array([1.0, 20.0])  # [2] how fast the slope changes along each axis


def walk(rule, lr, steps=60):
    w, memory = np.array([-4.0, 1.2]), {}
    path = [w]
    for _ in range(steps):
        w = rule(w, CURVATURE * w, memory, lr)
        path.append(w)
    return np.array(path)  # [steps + 1, 2]


def valley_loss(w):
    return (CURVATURE * w**2).sum(axis=-1) / 2


RATES = {"sgd": 0.09, "momentum": 0.03, "rmsprop": 0.1, "adam": 0.3}
paths = {name: walk(rule, RATES[name]) for name, rule in RULES.items()}

figure, grid = plt.subplots(2, 2, figsize=(10, 5.5), sharex=True, sharey=True)
across, up = np.meshgrid(np.linspace(-4.6, 2.2, 120), np.linspace(-2, 2, 120))
heights = valley_loss(np.stack([across, up], axis=-1))  # [120, 120]
for axes, colour, (name, path) in zip(grid.flat, COLOURS, paths.items(), strict=False):
    axes.contour(across, up, heights, levels=[0.1, 0.5, 1.5, 4, 9, 16, 28, 40], colors="0.8", linewidths=0.8)
    axes.plot(*path.T, "o-", color=colour, markersize=3, linewidth=1.2)
    axes.plot(0, 0, "k+", markersize=10)
    axes.set_title(f"{NAMES[name]}, rate {RATES[name]:g}: loss {valley_loss(path[-1]):.1g} after 60 steps", fontsize=10)
    assert valley_loss(path[-1]) < 0.05 * valley_loss(path[0]), f"{name} has not come down"
for axes in grid[1]:
    axes.set_xlabel("w[0], along the valley")
for axes in grid[:, 0]:
    axes.set_ylabel("w[1], across")
figure.suptitle("Four optimizers walk down one valley (+ is the lowest point)")
figure.tight_layout()
lab.save(figure, "valley.png")

# %% [markdown]
# ## The edge of stability · 稳定的边缘
#
# SGD jumps from wall to wall. How large may its rate be? Across the valley a step multiplies w[1] by (1 - 20 lr). If
# lr is above 2/20, this factor is below -1: each jump lands higher than the last.
#
#     a step goes down only while   lr < 2 / curvature
#
# Keep this rule in mind. It will explain a failure further down.
#
# > SGD 在两壁之间来回跳。它的学习率最大能取多少？在横向上，每一步把 w[1] 乘以（1 - 20 lr）。
# > 如果 lr 大于 2/20，这个因子小于 -1：每一跳都落在比上一跳更高的地方。
# > 所以只有当学习率小于“2 除以曲率”时，一步才是往下走。请记住这条规则，后面它会解释一次失败。

# %%
below, above = walk(sgd, 0.98 * 2 / 20), walk(sgd, 1.02 * 2 / 20)
print("w[1] across the valley: starts at 1.2, ends at", f"{below[-1, 1]:.3f} just below the edge,", end=" ")
print(f"{above[-1, 1]:.3f} just above it")
assert abs(below[-1, 1]) < 1.2 < abs(above[-1, 1])

# %% [markdown]
# ## The same as Paddle's · 与 Paddle 相同
#
# Are our four rules those of Paddle? Give both the same gradients, and compare after ten steps.
#
# > 我们写的四条规则与 Paddle 的一样吗？给两者同样的梯度，走十步后比较。

# %%
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
# ## On digits, rate by rate · 用数字逐个试学习率
#
# Now the course's small net of sigmoids, with ten scores. Every optimizer gets three passes over the digits at several
# rates. Its curve has the shape of a U: too slow on the left, too wild on the right.
#
# > 现在换成课程里的 Sigmoid 小网络，输出十个分数。每种优化器用几个不同的学习率各遍历数据三遍。
# > 画出来的曲线呈 U 形：左边太慢，右边太乱。

# %%
SWEEP = {
    "sgd": lab.budget([0.01, 0.1, 0.3, 1.0, 3.0, 10.0], [0.01, 3.0]),
    "momentum": lab.budget([0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0], [0.003, 0.3]),
    "rmsprop": lab.budget([0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3], [0.0003, 0.03]),
    "adam": lab.budget([0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3], [0.0003, 0.03]),
}


def train_net(optimizer, lr):
    """Return the loss of every batch, and the mean loss of the last epoch."""
    settings = settings_for("fc", "classify", optimizer=optimizer, lr=lr, clip_norm=0.0, epochs=3)
    losses = []
    history = engine.fit(
        learners.build(settings), train, valid, settings, on_step=lambda step: losses.append(step.loss)
    )
    return losses, history[-1]["loss"]


curves, ends = {}, {}
for name, rates in SWEEP.items():
    for lr in rates:
        curves[name, lr], ends[name, lr] = train_net(name, lr)

best = {name: min(rates, key=lambda lr: ends[name, lr]) for name, rates in SWEEP.items()}
for name, lr in best.items():
    print(f"{NAMES[name]:9} best rate tried {lr:<6g} loss of the third epoch {ends[name, lr]:.3f}")
    assert ends[name, lr] < 1.2 < ends[name, SWEEP[name][0]], "the best rate learns, and the smallest hardly begins"
assert max(best["rmsprop"], best["adam"]) < best["sgd"], "dividing by the gradient's size asks for a smaller rate"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.3))
for colour, (name, rates) in zip(COLOURS, SWEEP.items(), strict=False):
    left.semilogx(rates, [ends[name, lr] for lr in rates], "o-", color=colour, label=NAMES[name])
    smooth = np.convolve(curves[name, best[name]], np.ones(8) / 8, mode="valid")
    right.plot(np.arange(len(smooth)) + 8, smooth, color=colour, label=f"{NAMES[name]}, rate {best[name]:g}")
left.axhline(np.log(10), color="0.6", linestyle="--", label="guessing")
left.set(title="Each optimizer has a rate of its own", xlabel="learning rate", ylabel="mean loss of the third epoch")
right.set(
    title="At its best rate, four optimizers side by side", xlabel="step", ylabel="training loss (mean of 8 steps)"
)
right.set_ylim(bottom=0)
left.legend()
right.legend()
figure.tight_layout()
lab.save(figure, "rates.png")

# %% [markdown]
# At a rate that does not change, Momentum's steps add up: 1 + 0.9 + 0.81 + … = 10. So Momentum at 0.3 walks about as
# far as SGD at 3. No optimizer wins everywhere; what they spare you is the search for a rate that fits every weight.
#
# > 在方向不变时，Momentum 的步子会累加：1 + 0.9 + 0.81 + …… = 10。所以学习率为 0.3 的 Momentum 走得大致与学习率为 3 的
# > SGD 一样远。没有哪种优化器处处都赢；它们替你省下的，是寻找一个适合所有权重的学习率。

# %% [markdown]
# ## Schedules · 学习率的安排
#
# A large rate learns fast and then keeps jumping about the bottom. A small rate settles, but takes long to get there.
# So begin large and end small. Three schedules, with t running from 0 to 1 over the training:
#
#     constant   lr
#     steps      lr, then lr/4, then lr/16, a third of the time each
#     cosine     lr (1 + cos π t) / 2, after a short warm-up from 0
#
# > 学习率大，学得快，但最后总在谷底附近跳来跳去；学习率小，能稳定下来，但要走很久。
# > 所以开始要大，结束要小。上面是三种安排，其中 t 在训练过程中从 0 变到 1：不变；分三段、每段除以 4；
# > 短暂预热之后按余弦下降。

# %%
SCHEDULES = {
    "constant": lambda t: 1.0,
    "steps": lambda t: 0.25 ** int(3 * t),
    "cosine": lambda t: min(t / 0.1, 1) * (1 + np.cos(np.pi * t)) / 2,
}
settings = settings_for("fc", "classify", optimizer="rmsprop", lr=0.1, clip_norm=0.0, epochs=4)
steps = settings.epochs * engine.steps_per_epoch(train, settings)


def train_by(schedule):
    learner, losses, rates = learners.build(settings), [], []
    for epoch in range(settings.epochs):
        order = shuffled(len(train.labels), settings.seed, epoch)
        for images, labels in batches(train, 100, "classify", order=order):
            learner.lr = settings.lr * schedule(len(losses) / steps)
            rates.append(learner.lr)
            losses.append(learner.train_step(images, labels))
    return rates, losses, engine.evaluate(learner, batches(train, 500, "classify")).loss


figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, height_ratios=[1, 2])
ended = {}
for colour, (name, schedule) in zip(COLOURS, SCHEDULES.items(), strict=False):
    rates, losses, ended[name] = train_by(schedule)
    assert len(rates) == steps
    top.plot(rates, color=colour, label=name)
    smooth = np.convolve(losses, np.ones(8) / 8, mode="valid")
    bottom.plot(np.arange(len(smooth)) + 8, smooth, color=colour, label=f"{name}: ends at {ended[name]:.2f}")
top.set(title="RMSProp from a large rate: a falling rate settles", ylabel="learning rate")
bottom.set(xlabel="step", ylabel="training loss (mean of 8 steps)")
bottom.legend()
figure.tight_layout()
lab.save(figure, "schedules.png")
print("training loss at the end:", {name: round(loss, 3) for name, loss in ended.items()})
assert ended["cosine"] < 0.9 * ended["constant"], "a rate that falls smoothly ends lower"

# %% [markdown]
# The cosine ends far lower, because it combines a soft beginning, a long stretch of large steps, and a calm end. The
# curve of the steps is calm too, but if the rate falls too soon the net stops short. *When* the rate falls matters as
# much as how far.
#
# > 余弦安排的终点低得多，因为它兼有柔和的开头、较长的大步阶段和平稳的结尾。
# > 分段下降的曲线也很平稳，但如果学习率降得太早，网络就会半途停下。*何时*下降与降多少同样重要。

# %% [markdown]
# ## The recipe that fails · 会失败的方案
#
# The course trains the convolutional net to answer with a number: square error, SGD, rate 0.01. As published it fails
# with some seeds: on all of MNIST 2 of 8 seeds ended in a net that gives the same answer to every digit, and 8 of 8
# where the pixels run from -1 to 1. Let us watch the first steps. Beside the loss we write down the length of the
# whole gradient, over all weights: its *global norm*.
#
#     norm = √(sum of the squares of all gradients of all parameters)
#
# > 课程训练卷积网络直接输出一个数：平方误差，SGD，学习率 0.01。按发布的样子，它在某些种子下会失败：
# > 在全部 MNIST 上，8 个种子里有 2 个最终对所有数字给出同一个答案；像素取 -1 到 1 时则是 8 个里有 8 个。
# > 我们来看最初几步。除了损失，还记下整个梯度（所有权重合在一起）的长度，即*全局范数*，公式见上。


# %%
def global_norm(parameters):
    return float(np.sqrt(sum(float((p.grad.astype("float64") ** 2).sum()) for p in parameters)))


def first_steps(seed, count, clip=None):
    """Train as the course does, and return each step's loss and gradient norm (before clipping)."""
    paddle.seed(seed)
    net = CNN()
    forward = fast.accelerate(net)  # the same outputs and gradients, sooner: lab 16
    optimizer = paddle.optimizer.SGD(0.01, net.parameters(), grad_clip=clip)
    losses, norms = [], []
    every = batches(train, 100, "regress", order=shuffled(len(train.labels), seed, 0))
    for images, labels in islice(every, count):
        loss = F.square_error_cost(forward(paddle.to_tensor(images)), paddle.to_tensor(labels)).mean()
        loss.backward()
        losses.append(float(loss))
        norms.append(global_norm(net.parameters()))
        optimizer.step()
        optimizer.clear_grad()
    with paddle.no_grad():
        answers = forward(paddle.to_tensor(valid.images[:, np.newaxis].astype(np.float32) / 255)).numpy()  # [n, 1]
    return losses, norms, answers


SEEDS = lab.budget(8, 3)
COUNT = lab.budget(40, 10)
published = [first_steps(seed, COUNT) for seed in range(SEEDS)]

for seed, (losses, norms, _) in enumerate(published):
    print(f"seed {seed}: loss", *[f"{x:.0f}" for x in losses[:4]], "…  gradient norm", *[f"{x:.0f}" for x in norms[:4]])
    assert losses[1] > 2 * losses[0], "the first step goes up, not down"
    assert max(norms[:2]) > 50

# %% [markdown]
# The very first step makes the loss many times larger. Where the outputs have shot up, so have the gradients, and the
# next step throws the weights back so far that most ReLUs see nothing above 0 any more. They are dead: no gradient
# passes them. Some seeds recover, others answer the same for ever.
#
# > 第一步就使损失增大了许多倍。输出猛增，梯度也随之猛增，下一步又把权重反向甩出很远，
# > 使大多数 ReLU 再也见不到大于 0 的输入。它们“死”了：梯度无法通过。有些种子能恢复，另一些则永远给出同一个答案。

# %% [markdown]
# ## A slice of the loss surface · 损失曲面的一个切面
#
# Why does the first step go up, when the gradient points down? Stand at the first weights w, with the gradient g, and
# look straight ahead: what is the loss at w - a g, for a growing from 0? SGD will stop at a = 0.01.
#
# The curvature along g, from three points a tiny distance ε apart, tells where the edge of stability is:
#
#     curvature = (loss(w + ε g) - 2 loss(w) + loss(w - ε g)) / (ε² norm²)          edge = 2 / curvature
#
# > 梯度明明指向下坡，为什么第一步反而上升？站在最初的权重 w 处，梯度为 g，向正前方看：
# > 当 a 从 0 增大时，w - a g 处的损失是多少？SGD 会停在 a = 0.01 处。
# > 用相距很小的 ε 的三个点可以算出沿 g 的曲率，从而知道稳定的边缘在哪里，公式见上。


# %%
def slice_along_gradient(seed, distances):
    """Return the losses at w - a g for each a of the distances, the edge, and the norm of g."""
    paddle.seed(seed)
    net = CNN()
    forward = fast.accelerate(net)
    images, labels = map(paddle.to_tensor, next(batches(train, 100, order=shuffled(len(train.labels), seed, 0))))
    F.square_error_cost(forward(images), labels).mean().backward()
    start = [(p, p.numpy(), p.grad.numpy()) for p in net.parameters()]
    norm = global_norm(net.parameters())

    def loss_at(a):
        for p, w, g in start:
            p.set_value((w - a * g).astype(np.float32))
        with paddle.no_grad():
            outputs = forward(images).numpy().astype(float)  # [100, 1]
        return np.mean((outputs - labels.numpy()) ** 2)

    tiny = 1e-5
    curvature = (loss_at(-tiny) - 2 * loss_at(0) + loss_at(tiny)) / (tiny * norm) ** 2
    return np.array([loss_at(a) for a in distances]), 2 / curvature, norm


distances = np.linspace(0, 0.012, lab.budget(49, 13))
slices = [slice_along_gradient(seed, distances) for seed in range(SEEDS)]
at_rate = int(np.argmin(np.abs(distances - 0.01)))
for seed, (losses, edge, norm) in enumerate(slices):
    print(f"seed {seed}: edge at {edge:.4f}; loss {losses[0]:.0f}, at its lowest {losses.min():.0f}, at 0.01", end=" ")
    print(f"{losses[at_rate]:.0f}; a clipped step goes to {0.01 * 5 / norm:.5f}")
    assert losses.min() < losses[0] < losses[at_rate], "down at first, but far up where the step ends"
    assert edge < 0.01, "the course's rate is beyond the edge"

# %% [markdown]
# For every seed the rate of 0.01 lies beyond the edge. The step flies across the valley and lands high on the other
# wall. Most of the curvature comes from one direction: all outputs together, up or down. That is why the square error
# of an *uncentred* target (0 to 9, 4.5 on average) begins with such a large gradient.
#
# > 对每个种子来说，0.01 的学习率都在边缘之外。这一步飞过山谷，落在对面高高的山壁上。
# > 曲率主要来自一个方向：所有输出一起变大或变小。目标没有以 0 为中心（0 到 9，平均 4.5），
# > 所以平方误差一开始就有这么大的梯度。

# %% [markdown]
# ## Clipping · 梯度裁剪
#
# The mend leaves the recipe as it is, and only forbids giant steps. If the global norm is above 5, all gradients are
# shortened by the same factor. The direction stays, the length becomes 5:
#
#     g = g · 5 / max(norm, 5)
#
# > 补救办法保持方案不变，只是不许迈巨大的步子。如果全局范数大于 5，就把所有梯度按同一个因子缩短。
# > 方向不变，长度变为 5，公式见上。

# %%
clipped = [first_steps(seed, COUNT, paddle.nn.ClipGradByGlobalNorm(5.0)) for seed in range(SEEDS)]
for seed, (losses, _, answers) in enumerate(clipped):
    print(f"seed {seed}: loss", *[f"{x:.0f}" for x in losses[:4]], f"… {losses[-1]:.0f}, answers", end=" ")
    print(f"{answers.min():.1f} to {answers.max():.1f}")
    assert max(losses) < 2 * losses[0], "no step explodes"
    assert np.mean(losses[-5:]) < 0.6 * losses[0], "it learns"
    assert np.ptp(answers) > 0.1, "different digits get different answers"

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.4))
for seed, ((losses, edge, _), (wild, norms, _), (tame, tame_norms, _)) in enumerate(
    zip(slices, published, clipped, strict=True)
):
    colour, label = COLOURS[seed % len(COLOURS)], f"seed {seed}"
    left.semilogy(distances, losses, "-" if seed < len(COLOURS) else ":", color=colour, linewidth=1.4, label=label)
    left.plot(edge, np.interp(edge, distances, losses), "o", color=colour)
    first = seed == 0
    middle.semilogy(wild, color=COLOURS[1], alpha=0.7, label="as published" if first else None)
    middle.semilogy(tame, color=COLOURS[0], alpha=0.7, label="clipped at 5" if first else None)
    right.semilogy(np.maximum(norms, 1e-2), color=COLOURS[1], alpha=0.7, label="as published" if first else None)
    right.semilogy(tame_norms, color=COLOURS[0], alpha=0.7, label="before clipping at 5" if first else None)
left.axvline(0.01, color="0.4", linestyle="--", label="the course's rate")
left.set(title="The loss along the first gradient\n(dots: edge of stability)", xlabel="a", ylabel="loss at w - a g")
middle.set(title=f"The first {COUNT} steps, {SEEDS} seeds", xlabel="step", ylabel="loss of the batch")
right.axhline(5, color="0.4", linestyle="--", label="5")
right.set(title="How long the gradient is", xlabel="step", ylabel="global norm of the gradient")
for axes in (left, middle, right):
    axes.legend(fontsize=8, ncols=2 if axes is left else 1)
figure.tight_layout()
lab.save(figure, "clipping.png")

# %% [markdown]
# With clipping no seed fails: 0 of 40 whole runs collapsed (`benchmarks/seeds.py`). The package clips by default, and
# says so; `--clip-norm 0` is the recipe as published. Look at the picture on the right: the gradient becomes shorter as
# the net learns, but nearly every step at the beginning is still clipped. Such a step has a length of 0.01 · 5 = 0.05,
# whatever the gradient's size: it cannot fly across the valley.
#
# > 用了裁剪以后没有一个种子失败：40 次完整训练中 0 次崩溃（`benchmarks/seeds.py`）。软件包默认裁剪，并会说明；
# > `--clip-norm 0` 则是发布时的方案。请看右图：随着网络学习，梯度会变短，但在开始阶段几乎每一步仍被裁剪。
# > 这样的一步长度是 0.01 · 5 = 0.05，与梯度的大小无关：它飞不过山谷。

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 12 --start`, write into `labs/my/12.py`, and check with
# `python -m paddle_mnist.check 12`.
#
# 1. `momentum_step(w, v, gradient, lr, keep)`: one step of Momentum.
# 2. `clip_by_global_norm(gradients, limit)`: what the last section uses.
# 3. `adam_step(w, m, s, gradient, t, lr)`: one step of Adam, with both corrections.
#
# > 用 `python -m paddle_mnist.check 12 --start` 开始，把答案写进 `labs/my/12.py`，
# > 再用 `python -m paddle_mnist.check 12` 检查。
# >
# > 1. `momentum_step(w, v, gradient, lr, keep)`：Momentum 走一步。
# > 2. `clip_by_global_norm(gradients, limit)`：最后一节用到的裁剪。
# > 3. `adam_step(w, m, s, gradient, t, lr)`：Adam 走一步，包括两处修正。

# %%
lab.finish(best_rates=best, edges=[round(edge, 5) for _, edge, _ in slices])

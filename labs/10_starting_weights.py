# %% [markdown]
# # 10. Starting weights · 初始权重
#
# Before its first step a net is nothing but its starting weights. Choose them badly, and a deep net cannot learn at
# all: its signals die out or blow up on the way. This lab looks at what flows through a net, layer by layer, forward
# and backward; derives how large the weights should be; and shows how normalisation helps where the start is bad.
#
# > 在走第一步之前，网络就只是它的初始权重。选得不好，深的网络根本学不动：信号在途中要么消失，要么爆炸。
# > 本实验逐层观察流过网络的信号，前向和反向都看；推导权重应该多大；并说明初始值不好时，归一化怎样补救。

# %%
import warnings

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from paddle.nn import BatchNorm1D, Linear
from paddle.nn.initializer import Constant, Normal

from paddle_mnist.loader import batches, shuffled
from paddle_mnist.splits import Split

lab = Lab("10_starting_weights")
digits = dataset.open_dataset("auto", log=print)
train = Split(digits.train.images[:4000], digits.train.labels[:4000])  # enough to see it, even if all of MNIST is here
images, labels = map(paddle.to_tensor, next(batches(train, 500, "classify")))  # [500, 1, 28, 28] and [500, 1]

# %% [markdown]
# ## All the same · 全都一样
#
# The simplest start: every weight is the same number. A net of two layers, 784 to 20 to 10.
#
# **Predict, then run:** after 20 steps, how many *different* hidden units are there if all weights begin at 0.01? And
# how far does the loss get if all begin at 0?
#
# > 最简单的开始：每个权重都是同一个数。取一个两层网络，784 到 20 再到 10。
# >
# > **先预测，再运行**：如果所有权重都从 0.01 开始，20 步之后有多少个*不同*的隐藏单元？
# > 如果都从 0 开始，损失能降到多少？

# %%
lab.section("All the same")


def train_from(initializer, steps=20):
    paddle.seed(0)
    first, second = (Linear(*sizes, weight_attr=initializer) for sizes in ((784, 20), (20, 10)))
    optimizer = paddle.optimizer.SGD(0.3, parameters=[*first.parameters(), *second.parameters()])
    for _ in range(steps):
        loss = F.cross_entropy(second(F.relu(first(paddle.flatten(images, 1)))), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    units = len(np.unique(first.weight.numpy().round(5), axis=1).T)  # columns that differ
    return float(loss), units


results = {
    "all 0": train_from(Constant(0.0)),
    "all 0.01": train_from(Constant(0.01)),
    "random": train_from(Normal(0.0, 0.05)),
}
for name, (loss, units) in results.items():
    print(f"{name:9} loss after 20 steps {loss:.3f}, {units} different hidden units")
assert results["all 0"][1] == results["all 0.01"][1] == 1, "they stay twins for ever"
assert abs(results["all 0"][0] - np.log(10)) < 0.01, "no signal, no gradient: only the last biases move"
assert results["random"][0] < 0.8 * results["all 0.01"][0]
assert results["random"][1] == 20

# %% [markdown]
# Units that begin alike get the same gradient, so they stay alike: twenty units then do the work of one. This is called
# symmetry, and random numbers break it. But how large should the random numbers be?
#
# > 开始时一样的单元得到同样的梯度，于是一直一样：二十个单元只顶一个用。这叫对称性，随机数能打破它。
# > 可是随机数应该取多大？

# %% [markdown]
# ## How large is a sum? · 和有多大？
#
# A unit adds up n products. Its weights are random, independent, with mean 0 and standard deviation σ. We ask for the
# mean square of the sum, over all draws of the weights. Of the products of two different terms, nothing is left,
# because their weights are independent and average to 0:
#
# > 一个单元把 n 个乘积加起来。权重是随机的，彼此独立，平均值为 0，标准差为 σ。
# > 我们求这个和的平方的平均值（对权重的所有可能取值求平均）。
# > 两个不同项的乘积不留下任何东西，因为它们的权重独立，平均为 0：
#
#     u = Σᵢ wᵢ xᵢ
#     u² = Σᵢ Σⱼ wᵢ wⱼ xᵢ xⱼ          mean of wᵢ wⱼ = 0 for i ≠ j, σ² for i = j
#     mean of u² = Σᵢ σ² xᵢ² = n σ² · (mean of x²)

# %%
lab.section("How large is a sum?")
rng = np.random.default_rng(0)
n, sigma = 300, 0.1
x = rng.uniform(-1, 2, n)  # any inputs will do
u = rng.normal(0, sigma, (5000, n)) @ x  # 5,000 units with weights of their own
print(f"mean of u²: measured {np.mean(u**2):.3f}, by the formula {n * sigma**2 * np.mean(x**2):.3f}")
assert abs(np.mean(u**2) / (n * sigma**2 * np.mean(x**2)) - 1) < 0.1

# %% [markdown]
# So a layer multiplies the mean square by n σ². A ReLU then sets the negative half to 0, which halves it. The signal
# keeps its size if n σ² / 2 = 1. Without a ReLU, or with a tanh, which hardly changes small numbers, the factor 2 is
# missing:
#
# > 所以一层把平方的平均值乘以 n σ²。随后 ReLU 把负的一半变成 0，平方的平均值减半。
# > 当 n σ² / 2 = 1 时，信号的大小保持不变。没有 ReLU，或者用 tanh（它几乎不改变小的数），就没有这个 2：
#
#     with ReLU (He):          σ = √(2 / n)
#     with tanh (Xavier):      σ = √(1 / n)

# %%
positive = np.maximum(u, 0)
print(f"what a ReLU leaves of the mean square: {np.mean(positive**2) / np.mean(u**2):.2f}")
assert abs(np.mean(positive**2) / np.mean(u**2) - 0.5) < 0.05

# %% [markdown]
# ## Through ten layers · 穿过十层
#
# One layer is forgiving. In ten layers any factor is taken to the power of ten. We build a net of ten hidden layers
# with 100 units each and start it in three ways: σ half of He's, He's, and twice He's.
#
# **Predict, then run:** half of σ in each layer. By which factor is the signal smaller after ten layers?
#
# > 只有一层时不挑剔。有十层时，任何因子都要自乘十次。我们建一个有十个隐藏层的网络，每层 100 个单元，用三种方式开始：
# > σ 是 He 值的一半、等于 He 值、是 He 值的两倍。
# >
# > **先预测，再运行**：如果每层的 σ 都减半，十层之后信号小了多少倍？


# %%
lab.section("Through ten layers")
HIDDEN = 10


class Deep(paddle.nn.Layer):
    def __init__(self, gain, activation=F.relu, normalise=False):
        super().__init__()
        inputs = [784] + [100] * (HIDDEN - 1)  # of each hidden layer
        self.hidden = paddle.nn.LayerList(
            Linear(n, 100, weight_attr=Normal(0.0, gain * np.sqrt(2 / n))) for n in inputs
        )
        self.norms = paddle.nn.LayerList(BatchNorm1D(100) if normalise else paddle.nn.Identity() for _ in range(HIDDEN))
        self.scores = Linear(100, 10, weight_attr=Normal(0.0, gain * np.sqrt(1 / 100)))
        self.activation = activation
        self.seen = []

    def forward(self, images):
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        self.seen = []
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            x = self.activation(norm(layer(x)))  # [n, 100]
            x.retain_grads()  # so that we can look at this gradient, too
            self.seen.append(x)
        return self.scores(x)  # [n, 10]


def flow(net):
    """Send 500 digits through, there and back; return outputs and gradients of each hidden layer."""
    F.cross_entropy(net(images), labels).backward()
    outputs = [x.numpy() for x in net.seen]  # each [500, 100]
    return outputs, [x.grad.numpy() for x in net.seen]


def size(arrays):
    return np.array([np.sqrt(np.mean(np.square(a, dtype=np.float64))) for a in arrays])  # root of the mean square


STARTS = {"half of He's": 0.5, "He's": 1.0, "twice He's": 2.0}
flows = {}
for name, gain in STARTS.items():
    paddle.seed(0)
    flows[name] = flow(Deep(gain))
    forward, backward = size(flows[name][0]), size(flows[name][1])
    print(f"{name:13} signal: layer 1 {forward[0]:8.3g}, layer 10 {forward[-1]:8.3g};", end=" ")
    print(f"gradient: layer 10 {backward[-1]:8.2g}, layer 1 {backward[0]:8.2g}")
shrunk = size(flows["He's"][0])[-1] / size(flows["half of He's"][0])[-1]
print(f"half of σ, ten times: {shrunk:.0f} times smaller; 2^10 = {2**10}")
assert abs(shrunk / 2**10 - 1) < 0.01
ratios = {name: size(flows[name][0])[-1] / size(flows[name][0])[0] for name in STARTS}
assert 0.3 < ratios["He's"] < 3
assert ratios["half of He's"] < 0.01
assert ratios["twice He's"] > 100

# %% [markdown]
# Now see it: a histogram of the outputs of every second layer. Exact zeros, which ReLU makes, are left out. The scale
# of the horizontal axis is the same in each column, so watch the first and the last row vanish, or leave the picture.
#
# > 现在来看图：每隔一层画出输出的直方图。ReLU 产生的零不画。同一列的横轴刻度相同，
# > 请看第一行怎样消失，最后一行怎样跑出画面。

# %%
shown = [0, 2, 4, 6, 9]
figure, grid = plt.subplots(3, len(shown), figsize=(11, 5.4), layout="constrained")
for row, (name, (outputs, _)) in zip(grid, flows.items(), strict=True):
    for axes, layer in zip(row, shown, strict=True):
        limit = 4 * size(flows["He's"][0])[layer]
        values = outputs[layer][outputs[layer] > 0]
        share = np.full(len(values), 1 / len(values))
        axes.hist(values, bins=np.linspace(0, limit, 41), weights=share, color=COLOURS[list(STARTS).index(name)])
        if np.mean(values > limit) > 0.3:
            axes.text(0.5, 0.6, f"{np.mean(values > limit):.0%} further right", ha="center", transform=axes.transAxes)
        axes.set(yticks=[], xlim=(0, limit), ylim=(0, 0.08))
        axes.tick_params(labelsize=8)
    row[0].set_ylabel(f"σ {name}")
for axes, layer in zip(grid[0], shown, strict=True):
    axes.set_title(f"layer {layer + 1}")
figure.suptitle("Only with He's σ do the outputs keep their size through ten layers")
lab.save(figure, "forward.png")

# %% [markdown]
# ## The way back · 反向
#
# Backward, each layer multiplies by the same weights, transposed, so the same rule holds for the gradients: they shrink
# or grow by the same factor per layer. A gradient of 10⁻⁵ in the first layer means that this layer does not learn.
#
# > 反向时，每一层乘以同一个权重矩阵的转置，所以梯度遵守同样的规律：每层缩小或放大同样的倍数。
# > 如果第一层的梯度只有 10⁻⁵，这一层就学不到东西。

# %%
lab.section("The way back")
paddle.seed(0)
sigmoid_flow = flow(Deep(1.0, F.sigmoid))
backward = {name: size(gradients) for name, (_, gradients) in flows.items()}
backward["He's, sigmoids"] = size(sigmoid_flow[1])
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharex=True)
for colour, (name, gradients) in zip(COLOURS, backward.items(), strict=False):
    line = "--" if "sigmoid" in name else "-"
    outputs = sigmoid_flow[0] if "sigmoid" in name else flows[name][0]
    left.semilogy(range(1, HIDDEN + 1), size(outputs), "o" + line, color=colour, label=name)
    right.semilogy(range(1, HIDDEN + 1), gradients, "o" + line, color=colour, label=name)
    print(f"{name:15} gradient in layer 1 / in layer 10: {gradients[0] / gradients[-1]:.2g}")
left.set(title="Forward: size of the outputs", xlabel="layer", ylabel="root of the mean square", xticks=range(1, 11))
right.set(title="Backward: sigmoids starve the first layers, even with He's σ", xlabel="layer")
right.set_ylabel("gradient, root of the mean square")
left.legend()
lab.save(figure, "there_and_back.png")
assert 0.1 < backward["He's"][0] / backward["He's"][-1] < 10
assert backward["half of He's"][0] < 0.01 * backward["half of He's"][-1]
assert backward["He's, sigmoids"][0] < 0.001 * backward["He's, sigmoids"][-1]

# %% [markdown]
# A sigmoid's slope is at most 1/4, and the gradient is multiplied by it in every layer. That is one reason why the
# sigmoid nets of these labs are shallow, and why deep nets use ReLU, whose slope is 1 wherever it lets anything
# through.
#
# > Sigmoid 的斜率最大是 1/4，而梯度在每一层都要乘以它。这是这些实验里的 Sigmoid 网络都很浅的原因之一；
# > 深的网络用 ReLU，凡是它让信号通过的地方，斜率都是 1。

# %% [markdown]
# ## Does it matter? Train them · 重要吗？训练一下
#
# Same batches, same optimizer, same rate; only the start differs.
#
# > 批次、优化器和学习率都相同，只有初始权重不同。


# %%
lab.section("Train them")
STEPS = lab.budget(120, 40)


def losses_of(net):
    optimizer = paddle.optimizer.SGD(0.05, parameters=net.parameters())
    losses = []
    while len(losses) < STEPS:
        order = shuffled(len(train.labels), seed=0, epoch=len(losses) // 40)
        for x, t in batches(train, 100, "classify", order=order):
            loss = F.cross_entropy(net(paddle.to_tensor(x)), paddle.to_tensor(t))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            losses.append(float(loss))
            if len(losses) == STEPS or not np.isfinite(losses[-1]):
                return losses
    return losses


curves = {}
for name, gain in STARTS.items():
    paddle.seed(0)
    curves[name] = losses_of(Deep(gain))
    print(f"{name:13} first loss {curves[name][0]:9.3g}, mean of the last ten {np.mean(curves[name][-10:]):.3g}")
assert abs(curves["half of He's"][-1] - np.log(10)) < 0.05, "no step has changed anything"
assert curves["twice He's"][0] > 20
assert np.mean(curves["He's"][-10:]) < 2.0
assert not np.mean(curves["twice He's"][-10:]) < 2.0, "above it, or not a number any more"

# %% [markdown]
# The weak start stays at log 10 = 2.303, the loss of guessing (lab 9): nothing reaches the end, and nothing comes back.
# The strong start begins with an enormous loss, and its first steps throw the weights far away.
#
# > 太弱的开始一直停在 log 10 = 2.303，也就是瞎猜的损失（实验 9）：信号到不了终点，梯度也回不来。
# > 太强的开始第一批的损失极大，最初几步就把权重甩得很远。

# %% [markdown]
# ## Normalise · 归一化
#
# Instead of choosing the right size once, one can set it again in every layer. *Batch normalisation* takes each unit's
# outputs over the batch, subtracts their mean and divides by their standard deviation. Two numbers per unit, γ and β,
# are learnt, so that the net can still choose another size where it needs one.
#
# > 与其一次选对大小，不如在每一层重新设定。*批归一化*取每个单元在一批上的输出，减去平均值，再除以标准差。
# > 每个单元有两个要学习的数 γ 和 β，需要别的大小时，网络仍可以自己选择。
#
#     y = γ (x - mean) / √(variance + ε) + β

# %%
lab.section("Normalise")
warnings.filterwarnings("ignore", "When training, we now always track", UserWarning)  # so does every BatchNorm1D
norm = BatchNorm1D(100)  # γ begins at 1, β at 0
x = rng.normal(3, 5, (64, 100)).astype(np.float32)  # [n, units]
theirs = norm(paddle.to_tensor(x)).numpy()
ours = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
print(f"before: mean {x.mean():.2f}, deviation {x.std():.2f}; after: {theirs.mean():.2f}, {theirs.std():.2f}")
assert np.allclose(theirs, ours, atol=1e-4)

# %% [markdown]
# When the net is used there may be only one digit, and its answer must not depend on others. So the layer keeps running
# averages while it trains, 0.9 of the old and 0.1 of the new, and uses those after `net.eval()`.
#
# **Predict, then run:** if one forgets `eval()` and gives the layer a batch of *two* digits, which numbers can come
# out?
#
# > 使用网络时也许只有一个数字，它的答案不应依赖别的数字。所以这一层在训练时保存滑动平均值（旧值占 0.9，新值占 0.1），
# > 调用 `net.eval()` 之后就用它们。
# >
# > **先预测，再运行**：如果忘了 `eval()`，给这一层一批*两个*数字，会输出哪些数？

# %%
assert np.allclose(norm._mean.numpy(), 0.9 * 0 + 0.1 * x.mean(axis=0), atol=1e-4)
two = norm(paddle.to_tensor(x[:2])).numpy()
norm.eval()
answer = norm(paddle.to_tensor(x[:2])).numpy()
print("two samples, still in training mode:", two[0, :6].round(3), " after eval():", answer[0, :6].round(2))
assert np.mean(np.abs(np.abs(two) - 1) < 0.01) > 0.9, "the mean of two numbers is half way: 1 and -1 come out"
assert np.allclose(answer, norm(paddle.to_tensor(x)).numpy()[:2]), "after eval() the rest of the batch does not matter"

# %% [markdown]
# Does it save the two bad starts?
#
# > 它能挽救那两种不好的开始吗？

# %%
for name, gain in STARTS.items():
    paddle.seed(0)
    curves[f"{name}, normalised"] = losses_of(Deep(gain, normalise=True))
    print(f"{name:13} normalised: mean of the last ten {np.mean(curves[f'{name}, normalised'][-10:]):.3f}")
ends = [np.mean(curves[f"{name}, normalised"][-10:]) for name in STARTS]
assert max(ends) < lab.budget(1.5, 2.0), "all three learn"
assert ends[0] < ends[-1]

strong = curves["twice He's"][0]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)
for axes, ending in ((left, ""), (right, ", normalised")):
    for colour, name in zip(COLOURS, STARTS, strict=False):
        smooth = np.convolve(curves[name + ending], np.ones(5) / 5, mode="valid")
        axes.plot(np.arange(len(smooth)) + 5, smooth, color=colour, label=f"σ {name}")
    axes.axhline(np.log(10), color="0.5", ls=":", label="guessing: log 10")
    axes.set(xlabel="step", ylim=(0, 3.2))
left.set(title="As started: only He's σ learns well", ylabel="training loss (mean of 5 steps)")
right.set_title("With batch normalisation all three learn")
left.text(2, 2.9, f"σ twice He's: off the picture, {strong:.0f} at first", color=COLOURS[2])
right.legend()
lab.save(figure, "training.png")

# %% [markdown]
# All three learn. The strong start is the slowest now: normalisation divides the weights' size out again, so a step of
# the same length turns large weights less than small ones.
#
# > 三种都学得动了。最强的开始反而最慢：归一化把权重的大小又除掉了，于是同样长的一步，使大权重转动得比小权重少。

# %% [markdown]
# ## What Paddle does unasked · Paddle 的默认做法
#
# You need not choose each time: every layer has a default start. `Linear` draws from Xavier's rule for both directions
# at once, σ² = 2 / (inputs + outputs), and `Conv2D` from He's rule, σ² = 2 / (inputs under the kernel). For a net of
# two or three layers the defaults are enough.
#
# > 不必每次都自己选：每种层都有默认的初始化。`Linear` 用兼顾两个方向的 Xavier 规则，σ² = 2 / (输入数 + 输出数)；
# > `Conv2D` 用 He 规则，σ² = 2 / (核下面的输入数)。两三层的网络用默认值就够了。

# %%
lab.section("Paddle's defaults")
linear, convolution = Linear(784, 512).weight.numpy(), paddle.nn.Conv2D(20, 200, kernel_size=5).weight.numpy()
print(f"Linear(784, 512):   σ = {linear.std():.4f}, √(2 / (784 + 512)) = {np.sqrt(2 / (784 + 512)):.4f}")
print(f"Conv2D(20, 200, 5): σ = {convolution.std():.4f}, √(2 / (20 · 25))    = {np.sqrt(2 / 500):.4f}")
assert abs(linear.std() / np.sqrt(2 / (784 + 512)) - 1) < 0.02
assert abs(convolution.std() / np.sqrt(2 / 500) - 1) < 0.02

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 10 --start`, write your answers into `labs/my/10.py`, and check them with
# `python -m paddle_mnist.check 10`. `--hint` gives hints.
#
# 1. `predictions()`: change one thing about the start, and say what happens.
# 2. `start_weights(sizes, rng)`: weights for a ReLU net of any sizes; five seeds must pass.
# 3. `batch_norm(x, running, training)`: find the four mistakes in a normalising layer.
#
# > 运行 `python -m paddle_mnist.check 10 --start`，把答案写进 `labs/my/10.py`，
# > 再用 `python -m paddle_mnist.check 10` 检查。`--hint` 给出提示。
# >
# > 1. `predictions()`：改变初始权重的一个方面，说出会发生什么。
# > 2. `start_weights(sizes, rng)`：任意尺寸的 ReLU 网络的初始权重，五个种子都要通过。
# > 3. `batch_norm(x, running, training)`：找出归一化层里的四个错误。

# %%
lab.finish(ends={name: round(float(np.mean(curve[-10:])), 3) for name, curve in curves.items()})

# %% [markdown]
# # 14. Diagnose and improve · 诊断与改进
#
# A net can know its training digits by heart and still read new ones badly. This lab makes that happen on purpose,
# shows how to see it, and tries three remedies, each with several seeds and with its error. Then it looks at the digits
# that are still read wrongly.
#
# > 网络可能把训练数字背得滚瓜烂熟，却读不好新的数字。本实验故意让这种情况发生，
# > 说明怎样看出来，并试三种补救办法，每种都用几个种子，并给出误差。最后看一看仍然读错的数字。

# %%
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)
import paddle
import paddle.nn.functional as F
from paddle import nn

from paddle_mnist import engine, fast, learners
from paddle_mnist.labs import accuracy
from paddle_mnist.loader import batches, shuffled, to_input
from paddle_mnist.recipes import settings_for

lab = Lab("14_diagnose_and_improve")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## Too few digits · 数字太少
#
# We train on 400 digits only, and watch on digits that the net does not learn from.
#
# > 我们只用 400 个数字训练，并用网络不学习的数字来观察。

# %%
lab.section("Too few digits")
few_images, few_labels = digits.train.images[:400], digits.train.labels[:400].astype(np.int64)
seen = to_input(few_images, "01")  # [400, 1, 28, 28]
unseen = to_input(digits.valid.images[:1000], "01")
unseen_labels = digits.valid.labels[:1000].astype(np.int64)
print("learnt from:", seen.shape, " watched:", unseen.shape)
assert seen.shape == (400, 1, 28, 28)
assert len(unseen) == len(unseen_labels)

# %% [markdown]
# The net has one hidden layer of 256 units, so 784 · 256 + 256 + 256 · 10 + 10 = 203,530 weights and biases: five
# hundred for each of our digits. It can learn every one of them by heart. `drop` is for later.
#
# > 网络有一个 256 个单元的隐藏层，所以有 784 · 256 + 256 + 256 · 10 + 10 = 203,530 个权重和偏置：
# > 平均每个数字五百个。它完全能把每个数字背下来。参数 `drop` 后面才用到。


# %%
class Net(nn.Layer):
    def __init__(self, drop=0.0):
        super().__init__()
        self.hidden = nn.Linear(784, 256)
        self.drop = nn.Dropout(drop)
        self.scores = nn.Linear(256, 10)

    def forward(self, images):
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        x = F.relu(self.hidden(x))  # [n, 256]
        return self.scores(self.drop(x))  # [n, 10]


assert sum(int(np.prod(p.shape)) for p in Net().parameters()) == 203530

# %% [markdown]
# The training loop, with a place for each remedy: `drop`, `decay` (of L2) and `change` (of the images). After each
# epoch it measures the loss on the digits that were learnt from and on those that were not. The labels are an argument,
# too: soon we shall give the net wrong ones.
#
# > 下面是训练循环，给每种补救办法留了位置：`drop`、`decay`（用于 L2）和 `change`（改变图像）。
# > 每轮之后，它分别在学过的和没学过的数字上测量损失。标签也是一个参数：很快我们要给网络错误的标签。

# %%
EPOCHS, SEEDS = lab.budget(48, 20), lab.budget(4, 2)


def measure(net, images, labels):
    net.eval()  # dropout rests while we measure
    with paddle.no_grad():
        scores = net(paddle.to_tensor(images))
        loss = float(F.cross_entropy(scores, paddle.to_tensor(labels[:, np.newaxis])))
    return loss, float(np.mean(scores.numpy().argmax(axis=1) == labels))


def train(labels=few_labels, drop=0.0, decay=0.0, change=None, seed=0):
    paddle.seed(seed)
    rng = np.random.default_rng(seed)
    net = Net(drop)
    optimizer = paddle.optimizer.Momentum(0.04, 0.9, net.parameters(), weight_decay=decay or None)
    history = []
    for epoch in range(EPOCHS):
        net.train()
        order = shuffled(len(labels), seed, epoch)
        for chosen in np.split(order, 8):  # 8 batches of 50
            images = change(few_images[chosen], rng) if change else few_images[chosen]
            scores = net(paddle.to_tensor(to_input(images, "01")))
            loss = F.cross_entropy(scores, paddle.to_tensor(labels[chosen][:, np.newaxis]))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
        history.append([*measure(net, seen, labels), *measure(net, unseen, unseen_labels)])
    return net, np.array(history)  # [epochs, 4]: seen loss, seen accuracy, unseen loss, unseen accuracy


# %% [markdown]
# ## Overfitting · 过拟合
#
# **Predict, then run:** with no remedy at all, what becomes of the loss on the 400 digits? And of the loss on new ones?
#
# > **先预测，再运行**：不加任何补救，这 400 个数字上的损失会怎样？新数字上的损失呢？

# %%
lab.section("Overfitting")
net, plain = train()
best_epoch = int(plain[:, 2].argmin())
print(f"learnt from: loss {plain[-1, 0]:.4f}, right {plain[-1, 1]:.1%}")
print(f"new digits:  loss {plain[-1, 2]:.4f}, right {plain[-1, 3]:.1%}; lowest loss after epoch {best_epoch + 1}")
assert plain[-1, 1] == 1, "every training digit is known by heart"
assert plain[-1, 2] > 20 * plain[-1, 0], "new digits are another matter"
assert best_epoch < EPOCHS - 1, "the loss on new digits was lower before the end"

# %% [markdown]
# The loss on the digits that it learns from goes to zero. The loss on new ones stops falling early, and rises again.
# That gap is overfitting.
#
# Is the net just clever? Give the training digits *random* labels. There is nothing to understand in them.
#
# **Predict, then run:** how many of the random labels will it learn?
#
# > 在学过的数字上，损失趋于零；在新数字上，损失很早就不再下降，甚至重新上升。这个差距就是过拟合。
# >
# > 也许网络只是聪明？给训练数字配上*随机*标签，其中没有任何规律可学。
# >
# > **先预测，再运行**：这些随机标签，它能学会多少？

# %%
_, nonsense = train(labels=np.random.default_rng(1).integers(0, 10, len(few_labels)))
print(f"random labels: right on training digits {nonsense[-1, 1]:.1%}, on new digits {nonsense[-1, 3]:.1%}")
assert nonsense[-1, 1] > 0.5 > 0.25 > nonsense[-1, 3]

# %% [markdown]
# It learns nearly all of them, and guesses new digits. So a good score on training digits proves nothing.
#
# > 它几乎全部记住，对新数字则只能瞎猜。所以训练数字上的好成绩什么也证明不了。

# %% [markdown]
# ## L2: small weights · L2：让权重保持小
#
# To memorise, a net has to tell apart digits that are nearly alike, and large weights help with that. So put a price on
# large weights.
# Each step then pulls every weight a little towards 0: *weight decay*.
#
# > 要死记硬背，就得把几乎一样的数字区分开，而大的权重有助于此。于是给大的权重加上惩罚项。
# > 这样每一步都把所有权重向 0 拉一点，这叫*权重衰减*。
#
#     loss + (λ / 2) · (sum of all w²)          gradient: g + λ w

# %%
lab.section("Three remedies")
w = paddle.create_parameter([3], "float32", default_initializer=nn.initializer.Constant(2.0))
optimizer = paddle.optimizer.SGD(0.1, [w], weight_decay=0.5)
(w * paddle.to_tensor([1.0, 0.0, -1.0])).sum().backward()  # the gradient is [1, 0, -1]
optimizer.step()
print("w after a step:", w.numpy())
assert np.allclose(w.numpy(), 2 - 0.1 * (np.array([1, 0, -1]) + 0.5 * 2))

# %% [markdown]
# ## Dropout · 随机失活
#
# While it trains, switch off each hidden unit with probability p, drawn again for every digit. No unit can rely on
# another, so each has to learn something useful by itself. What is left is divided by 1 - p, so that the sum keeps its
# average. When we measure, all units are on.
#
# > 训练时以概率 p 关掉每个隐藏单元，对每个数字都重新抽取。这样没有单元能依赖别的单元，每个都得自己学到有用的东西。
# > 剩下的除以 1 - p，使总和的平均值不变。测量时所有单元都打开。

# %%
rng = np.random.default_rng(0)
x, p = rng.uniform(1, 2, size=(1000, 256)), 0.5  # [n, 256]
kept = rng.random(x.shape) >= p
dropped = x * kept / (1 - p)
print(f"switched off: {np.mean(dropped == 0):.1%}; average before {x.mean():.3f}, after {dropped.mean():.3f}")
assert abs(dropped.mean() - x.mean()) < 0.02

# %% [markdown]
# ## Augmentation: shifted digits · 数据增强：平移数字
#
# A 3 that stands two pixels further left is still a 3. The net does not know this, so show it: shift each image by up
# to two pixels, at random, every time it is drawn. `paddle.vision.transforms` has such changes ready-made
# (`RandomAffine`, `RandomRotation`, …); ours takes four lines.
#
# > 向左移两个像素的 3 还是 3。网络不知道这一点，那就让它看到：每次取出图像时，随机平移最多两个像素。
# > `paddle.vision.transforms` 有现成的这类变换（`RandomAffine`、`RandomRotation` 等）；我们自己写只要四行。


# %%
def moved(images, rng, reach=2):
    """Return images uint8 [n, 28, 28], each moved by up to reach pixels; what is left empty becomes paper."""
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)))  # [n, 32, 32]
    down, right = rng.integers(0, 2 * reach + 1, size=(2, len(images)))
    return np.stack([image[d : d + 28, r : r + 28] for image, d, r in zip(padded, down, right, strict=True)])


examples = moved(few_images[:8], np.random.default_rng(0))
assert examples.shape == (8, 28, 28)
figure, grid = plt.subplots(2, 8, figsize=(11, 3.3), layout="constrained")
for axes, picture in zip(grid.flat, [*few_images[:8], *examples], strict=True):
    axes.imshow(picture, cmap="gray_r")
    axes.set(xticks=[13.5], yticks=[13.5], xticklabels=[], yticklabels=[])
    axes.grid(color=COLOURS[5], linewidth=0.6)
figure.suptitle("Moved by up to two pixels, a digit is the same digit (above: as in the file; lines: the middle)")
lab.save(figure, "shifted.png")

# %% [markdown]
# ## Which one helps? · 哪一种有用？
#
# Four seeds for each remedy. One seed is one throw of the dice; the mean of four has a standard error, and so has every
# accuracy: about 1.6 percentage points on 500 digits (lab 2). But all nets read the *same* 500 digits and start from
# the same four seeds, so we compare seed by seed: the paired difference is far more certain.
#
# **Predict, then run:** which of the three reads more new digits right than no remedy? Which has only a smaller loss?
#
# > 每种办法四个种子。一个种子就像掷一次骰子；四个的平均值有标准误差，每个准确率也有：500 个数字时约 1.6 个百分点
# > （见实验 2）。但所有网络读的是*同样的* 500 个数字，用的是同样的四个种子，所以我们逐个种子比较：
# > 成对的差要可靠得多。
# >
# > **先预测，再运行**：三种办法中，哪一种比不加补救读对更多新数字？哪一种只是损失更小？

# %%
lab.section("Which one helps?")
REMEDIES = {"nothing": {}, "L2": {"decay": 0.005}, "dropout": {"drop": 0.5}, "shifted digits": {"change": moved}}
runs = {name: [plain] if name == "nothing" else [] for name in REMEDIES}
for name, remedy in REMEDIES.items():
    for seed in range(len(runs[name]), SEEDS):
        runs[name].append(train(**remedy, seed=seed)[1])
runs = {name: np.array(histories) for name, histories in runs.items()}  # each [seeds, epochs, 4]
gains = {}
for name, histories in runs.items():
    loss, share = histories[:, -1, 2], histories[:, -1, 3]
    gain = share - runs["nothing"][:, -1, 3]  # [seeds]
    gains[name] = gain.mean(), gain.std(ddof=1) / np.sqrt(SEEDS)
    print(f"{name:14} new digits: loss {loss.mean():.3f}, right {100 * share.mean():.1f} %;", end=" ")
    print(f"gain {100 * gains[name][0]:+.1f} ± {100 * gains[name][1]:.1f}", " by seed", (100 * share).round(1))
ends = {name: histories[:, -1, 2].mean() for name, histories in runs.items()}
assert ends["L2"] < ends["nothing"], "L2 makes the loss smaller"
assert gains["shifted digits"][0] > max(gains["dropout"][0], 2 * gains["shifted digits"][1])
assert gains["dropout"][0] > gains["L2"][0]
assert abs(gains["L2"][0]) < 0.02, "but L2 reads no more digits right"

# %% [markdown]
# Shifting helps most: it adds knowledge about digits, where the others only hold the net back. Dropout gains a little.
# L2 gains no accuracy here, only a smaller loss: the mistakes cost less, but there are as many. A smaller loss and a
# better reader are not the same thing.
#
# > 平移的收益最大：它加入了关于数字的知识，而其他办法只是约束网络。Dropout 略有收益。
# > L2 在这里没有提高准确率，只是损失更小：错误的代价变小了，但错误一样多。
# > 损失更小，并不等于读得更准。

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
epochs = np.arange(1, EPOCHS + 1)
left.plot(epochs, plain[:, 0], color=COLOURS[0], label="the 400 digits learnt from")
left.plot(epochs, plain[:, 2], color=COLOURS[1], label="new digits")
left.axvline(best_epoch + 1, color="0.5", linestyle="--", label=f"stop here: loss {plain[best_epoch, 2]:.2f}")
left.set(title="Overfitting: one loss goes to 0, the other turns and rises", xlabel="epoch", ylabel="loss")
left.set_ylim(0, 1.2)
for place, (colour, name) in enumerate(zip(COLOURS[1:], list(REMEDIES)[1:], strict=False)):
    each = 100 * (runs[name][:, -1, 3] - runs["nothing"][:, -1, 3])
    right.bar(place, each.mean(), yerr=100 * gains[name][1], capsize=6, color=colour, alpha=0.6)
    right.plot(np.full(SEEDS, place) + np.linspace(-0.2, 0.2, SEEDS), each, "o", color="black", ms=4)
right.axhline(0, color="0.4", lw=0.8)
right.set(title=f"Shifting helps most, L2 not at all ({SEEDS} seeds ± standard error)")
right.set(ylabel="new digits read right: gain, percentage points")
right.set_xticks(range(3), list(REMEDIES)[1:])
left.legend()
lab.save(figure, "remedies.png")

# %% [markdown]
# The cheapest remedy is to stop in time: keep the weights of the epoch with the lowest loss on new digits, and stop
# when it has not fallen for a while (*early stopping*). The package keeps such weights as `best.pdparams`. And the best
# remedy of all is more digits.
#
# > 最便宜的办法是及时停下：保留在新数字上损失最低的那一轮的权重，如果它有一阵子不再下降就停下（*早停*）。
# > 软件包把这样的权重存为 `best.pdparams`。而最好的办法是用更多的数字。

# %% [markdown]
# ## What is confused with what · 什么与什么混淆
#
# Now a good net: lab 8's CNN with ten scores, on all training digits. It is trained by the loop of lab 7, and nothing
# is chosen by looking at other digits. So we may count its mistakes on *both* the validation and the test digits: 1,000
# of the sample, 20,000 of MNIST. One figure, the accuracy, says how many are wrong. The *confusion matrix* says which:
# row t, column r counts the digits t that were read as r. The right ones are on the diagonal.
#
# > 现在训练一个好网络：实验 8 的 CNN，输出十个得分，用全部训练数字，由实验 7 的循环训练；没有根据别的数字做任何选择。
# > 所以可以在验证数字和测试数字*两部分*上数它的错误：样本里有 1,000 个，MNIST 里有 20,000 个。
# > 准确率这一个数只说错了多少。*混淆矩阵*说错在哪里：第 t 行第 r 列是把数字 t 读成 r 的个数。对角线上是读对的。


# %%
lab.section("What is confused with what")


class CNN(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2D(in_channels=1, out_channels=20, kernel_size=5, padding=2)
        self.max_pool1 = nn.MaxPool2D(kernel_size=2, stride=2)
        self.conv2 = nn.Conv2D(in_channels=20, out_channels=20, kernel_size=5, padding=2)
        self.max_pool2 = nn.MaxPool2D(kernel_size=2, stride=2)
        self.fc = nn.Linear(in_features=980, out_features=10)

    def forward(self, images):
        x = self.max_pool1(F.relu(self.conv1(images)))  # [n, 20, 14, 14]
        x = self.max_pool2(F.relu(self.conv2(x)))  # [n, 20, 7, 7]
        return self.fc(paddle.flatten(x, start_axis=1))  # [n, 10]


def train_cnn(split, epochs, lr=0.1):
    paddle.seed(0)
    net = CNN()
    clip = paddle.nn.ClipGradByGlobalNorm(5.0)
    optimizer = paddle.optimizer.SGD(lr, parameters=net.parameters(), grad_clip=clip)

    def plain_step(images, labels):
        loss = F.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    step = fast.train_step(net, "classify", optimizer) or plain_step  # the same, sooner (lab 16)
    losses = []
    for epoch in range(epochs):
        for images, labels in batches(split, 100, "classify", order=shuffled(len(split.labels), 0, epoch)):
            losses.append(step(images, labels))
    return net, losses


whole = len(digits.train.labels) > 10_000
net, losses = train_cnn(digits.train, lab.budget(2 if whole else 8, 1))
images = np.concatenate([digits.valid.images, digits.eval.images])  # [n, 28, 28]
labels = np.concatenate([digits.valid.labels, digits.eval.labels])  # [n]
with paddle.no_grad():
    parts = np.array_split(to_input(images, "01"), len(images) // 500)
    scores = np.concatenate([net(paddle.to_tensor(part)).numpy() for part in parts])  # [n, 10]
answers = scores.argmax(axis=1)  # [n]

confusion = np.zeros((10, 10), int)
np.add.at(confusion, (labels, answers), 1)  # unlike confusion[labels, answers] += 1, this counts repeated pairs
share = np.trace(confusion) / confusion.sum()
print(f"right: {accuracy.in_percent(answers == labels)} of {len(labels):,} digits")
assert confusion.sum() == len(labels)
assert np.array_equal(confusion.sum(axis=1), np.bincount(labels, minlength=10))
assert share == np.mean(answers == labels)
assert share > 0.7

# %% [markdown]
# The package does the same with its own loop:
#
# > 软件包用自己的循环，结果相同：

# %%
few = type(digits.train)(digits.train.images[:1000], digits.train.labels[:1000])
settings, theirs = settings_for("cnn", "classify", epochs=1, seed=0), []
engine.fit(learners.build(settings), few, digits.valid, settings, on_step=lambda step: theirs.append(step.loss))
ours = train_cnn(few, epochs=1, lr=settings.lr)[1]
print("ten batches, ours and the package's: largest difference", f"{np.abs(np.subtract(ours, theirs)).max():.1e}")
assert np.allclose(ours, theirs, rtol=1e-3)

# %%
wrong = np.flatnonzero(answers != labels)
off_diagonal = confusion - np.diag(np.diag(confusion))
t, r = np.unravel_index(off_diagonal.argmax(), off_diagonal.shape)
figure, axes = plt.subplots(figsize=(6.8, 5.8), layout="constrained")
shown = axes.imshow(off_diagonal, cmap="Blues", vmin=0)
for i in range(10):
    for j in range(10):
        dark = off_diagonal[i, j] > 0.6 * off_diagonal.max()
        weight, colour = ("bold", COLOURS[2]) if i == j else ("normal", "white" if dark else "black")
        if confusion[i, j]:
            axes.text(j, i, confusion[i, j], ha="center", va="center", fontsize=9, color=colour, weight=weight)
title = f"{len(wrong)} of {len(labels):,} digits are misread; most often, {t} is read as {r}"
axes.set(title=title, xlabel="read as", ylabel="label", xticks=range(10), yticks=range(10))
figure.colorbar(shown, label="mistakes (the diagonal, green, is right)", ticks=MaxNLocator(integer=True))
lab.save(figure, "confusion.png")
print(f"most often, {t} is read as {r}: {off_diagonal[t, r]} times")

# %% [markdown]
# ## Look at the mistakes · 看一看读错的数字
#
# How confident was the net? Softmax makes probabilities of the scores. On the whole it is less confident where it is
# wrong. We draw the mistakes of which it was most confident: they teach most. Some are written badly, some show what
# the net has not understood, and now and then a label is wrong.
#
# > 网络有多大把握？Softmax 把得分变成概率。总的来说，读错时它的把握较小。
# > 我们画出它最有把握的错误，因为从中学到的最多：有些写得很潦草，有些暴露出网络没弄懂的地方，偶尔也有标签本身错了的。

# %%
lab.section("Look at the mistakes")
confidence = F.softmax(paddle.to_tensor(scores), axis=1).numpy().max(axis=1)  # [n]
means = confidence[answers == labels].mean(), confidence[wrong].mean()
print(f"confidence on average: {means[0]:.3f} when right, {means[1]:.3f} when wrong")
assert means[1] < means[0]

surest = wrong[np.argsort(-confidence[wrong])][:18]
figure, grid = plt.subplots(3, 6, figsize=(9, 5.6), layout="constrained")
for axes in grid.flat:
    axes.set_axis_off()
for axes, index in zip(grid.flat, surest, strict=False):
    axes.imshow(images[index], cmap="gray_r")
    axes.set_title(f"{labels[index]} read as {answers[index]}, {confidence[index]:.0%}", fontsize=9)
figure.suptitle("The most confident mistakes: unclear writing, or something not yet learnt?")
lab.save(figure, "mistakes.png")

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 14 --start`, write into `labs/my/14.py`, and check with
# `python -m paddle_mnist.check 14`.
#
# 1. `confusion_matrix(labels, answers)`: what was read as what.
# 2. `stop_early(losses, patience)`: when to stop, and which epoch to keep.
# 3. `shift(images, down, right)`: all images moved, without wrapping round.
#
# > 用 `python -m paddle_mnist.check 14 --start` 开始，把答案写进 `labs/my/14.py`，
# > 再用 `python -m paddle_mnist.check 14` 检查。
# >
# > 1. `confusion_matrix(labels, answers)`：什么被读成了什么。
# > 2. `stop_early(losses, patience)`：何时停下，保留哪一轮。
# > 3. `shift(images, down, right)`：平移所有图像，不绕回另一边。

# %%
lab.finish(accuracy=float(share), gain={name: round(float(gain), 4) for name, (gain, _) in gains.items()})

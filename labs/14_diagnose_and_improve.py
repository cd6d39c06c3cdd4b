# %% [markdown]
# # 14. Diagnose and improve · 观察与改进
#
# A net can know its training digits by heart and still read new ones badly. This lab makes that happen on purpose,
# shows how to see it, and tries three remedies. Then it looks at the digits that are still read wrongly.
#
# > 网络可能把训练数字背得滚瓜烂熟，却读不好新的数字。本实验故意让这种情况发生，
# > 说明怎样看出来，并试三种补救办法。最后看一看仍然读错的数字。

# %%
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()
import paddle
import paddle.nn.functional as F
from paddle import nn

from paddle_mnist import engine, learners
from paddle_mnist.loader import shuffled, to_input
from paddle_mnist.losses import softmax
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
# epoch it measures the loss on the digits that were learnt from and on those that were not.
#
# > 下面是训练循环，给每种补救办法留了位置：`drop`、`decay`（用于 L2）和 `change`（改变图像）。
# > 每轮之后，它分别在学过的和没学过的数字上测量损失。

# %%
EPOCHS = lab.budget(60, 25)


def measure(net, images, labels):
    net.eval()  # dropout rests while we measure
    with paddle.no_grad():
        scores = net(paddle.to_tensor(images))
        loss = float(F.cross_entropy(scores, paddle.to_tensor(labels[:, np.newaxis])))
    return loss, float(np.mean(scores.numpy().argmax(axis=1) == labels))


def train(drop=0.0, decay=0.0, change=None, seed=0):
    paddle.seed(seed)
    rng = np.random.default_rng(seed)
    net = Net(drop)
    optimizer = paddle.optimizer.Momentum(0.04, 0.9, net.parameters(), weight_decay=decay or None)
    history = []
    for epoch in range(EPOCHS):
        net.train()
        order = shuffled(len(few_labels), seed, epoch)
        for chosen in np.split(order, 8):  # 8 batches of 50
            images = change(few_images[chosen], rng) if change else few_images[chosen]
            scores = net(paddle.to_tensor(to_input(images, "01")))
            loss = F.cross_entropy(scores, paddle.to_tensor(few_labels[chosen][:, np.newaxis]))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
        history.append([*measure(net, seen, few_labels), *measure(net, unseen, unseen_labels)])
    return net, np.array(history)  # [epochs, 4]: seen loss, seen accuracy, unseen loss, unseen accuracy


# %% [markdown]
# ## Overfitting · 过拟合
#
# Without any remedy: the loss on the digits that it learns from goes to nothing. The loss on new ones stops falling
# early, and rises again. That gap is overfitting.
#
# > 不加任何补救：在学过的数字上，损失趋于零；在新数字上，损失很早就不再下降，甚至重新上升。这个差距就是过拟合。

# %%
net, plain = train()
best_epoch = int(plain[:, 2].argmin())
print(f"learnt from: loss {plain[-1, 0]:.4f}, right {plain[-1, 1]:.1%}")
print(f"new digits:  loss {plain[-1, 2]:.4f}, right {plain[-1, 3]:.1%}; lowest loss after epoch {best_epoch + 1}")
assert plain[-1, 1] == 1, "every training digit is known by heart"
assert plain[-1, 2] > 20 * plain[-1, 0], "new digits are another matter"
assert best_epoch < EPOCHS - 1, "the loss on new digits was lower before the end"

# %% [markdown]
# Is the net just clever? Give the training digits *random* labels. There is nothing to understand in them, and yet it
# learns them all. New digits are guessed. So a good score on training digits proves nothing.
#
# > 也许网络只是聪明？给训练数字配上*随机*标签。其中没有任何规律可学，它却照样全部记住；对新数字则只能瞎猜。
# > 所以训练数字上的好成绩什么也证明不了。

# %%
true_labels = few_labels
few_labels = np.random.default_rng(1).integers(0, 10, len(true_labels))  # train() reads this name
_, nonsense = train()
few_labels = true_labels
print(f"random labels: right on training digits {nonsense[-1, 1]:.1%}, on new digits {nonsense[-1, 3]:.1%}")
assert nonsense[-1, 1] > 0.5 > 0.25 > nonsense[-1, 3]

# %% [markdown]
# ## L2: small weights · L2：让权重保持小
#
# A net that knows by heart needs large weights, to tell apart digits that are nearly alike. So add a price on weights:
#
#     loss + (λ / 2) · (sum of all w²)          gradient: g + λ w
#
# Each step then pulls every weight a little towards 0: *weight decay*.
#
# > 死记硬背的网络需要大的权重，才能把几乎一样的数字区分开。于是给权重定一个“价格”，公式见上。
# > 这样每一步都把所有权重向 0 拉一点，这叫*权重衰减*。

# %%
w = paddle.create_parameter([3], "float32", default_initializer=nn.initializer.Constant(2.0))
optimizer = paddle.optimizer.SGD(0.1, [w], weight_decay=0.5)
(w * paddle.to_tensor([1.0, 0.0, -1.0])).sum().backward()  # the gradient is [1, 0, -1]
optimizer.step()
print("w after a step:", w.numpy())
assert np.allclose(w.numpy(), 2 - 0.1 * (np.array([1, 0, -1]) + 0.5 * 2))

small_net, l2 = train(decay=0.005)
lengths = [float((n.hidden.weight**2).sum() ** 0.5) for n in (net, small_net)]
print(f"length of the hidden weights: {lengths[0]:.2f} without, {lengths[1]:.2f} with L2")
print(f"new digits: loss {l2[-1, 2]:.4f}, right {l2[-1, 3]:.1%}")
assert lengths[1] < lengths[0]
assert l2[-1, 2] < plain[-1, 2]

# %% [markdown]
# ## Dropout · 随机失活
#
# While it trains, switch off each hidden unit with probability p, anew for every digit. No unit can rely on another,
# so each has to learn something useful by itself. What is left is divided by 1 - p, so that the sum keeps its average.
# When we measure, all units are on. In a net as shallow as ours it gains little; in deep ones it gains more.
#
# > 训练时以概率 p 关掉每个隐藏单元，对每个数字都重新抽取。这样没有单元能依赖别的单元，每个都得自己学到有用的东西。
# > 剩下的除以 1 - p，使总和的平均值不变。测量时所有单元都打开。
# > 对我们这样浅的网络，它收益不大；网络越深，收益越大。

# %%
rng = np.random.default_rng(0)
x, p = rng.uniform(1, 2, size=(1000, 256)), 0.5  # [n, 256]
kept = rng.random(x.shape) >= p
dropped = x * kept / (1 - p)
print(f"switched off: {np.mean(dropped == 0):.1%}; average before {x.mean():.3f}, after {dropped.mean():.3f}")
assert abs(dropped.mean() - x.mean()) < 0.02

_, dropout = train(drop=0.5)
print(f"new digits: loss {dropout[-1, 2]:.4f}, right {dropout[-1, 3]:.1%}")
assert dropout[-10:, 3].mean() > plain[-10:, 3].mean() - 0.01, "nothing is lost by it"

# %% [markdown]
# ## Augmentation: shifted digits · 数据增强：平移数字
#
# A 3 that stands two pixels further left is still a 3. The net does not know this, so show it: shift each image by up
# to two pixels, at random, every time it is drawn. This is the best remedy here, because it adds knowledge about
# digits where the others only hold the net back.
#
# > 向左移两个像素的 3 还是 3。网络不知道这一点，那就让它看到：每次取出图像时，随机平移最多两个像素。
# > 这是这里最好的办法，因为它加入了关于数字的知识，而其他办法只是约束网络。


# %%
def shifted(images, rng, reach=2):
    """Return images uint8 [n, 28, 28], each moved by up to reach pixels; what is left empty becomes paper."""
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)))  # [n, 32, 32]
    down, right = rng.integers(0, 2 * reach + 1, size=(2, len(images)))
    return np.stack([image[d : d + 28, r : r + 28] for image, d, r in zip(padded, down, right, strict=True)])


moved = shifted(few_images[:8], np.random.default_rng(0))
assert moved.shape == (8, 28, 28)
figure, grid = plt.subplots(2, 8, figsize=(9, 2.7))
for axes, picture in zip(grid.flat, [*few_images[:8], *moved], strict=True):
    axes.imshow(picture, cmap="gray_r")
    axes.set(xticks=[13.5], yticks=[13.5], xticklabels=[], yticklabels=[])
    axes.grid(color=COLOURS[5], linewidth=0.6)
figure.suptitle("Above as in the file, below shifted by up to two pixels (lines: the middle)")
lab.save(figure, "shifted.png")

_, augmented = train(change=shifted)
print(f"new digits: loss {augmented[-1, 2]:.4f}, right {augmented[-1, 3]:.1%}")
assert augmented[-1, 2] < 0.9 * plain[-1, 2]
assert augmented[-1, 3] > plain[-1, 3], "more of the new digits are read right"

# %% [markdown]
# ## All on one plot · 画在一起
#
# Left: the gap between the two curves of the bare net. Right: new digits only, for every remedy.
#
# > 左图：不加补救时两条曲线之间的差距。右图：只看新数字，各种补救办法的比较。

# %%
remedies = {"nothing": plain, "L2": l2, "dropout": dropout, "shifted digits": augmented}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
epochs = np.arange(1, EPOCHS + 1)
left.semilogy(epochs, plain[:, 0], color=COLOURS[0], label="the 400 digits learnt from")
left.semilogy(epochs, plain[:, 2], color=COLOURS[1], label="new digits")
left.axvline(best_epoch + 1, color="0.5", linestyle="--", label="here one should stop")
left.set(title="Overfitting: the gap", xlabel="epoch", ylabel="loss")
for colour, (name, history) in zip(COLOURS[1:], remedies.items(), strict=False):
    right.plot(epochs, history[:, 2], color=colour, label=f"{name}: {history[-1, 3]:.1%} right")
right.set(title="New digits, with each remedy", xlabel="epoch", ylabel="loss on new digits")
right.set_ylim(0.2, 1.0)
for axes in (left, right):
    axes.legend()
figure.tight_layout()
lab.save(figure, "remedies.png")

# %% [markdown]
# The cheapest remedy is not drawn: keep the weights of the epoch with the lowest loss on new digits, and stop when it
# has not fallen for a while (*early stopping*). The package keeps such weights as `best.pdparams`. And the best remedy
# of all is more digits.
#
# > 最便宜的办法没有画出来：保留在新数字上损失最低的那一轮的权重，如果它有一阵子不再下降就停下（*早停*）。
# > 软件包把这样的权重存为 `best.pdparams`。而最好的办法是用更多的数字。

# %% [markdown]
# ## What is confused with what · 什么与什么混淆
#
# Now a good net: the convolutional one, on all training digits. One figure, the accuracy, says how many are wrong. The
# *confusion matrix* says which: row t, column r counts the digits t that were read as r. The right ones are on the
# diagonal.
#
# > 现在训练一个好网络：卷积网络，用全部训练数字。准确率这一个数只说错了多少。
# > *混淆矩阵*说错在哪里：第 t 行第 r 列是把数字 t 读成 r 的个数。对角线上是读对的。

# %%
settings = settings_for("cnn", "classify", epochs=1 if len(digits.train.labels) > 10_000 else lab.budget(8, 3))
learner = learners.build(settings)
engine.fit(learner, digits.train, digits.valid, settings)

labels = digits.eval.labels
scores = np.concatenate(
    [learner.outputs(to_input(part, "01")) for part in np.array_split(digits.eval.images, max(1, len(labels) // 500))]
)  # [n, 10]
read = scores.argmax(axis=1)  # [n]

confusion = np.zeros((10, 10), int)
np.add.at(confusion, (labels, read), 1)  # unlike confusion[labels, read] += 1, this counts repeated pairs
accuracy = np.trace(confusion) / confusion.sum()
print(f"right: {accuracy:.2%} of {len(labels):,} test digits")
assert confusion.sum() == len(labels)
assert np.array_equal(confusion.sum(axis=1), np.bincount(labels, minlength=10))
assert accuracy == np.mean(read == labels)
assert accuracy > 0.7

# %%
wrong = np.flatnonzero(read != labels)
off_diagonal = confusion - np.diag(np.diag(confusion))
figure, axes = plt.subplots(figsize=(6.4, 5.6))
shown = axes.imshow(off_diagonal, cmap="Blues", vmin=0)
for t in range(10):
    for r in range(10):
        dark = off_diagonal[t, r] > 0.6 * off_diagonal.max()
        weight, colour = ("bold", COLOURS[2]) if t == r else ("normal", "white" if dark else "black")
        if confusion[t, r]:
            axes.text(r, t, confusion[t, r], ha="center", va="center", fontsize=9, color=colour, weight=weight)
axes.set(title=f"{len(wrong)} of {len(labels):,} test digits are read wrongly", xlabel="read as", ylabel="label")
axes.set_xticks(range(10))
axes.set_yticks(range(10))
figure.colorbar(shown, label="mistakes (the diagonal, green, is right)", ticks=MaxNLocator(integer=True))
lab.save(figure, "confusion.png")

t, r = np.unravel_index(off_diagonal.argmax(), off_diagonal.shape)
print(f"most often, {t} is read as {r}: {off_diagonal[t, r]} times")

# %% [markdown]
# ## Look at the mistakes · 看一看读错的数字
#
# How sure was the net? Softmax makes probabilities of the scores. On the whole it is less sure where it is wrong. We
# draw the mistakes that it was surest of: they teach most. Some are written badly, some show what the net has not
# understood, and now and then a label is wrong.
#
# > 网络有多大把握？Softmax 把分数变成概率。总的来说，读错时它的把握较小。
# > 我们画出它最有把握的错误，因为从中学到的最多：有些写得很潦草，有些暴露出网络没弄懂的地方，偶尔也有标签本身错了的。

# %%
sureness = softmax(scores).max(axis=1)  # [n]
print(f"how sure on average: {sureness[read == labels].mean():.3f} when right, {sureness[wrong].mean():.3f} when wrong")
assert sureness[wrong].mean() < sureness[read == labels].mean()

surest = wrong[np.argsort(-sureness[wrong])][:18]
figure, grid = plt.subplots(3, 6, figsize=(9, 5.4))
for axes in grid.flat:
    axes.set_axis_off()
for axes, index in zip(grid.flat, surest, strict=False):
    axes.imshow(digits.eval.images[index], cmap="gray_r")
    axes.set_title(f"{labels[index]} read as {read[index]}, {sureness[index]:.0%}", fontsize=9)
figure.suptitle("The mistakes that the net was surest of")
figure.tight_layout()
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
lab.finish(accuracy=float(accuracy), unseen={name: round(float(h[-1, 3]), 4) for name, h in remedies.items()})

# %% [markdown]
# # 9. Classification · 分类
#
# So far a net answered with a number on a line. Digits are not numbers of that kind: they are names. This lab shows
# what goes wrong on the line, derives the usual answer, softmax with cross-entropy, and then hunts a fault that makes
# no noise at all and once cost a well-known course a tenth of its digits.
#
# > 到目前为止，网络用数轴上的一个数来回答。但数字并不是这种意义上的数：它们是名字。
# > 本实验先说明数轴错在哪里，再推导通常的做法（softmax 加交叉熵），
# > 最后追查一个不声不响的错误：它曾让一门知名课程读错了十分之一的数字。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()

import paddle
import paddle.nn.functional as F

from paddle_mnist import engine, learners, losses
from paddle_mnist.loader import batches, shuffled
from paddle_mnist.recipes import settings_for

lab = Lab("09_classification")
digits = dataset.open_dataset("auto", log=print)
whole = len(digits.train.images) > 10_000

# %% [markdown]
# ## The number line · 数轴
#
# On a line, mistaking a 9 for a 0 costs 81, a 9 for an 8 costs 1. But an 8 does not look like a 9 more than a 4 does.
# And what should a net answer that is torn between 4 and 9? The answer with the smallest expected square error is the
# middle, 6.5: a digit that nobody suspects.
#
# > 在数轴上，把 9 认成 0 的代价是 81，认成 8 的代价是 1。可是 8 并不比 4 更像 9。
# > 如果网络在 4 和 9 之间拿不定主意，它该怎么答？期望平方误差最小的答案是正中间的 6.5：一个谁也没有怀疑过的数字。

# %%
answers = np.linspace(0, 9, 91)  # [91]
expected = 0.5 * (answers - 4) ** 2 + 0.5 * (answers - 9) ** 2  # [91]
best = answers[expected.argmin()]
print(f"4 or 9, half and half: the best answer on the line is {best:.1f}")
assert abs(best - 6.5) < 1e-9

# %% [markdown]
# Is that what nets do? We train the course's CNN twice: once to answer with a number, once with a score for each of
# ten digits.
#
# > 网络真会这样吗？我们把课程的 CNN 训练两遍：一遍用一个数回答，一遍给十个数字各打一个分。

# %%
epochs = lab.budget(2 if whole else 6, 1 if whole else 2)
nets, records = {}, {}
for task in ("regress", "classify"):
    settings = settings_for("cnn", task, epochs=epochs, seed=0)
    nets[task] = learners.build(settings)
    records[task] = engine.fit(nets[task], digits.train, digits.valid, settings)[-1]
    print(f"{task:8}  {records[task]['accuracy']:.1%} of the validation digits read right")
assert records["classify"]["accuracy"] > records["regress"]["accuracy"] + 0.2

# %% [markdown]
# Now pictures between a 4 and a 9: from every pair we mix half of each.
#
# > 再来看介于 4 和 9 之间的图像：每一对 4 和 9 各取一半混合。

# %%
pixels = digits.valid.images.astype(np.float32) / 255
fours, nines = pixels[digits.valid.labels == 4][:40], pixels[digits.valid.labels == 9][:40]
pairs = min(len(fours), len(nines))
shares = np.linspace(0, 1, 11, dtype=np.float32)  # how much of the 9
mixes = np.stack([(1 - s) * fours[:pairs] + s * nines[:pairs] for s in shares])  # [11, pairs, 28, 28]
flat = mixes.reshape(-1, 1, 28, 28)
on_the_line = nets["regress"].outputs(flat).reshape(11, pairs)
probabilities = losses.softmax(nets["classify"].outputs(flat)).reshape(11, pairs, 10)

line_read = np.rint(on_the_line[3:8])  # [5, pairs], mixes with 30 to 70 % of the 9
between = float(np.isin(line_read, (5, 6, 7, 8)).mean())
neither = float((~np.isin(probabilities[3:8].argmax(axis=2), (4, 9))).mean())
print(f"half 4, half 9: on average the line answers {on_the_line[5].mean():.1f}")
print(f"mixes read as 5, 6, 7 or 8 on the line: {between:.0%}; read as neither 4 nor 9 by scores: {neither:.0%}")
assert 4 < on_the_line[5].mean() < 9
assert between > 0.4
assert neither < 0.5 * between

# %%
figure, (above, left, right) = plt.subplots(1, 3, figsize=(12, 3.9), width_ratios=(1.1, 2, 2), layout="constrained")
above.imshow(np.vstack([mixes[i, 0] for i in (0, 5, 10)]), cmap="gray_r")
above.set(title="4, half and half, 9", xticks=[], yticks=[])
left.plot(100 * shares, on_the_line.mean(axis=1), color=COLOURS[0], marker="o")
for digit in (4, 9):
    left.axhline(digit, color=COLOURS[6], ls=":")
left.set(title="One number: through 5, 6, 7", xlabel="share of the 9, %", ylabel="answer, mean of the pairs")
left.set_ylim(3, 10)
named = {"4": probabilities[..., 4], "9": probabilities[..., 9]}
named["all others"] = 1 - named["4"] - named["9"]
for (name, share), colour, mark in zip(named.items(), (COLOURS[1], COLOURS[2], COLOURS[6]), "s^x", strict=True):
    right.plot(100 * shares, share.mean(axis=1), color=colour, marker=mark, label=name)
right.set(title="Ten scores say: 4 or 9", xlabel="share of the 9, %", ylabel="probability, mean of the pairs")
right.set_ylim(-0.03, 1.03)
right.legend()
lab.save(figure, "between.png")

# %% [markdown]
# ## Softmax · Softmax 函数
#
# Ten scores s become ten probabilities: positive, and 1 in all.
#
#     p[c] = exp(s[c]) / (exp(s[0]) + ... + exp(s[9]))
#
# exp(1000) overflows. Subtracting the same number from all scores changes nothing, so we take off the largest first.
#
# > 十个得分 s 变成十个概率：都是正数，总和为 1（公式见上）。exp(1000) 会溢出。
# > 所有得分减去同一个数，结果不变，所以我们先减去最大的那个。


# %%
def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


scores = np.array([[2.0, 1.0, 0.1], [1000.0, 999.0, 998.1]])  # [2, 3]
p = softmax(scores)
print(p.round(4))
assert np.allclose(p.sum(axis=1), 1)
assert np.allclose(p[0], p[1]), "only differences of scores count"
assert np.allclose(p, F.softmax(paddle.to_tensor(scores)).numpy())

# %% [markdown]
# ## Cross-entropy · 交叉熵
#
# The loss looks at one probability only, that of the true digit:
#
#     L = -log p[label]        dL/ds[c] = p[c] - (1 if c is the label, else 0)
#
# Sure and right costs nothing, sure and wrong costs without limit. A net that knows nothing gives each digit 1/10 and
# pays log 10 = 2.303. Remember that number: it is where the first batch of a sound net begins.
#
# > 损失只看一个概率，即正确数字的概率（公式见上）。有把握且答对，没有代价；有把握却答错，代价没有上限。
# > 什么都不懂的网络给每个数字 1/10，损失是 log 10 = 2.303。记住这个数：正常的网络，第一批的损失就从这里开始。

# %%
rng = np.random.default_rng(0)
scores = rng.standard_normal((100, 10))  # [100, 10]
labels = rng.integers(0, 10, 100)  # [100]
p = softmax(scores)
loss = -np.log(p[np.arange(100), labels]).mean()
gradient = (p - np.eye(10)[labels]) / 100  # [100, 10]

tensor = paddle.to_tensor(scores, stop_gradient=False)
by_paddle = F.cross_entropy(tensor, paddle.to_tensor(labels))  # takes raw scores: the softmax is inside
by_paddle.backward()
print(f"by hand {loss:.6f}, by Paddle {float(by_paddle):.6f}")
assert abs(loss - float(by_paddle)) < 1e-9
assert np.allclose(tensor.grad.numpy(), gradient)
assert np.allclose(losses.cross_entropy(scores, labels[:, np.newaxis]).mean(), loss), "the package's"
know_nothing = float(F.cross_entropy(paddle.zeros([5, 10]), paddle.zeros([5], "int64")))
assert abs(know_nothing - np.log(10)) < 1e-6

# %% [markdown]
# ## The fault: reproduce it · 错误：重现
#
# A course on deep learning (PaddlePaddle/awesome-DeepLearning, junior class, chapter 2) publishes 85.03 % for a net
# with one layer of sigmoids at learning rate 0.1. The net in its code ends in a softmax, and its training step calls
# `cross_entropy`, which applies a softmax of its own. Here are both, a net of that kind with the second softmax and
# without. Same start, same batches. Its table does not say how wide the layer is, so look for the same
# pattern, not for the same figure.
#
# > 一门深度学习课程（PaddlePaddle/awesome-DeepLearning，junior_class 第 2 章）公布：
# > 带一层 Sigmoid 的网络，学习率 0.1，正确率 85.03 %。
# > 它代码里的网络以 softmax 结尾，而训练步骤又调用 `cross_entropy`，后者自己还会再做一次 softmax。
# > 下面是同类的网络，一个带第二个 softmax，一个不带；初始权重和批次都相同。
# > 表中没有说明那一层有多宽，所以要看的是同样的规律，而不是同一个数值。


# %%
class Sigmoids(paddle.nn.Layer):
    def __init__(self, ends_in_softmax):
        super().__init__()
        self.fc1 = paddle.nn.Linear(784, 128)
        self.fc2 = paddle.nn.Linear(128, 10)
        self.ends_in_softmax = ends_in_softmax

    def forward(self, images):
        x = F.sigmoid(self.fc1(paddle.flatten(images, start_axis=1)))  # [n, 128]
        scores = self.fc2(x)  # [n, 10]
        return F.softmax(scores) if self.ends_in_softmax else scores


def train(ends_in_softmax, epochs, lr):
    paddle.seed(0)
    net = Sigmoids(ends_in_softmax)
    optimizer = paddle.optimizer.SGD(lr, parameters=net.parameters())
    means = []
    for epoch in range(epochs):
        total = 0.0
        order = shuffled(len(digits.train.labels), seed=0, epoch=epoch)
        for images, labels in batches(digits.train, 32, "classify", order=order):
            loss = F.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            total += float(loss) * len(images)
        means.append(total / len(order))
    return net, means


def read(net):
    images = paddle.to_tensor(digits.valid.images[:, np.newaxis].astype(np.float32) / 255)
    with paddle.no_grad():
        return net(images).numpy().argmax(axis=1)  # [n]


epochs = lab.budget(3 if whole else 10, 1 if whole else 4)
found, curves = {}, {}
for name, ends_in_softmax in (("two softmaxes", True), ("one softmax", False)):
    net, curves[name] = train(ends_in_softmax, epochs, lr=0.1)
    found[name] = read(net)
    accuracy = float((found[name] == digits.valid.labels).mean())
    print(f"{name:13}  training loss {curves[name][-1]:.3f}  validation {accuracy:.1%}")

# %% [markdown]
# ## Find it: the smallest loss · 查找：最小的损失
#
# Nothing crashes, the loss falls, digits are read. But how small can that loss become? The best that the net can hand
# over is 1 for the label and 0 for the nine others. The second softmax takes these for *scores*:
#
#     smallest loss = -log( e / (e + 9) ) = log(1 + 9/e) = 1.461
#
# A loss that begins at 2.303 and can never fall below 1.461 is not a loss that says "all right". Ask of every loss:
# what is its value if the net is perfect? If it is not 0, why?
#
# > 程序不报错，损失在下降，数字也读得出来。但这个损失最小能到多少？网络能交出的最好结果是：标签处为 1，其余九处为 0。
# > 第二个 softmax 却把它们当作*得分*（公式见上）。
# > 一个从 2.303 开始、永远降不到 1.461 以下的损失，不可能表示"全对"。对每个损失都要问：
# > 网络完美时它是多少？如果不是 0，为什么？

# %%
perfect = paddle.to_tensor(np.eye(10, dtype=np.float32)[[3]])  # [1, 10], all for the 3
floor = float(F.cross_entropy(perfect, paddle.to_tensor([3])))
print(f"the loss of a perfect answer, softmaxed once more: {floor:.4f}; log(1 + 9/e) = {np.log(1 + 9 / np.e):.4f}")
assert abs(floor - np.log(1 + 9 / np.e)) < 1e-5
assert min(curves["two softmaxes"]) > floor, "no training can bring it lower"
assert curves["one softmax"][-1] < floor < np.log(10)

# %% [markdown]
# Another test finds it in seconds, and many other faults too: can the net learn ten digits by heart? A sound net brings
# the loss of one small batch to nearly 0.
#
# > 还有一种检查几秒钟就能发现它，也能发现许多别的错误：网络能不能把十个数字背下来？
# > 正常的网络能把一小批的损失降到接近 0。

# %%
images = paddle.to_tensor(digits.train.images[:10, np.newaxis].astype(np.float32) / 255)  # [10, 1, 28, 28]
labels = paddle.to_tensor(digits.train.labels[:10].astype(np.int64))  # [10]
by_heart = {}
for name, ends_in_softmax in (("two softmaxes", True), ("one softmax", False)):
    paddle.seed(0)
    net = Sigmoids(ends_in_softmax)
    optimizer = paddle.optimizer.SGD(0.5, parameters=net.parameters())
    for _ in range(300):
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    by_heart[name] = float(loss)
    print(f"{name:13}  loss of ten digits after 300 steps: {by_heart[name]:.3f}")
assert by_heart["one softmax"] < 0.1
assert by_heart["two softmaxes"] > floor

# %% [markdown]
# ## Why it loses whole digits · 为什么整个数字都会丢失
#
# Suppose the net is sure, and wrong. That is when the gradient should be greatest. With one softmax it is. With two,
# the first one is saturated: its slope is nearly 0, and hardly any gradient gets through. What is wrong stays wrong.
#
# > 假设网络很有把握，却答错了：这正是梯度最该大的时候。只有一个 softmax 时确实如此。
# > 有两个时，前一个已经饱和，斜率接近 0，梯度几乎传不过去：错的就一直错下去。

# %%
lead = np.linspace(0, 12, 49).astype(np.float32)  # by how much a wrong digit's score is ahead
lengths = {}
for name, ends_in_softmax in (("one softmax", False), ("two softmaxes", True)):
    start = np.zeros((49, 10), np.float32)
    start[:, 0] = lead  # the net says 0
    scores = paddle.to_tensor(start, stop_gradient=False)
    labels = paddle.full([49], 6, "int64")  # it is a 6
    F.cross_entropy(F.softmax(scores) if ends_in_softmax else scores, labels, reduction="sum").backward()
    lengths[name] = np.linalg.norm(scores.grad.numpy(), axis=1)  # [49]
print("sure and wrong by 12:", {name: f"{length[-1]:.1e}" for name, length in lengths.items()})
assert lengths["one softmax"][-1] > 1.4
assert lengths["two softmaxes"][-1] < 0.001

recall = {
    name: np.array([(answer[digits.valid.labels == digit] == digit).mean() for digit in range(10)])
    for name, answer in found.items()
}  # [10] each: the share of every digit that is read right
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
styles = {"two softmaxes": (COLOURS[1], "--", "s"), "one softmax": (COLOURS[0], "-", "o")}
for place, (name, (colour, line, mark)) in enumerate(styles.items()):
    left.plot(range(1, epochs + 1), curves[name], color=colour, ls=line, marker=mark, label=name)
    middle.plot(lead, lengths[name], color=colour, ls=line, label=name)
    right.bar(np.arange(10) + 0.4 * (place - 0.5), 100 * recall[name], width=0.4, color=colour, label=name)
left.axhline(floor, color=COLOURS[6], ls=":", label="log(1 + 9/e) = 1.461")
left.set(title="Training loss: one has a floor", xlabel="epoch", ylabel="cross-entropy", ylim=(0, 3.3))
middle.set(title="Sure and wrong: does it learn?", xlabel="lead of the wrong score", ylabel="length of the gradient")
right.set(title="Read right, by digit", xlabel="digit", ylabel="share, %", ylim=(0, 125))
right.set_xticks(range(10))
left.xaxis.get_major_locator().set_params(integer=True)
for axes, corner in ((left, "upper right"), (middle, "center right"), (right, "upper right")):
    axes.legend(loc=corner, fontsize=9)
lab.save(figure, "double_softmax.png")
print("the worst digit:", {name: f"{share.min():.0%} of the {share.argmin()}s" for name, share in recall.items()})
assert recall["two softmaxes"].min() < recall["one softmax"].min()

# %% [markdown]
# ## Mend it · 改正
#
# Let the net return raw scores, as all nets of this package do, and show probabilities only to people. (Or keep the
# softmax and tell the loss: `use_softmax=False`.) A tenfold learning rate, which gave that course 95.87 %, only hides
# the fault.
#
# > 让网络返回原始得分，本软件包的网络都是如此；只有给人看时才换成概率。
# >（或者保留 softmax，但告诉损失函数：`use_softmax=False`。）
# > 把学习率提高到十倍，那门课程得到了 95.87 %，但这只是掩盖了错误。

# %%
scores = paddle.to_tensor(rng.standard_normal((100, 10)))
labels = paddle.to_tensor(rng.integers(0, 10, 100))
from_scores = F.cross_entropy(scores, labels)
from_probabilities = F.cross_entropy(F.softmax(scores), labels, use_softmax=False)
assert abs(float(from_scores) - float(from_probabilities)) < 1e-6

accuracy = {name: float((answer == digits.valid.labels).mean()) for name, answer in found.items()}
print("validation accuracy:", {name: f"{share:.1%}" for name, share in accuracy.items()})
assert accuracy["one softmax"] > accuracy["two softmaxes"] + 0.1

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 09 --start`, write your answers into `labs/my/09.py`, and check them with
# `python -m paddle_mnist.check 09`. `--hint` gives hints.
#
# 1. `softmax(scores)`: probabilities, however large the scores.
# 2. `cross_entropy(scores, labels)`: the mean loss of raw scores.
# 3. `score_gradient(scores, labels, twice)`: its gradient, also through a second softmax.
#
# > 运行 `python -m paddle_mnist.check 09 --start`，把答案写进 `labs/my/09.py`，
# > 再用 `python -m paddle_mnist.check 09` 检查。`--hint` 给出提示。
# >
# > 1. `softmax(scores)`：求概率，得分再大也不出错。
# > 2. `cross_entropy(scores, labels)`：原始得分的平均损失。
# > 3. `score_gradient(scores, labels, twice)`：它的梯度，也包括经过第二个 softmax 的情形。

# %%
lab.finish(one_softmax=round(accuracy["one softmax"], 4), two_softmaxes=round(accuracy["two softmaxes"], 4))

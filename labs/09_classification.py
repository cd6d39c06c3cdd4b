# %% [markdown]
# # 9. Classification · 分类
#
# So far a net answered with a number on a line. Digits are not numbers of that kind: they are names. This lab shows
# what goes wrong on the line, introduces the usual answer, softmax with cross-entropy, and then tracks down a silent
# bug that once cost a well-known course a tenth of its digits.
#
# > 到目前为止，网络用数轴上的一个数来回答。但数字并不是这种意义上的数：它们是名字。
# > 本实验先说明数轴错在哪里，再介绍通常的做法（softmax 加交叉熵），
# > 最后追查一个不声不响的错误：它曾让一门知名课程读错了十分之一的数字。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from paddle.nn import Conv2D, Linear, MaxPool2D

from paddle_mnist import engine, fast, learners
from paddle_mnist.labs import accuracy
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
# middle, 6.5: between two digits that nobody suspects.
#
# > 在数轴上，把 9 认成 0 的代价是 81，认成 8 的代价是 1。可是 8 并不比 4 更像 9。如果网络在 4 和 9 之间拿不定主意，
# > 它该怎么答？期望平方误差最小的答案是正中间的 6.5：夹在两个谁也没有怀疑过的数字之间。

# %%
lab.section("The number line")
answers = np.linspace(0, 9, 91)  # [91]
expected = 0.5 * (answers - 4) ** 2 + 0.5 * (answers - 9) ** 2  # [91]
best = answers[expected.argmin()]
print(f"4 or 9, half and half: the best answer on the line is {best:.1f}")
assert abs(best - 6.5) < 1e-9

# %% [markdown]
# Is that what nets do? We train lab 8's CNN twice: once to answer with a number, once with a score for each of ten
# digits. Only the number of outputs and the loss differ. Both are trained well, with Adam (lab 12), because a net that
# cannot yet read a plain 9 tells us nothing about mixtures.
#
# > 网络真会这样吗？我们把实验 8 的 CNN 训练两遍：一遍用一个数回答，一遍给十个数字各打一个分。只有输出的个数和损失不同。
# > 两个都用 Adam（见实验 12）好好训练，因为连普通的 9 都读不好的网络，说明不了混合图像的问题。


# %%
class CNN(paddle.nn.Layer):
    def __init__(self, outputs):
        super().__init__()
        self.conv1 = Conv2D(in_channels=1, out_channels=20, kernel_size=5, padding=2)
        self.max_pool1 = MaxPool2D(kernel_size=2, stride=2)
        self.conv2 = Conv2D(in_channels=20, out_channels=20, kernel_size=5, padding=2)
        self.max_pool2 = MaxPool2D(kernel_size=2, stride=2)
        self.fc = Linear(in_features=980, out_features=outputs)

    def forward(self, images):
        x = self.max_pool1(F.relu(self.conv1(images)))  # [n, 20, 14, 14]
        x = self.max_pool2(F.relu(self.conv2(x)))  # [n, 20, 7, 7]
        return self.fc(paddle.flatten(x, start_axis=1))  # [n, outputs]


def train_cnn(task, epochs):
    paddle.seed(0)
    net = CNN(outputs=1 if task == "regress" else 10)
    optimizer = paddle.optimizer.Adam(0.002, parameters=net.parameters())

    def plain_step(images, labels):
        outputs, labels = net(paddle.to_tensor(images)), paddle.to_tensor(labels)
        loss = F.square_error_cost(outputs, labels).mean() if task == "regress" else F.cross_entropy(outputs, labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    step = fast.train_step(net, task, optimizer) or plain_step  # the same, sooner (lab 16)
    for epoch in range(epochs):
        for images, labels in batches(digits.train, 100, task, order=shuffled(len(digits.train.labels), 0, epoch)):
            step(images, labels)
    return net


def outputs_of(net, pixels):
    with paddle.no_grad():
        return np.concatenate([net(paddle.to_tensor(part)).numpy() for part in np.array_split(pixels, 10)])


pixels = digits.valid.images[:, np.newaxis].astype(np.float32) / 255  # [n, 1, 28, 28]
on_line = train_cnn("regress", lab.budget(3 if whole else 15, 1 if whole else 4))
by_score = train_cnn("classify", lab.budget(1 if whole else 5, 1))
right = {
    "a number": np.clip(np.rint(outputs_of(on_line, pixels)[:, 0]), 0, 9) == digits.valid.labels,
    "ten scores": outputs_of(by_score, pixels).argmax(axis=1) == digits.valid.labels,
}
for name, hits in right.items():
    print(f"{name:10} {accuracy.in_percent(hits)} of the validation digits read right")
gap, error = accuracy.paired_difference(right["ten scores"], right["a number"])
print(f"difference: {100 * gap:.1f} ± {100 * error:.1f} %")
assert gap > 3 * error

# %% [markdown]
# Now pictures between a 4 and a 9: eleven mixtures of each pair, from all of the 4 to all of the 9.
#
# **Predict, then run:** what will the line answer to half and half? And what will the ten scores say?
#
# > 再来看介于 4 和 9 之间的图像：每一对 4 和 9 做十一种混合，从全是 4 到全是 9。
# >
# > **先预测，再运行**：对各占一半的图像，数轴会回答什么？十个得分会怎么说？

# %%
fours, nines = pixels[digits.valid.labels == 4][:200, 0], pixels[digits.valid.labels == 9][:200, 0]
pairs = min(len(fours), len(nines))
shares = np.linspace(0, 1, 11, dtype=np.float32)  # how much of the 9
mixes = np.stack([(1 - s) * fours[:pairs] + s * nines[:pairs] for s in shares])  # [11, pairs, 28, 28]
flat = mixes.reshape(-1, 1, 28, 28)
line = outputs_of(on_line, flat).reshape(11, pairs)
probabilities = F.softmax(paddle.to_tensor(outputs_of(by_score, flat)), axis=1).numpy().reshape(11, pairs, 10)

between = np.isin(np.rint(line), (5, 6, 7, 8)).mean(axis=1)  # [11] the share read as 5, 6, 7 or 8
neither = (~np.isin(probabilities.argmax(axis=2), (4, 9))).mean(axis=1)  # [11] the share read as neither 4 nor 9
for place, name in ((0, "all 4"), (5, "half and half"), (10, "all 9")):
    print(f"{name:13} line: {line[place].mean():.1f} on average, {between[place]:4.0%} read as 5 to 8;", end=" ")
    print(f"ten scores: {neither[place]:4.0%} read as neither 4 nor 9")
assert between[5] > between[0] + 0.15, "it is the mixing that brings 5 to 8"
assert between[5] > between[10] + 0.15
assert neither[5] < 0.5 * between[5]

# %% [markdown]
# Even unmixed digits are read as 5 to 8 now and then, since the line has only this one way to be unsure. But mixing
# does it far more often. Ten scores can say "4 or 9, and nothing between".
#
# > 即使没有混合，偶尔也有数字被读成 5 到 8，因为数轴只有这一种方式表示没有把握。但混合之后这种情况多得多。
# > 十个得分则可以说“不是 4 就是 9，不会是中间的数”。

# %%
figure, (above, left, right_axes) = plt.subplots(1, 3, figsize=(12, 3.9), width_ratios=(1, 2, 2), layout="constrained")
above.imshow(np.vstack([mixes[i, 0] for i in (0, 5, 10)]), cmap="gray_r")
above.set(title="4, half and half, 9", xticks=[], yticks=[])
left.plot(100 * shares, 100 * between, color=COLOURS[0], marker="o", label="one number: 5, 6, 7 or 8")
left.plot(100 * shares, 100 * neither, color=COLOURS[6], marker="x", label="ten scores: neither 4 nor 9")
left.set(title="Mixed digits are read as what lies between", xlabel="share of the 9, %", ylabel="share of pairs, %")
left.set_ylim(0, 105)
left.legend()
named = {"4": probabilities[..., 4], "9": probabilities[..., 9]}
named["all others"] = 1 - named["4"] - named["9"]
for (name, share), colour, mark in zip(named.items(), (COLOURS[1], COLOURS[2], COLOURS[6]), "s^x", strict=True):
    right_axes.plot(100 * shares, share.mean(axis=1), color=colour, marker=mark, label=name)
right_axes.set(title="Ten scores say: 4 or 9", xlabel="share of the 9, %", ylabel="probability, mean of the pairs")
right_axes.set_ylim(-0.03, 1.03)
right_axes.legend()
lab.save(figure, "between.png")

# %% [markdown]
# ## Softmax · Softmax 函数
#
# Ten scores s become ten probabilities: all positive, and summing to 1. exp(1000) overflows. Subtracting the same
# number from all scores changes nothing, so we subtract the largest first.
#
# > 十个得分 s 变成十个概率：都是正数，总和为 1。exp(1000) 会溢出。
# > 所有得分减去同一个数，结果不变，所以我们先减去最大的那个。
#
#     p[c] = exp(s[c]) / (exp(s[0]) + ... + exp(s[9]))


# %%
lab.section("Softmax and cross-entropy")


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
# The loss looks at one probability only, that of the true digit. Confident and right costs nothing; confident and wrong
# can cost any amount. The gradient, derived in lab 3, is "what the net says minus what is true".
#
# **Predict, then run:** a net that knows nothing gives each digit 1/10. What is its loss? Remember that number: it is
# where the first batch of a sound net begins.
#
# > 损失只看一个概率，即正确数字的概率。有把握且答对，没有代价；有把握却答错，代价没有上限。
# > 它的梯度在实验 3 里推导过，就是“网络说的减去真实的”。
# >
# > **先预测，再运行**：什么都不懂的网络给每个数字 1/10，它的损失是多少？记住这个数：
# > 正常的网络，第一批的损失就从这里开始。
#
#     L = -log p[label]        dL/ds[c] = p[c] - (1 if c is the label, else 0)

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
know_nothing = float(F.cross_entropy(paddle.zeros([5, 10]), paddle.zeros([5], "int64")))
print(f"knowing nothing costs {know_nothing:.4f}; log 10 = {np.log(10):.4f}")
assert abs(know_nothing - np.log(10)) < 1e-6

# %% [markdown]
# ## The bug: reproduce it · 错误：重现
#
# A course on deep learning (PaddlePaddle/awesome-DeepLearning, junior class, chapter 2) publishes 85.03 % for a net
# with one layer of sigmoids at learning rate 0.1. The net in its code ends in a softmax, and its training step calls
# `cross_entropy`, which applies a softmax of its own. Here are both, a net of that kind with the second softmax and
# without. Same start, same batches. Its table does not say how wide the layer is, so look for the same
# pattern, not for the same figure.
#
# > 一门深度学习课程（PaddlePaddle/awesome-DeepLearning，junior_class 第 2 章）公布：
# > 带一层 Sigmoid 的网络，学习率 0.1，准确率 85.03 %。
# > 它代码里的网络以 softmax 结尾，而训练步骤又调用 `cross_entropy`，后者自己还会再做一次 softmax。
# > 下面是同类的网络，一个带第二个 softmax，一个不带；初始权重和批次都相同。
# > 表中没有说明那一层有多宽，所以要看的是同样的规律，而不是同一个数值。


# %%
lab.section("Two softmaxes")


class Sigmoids(paddle.nn.Layer):
    def __init__(self, ends_in_softmax):
        super().__init__()
        self.fc1 = Linear(784, 128)
        self.fc2 = Linear(128, 10)
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


EPOCHS = lab.budget(2 if whole else 8, 1 if whole else 2)
found, curves = {}, {}
for name, ends_in_softmax in (("two softmaxes", True), ("one softmax", False)):
    net, curves[name] = train(ends_in_softmax, EPOCHS, lr=0.1)
    found[name] = outputs_of(net, pixels).argmax(axis=1)
    hits = found[name] == digits.valid.labels
    print(f"{name:13}  training loss {curves[name][-1]:.3f}  validation {accuracy.in_percent(hits)}")

# %% [markdown]
# The package's loop trains a sound net to the same losses. Let us make sure once, with lab 8's CNN and ten scores:
#
# > 软件包的循环训练出的损失与我们的相同。用实验 8 的 CNN 和十个得分确认一次：

# %%
few = type(digits.train)(digits.train.images[:1000], digits.train.labels[:1000])
settings, theirs = settings_for("cnn", "classify", epochs=1, seed=0, lr=0.05, clip_norm=0.0), []
engine.fit(learners.build(settings), few, digits.valid, settings, on_step=lambda step: theirs.append(step.loss))
paddle.seed(0)
net, ours = CNN(outputs=10), []
optimizer = paddle.optimizer.SGD(0.05, parameters=net.parameters())
for images, labels in batches(few, 100, "classify", order=shuffled(1000, 0, 0)):
    loss = F.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    ours.append(float(loss))
print("ten batches, by us:         ", *[f"{loss:.4f}" for loss in ours[::3]])
print("ten batches, by engine.fit: ", *[f"{loss:.4f}" for loss in theirs[::3]])
assert np.allclose(ours, theirs, rtol=1e-3)

# %% [markdown]
# ## Find it: the smallest loss · 查找：最小的损失
#
# Nothing crashes, the loss falls, digits are read. But how small can that loss become? The best that the net can hand
# over is 1 for the label and 0 for the nine others. The second softmax takes these for *scores*, so the smallest loss
# is 1.461. A loss that begins at 2.303 and can never fall below 1.461 does not say "all right". Ask of every loss: what
# is its value if the net is perfect? If it is not 0, why?
#
# > 程序不报错，损失在下降，数字也读得出来。但这个损失最小能到多少？网络能交出的最好结果是：标签处为 1，其余九处为 0。
# > 第二个 softmax 却把它们当作*得分*，所以最小的损失是 1.461。
# > 一个从 2.303 开始、永远降不到 1.461 以下的损失，不可能表示“全对”。对每个损失都要问：
# > 网络完美时它是多少？如果不是 0，为什么？
#
#     smallest loss = -log( e / (e + 9) ) = log(1 + 9/e) = 1.461

# %%
perfect = paddle.to_tensor(np.eye(10, dtype=np.float32)[[3]])  # [1, 10], all for the 3
floor = float(F.cross_entropy(perfect, paddle.to_tensor([3])))
print(f"the loss of a perfect answer, softmaxed once more: {floor:.4f}; log(1 + 9/e) = {np.log(1 + 9 / np.e):.4f}")
assert abs(floor - np.log(1 + 9 / np.e)) < 1e-5
assert min(curves["two softmaxes"]) > floor, "no training can bring it lower"
assert curves["one softmax"][-1] < floor < np.log(10)

# %% [markdown]
# Another test finds it in seconds, and many other bugs too: can the net learn ten digits by heart? A sound net brings
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
# Suppose the net is confident, and wrong. That is when the gradient should be greatest. With one softmax it is. With
# two, the first one is saturated: its slope is nearly 0, and hardly any gradient gets through. What is wrong stays
# wrong.
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
print("confident and wrong by 12:", {name: f"{length[-1]:.1e}" for name, length in lengths.items()})
assert lengths["one softmax"][-1] > 1.4
assert lengths["two softmaxes"][-1] < 0.001

recall = {
    name: np.array([(answer[digits.valid.labels == digit] == digit).mean() for digit in range(10)])
    for name, answer in found.items()
}  # [10] each: the share of every digit that is read right
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
styles = {"two softmaxes": (COLOURS[1], "--", "s"), "one softmax": (COLOURS[0], "-", "o")}
for place, (name, (colour, line, mark)) in enumerate(styles.items()):
    left.plot(range(1, EPOCHS + 1), curves[name], color=colour, ls=line, marker=mark, label=name)
    middle.plot(lead, lengths[name], color=colour, ls=line, label=name)
    right.bar(np.arange(10) + 0.4 * (place - 0.5), 100 * recall[name], width=0.4, color=colour, label=name)
left.axhline(floor, color=COLOURS[6], ls=":", label="log(1 + 9/e) = 1.461")
left.set(title="Two softmaxes: the loss has a floor", xlabel="epoch", ylabel="cross-entropy", ylim=(0, 3.3))
middle.set(title="Confident and wrong: no gradient left", xlabel="lead of the wrong score")
middle.set_ylabel("length of the gradient")
right.set(title="Two softmaxes: whole digits are lost", xlabel="digit", ylabel="share, %", ylim=(0, 125))
right.set_xticks(range(10))
left.xaxis.get_major_locator().set_params(integer=True)
for axes, corner in ((left, "upper right"), (middle, "center right"), (right, "upper right")):
    axes.legend(loc=corner, fontsize=9)
lab.save(figure, "double_softmax.png")
print("the worst digit:", {name: f"{share.min():.0%} of the {share.argmin()}s" for name, share in recall.items()})
assert recall["two softmaxes"].min() < recall["one softmax"].min()

# %% [markdown]
# ## Fix it · 改正
#
# Let the net return raw scores, as all nets of this package do, and show probabilities only to people. (Or keep the
# softmax and tell the loss: `use_softmax=False`.)
#
# > 让网络返回原始得分，本软件包的网络都是如此；只有给人看时才换成概率。
# >（或者保留 softmax，但告诉损失函数：`use_softmax=False`。）

# %%
lab.section("Fix it")
scores = paddle.to_tensor(rng.standard_normal((100, 10)))
labels = paddle.to_tensor(rng.integers(0, 10, 100))
from_scores = F.cross_entropy(scores, labels)
from_probabilities = F.cross_entropy(F.softmax(scores), labels, use_softmax=False)
assert abs(float(from_scores) - float(from_probabilities)) < 1e-6

hits = {name: answer == digits.valid.labels for name, answer in found.items()}
gap, error = accuracy.paired_difference(hits["one softmax"], hits["two softmaxes"])
print(f"one softmax reads {100 * gap:.1f} ± {100 * error:.1f} % more digits right")
assert gap > 4 * error

# %% [markdown]
# That course also trained with a tenfold learning rate and got 95.87 %. Does a larger rate fix the bug? To be fair, we
# give both nets the larger rate.
#
# **Predict, then run:** at learning rate 1, which of the two reads more digits right? Which has the smaller loss?
#
# > 那门课程还用十倍的学习率训练过，得到 95.87 %。更大的学习率能修好这个错误吗？为了公平，两个网络都用更大的学习率。
# >
# > **先预测，再运行**：学习率为 1 时，哪个网络读对的数字更多？哪个的损失更小？

# %%
for name, ends_in_softmax in (("two softmaxes", True), ("one softmax", False)):
    net, curve = train(ends_in_softmax, EPOCHS, lr=1.0)
    hits[f"{name}, lr 1"] = outputs_of(net, pixels).argmax(axis=1) == digits.valid.labels
    curves[f"{name}, lr 1"] = curve
for name, each in hits.items():
    print(f"{name:19} {accuracy.in_percent(each)}, training loss {curves[name][-1]:.3f}")
gap, error = accuracy.paired_difference(hits["one softmax, lr 1"], hits["two softmaxes, lr 1"])
print(f"at lr 1, one softmax reads {100 * gap:.1f} ± {100 * error:.1f} % more")
assert hits["two softmaxes, lr 1"].mean() > hits["two softmaxes"].mean(), "the larger rate helps it a great deal"
assert curves["two softmaxes, lr 1"][-1] > floor, "but the floor is still there"
assert curves["one softmax, lr 1"][-1] < curves["one softmax"][-1]

# %% [markdown]
# The larger rate makes up for gradients that are too small, so the accuracy recovers, and the bug is hidden. Its loss
# is still above the floor: if you look at the loss you find it, if you look at the accuracy alone you do not.
#
# > 更大的学习率弥补了过小的梯度，所以准确率回升，错误被掩盖了。它的损失仍在下限之上：
# > 看损失的人会发现它，只看准确率的人发现不了。

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 09 --start`, write your answers into `labs/my/09.py`, and check them with
# `python -m paddle_mnist.check 09`. `--hint` gives hints.
#
# 1. `predictions()`: change one thing about the loss, and say what happens.
# 2. `cross_entropy(scores, labels)`: the mean loss of raw scores.
# 3. `score_gradient(scores, labels, twice)`: its gradient, also through a second softmax.
#
# > 运行 `python -m paddle_mnist.check 09 --start`，把答案写进 `labs/my/09.py`，
# > 再用 `python -m paddle_mnist.check 09` 检查。`--hint` 给出提示。
# >
# > 1. `predictions()`：改变损失的一个方面，说出会发生什么。
# > 2. `cross_entropy(scores, labels)`：原始得分的平均损失。
# > 3. `score_gradient(scores, labels, twice)`：它的梯度，也包括经过第二个 softmax 的情形。

# %%
lab.finish(accuracy={name: round(float(each.mean()), 4) for name, each in hits.items()})

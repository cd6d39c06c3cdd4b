# %% [markdown]
# # 17. Your own digits · 你自己的数字
#
# All labs so far used digits that others had written, cut out and labelled. This last one is an open task with your own
# handwriting: collect photos, label them, split them, train, find the mistakes, say how sure you are, and write a
# report about it. Every step is here, and works with made-up photos until you have your own. The interesting part is
# what you change.
#
# > 到目前为止，所有实验用的都是别人写好、剪好、标好的数字。最后这个实验是一项开放的任务，用你自己的笔迹：
# > 收集照片、标注、划分、训练、找出错误、说明有多大把握，并写出报告。每一步这里都有；在你拍照之前，先用合成的照片运行。
# > 有意思的部分是你自己的改动。

# %%
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from paddle import nn
from PIL import Image

from paddle_mnist import fast
from paddle_mnist.errors import UserError
from paddle_mnist.labs import accuracy
from paddle_mnist.loader import batches, shuffled, to_input
from paddle_mnist.pictures.picture import open_picture
from paddle_mnist.pictures.segment import split_digits
from paddle_mnist.pictures.synthetic import synthetic_page
from paddle_mnist.splits import Split

lab = Lab("17_your_own_digits")
digits = dataset.open_dataset("sample", log=print)

# %% [markdown]
# ## Collect · 收集
#
# Take a dark pen and white paper. Write a line of three to eight digits, with gaps between them, and photograph it from
# above, so that the line fills the picture. Do this for forty lines or more, on different days and with different pens:
# what your net never saw, it will not read. Name each photo after what it shows: `31415.jpg`, and if there is a second
# one of the same digits, `31415-b.jpg`. Put them into the folder that the cell below prints.
#
# > 拿一支深色的笔和一张白纸。写一行三到八个数字，数字之间留空，从正上方拍照，让这一行占满画面。
# > 这样写四十行以上，在不同的日子、用不同的笔：网络没见过的，它就读不好。
# > 每张照片用它的内容命名：`31415.jpg`；同样的数字再拍一张，就叫 `31415-b.jpg`。放进下面的单元打印出的文件夹。

# %%
lab.section("Collect")
folder = dataset.work_folder() / "my-digits"
photos = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
own = len(photos) >= 10
print(f"your photos: {len(photos)} in {folder}" + ("" if own else "; at least 10 are needed: using made-up ones"))
if not own:
    folder = lab.folder / "photos"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.png"):
        path.unlink()
    rng = np.random.default_rng(0)
    for number in range(lab.budget(80, 12)):  # written with the test digits, which no net here is trained on
        page = synthetic_page(digits.eval.images, digits.eval.labels, rng, touching=number % 8 == 0)
        name = "".join(map(str, page.labels))
        Image.fromarray(page.image).save(folder / f"{name}-{number:02}.png")
    photos = sorted(folder.glob("*.png"))
assert len(photos) >= 10
print(f"{len(photos)} photos, the first ones:", ", ".join(path.name for path in photos[:4]))

# %% [markdown]
# ## Label · 标注
#
# The label comes from the file's name, and the digits from lab 5: find the ink, cut it apart, centre each digit. Where
# the number of digits found is not the number in the name, we cannot know which is which, so the whole photo is set
# aside. We count what is set aside, and say so in the report: if you drop the difficult photos silently, you report a
# reader that does not exist.
#
# **Predict, then run:** how many of the photos will be cut apart correctly?
#
# > 标签来自文件名，数字用实验 5 的办法取出：找到墨迹，切开，把每个数字居中。
# > 如果找到的数字个数与文件名里的不同，就无法知道哪个是哪个，于是整张照片放到一边。
# > 放到一边的要计数，并写进报告：悄悄丢掉难读照片的人，报告的是一个并不存在的阅读器。
# >
# > **先预测，再运行**：有多少照片会被正确切开？

# %%
lab.section("Label")
found, names, aside = [], [], {}
for path in photos:
    label = path.stem.partition("-")[0]
    try:
        parts = split_digits(open_picture(path))
    except UserError as error:
        aside[path.name] = str(error)
        continue
    if not label.isdecimal() or len(parts) != len(label):
        aside[path.name] = f"{len(parts)} digits found, {len(label)} in the name"
        continue
    found += [(part.image28, int(digit)) for part, digit in zip(parts, label, strict=True)]
    names += [path.name] * len(parts)
mine = Split(np.stack([image for image, _ in found]), np.array([digit for _, digit in found], np.uint8))
names = np.array(names)  # [n] the photo that each digit comes from
print(f"{len(mine.labels)} digits from {len(photos) - len(aside)} photos; {len(aside)} set aside:")
for name, reason in list(aside.items())[:5]:
    print(f"  {name}: {reason}")
assert mine.images.shape == (len(mine.labels), 28, 28)
assert len(set(names)) + len(aside) == len(photos)

# %% [markdown]
# Look at them, as in lab 1: sixty digits with their labels. A wrong label, or a digit that was cut badly, is best found
# now and by eye.
#
# > 像实验 1 那样看一看：六十个数字和它们的标签。标错的或切坏的，最好现在就用眼睛找出来。

# %%
figure, grid = plt.subplots(5, 12, figsize=(11, 5.2), layout="constrained")
for axes, index in zip(grid.flat, np.linspace(0, len(mine.labels) - 1, 60).astype(int), strict=True):
    axes.imshow(mine.images[index], cmap="gray_r")
    axes.set_title(str(mine.labels[index]), fontsize=9)
    axes.set_axis_off()
figure.suptitle("Is every label right? Digits cut out of the photos, label above")
lab.save(figure, "digits.png")
print("of each digit:", np.bincount(mine.labels, minlength=10))

# %% [markdown]
# ## Split · 划分
#
# Which digits to learn from, which to choose by, and which to be judged by? Not digit by digit: those of one photo
# share a pen, a light and a mood. If some of them are learnt from and others are tested, the test is too easy. So we
# deal out whole photos.
#
# > 哪些用来学习，哪些用来选择，哪些用来评判？不能逐个数字地分：同一张照片里的数字用同一支笔、同样的光线、同样的心情。
# > 如果一部分拿来学、另一部分拿来考，考试就太容易了。所以按整张照片来分。

# %%
lab.section("Split")
order = np.random.default_rng(1).permutation(sorted(set(names)))
cuts = np.array_split(order, [round(0.4 * len(order)), round(0.55 * len(order))])  # 40, 15 and 45 %
parts = {
    part: Split(mine.images[np.isin(names, chosen)], mine.labels[np.isin(names, chosen)])
    for part, chosen in zip(("train", "valid", "test"), cuts, strict=True)
}
for part, split in parts.items():
    print(f"{part:5} {len(split.labels):4} digits")
assert sum(len(split.labels) for split in parts.values()) == len(mine.labels)
assert not set(cuts[0]) & set(cuts[2]), "no photo is on both sides"

# %% [markdown]
# ## Train · 训练
#
# First the net of labs 8 and 14 on MNIST's training digits alone. It has never seen your writing.
#
# > 先只用 MNIST 的训练数字训练实验 8 和 14 的网络。它从没见过你的笔迹。


# %%
lab.section("Train")


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


def train(net, split, lr, epochs, each_epoch=lambda: None):
    optimizer = paddle.optimizer.Adam(lr, parameters=net.parameters())

    def plain_step(images, labels):
        loss = F.cross_entropy(net(paddle.to_tensor(images)), paddle.to_tensor(labels))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    step = fast.train_step(net, "classify", optimizer) or plain_step  # the same, sooner (lab 16)
    for epoch in range(epochs):
        for images, labels in batches(split, 50, "classify", order=shuffled(len(split.labels), 0, epoch)):
            step(images, labels)
        each_epoch()


def probabilities(net, split):
    with paddle.no_grad():
        return F.softmax(net(paddle.to_tensor(to_input(split.images, "01"))), axis=1).numpy()  # [n, 10]


def right(net, split):
    return probabilities(net, split).argmax(axis=1) == split.labels  # [n]


paddle.seed(0)
net = CNN()
train(net, digits.train, 0.001, lab.budget(4, 1))
before = right(net, parts["test"])
print(f"MNIST's validation digits: {accuracy.in_percent(right(net, digits.valid))}")
print(f"your test digits:          {accuracy.in_percent(before)}")
assert own or before.mean() > 0.6, "made-up pages are readable"

# %% [markdown]
# Then a few more epochs, at a smaller rate, on your own training digits. This is called *fine-tuning*. How many epochs
# is chosen by the validation digits: we keep the weights of the best one (lab 14).
#
# **Predict, then run:** will a few dozen photos of your own make a difference? How would you know that it is not luck?
#
# > 然后用更小的学习率，在你自己的训练数字上再训练几轮。这叫*微调*。轮数按验证数字来选：
# > 保留最好一轮的权重（见实验 14）。
# >
# > **先预测，再运行**：几十张自己的照片会有用吗？怎么知道那不是运气？

# %%
mixed = Split(
    np.concatenate([parts["train"].images, digits.train.images[:400]]),
    np.concatenate([parts["train"].labels, digits.train.labels[:400]]),
)  # with some of MNIST's digits, so that it does not forget them
scores, kept = [], []


def watch():
    p = probabilities(net, parts["valid"])[np.arange(len(parts["valid"].labels)), parts["valid"].labels]
    scores.append(float(-np.log(np.maximum(p, 1e-12)).mean()))
    kept.append({name: value.numpy() for name, value in net.state_dict().items()})


watch()  # epoch 0: as it was
train(net, mixed, 0.0005, lab.budget(8, 2), watch)
best = int(np.argmin(scores))
net.set_state_dict(kept[best])
after = right(net, parts["test"])
gain, error = accuracy.paired_difference(after, before)
print("validation loss by epoch:", *[f"{score:.3f}" for score in scores], f" best: epoch {best}")
print(f"your test digits: {accuracy.in_percent(before)} before, {accuracy.in_percent(after)} after")
print(f"difference, digit by digit: {100 * gain:+.1f} ± {100 * error:.1f} points: ", end="")
verdict = "a real gain" if gain > 2 * error else "a real loss" if gain < -2 * error else "cannot be told from luck"
print(verdict)
assert abs((after.mean() - before.mean()) - gain) < 1e-9

# %% [markdown]
# ## Find the mistakes · 找出错误
#
# Look at each digit that is misread: is it unclear, badly cut, wrongly labelled, or does the net not understand it?
# Count each kind, and you know what to improve first.
#
# > 每个读错的数字都要看一看：是写得不清楚、切得不好、标签错了，还是网络真的不懂？数一数各有多少，就知道先改进哪里。

# %%
lab.section("Find the mistakes")
test = parts["test"]
p = probabilities(net, test)
answers, confidence = p.argmax(axis=1), p.max(axis=1)
wrong = np.flatnonzero(answers != test.labels)
wrong = wrong[np.argsort(-confidence[wrong])]
rows = 2 if len(wrong) > 8 else 1
figure, grid = plt.subplots(rows, 8, figsize=(11, 0.5 + 1.5 * rows), layout="constrained")
for axes in grid.flat:
    axes.set_axis_off()
for axes, index in zip(grid.flat, wrong, strict=False):
    axes.imshow(test.images[index], cmap="gray_r")
    axes.set_title(f"{test.labels[index]} read as {answers[index]}, {confidence[index]:.0%}", fontsize=8)
figure.suptitle(f"{len(wrong)} of {len(test.labels)} test digits are misread: whose fault is each?")
lab.save(figure, "mistakes.png")
assert len(wrong) == len(test.labels) - after.sum()

# %% [markdown]
# A number is right only if all its digits are.
#
# **Predict, then run:** from the accuracy on single digits, what share of the photos do you expect to be read without a
# mistake?
#
# > 一个多位数只有所有数字都对才算对。
# >
# > **先预测，再运行**：根据单个数字的准确率，你估计有多少照片能一字不错地读出？

# %%
photo_of = names[np.isin(names, cuts[2])]  # [test digits]
faultless = np.array([after[photo_of == photo].all() for photo in cuts[2]])  # [photos]
lengths = np.array([(photo_of == photo).sum() for photo in cuts[2]])
print(f"photos read without a mistake: {accuracy.in_percent(faultless)}")
print(f"if mistakes fell on digits independently: {(after.mean() ** lengths).mean():.1%}")
assert lengths.sum() == len(test.labels)

# %% [markdown]
# ## How sure? · 有多大把握？
#
# A reader that says "I do not know" is more useful than one that guesses. Let it answer only where its confidence is
# above a threshold, and leave the rest to a person. On the validation digits we look for the smallest threshold at
# which all its answers are right, and then check on the test digits what that is worth. Few validation digits promise
# little: if none of n was wrong, the true share of mistakes may still be 3/n, with 95 % confidence ("rule of three").
#
# > 会说“我不知道”的阅读器比瞎猜的更有用。只在把握高于阈值时才让它回答，其余的留给人。
# > 我们在验证数字上找出使所有回答都正确的最小阈值，再用测试数字检查它值多少。
# > 验证数字少，保证就弱：n 个里一个都没错，真正的错误率仍可能有 3/n（95 % 的置信度，“三的法则”）。

# %%
lab.section("How sure?")
p_valid = probabilities(net, parts["valid"])
mistakes = p_valid.max(axis=1)[p_valid.argmax(axis=1) != parts["valid"].labels]
threshold = float(mistakes.max()) if len(mistakes) else 0.0
answered = confidence > threshold
share = float(answered.mean())
print(f"threshold {threshold:.3f}: it answers {share:.0%} of the test digits", end="")
if answered.any():
    print(f", and of these {accuracy.in_percent(after[answered])} are right")
thresholds = np.linspace(0, 0.999, 200)
covered = np.array([(confidence > t).mean() for t in thresholds])
correct = np.array([after[confidence > t].mean() if (confidence > t).any() else np.nan for t in thresholds])
figure, axes = plt.subplots(figsize=(7.5, 4.3), layout="constrained")
axes.plot(100 * covered, 100 * correct, color=COLOURS[0])
if answered.any():
    axes.plot(
        100 * share, 100 * after[answered].mean(), "o", color=COLOURS[1], label="threshold from validation digits"
    )
axes.set(title="The fewer digits it answers, the more of them are right", xlabel="answered, % of the test digits")
axes.set_ylabel("right, % of those answered")
axes.invert_xaxis()
axes.legend()
lab.save(figure, "confidence.png")
assert covered[0] == 1
assert np.isclose(correct[0], after.mean())

# %% [markdown]
# ## Take it elsewhere · 带到别处
#
# A net that is used in another program should not need your class. `paddle.jit.to_static` turns the layer into a graph,
# and `paddle.jit.save` writes graph and weights into files that run without your source: in Python by
# `paddle.jit.load`, in C++, on a server or a phone by Paddle's inference library. The answers must be the same.
#
# > 在别的程序里使用网络，不应该还需要你的类。`paddle.jit.to_static` 把层变成一个图，
# > `paddle.jit.save` 把图和权重写成文件，不需要你的源代码就能运行：在 Python 里用 `paddle.jit.load`，
# > 在 C++、服务器或手机上用 Paddle 的推理库。答案必须相同。

# %%
lab.section("Take it elsewhere")
net.eval()
images = paddle.static.InputSpec([None, 1, 28, 28], "float32", "images")  # None: any number of images
static = paddle.jit.to_static(net, input_spec=[images], full_graph=True)
paddle.jit.save(static, str(lab.folder / "reader"))
loaded = paddle.jit.load(str(lab.folder / "reader"))
x = paddle.to_tensor(to_input(test.images, "01"))
gap = float((loaded(x) - net(x)).abs().max())
print(
    "written:", ", ".join(sorted(path.name for path in lab.folder.glob("reader.*"))), f" largest difference {gap:.1e}"
)
assert gap < 1e-3
assert np.array_equal(loaded(x).numpy().argmax(axis=1), answers)

# %% [markdown]
# ## Report · 报告
#
# Write down what you would want to know if somebody else gave you this reader: what it was trained and tested on, how
# often it is right and how sure that is, what was left out, where it fails, and what you would do next. This cell
# writes the figures. The last section is yours.
#
# > 假如别人给你这个阅读器，你想知道什么，就写下什么：用什么训练和测试，多常答对、这个数有多可靠，漏掉了什么，
# > 在哪里会失败，下一步做什么。这个单元写出各项数字，最后一节留给你。

# %%
lab.section("Report")
pairs = [f"{test.labels[i]} read as {answers[i]}" for i in wrong]
common = max(set(pairs), key=pairs.count) if pairs else "none"
report = f"""# A reader of {"my own" if own else "made-up"} digits

| | |
| --- | --- |
| photos | {len(photos)}, of which {len(aside)} were set aside because they could not be cut apart |
| digits to learn from, to choose by, to test | {", ".join(str(len(split.labels)) for split in parts.values())} |
| right, trained on MNIST alone | {accuracy.in_percent(before)} |
| right, with my own digits | {accuracy.in_percent(after)} |
| difference, digit by digit | {100 * gain:+.1f} ± {100 * error:.1f} points: {verdict} |
| photos read without a mistake | {faultless.sum()} of {len(faultless)} |
| most common mistake | {common} |
| answering only when sure | {share:.0%} answered |

Pictures: digits.png, mistakes.png, confidence.png

## What I would do next

(Your turn.)
"""
path = Path(lab.folder / "report.md")
path.write_text(report, "utf-8")
print(report)
print("report:", path)
assert path.read_text("utf-8") == report

# %% [markdown]
# Some ideas, from easy to hard:
#
# - more photos of the digits that are confused most, and nothing else: does the confusion go away?
# - shift and turn your training digits (lab 14): how many photos is that worth?
# - let somebody else write the test photos: how much of what it learnt is *you*?
# - read whole numbers: a number is right only if all its digits are. What accuracy does that need of one digit?
# - use the photos that were set aside: cut them by hand, and count what had been left out.
#
# > 一些想法，从易到难：
# >
# > - 只为最容易混淆的数字多拍照片：混淆会消失吗？
# > - 平移、旋转你的训练数字（见实验 14）：这抵得上多少张照片？
# > - 让别人来写测试照片：它学到的有多少只是*你*的笔迹？
# > - 读整个多位数：所有数字都对才算对。这要求单个数字的准确率是多少？
# > - 把放到一边的照片也用上：手工切开，数一数原来漏掉了什么。

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 17 --start`, write your answers into `labs/my/17.py`, and check them with
# `python -m paddle_mnist.check 17`. `--hint` gives hints.
#
# 1. `test_digits(photos, share, seed)`: a split by whole photos.
# 2. `better(right, other)`: which of two readers is better, or that it cannot be told.
# 3. `smallest_threshold(confidence, right, wanted)`: when to say "I do not know".
#
# > 运行 `python -m paddle_mnist.check 17 --start`，把答案写进 `labs/my/17.py`，
# > 再用 `python -m paddle_mnist.check 17` 检查。`--hint` 给出提示。
# >
# > 1. `test_digits(photos, share, seed)`：按整张照片划分。
# > 2. `better(right, other)`：两个阅读器哪个更好，或者分不出。
# > 3. `smallest_threshold(confidence, right, wanted)`：什么时候该说“我不知道”。

# %%
lab.finish(own=own, photos=len(photos), aside=len(aside), before=float(before.mean()), after=float(after.mean()))

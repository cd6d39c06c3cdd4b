# %% [markdown]
# # 1. Read the data · 读取数据
#
# A net learns from examples. Ours are handwritten digits: small grey images, each with a label that says which digit
# it shows. This lab opens the file that holds them, looks at them, shuffles them, and hands them out in batches.
#
# Now and then the text says **Predict, then run**. Stop there, write your answer down, and only then run the next cell.
# A wrong guess is worth more than a read answer: you will remember why it was wrong.
#
# > 神经网络从样本中学习。我们的样本是手写数字：一张张小灰度图，每张都带一个标签，说明它是哪个数字。
# > 本实验打开存放它们的文件，看一看里面的图像，打乱顺序，再一批一批地取出来。
# >
# > 文中有时会出现**先预测，再运行**。请停下来，写下你的答案，然后再运行下一个单元。
# > 猜错比直接读答案更有用：你会记住自己为什么错。

# %% [markdown]
# ## Set up · 准备
#
# Labs 1 to 6 begin with a cell like the next one. Two lines in it need a word.
#
# `OPENBLAS_NUM_THREADS`: NumPy hands its matrix products to a library that uses all processor cores at once. Our
# matrices are so small that the cores can spend more time waiting for each other than computing, above all when other
# programs are running. One core is enough. The library reads this setting when NumPy is imported, so the line
# must come before that import.
#
# `lab`: a small helper that teaches nothing. `lab.section` prints a heading above the output of a cell, `lab.save`
# keeps a picture in `work/labs/01_read_the_data`, and `lab.finish` says how long the lab took.
#
# > 实验 1 到 6 都以类似下面的单元开头。其中有两行需要解释。
# >
# > `OPENBLAS_NUM_THREADS`：NumPy 把矩阵乘法交给一个程序库，它默认同时使用所有处理器核。我们的矩阵很小，
# > 各个核互相等待的时间可能比计算的时间还长，有其他程序在运行时尤其如此。一个核就够了。
# > 这个库在导入 NumPy 时读取该设置，所以这一行必须写在导入之前。
# >
# > `lab`：一个小帮手，与课程内容无关。`lab.section` 在输出前打印标题，`lab.save` 把图片存到
# > `work/labs/01_read_the_data`，`lab.finish` 报告实验用了多长时间。

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import gzip
import json

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.loader import load_data, shuffled
from paddle_mnist.scratch.learners import build

lab = Lab("01_read_the_data")

# %% [markdown]
# ## The file · 文件
#
# The digits are kept in a JSON file that is compressed with gzip. JSON is text, so any language can read it. Five
# thousand digits come with this project. The package tells us where their file is. To read it, the standard library
# is enough.
#
# > 数字存放在用 gzip 压缩的 JSON 文件里。JSON 是文本，任何语言都能读。本项目自带五千个数字。
# > 软件包告诉我们文件在哪里；要读它，标准库就够了。

# %%
lab.section("The file")
path = dataset.open_dataset("sample").name
with gzip.open(path) as file:
    parts = json.load(file)

print(path)
print("parts in the file:", len(parts))
print("lists in each part:", [len(part) for part in parts])
assert len(parts) == 3
assert all(len(part) == 2 for part in parts)

# %% [markdown]
# The file holds three parts: digits for training, for validation and for the test. Each part is a pair of lists: the
# images, and their labels. An image is a list of 784 numbers: 28 rows of 28 pixels, one row after the other.
#
# > 文件分三部分：训练数字、验证数字和测试数字。每部分是一对列表：图像，以及它们的标签。
# > 一张图像是 784 个数：28 行、每行 28 个像素，一行接一行排列。

# %%
images, labels = parts[0]
first_image, first_label = images[0], labels[0]
print("training images:", len(images), "  numbers in an image:", len(first_image))
print("label of the first image:", first_label)
print("row 10 of the first image:", first_image[10 * 28 : 11 * 28])
assert len(images) == len(labels)
assert len(first_image) == 28 * 28 == 784

# %% [markdown]
# Computing with lists of lists is slow. An array keeps the same numbers in one block of memory. A pixel is a whole
# number from 0 (paper) to 255 (full ink), so one byte is enough for each.
#
# > 用列表的列表来计算很慢。数组把同样的数放在一整块内存里。
# > 像素是 0（纸）到 255（最浓的墨）之间的整数，每个像素一个字节就够了。

# %%
pixels = np.array(images, dtype=np.uint8).reshape(-1, 28, 28)
print("array:", pixels.shape, pixels.dtype, f"{pixels.nbytes:,} bytes")
assert pixels.shape == (len(images), 28, 28)
assert pixels.nbytes == len(images) * 784

# %% [markdown]
# The package does the same in less memory, and checks every number on the way. From here on it opens the digits for
# us: all 70,000 of MNIST if this machine has them, the 5,000 otherwise.
#
# > 软件包做的是同样的事，只是占用的内存更少，并且检查每一个数。以后就由它来打开数据：
# > 如果本机有 MNIST 的全部 70,000 个数字就用全部，否则用这 5,000 个。

# %%
assert np.array_equal(pixels, dataset.open_dataset("sample").train.images)

digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## Three splits · 三个部分
#
# Why three? The net learns from the *training* digits. We watch it on the *validation* digits, and use them for every
# choice: when to stop, which settings to keep. The *test* digits are looked at once, at the very end.
#
# A net that is tested on digits it has learned from is like a student graded on an exam whose answers were handed out
# beforehand. And whoever tries twenty settings and keeps the one with the best test result has used the test digits to
# choose: the result is a little too good.
#
# > 为什么分三部分？网络从*训练*数字中学习。我们用*验证*数字来观察它，并用它们做出每一个选择：
# > 何时停止，保留哪些设置。*测试*数字只在最后看一次。
# >
# > 用学过的数字来测试网络，就像考试前把答案发给了学生。而谁要是试了二十种设置，再留下测试成绩最好的那一种，
# > 就等于用测试数字做了选择：这个成绩会偏高一点。

# %%
lab.section("Three splits")
splits = {"train": digits.train, "valid": digits.valid, "eval": digits.eval}
for name, split in splits.items():
    print(f"{name:5}  images {split.images.shape}  labels {split.labels.shape}")
    assert split.images.shape == (len(split.labels), 28, 28)
print("eval, for evaluation, holds the test digits")

# %% [markdown]
# ## Is every digit equally frequent? · 每个数字一样多吗？
#
# Count the labels. In the bundled sample each digit is exactly a tenth of each split, because the sample was drawn
# that way. In the whole of MNIST there are a few more ones and a few fewer fives.
#
# Why does it matter? **Predict, then run:** suppose nine digits in ten are ones. A lazy net answers 1, whatever it
# sees. What is its accuracy, the share of answers that are right?
#
# > 数一数标签。自带样本的每个部分里，每个数字恰好占十分之一，因为样本就是这样抽取的。
# > 在完整的 MNIST 中，1 稍多一些，5 稍少一些。
# >
# > 这为什么重要？**先预测，再运行**：假设十个数字里有九个是 1。一个偷懒的网络不管看到什么都回答 1。
# > 它的准确率（答对的比例）是多少？

# %%
lab.section("Is every digit equally frequent?")
for name, split in splits.items():
    share = np.bincount(split.labels, minlength=10) / len(split.labels)  # [10]
    print(f"{name:5}", " ".join(f"{digit}: {part:5.1%}" for digit, part in enumerate(share)))
    assert np.all((share > 0.05) & (share < 0.15)), f"{name} is far from balanced"

ones = np.flatnonzero(digits.train.labels == 1)
others = np.flatnonzero(digits.train.labels != 1)[: len(ones) // 9]
uneven = digits.train.labels[np.concatenate([ones, others])]  # nine ones in ten

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
lazy = []
for panel, chosen, name in zip(
    axes, (digits.train.labels, uneven), ("our training digits", "nine ones in ten"), strict=True
):
    share = 100 * np.bincount(chosen, minlength=10) / len(chosen)
    lazy.append(np.mean(chosen == 1))
    panel.bar(range(10), share, color=[COLOURS[1] if digit == 1 else COLOURS[0] for digit in range(10)])
    panel.set(title=f"{name}: always answering 1 is {lazy[-1]:.0%} right", xlabel="digit", xticks=range(10))
axes[0].set_ylabel("share of the digits, %")
figure.suptitle("Where one digit is frequent, a net that knows nothing looks good")
lab.save(figure, "balance.png")
print(f"always answering 1 is right for {lazy[0]:.1%} of our digits, and for {lazy[1]:.1%} of the uneven ones")
assert lazy[0] < 0.15 and lazy[1] > 0.85

# %% [markdown]
# ## Look at the digits · 看一看数字
#
# Always look at the data before you compute with them. Here are three examples of each digit, with the label above.
#
# > 计算之前，一定要先看看数据。下面每个数字各举三例，标签在上方。

# %%
lab.section("Look at the digits")
figure, grid = plt.subplots(3, 10, figsize=(10, 3.6))
for digit in range(10):
    examples = np.flatnonzero(digits.train.labels == digit)[:3]
    for row, index in enumerate(examples):
        grid[row, digit].imshow(digits.train.images[index], cmap="gray_r", vmin=0, vmax=255)
        grid[row, digit].set_axis_off()
    grid[0, digit].set_title(f"label {digit}", fontsize=9)
figure.suptitle("The same digit is written in many ways: three training digits of each label")
lab.save(figure, "digits.png")

# %% [markdown]
# ## Shuffle · 打乱顺序
#
# Before each pass over the data we shuffle it. Image and label must stay together. The trick: shuffle the *numbers of
# the samples*, then pick both images and labels by them.
#
# > 每遍历一次数据之前都要打乱顺序。图像和标签必须始终成对。
# > 办法是：打乱*样本的编号*，再按编号同时取图像和标签。

# %%
lab.section("Shuffle")
rng = np.random.default_rng(seed=0)
count = len(digits.train.labels)
order = rng.permutation(count)  # [n], each number from 0 to n - 1 once
print("the first samples of this pass:", order[:8])

shuffled_images = digits.train.images[order]  # [n, 28, 28]
shuffled_labels = digits.train.labels[order]  # [n]
assert np.array_equal(np.sort(order), np.arange(count)), "each sample once, none lost"
assert np.array_equal(shuffled_images[5], digits.train.images[order[5]])
assert shuffled_labels[5] == digits.train.labels[order[5]]

# %% [markdown]
# **Predict, then run:** what happens if images and labels are shuffled separately, each in an order of its own? Does
# the program crash? Are the shapes still right? What share of the labels still belongs to its image?
#
# > **先预测，再运行**：如果图像和标签分别打乱，各用各的顺序，会怎样？程序会报错吗？形状还对吗？
# > 还有多大比例的标签属于自己的图像？

# %%
separate = digits.train.labels[rng.permutation(count)]
still_right = np.mean(separate == shuffled_labels)
print(f"shuffled separately: the same shapes, no error, and {still_right:.1%} of the labels right by luck")
assert separate.shape == shuffled_labels.shape
assert still_right < 0.15

# %% [markdown]
# ## Why shuffle at all? · 为什么要打乱？
#
# Many files are sorted: by digit, or by the person who wrote them. Take two copies of a small net. One goes through the
# training digits in sorted order, all the zeros first and all the nines last. The other goes through them in shuffled
# order. The net comes from the package, and labs 2 to 4 build one like it. Here we only need to know that it moves its
# weights a little after every twenty digits.
#
# **Predict, then run:** what will the net that saw the sorted digits answer?
#
# > 许多文件是排好序的：按数字排，或者按书写者排。取一个小网络的两份副本，各把训练数字过一遍：
# > 一份按排好的顺序，先是所有的 0，最后是所有的 9；另一份按打乱的顺序。网络来自软件包，
# > 实验 2 到 4 会搭建类似的网络；这里只需知道，它每看二十个数字就把权重调整一点。
# >
# > **先预测，再运行**：看过排序数字的那个网络会回答什么？


# %%
lab.section("Why shuffle at all?")


def learn_in(order):
    """Return the answers [n] to the validation digits of a net that saw the training digits in this order."""
    net = build("two-layer", seed=0)
    for first in range(0, len(order), 20):
        chosen = order[first : first + 20]
        x = digits.train.images[chosen].reshape(-1, 784).astype(np.float32) / 255
        net.train_step(x, digits.train.labels[chosen].astype(int), lr=0.3)
    x = digits.valid.images.reshape(-1, 784).astype(np.float32) / 255
    return net.outputs(x).argmax(axis=1)


in_order = np.argsort(digits.train.labels, kind="stable")
orders = {"sorted": in_order, "shuffled": rng.permutation(count)}
answers = {name: learn_in(order) for name, order in orders.items()}

figure, grid = plt.subplots(2, 2, figsize=(10, 4.6), height_ratios=(1, 1.6), sharex="row", layout="constrained")
for column, (name, order) in enumerate(orders.items()):
    right = answers[name] == digits.valid.labels
    by_digit = [100 * right[digits.valid.labels == digit].mean() for digit in range(10)]
    print(f"{name:8}  read right: {right.mean():.1%}  answers given: {np.unique(answers[name])}")
    grid[0, column].plot(digits.train.labels[order], ".", color=COLOURS[0], markersize=1)
    grid[0, column].set(title=f"Training digits {name}", xlabel="place in the order", ylabel="digit", yticks=(0, 5, 9))
    grid[1, column].bar(range(10), by_digit, color=COLOURS[column])
    grid[1, column].set(xlabel="validation digit", ylabel="read right, %", ylim=(0, 105), xticks=range(10))
figure.suptitle("A net that sees one digit after the other forgets all but the last")
lab.save(figure, "order.png")
right = {name: np.mean(answer == digits.valid.labels) for name, answer in answers.items()}
assert right["sorted"] < 0.3 < 0.6 < right["shuffled"]
assert np.mean(answers["sorted"] == 9) > 0.7, "it has seen nothing but nines for a while, and answers 9"

# %% [markdown]
# ## Batches from a generator · 用生成器取批次
#
# A net takes a *batch* at a time, say 100 digits. A function with `yield` is a generator: it makes one batch, waits
# until the loop asks for the next, and continues. So only one batch at a time is converted to floats.
#
# Pixels become numbers from 0 to 1, so that the sums in a net's first layer stay small. The extra axis of size 1 says
# that the images are grey; colour images would have 3 there.
#
# > 网络一次处理一*批*（batch）样本，比如 100 个数字。带有 `yield` 的函数是生成器：它做好一批，
# > 停下来等循环来取下一批，然后继续。这样任何时候只有一批被转换成浮点数。
# >
# > 像素被缩放到 0 到 1 之间，这样网络第一层的和不会太大。
# > 多出来的那个大小为 1 的轴表示图像是灰度的；彩色图像在这里是 3。


# %%
lab.section("Batches from a generator")


def batches(images, labels, batch_size, order):
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        x = images[chosen].astype(np.float32) / 255  # [n, 28, 28]
        t = labels[chosen].astype(np.float32)  # [n]
        yield x[:, np.newaxis], t[:, np.newaxis]  # [n, 1, 28, 28] and [n, 1]


x, t = next(batches(digits.train.images, digits.train.labels, 100, order))
print("batch:", x.shape, x.dtype, " labels:", t.shape, t.dtype)
assert x.shape == (100, 1, 28, 28)
assert t.shape == (100, 1)
assert x.min() >= 0 and x.max() <= 1

# %% [markdown]
# One pass over all samples is called an *epoch*. **Predict, then run:** how many batches of 64 does an epoch of 500
# samples have, and how many samples are in the last one?
#
# > 遍历全部样本一次称为一*轮*（epoch）。**先预测，再运行**：500 个样本，每批 64 个，一轮有多少批？最后一批有几个样本？

# %%
sizes = [len(t) for _, t in batches(digits.valid.images, digits.valid.labels, 64, np.arange(500))]
print(f"500 samples in batches of 64: {len(sizes)} batches, the last of {sizes[-1]}")
assert len(sizes) == -(-500 // 64), "rounded up, so that no sample is lost"
assert sum(sizes) == 500

# %% [markdown]
# The package's loader is this function, with an order that depends on a seed and on the epoch. Ours gives exactly the
# same batches.
#
# > 软件包里的加载器就是这个函数，只是顺序由随机种子和轮次决定。我们写的函数给出完全相同的批次。

# %%
train_loader = load_data("train", batch_size=100, seed=7)
ours = batches(digits.train.images, digits.train.labels, 100, shuffled(count, seed=7, epoch=0))
for (x, t), (their_x, their_t) in zip(ours, train_loader(), strict=True):
    assert np.array_equal(x, their_x)
    assert np.array_equal(t, their_t)

next_epoch = next(train_loader())
assert not np.array_equal(next_epoch[0], next(load_data("train", batch_size=100, seed=7)())[0]), "a new order"

# %% [markdown]
# ## Checks by machine · 机器检查
#
# Bad data fail silently: the net trains all the same, just badly. A few lines of checks cost seconds and save days.
# Check the number of samples, their range, the labels and empty images; and whether a test digit is also a training
# digit.
#
# > 坏数据不会报错：网络照样训练，只是效果很差。几行检查只花几秒，却能省下好几天。
# > 检查样本数量、取值范围、标签、空白图像，以及测试数字是否也出现在训练数字里。

# %%
lab.section("Checks by machine")
for split in splits.values():
    assert len(split.images) == len(split.labels) > 0
    assert split.images.dtype == np.uint8
    assert split.labels.max() <= 9
    assert (split.images.max(axis=(1, 2)) > 0).all(), "an image without ink"

known = {image.tobytes() for image in digits.train.images}
repeated = sum(image.tobytes() in known for image in digits.eval.images)
print(f"test digits that are also training digits: {repeated}")
assert repeated == 0

# %% [markdown]
# ## Checks by eye · 人眼检查
#
# A machine cannot know that a label is wrong, so look at the images yourself. Look at the average of all images of a
# label, too: if it does not resemble the digit, images and labels do not belong together.
#
# > 机器不知道标签标错了没有，所以要亲眼看一看图像。再看看每个标签所有图像的平均：
# > 如果不像那个数字，图像和标签就没有对上。

# %%
lab.section("Checks by eye")
mean = np.stack([digits.train.images[digits.train.labels == digit].mean(axis=0) for digit in range(10)])
wrong = np.stack([shuffled_images[separate == digit].mean(axis=0) for digit in range(10)])
assert mean.shape == (10, 28, 28)

figure, grid = plt.subplots(2, 10, figsize=(10, 2.7), layout="constrained")
for digit in range(10):
    for row, picture in enumerate((mean[digit], wrong[digit])):
        grid[row, digit].imshow(picture, cmap="gray_r", vmin=0, vmax=200)
        grid[row, digit].set_axis_off()
    grid[0, digit].set_title(str(digit))
figure.suptitle("The average image of a label looks like its digit (top), unless the labels are mixed up (bottom)")
lab.save(figure, "average.png")
assert mean.std(axis=0).mean() > 5 * wrong.std(axis=0).mean(), "true averages differ from each other, mixed ones do not"

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 01 --start`, write your answers into `labs/my/01.py`, and check them with
# `python -m paddle_mnist.check 01`. `--hint` gives hints.
#
# 1. `predictions()`: five short questions. Choose before you run anything.
# 2. `batches(images, labels, batch_size, rng)`: find the bugs. The generator in the file runs, and three things in it
#    are wrong.
# 3. `find_faults(images, labels)`: the samples to leave out of training.
#
# > 运行 `python -m paddle_mnist.check 01 --start`，把答案写进 `labs/my/01.py`，
# > 再用 `python -m paddle_mnist.check 01` 检查。`--hint` 给出提示。
# >
# > 1. `predictions()`：五个小问题。先选答案，不要先运行。
# > 2. `batches(images, labels, batch_size, rng)`：找错误。文件里的生成器能运行，但有三处错误。
# > 3. `find_faults(images, labels)`：找出不该用来训练的样本。

# %%
lab.finish(samples=count)

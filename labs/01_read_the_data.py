# %% [markdown]
# # 1. Read the data · 读取数据
#
# A net learns from examples. Ours are handwritten digits: small grey pictures, each with the digit that it shows.
# This lab opens the file that holds them, looks at them, shuffles them, and hands them out in batches.
#
# > 神经网络从样本中学习。我们的样本是手写数字：一张张小灰度图，每张都附有它所表示的数字。
# > 本实验打开存放它们的文件，看一看里面的图像，打乱顺序，再一批一批地取出来。

# %%
import gzip
import json

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.loader import load_data, shuffled

lab = Lab("01_read_the_data")

# %% [markdown]
# ## The file · 文件
#
# The digits are kept in a JSON file, compressed with gzip. JSON is text: any language can read it. Five thousand of
# them come with this project. We read them with nothing but the standard library.
#
# > 数字存放在用 gzip 压缩的 JSON 文件里。JSON 是文本，任何语言都能读。
# > 本项目自带其中五千个，我们只用标准库就能读出来。

# %%
path = dataset.open_dataset("sample").name
with gzip.open(path) as file:
    parts = json.load(file)

print(path)
print("parts:", len(parts), " each holds:", [len(part) for part in parts])
assert len(parts) == 3, "training, validation and test"

# %% [markdown]
# There are three parts. Each is a pair: a list of images, and a list of labels. An image is a list of 784 numbers,
# which are 28 rows of 28 pixels, one row after the other.
#
# > 文件分三部分。每部分是一对列表：图像和标签。一张图像是 784 个数，
# > 也就是 28 行、每行 28 个像素，一行接一行排成一列。

# %%
images, labels = parts[0]
first_image, first_label = images[0], labels[0]
print("images:", len(images), " numbers in an image:", len(first_image), " label of the first:", first_label)
print("row 10 of the first image:", first_image[10 * 28 : 11 * 28])
assert len(images) == len(labels)
assert len(first_image) == 28 * 28 == 784

# %% [markdown]
# Lists of lists are slow to compute with. An array holds the same numbers in one block of memory. A pixel is a whole
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
# The package does the same, in little memory, and checks every number on the way. From here on it opens the digits
# for us: all 70,000 if they are on this machine, the 5,000 otherwise.
#
# > 软件包做的是同样的事，只是占内存少，并且逐个检查每个数。以后就由它来打开数据：
# > 如果本机有全部 70,000 个数字就用全部，否则用这 5,000 个。

# %%
assert np.array_equal(pixels, dataset.open_dataset("sample").train.images)

digits = dataset.open_dataset("auto", say=print)

# %% [markdown]
# ## The three splits · 三个部分
#
# Why three? The net learns from the *training* digits. While it learns we watch it on the *validation* digits, to
# choose when to stop and which settings to keep. We judge it once, at the end, on the *test* digits. A net judged on
# the digits that it learnt from would be like a pupil who was given the answers.
#
# > 为什么分三部分？网络从*训练*数字中学习；学习时我们用*验证*数字观察它，决定何时停止、保留哪些设置；
# > 最后用*测试*数字评判一次。若用学过的数字来评判，就好比把答案先给了学生。

# %%
splits = {"train": digits.train, "valid": digits.valid, "eval": digits.eval}
for name, split in splits.items():
    print(f"{name:5}  images {split.images.shape}  labels {split.labels.shape}")
    assert split.images.shape == (len(split.labels), 28, 28)

# %% [markdown]
# Is every digit there about equally often? If one were rare, a net could ignore it and still look good.
#
# > 每个数字出现的次数大致相等吗？如果某个数字很少见，网络即使不管它，成绩看起来也还不错。

# %%
figure, axes = plt.subplots(figsize=(8, 4))
for place, (name, split) in enumerate(splits.items()):
    share = np.bincount(split.labels, minlength=10) / len(split.labels)  # [10]
    axes.bar(np.arange(10) + 0.27 * (place - 1), 100 * share, width=0.25, color=COLOURS[place], label=name)
    assert share.shape == (10,)
    assert np.all((share > 0.05) & (share < 0.15)), f"{name} is far from balanced"
axes.set(title="Each digit is about a tenth of each split", xlabel="digit", ylabel="share of the split, %")
axes.set_xticks(range(10))
axes.set_ylim(0, 15)
axes.legend(ncols=3)
lab.save(figure, "balance.png")

# %% [markdown]
# ## Look at the digits · 看一看数字
#
# Always look at the data before you compute with them. Here are three examples of each digit, with the label above.
#
# > 计算之前，一定要先看看数据。下面每个数字各举三例，上方是标签。

# %%
figure, grid = plt.subplots(3, 10, figsize=(10, 3.6))
for digit in range(10):
    examples = np.flatnonzero(digits.train.labels == digit)[:3]
    for row, index in enumerate(examples):
        grid[row, digit].imshow(digits.train.images[index], cmap="gray_r", vmin=0, vmax=255)
        grid[row, digit].set_axis_off()
    grid[0, digit].set_title(f"label {digit}", fontsize=9)
figure.suptitle("Three training digits of each label")
lab.save(figure, "digits.png")

# %% [markdown]
# ## Shuffle · 打乱顺序
#
# Many files are sorted, or come in the order in which people wrote. A net that sees a thousand ones in a row forgets
# the twos. So we shuffle before each pass over the data.
#
# Image and label must stay together. The trick: shuffle the *numbers of the samples*, then pick both by them.
#
# > 许多文件是排好序的，或者按书写者排列。网络如果连着看一千个 1，就会忘掉 2。所以每遍历一次数据之前都要打乱。
# >
# > 图像和标签必须始终成对。办法是：打乱*样本的编号*，再按编号同时取图像和标签。

# %%
rng = np.random.default_rng(seed=0)
count = len(digits.train.labels)
order = rng.permutation(count)  # [n], each number from 0 to n - 1 once
print("the first samples of this epoch:", order[:8])

shuffled_images = digits.train.images[order]  # [n, 28, 28]
shuffled_labels = digits.train.labels[order]  # [n]
assert np.array_equal(np.sort(order), np.arange(count)), "each sample once, none lost"
assert np.array_equal(shuffled_images[5], digits.train.images[order[5]])
assert shuffled_labels[5] == digits.train.labels[order[5]]

# %% [markdown]
# What if images and labels are each shuffled by themselves? Nothing crashes. The shapes are right. But only about one
# label in ten still belongs to its image, and nothing can be learnt.
#
# > 如果图像和标签各自打乱，会怎样？程序不会报错，形状也都对，
# > 但只有大约十分之一的标签还属于自己的图像，网络什么也学不到。

# %%
apart = digits.train.labels[rng.permutation(count)]
still_right = np.mean(apart == shuffled_labels)
print(f"shuffled apart, {still_right:.1%} of the labels are right by luck")
assert still_right < 0.15

# %% [markdown]
# ## Batches from a generator · 用生成器取批次
#
# A net takes a *batch* at a time, say 100 digits. A function with `yield` is a generator: it makes one batch, waits
# until the loop asks for the next, and goes on. So only one batch at a time is turned into floats.
#
# Pixels become numbers from 0 to 1, which suits a net's weights better than 0 to 255. The extra axis of size 1 says
# that the pictures are grey; colour pictures would have 3 there.
#
# > 网络一次处理一*批*(batch)样本，比如 100 个数字。带有 `yield` 的函数是生成器：它做好一批，
# > 停下来等循环来取下一批，然后继续。这样任何时候只有一批被转换成浮点数。
# >
# > 像素被缩放到 0 到 1 之间，比 0 到 255 更适合网络的权重。
# > 多出来的那个大小为 1 的轴表示图像是灰度的；彩色图像在这里是 3。


# %%
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
# How many batches are there in an epoch, one pass over all samples? The last batch takes what is left: rounding up,
# no sample is lost.
#
# > 遍历全部样本一次称为一轮(epoch)。一轮有多少批？最后一批收下余数：向上取整，一个样本也不丢。

# %%
sizes = [len(t) for _, t in batches(digits.valid.images, digits.valid.labels, 64, np.arange(len(digits.valid.labels)))]
print(f"{len(digits.valid.labels)} samples in batches of 64: {len(sizes)} batches, the last of {sizes[-1]}")
assert len(sizes) == -(-len(digits.valid.labels) // 64)
assert sum(sizes) == len(digits.valid.labels)

# %% [markdown]
# The package's loader is this function, with an order that depends on a seed and on the epoch. Ours gives the very
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
# Wrong data make no noise: a net trains on them all the same, only badly. A few lines of checks cost seconds and save
# days. Count, shape, range, labels, empty images; and whether a test digit is also a training digit.
#
# > 错误的数据不会出声：网络照样训练，只是效果很差。几行检查只花几秒，却能省下好几天。
# > 检查数量、形状、取值范围、标签、空白图像，以及测试数字是否也出现在训练数字里。

# %%
for split in splits.values():
    assert len(split.images) == len(split.labels) > 0
    assert split.images.dtype == np.uint8
    assert split.labels.max() <= 9
    assert (split.images.max(axis=(1, 2)) > 0).all(), "an image without ink"

known = {image.tobytes() for image in digits.train.images}
repeated = sum(image.tobytes() in known for image in digits.eval.images)
print(f"test digits that are training digits too: {repeated}")
assert repeated == 0

# %% [markdown]
# ## Checks by eye · 人眼检查
#
# A machine cannot know that a label is wrong. So look at a batch as the net will get it. Also look at the average of
# all images of a label: if it does not look like the digit, labels and images don't belong together.
#
# > 机器不知道标签标错了没有。所以要亲眼看看网络将要得到的一批样本。再看看每个标签所有图像的平均：
# > 如果不像那个数字，标签和图像就没有对上。

# %%
mean = np.stack([digits.train.images[digits.train.labels == digit].mean(axis=0) for digit in range(10)])
wrong = np.stack([shuffled_images[apart == digit].mean(axis=0) for digit in range(10)])
assert mean.shape == (10, 28, 28)

figure, grid = plt.subplots(2, 10, figsize=(10, 2.9))
for digit in range(10):
    for row, picture in enumerate((mean[digit], wrong[digit])):
        grid[row, digit].imshow(picture, cmap="gray_r", vmin=0, vmax=200)
        grid[row, digit].set_axis_off()
    grid[0, digit].set_title(str(digit))
figure.suptitle("The average image of each label: above as in the file, below with labels shuffled apart")
lab.save(figure, "average.png")
assert mean.std(axis=0).mean() > 5 * wrong.std(axis=0).mean(), "averages of true labels differ from each other"

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 01 --start`, write your answers into `labs/my/01.py`, and check them with
# `python -m paddle_mnist.check 01`. `--hint` gives hints.
#
# 1. `count_digits(labels)`: how often each digit occurs.
# 2. `batches(images, labels, batch_size, rng)`: a generator of shuffled batches.
# 3. `find_faults(images, labels)`: the samples that should not be learnt from.
#
# > 运行 `python -m paddle_mnist.check 01 --start`，把答案写进 `labs/my/01.py`，
# > 再用 `python -m paddle_mnist.check 01` 检查。`--hint` 给出提示。
# >
# > 1. `count_digits(labels)`：每个数字出现多少次。
# > 2. `batches(images, labels, batch_size, rng)`：产生打乱后批次的生成器。
# > 3. `find_faults(images, labels)`：找出不该拿来学习的样本。

# %%
lab.finish(samples=count)

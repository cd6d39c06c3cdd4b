# %% [markdown]
# # 5. Read a number · 读一个多位数
#
# A net that reads 28 by 28 pixels cannot read a photo of a house number. The picture must first be taken apart, and
# each digit made to look as MNIST's digits look. This lab does it step by step, by hand.
#
# > 只会读 28×28 像素的网络读不了一张门牌照片。必须先把图片拆开，再让每个数字看起来和 MNIST 的数字一样。
# > 本实验一步一步手工完成。

# %%
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from paddle_mnist import dataset
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.pictures.segment import split_digits
from paddle_mnist.scratch.learners import build

lab = Lab("05_read_a_number")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## A picture to read · 要读的图片
#
# We make a picture ourselves, so that we know what it shows: five test digits of different sizes, dark ink on grey
# paper that is darker on one side, with noise, as a photo has it.
#
# > 图片由我们自己制作，这样就知道上面写的是什么：五个大小不同的测试数字，深色墨迹写在灰纸上，
# > 纸的一边更暗，还有噪声，就像照片一样。


# %%
def ink_box(image):
    """Return the box of the pixels above 0: top, left, bottom, right, the last two one beyond."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def resize(image, height, width):
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def make_picture(images, rng):
    """Return a photo-like picture uint8 [80, 300] of digits uint8 [5, 28, 28]."""
    ink = np.zeros((80, 300))
    left = 10
    for image in images:
        top, first, bottom, last = ink_box(image)
        height = int(rng.integers(34, 52))
        width = max(4, round(height * (last - first) / (bottom - top)))
        digit = resize(np.ascontiguousarray(image[top:bottom, first:last]), height, width)
        start = int(rng.integers(5, 80 - height - 5))
        ink[start : start + height, left : left + width] = digit[:, : 300 - left]
        left += width + int(rng.integers(6, 12))
    paper = np.linspace(235, 195, 300)[np.newaxis]  # [1, 300], darker to the right
    picture = paper - (paper - 40) * ink / 255 + rng.normal(0, 4, ink.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


rng = np.random.default_rng(8)
chosen = rng.choice(len(digits.eval.labels), 5, replace=False)
picture = make_picture(digits.eval.images[chosen], rng)
written = "".join(str(label) for label in digits.eval.labels[chosen])
print("picture:", picture.shape, picture.dtype, " it shows", written)
assert picture.shape == (80, 300)

# %% [markdown]
# ## A threshold · 阈值
#
# Which pixels are ink? The histogram has two hills: much paper, little ink. A threshold belongs between them. Otsu's
# method (1979) tries them all, and takes the one that separates the means of the two groups best:
#
#     between = share(dark) · share(light) · (mean(light) - mean(dark))²
#
# > 哪些像素是墨？直方图有两座山：纸多，墨少。阈值应在两山之间。
# > 大津法(Otsu,1979) 试遍所有阈值，取使两组均值分得最开的那一个（公式见上）。


# %%
def otsu(picture):
    count = np.bincount(picture.ravel(), minlength=256)  # [256], pixels of each level
    level = np.arange(256)
    best, threshold = -1.0, 0
    for t in range(1, 256):
        dark, light = count[:t].sum(), count[t:].sum()
        if dark and light:
            gap = (count[t:] @ level[t:]) / light - (count[:t] @ level[:t]) / dark
            between = dark * light * gap**2
            if between > best:
                best, threshold = between, t
    return threshold


threshold = otsu(picture)
is_ink = picture < threshold  # [80, 300], booleans
print(f"threshold {threshold}: {is_ink.mean():.1%} of the picture is ink")
assert 40 < threshold < 195
assert 0.02 < is_ink.mean() < 0.4

figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), layout="constrained")
above.imshow(picture, cmap="gray", vmin=0, vmax=255)
above.set(title=f"The picture: {written}", xlabel="column", ylabel="row")
below.hist(picture.ravel(), bins=64, color=COLOURS[5])
below.axvline(threshold, color=COLOURS[1], linewidth=2, label=f"threshold {threshold}")
below.set(title="Its pixels: a hill of ink, a mountain of paper", xlabel="pixel value", ylabel="pixels")
below.set_yscale("log")
below.legend()
lab.save(figure, "threshold.png")

# %% [markdown]
# ## Components · 连通分量
#
# Ink pixels that touch belong together. Begin at any ink pixel that has no number yet, give it one, and go on to its
# eight neighbours, and theirs, until no ink is left. Each such island is a component. A hole, as in 0 or 8, stays a
# hole: it is paper.
#
# > 相邻的墨点属于一体。从任何一个还没有编号的墨点开始，给它编号，再走到它的八个邻居、邻居的邻居，直到没有墨为止。
# > 每一个这样的"岛"就是一个连通分量。0 和 8 里面的洞仍然是洞：那是纸。


# %%
def components(is_ink):
    """Return integers of the picture's shape: 0 for paper, 1, 2, … for the islands; and how many there are."""
    number = np.zeros(is_ink.shape, int)
    count = 0
    for start in zip(*np.nonzero(is_ink), strict=True):
        if number[start]:
            continue
        count += 1
        number[start] = count
        waiting = [start]
        while waiting:
            row, column = waiting.pop()
            for y in range(max(row - 1, 0), min(row + 2, is_ink.shape[0])):
                for x in range(max(column - 1, 0), min(column + 2, is_ink.shape[1])):
                    if is_ink[y, x] and not number[y, x]:
                        number[y, x] = count
                        waiting.append((y, x))
    return number, count


toy = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
assert components(toy)[1] == 3, "the slanting pair is one island: corners touch"
number, islands = components(is_ink)
print("islands:", islands)
assert islands >= 5
assert np.array_equal(number > 0, is_ink)

# %% [markdown]
# ## Boxes · 外框
#
# Around each island goes a box. Specks of a few pixels are dirt: drop them. And a five whose bar is separate is two
# islands, one above the other: boxes that share most of their columns are joined. Sorted by their left side, the boxes
# stand in reading order.
#
# > 每个岛外面套一个框。只有几个像素的小点是污渍，去掉。5 的横杠若与下面断开，就成了上下两个岛：
# > 列大部分重合的框要合并。按左边排序，框就处于阅读顺序。


# %%
def boxes(is_ink, least=20):
    number, count = components(is_ink)
    found = [ink_box(number == k) for k in range(1, count + 1) if np.sum(number == k) >= least]
    joined = []
    for box in sorted(found, key=lambda box: box[1]):
        if joined:
            top, left, bottom, right = joined[-1]
            shared = min(right, box[3]) - box[1]
            if shared > 0.5 * min(right - left, box[3] - box[1]):
                joined[-1] = (min(top, box[0]), left, max(bottom, box[2]), max(right, box[3]))
                continue
        joined.append(box)
    return joined


found = boxes(is_ink)
print("boxes (top, left, bottom, right):", [tuple(int(side) for side in box) for box in found])
assert len(found) == len(written)
assert np.all(np.diff([box[1] for box in found]) > 0)

# %% [markdown]
# ## MNIST's way of centring · MNIST 的居中方式
#
# How were MNIST's digits made? White ink on black. Scaled so that the longer side is 20 pixels, the shape kept. Then
# laid into 28 by 28 so that the *centre of mass* of the ink, not the middle of the box, lies at row 14, column 14.
#
# A net has only ever seen such digits. So ours must be made in the same way.
#
# > MNIST 的数字是怎样做的？黑底白墨；缩放到较长一边为 20 像素，保持形状；
# > 再放进 28×28 的方格，使墨迹的*质心*（而不是外框的中心）位于第 14 行、第 14 列。
# >
# > 网络只见过这样的数字，所以我们的数字也必须这样制作。


# %%
def centre(ink):
    """Return uint8 [28, 28] of a cut-out digit, uint8, white on black."""
    height, width = ink.shape
    scale = 20 / max(height, width)
    small = resize(np.ascontiguousarray(ink), max(1, round(height * scale)), max(1, round(width * scale)))
    total = small.sum(dtype=float)
    row = (small.sum(axis=1) @ np.arange(small.shape[0])) / total  # the mean row, weighted by ink
    column = (small.sum(axis=0) @ np.arange(small.shape[1])) / total
    top = int(np.clip(round(14 - row), 0, 28 - small.shape[0]))
    left = int(np.clip(round(14 - column), 0, 28 - small.shape[1]))
    out = np.zeros((28, 28), np.uint8)
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out


def cut_out(picture, is_ink, box):
    """Return the digit in a box, white on black: paper becomes 0, the darkest ink 255."""
    top, left, bottom, right = box
    dark = 255.0 - picture[top:bottom, left:right]
    paper = 255.0 - np.median(picture[~is_ink])
    ink = np.clip((dark - paper) / (dark.max() - paper), 0, 1)
    ink[ink < 0.25] = 0  # noise of the paper
    return np.rint(255 * ink).astype(np.uint8)


made = np.stack([centre(cut_out(picture, is_ink, box)) for box in found])  # [5, 28, 28]
print("digits:", made.shape, made.dtype)
assert made.shape == (5, 28, 28)
for image in made:
    rows, columns = np.nonzero(image)
    assert max(np.ptp(rows), np.ptp(columns)) < 20
    mass = image.sum(axis=1) @ np.arange(28) / image.sum(), image.sum(axis=0) @ np.arange(28) / image.sum()
    assert np.allclose(mass, 14, atol=1.0), "the centre of mass lies in the middle"

# %% [markdown]
# Do MNIST's own digits keep the same rule? Measure it.
#
# > MNIST 自己的数字也遵守这条规则吗？量一量就知道。

# %%
sample = digits.train.images[:1000].astype(float)
mass = sample.sum(axis=(1, 2))
mean_row = sample.sum(axis=2) @ np.arange(28) / mass  # [1000]
mean_column = sample.sum(axis=1) @ np.arange(28) / mass  # [1000]
print(f"centre of mass: row {mean_row.mean():.2f} ± {mean_row.std():.2f}, column {mean_column.mean():.2f}")
assert np.abs(mean_row.mean() - 14) < 0.1 and mean_row.std() < 0.5
assert np.abs(mean_column.mean() - 14) < 0.1 and mean_column.std() < 0.5

# %% [markdown]
# ## Read it · 读出来
#
# We train the two-layer net of lab 3, and let it read the five digits.
#
# > 训练实验 3 的两层网络，让它来读这五个数字。


# %%
def rows(images):
    return images.reshape(-1, 784).astype(np.float32) / 255


net = build("two-layer", seed=0)
images, labels = rows(digits.train.images[:20_000]), digits.train.labels[:20_000].astype(int)
for _ in range(lab.budget(15, 8) if len(labels) < 10_000 else lab.budget(5, 2)):
    order = rng.permutation(len(labels))
    for first in range(0, len(order), 100):
        net.train_step(images[order[first : first + 100]], labels[order[first : first + 100]], lr=0.3)


def read(images):
    return net.outputs(rows(images)).argmax(axis=1)


accuracy = np.mean(read(digits.eval.images) == digits.eval.labels)
answer = "".join(str(digit) for digit in read(made))
print(f"on test digits: {accuracy:.1%}.  The picture shows {written}; the net reads {answer}")
assert accuracy > 0.85
assert sum(a == b for a, b in zip(answer, written, strict=True)) >= 4

# %%
figure = plt.figure(figsize=(9, 4.6), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(1.4, 1))
axes = top.subplots()
axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
for (y0, x0, y1, x1), digit in zip(found, answer, strict=True):
    axes.add_patch(plt.Rectangle((x0 - 1, y0 - 1), x1 - x0 + 1, y1 - y0 + 1, fill=False, ec=COLOURS[1], lw=2))
    axes.text(x0, y0 - 3, digit, color=COLOURS[1], fontsize=13, weight="bold")
axes.set(title=f"Written {written}, read {answer}", xlabel="column", ylabel="row")
for place, (axes, image) in enumerate(zip(bottom.subplots(1, 5), made, strict=True)):
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"read as {answer[place]}")
    axes.set_axis_off()
bottom.suptitle("What the net is given, 28 by 28")
lab.save(figure, "read.png")

# %% [markdown]
# ## The package's way · 软件包的做法
#
# `split_digits` takes the same steps, with more care: paper under uneven light, light ink on dark paper, digits that
# touch, digits that lean. On our picture it finds the same boxes. Turn black and white round, and our threshold takes
# the paper for ink; the package does not mind.
#
# > `split_digits` 走的是同样几步，只是考虑得更周到：光照不均的纸、深底浅墨、粘连的数字、倾斜的数字。
# > 在我们的图片上，它找到同样的框。把黑白颠倒过来，我们的阈值就把纸当成了墨；软件包却不受影响。

# %%
theirs = split_digits(picture)
assert len(theirs) == len(found)
for digit, (y0, x0, y1, x1) in zip(theirs, found, strict=True):
    assert np.allclose(digit.box, (x0, y0, x1, y1), atol=4), "left, top, right, bottom"
    assert digit.image28.shape == (28, 28)
same = np.mean(read(np.stack([digit.image28 for digit in theirs])) == read(made))
print(f"both ways give the net digits that it reads alike: {same:.0%}")
assert same >= 0.8

negative = 255 - picture  # light ink on dark paper
ours = boxes(negative < otsu(negative))
theirs = split_digits(negative)
print(f"on the negative we find {len(ours)} boxes, the package {len(theirs)}")
assert len(theirs) == len(written)
assert max(right - left for _, left, _, right in ours) > 250, "our largest box is the paper"

# %% [markdown]
# ## Does the centring matter? · 居中重要吗？
#
# Take many pictures. Read each digit twice: prepared as MNIST was, and simply stretched to 28 by 28. The net is the
# same, the ink is the same. People who find that their net reads 99 % of MNIST and none of their own digits have
# mostly left out this step.
#
# > 取许多图片，每个数字读两遍：一遍按 MNIST 的方式处理，一遍直接拉伸到 28×28。网络相同，墨迹也相同。
# > 有人发现网络能读对 99 % 的 MNIST，却读不对自己写的数字，多半就是漏了这一步。

# %%
prepared = stretched = total = split_right = 0
pictures = lab.budget(40, 25)
for _ in range(pictures):
    chosen = rng.choice(len(digits.eval.labels), 5, replace=False)
    picture = make_picture(digits.eval.images[chosen], rng)
    is_ink = picture < otsu(picture)
    found = boxes(is_ink)
    if len(found) != 5:  # digits that touch, or fell into pieces
        continue
    split_right += 1
    cuts = [cut_out(picture, is_ink, box) for box in found]
    truth = digits.eval.labels[chosen]
    prepared += np.sum(read(np.stack([centre(cut) for cut in cuts])) == truth)
    stretched += np.sum(read(np.stack([resize(cut, 28, 28) for cut in cuts])) == truth)
    total += 5
print(f"{split_right} of {pictures} pictures came apart into five digits")
print(f"digits read right: {prepared / total:.1%} as MNIST makes them, {stretched / total:.1%} stretched")
assert split_right > 0.8 * pictures
assert prepared / total > 0.75
assert prepared > stretched + 0.1 * total

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 05 --start`, and write into `labs/my/05.py`.
#
# 1. `ink_box(is_ink)`: the box around the ink.
# 2. `centre_by_mass(image)`: move the ink so that its centre of mass is in the middle.
# 3. `count_holes(is_ink)`: 8 has two, 0, 6 and 9 have one, 1 has none.
#
# > 先运行 `python -m paddle_mnist.check 05 --start`，再把答案写进 `labs/my/05.py`。
# >
# > 1. `ink_box(is_ink)`：墨迹的外框。
# > 2. `centre_by_mass(image)`：移动墨迹，使质心位于正中。
# > 3. `count_holes(is_ink)`:8 有两个洞，0、6、9 有一个，1 没有。

# %%
lab.finish(accuracy=round(float(accuracy), 4), read=round(float(prepared / total), 4))

# %% [markdown]
# # 5. Read a number · 读一个多位数
#
# A net that reads 28 by 28 pixels cannot read a photo of a house number. First the picture must be taken apart, and
# each digit must be made to look like MNIST's digits. This lab does it step by step, by hand, and ends with the
# question of which step matters most.
#
# > 只会读 28×28 像素的网络读不了一张门牌照片。必须先把图片拆开，再让每个数字看起来和 MNIST 的数字一样。
# > 本实验一步一步手工完成，最后看一看哪一步最重要。

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: lab 1 says why

from collections import deque

import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from paddle_mnist import dataset
from paddle_mnist.labs.accuracy import in_percent, paired_difference, standard_error
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.pictures.segment import split_digits
from paddle_mnist.scratch.learners import build

lab = Lab("05_read_a_number")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## A picture to read · 要读的图片
#
# We make a picture ourselves, so that we know what it shows: five validation digits of different sizes, in dark ink on
# grey paper. The paper is darker on one side and has noise, as in a photo.
#
# > 图片由我们自己制作，这样就知道上面写的是什么：五个大小不同的验证数字，深色墨迹写在灰纸上。
# > 纸的一边更暗，还有噪声，就像照片一样。


# %%
lab.section("A picture to read")


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


rng = np.random.default_rng(9)
chosen = rng.choice(len(digits.valid.labels), 5, replace=False)
picture = make_picture(digits.valid.images[chosen], rng)
written = "".join(str(label) for label in digits.valid.labels[chosen])
print("picture:", picture.shape, picture.dtype, " it shows", written)
assert picture.shape == (80, 300)

# %% [markdown]
# ## A threshold · 阈值
#
# Which pixels are ink? The histogram has two hills: much paper, little ink. A threshold belongs between them. Otsu's
# method (1979) tries every threshold t. It splits the pixels into a dark and a light group, with shares p and q of all
# pixels and means m and M, and takes the t for which this number is largest:
#
# > 哪些像素是墨？直方图有两座山：纸多，墨少。阈值应在两山之间。大津法（Otsu，1979）试遍每一个阈值 t：
# > 它把像素分成暗、亮两组，各占比例 p 和 q，均值为 m 和 M；取使下面这个数最大的 t：
#
#     p q (M - m)²


# %%
lab.section("A threshold")


def otsu(picture):
    count = np.bincount(picture.ravel(), minlength=256)  # [256], pixels of each level
    level = np.arange(256)
    best, threshold = -1.0, 0
    for t in range(1, 256):
        dark, light = count[:t].sum(), count[t:].sum()  # p and q, times the number of pixels
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
below.set(
    title="A threshold separates the hill of ink from the mountain of paper", xlabel="pixel value", ylabel="pixels"
)
below.set_yscale("log")
below.legend()
lab.save(figure, "threshold.png")

# %% [markdown]
# ## Components · 连通分量
#
# Ink pixels that touch belong together. Begin at any ink pixel that has no number yet and give it one. Go on to its
# eight neighbours, then to theirs, until no ink is left that can be reached. Each such island is a *component*. A
# hole, as in 0 or 8, stays a hole: it is paper.
#
# **Predict, then run:** how many islands does the small drawing in the cell have?
#
# > 相邻的墨点属于一体。从任何一个还没有编号的墨点开始，给它编号，再走到它的八个邻居，然后是邻居的邻居，
# > 直到没有能走到的墨为止。每一个这样的“岛”就是一个*连通分量*。0 和 8 里面的洞仍然是洞：那是纸。
# >
# > **先预测，再运行**：下面单元中的小图有几个岛？


# %%
lab.section("Components")


def components(is_ink):
    """Return two arrays of integers of the picture's shape.

    The first numbers the islands 1, 2, …, with 0 for paper. The second says after how many steps a pixel was reached.
    """
    number, steps = np.zeros(is_ink.shape, int), np.zeros(is_ink.shape, int)
    for start in zip(*np.nonzero(is_ink), strict=True):
        if number[start]:
            continue
        number[start] = number.max() + 1
        waiting = deque([start])
        while waiting:
            row, column = waiting.popleft()
            for y in range(max(row - 1, 0), min(row + 2, is_ink.shape[0])):
                for x in range(max(column - 1, 0), min(column + 2, is_ink.shape[1])):
                    if is_ink[y, x] and not number[y, x]:
                        number[y, x] = number[row, column]
                        steps[y, x] = steps[row, column] + 1
                        waiting.append((y, x))
    return number, steps


def drawing(*lines):
    return np.array([[sign == "#" for sign in line] for line in lines])


toy = drawing("#..#", ".#.#", "....", "####")
print("islands in the small drawing:", components(toy)[0].max())
assert components(toy)[0].max() == 3, "the diagonal pair is one island, because corners touch"

number, steps = components(is_ink)
print("islands in the picture:", number.max())
assert number.max() >= 5
assert np.array_equal(number > 0, is_ink)

figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5.4), layout="constrained")
islands = np.ma.masked_equal(number, 0)  # paper stays white
above.imshow(islands, cmap=plt.matplotlib.colors.ListedColormap(COLOURS[:6]), interpolation="nearest")
for k in range(1, number.max() + 1):
    top, left, _, right = ink_box(number == k)
    above.text((left + right) / 2, top - 3, str(k), ha="center", fontsize=12, weight="bold")
above.set_ylim(80, -12)  # room for the numbers
above.set_title(f"Ink that touches is one island: {number.max()} islands")
shown = below.imshow(np.ma.masked_where(number == 0, steps), cmap="viridis", interpolation="nearest")
figure.colorbar(shown, ax=below, label="steps")
below.set_title("Each island is found by spreading from one pixel to its neighbours")
for axes in (above, below):
    axes.set(xticks=[], yticks=[])
lab.save(figure, "islands.png")

# %% [markdown]
# ## Boxes · 外框
#
# Draw a box around each island. Islands of a few pixels are specks of dirt, so drop them: a digit here has more than a
# hundred ink pixels, and 20 is far below that. If the bar of a 5 is separate, the 5 is two islands, one above the
# other: join boxes that share most of their columns. Sorted by their left side, the boxes are in reading order.
#
# > 给每个岛画一个框。只有几个像素的岛是污渍，去掉：这里的一个数字都有一百个以上的墨点，20 远低于此。
# > 如果 5 的横杠与下面断开，这个 5 就成了上下两个岛：列大部分重合的框要合并。按左边排序，框就处于阅读顺序。


# %%
lab.section("Boxes")


def boxes(is_ink, least=20):
    number, _ = components(is_ink)
    found = [ink_box(number == k) for k in range(1, number.max() + 1) if np.sum(number == k) >= least]
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


broken_five = drawing(".####...", "........", ".#......", ".###....", "....#...", ".###...#")
print("a five with a separate bar, and a speck:", [tuple(map(int, box)) for box in boxes(broken_five, least=2)])
assert boxes(broken_five, least=2) == [(0, 1, 6, 5)], "one box: the bar is joined, the speck is dropped"

found = boxes(is_ink)
print("boxes (top, left, bottom, right):", [tuple(int(side) for side in box) for box in found])
assert len(found) == len(written)
assert np.all(np.diff([box[1] for box in found]) > 0)
ink_in_boxes = [int(is_ink[top:bottom, left:right].sum()) for top, left, bottom, right in found]
print("ink pixels in each box:", ink_in_boxes)
assert min(ink_in_boxes) > 100

# %% [markdown]
# ## MNIST's way of centring · MNIST 的居中方式
#
# How were MNIST's digits made? White ink on black. Scaled so that the longer side is 20 pixels, with the shape kept.
# Then placed in 28 by 28 pixels so that the *centre of mass* of the ink, not the middle of the box, lies at row 14,
# column 14.
#
# Do the digits in the file follow this rule? Measure it.
#
# > MNIST 的数字是怎样做的？黑底白墨；缩放到较长一边为 20 像素，保持形状；
# > 再放进 28×28 的方格，使墨迹的*质心*（而不是外框的中心）位于第 14 行、第 14 列。
# >
# > 文件里的数字遵守这条规则吗？量一量。


# %%
lab.section("MNIST's way of centring")


def centre_of_mass(image):
    """Return the mean row and the mean column, weighted by ink."""
    ink = image.astype(float)
    rows, columns = np.arange(image.shape[0]), np.arange(image.shape[1])
    return ink.sum(axis=1) @ rows / ink.sum(), ink.sum(axis=0) @ columns / ink.sum()


def middle_of_ink(image):
    """Return the row and the column in the middle of the box around the ink."""
    top, left, bottom, right = ink_box(image)
    return (top + bottom - 1) / 2, (left + right - 1) / 2


some = digits.train.images[:1000]
mass = np.array([centre_of_mass(image) for image in some])  # [1000, 2]
middle = np.array([middle_of_ink(image) for image in some])
for name, points in (("centre of mass", mass), ("middle of the box", middle)):
    (row, column), (row_spread, column_spread) = points.mean(axis=0), points.std(axis=0)
    print(f"{name:17}  row {row:.2f} ± {row_spread:.2f}, column {column:.2f} ± {column_spread:.2f}")
assert np.all(np.abs(mass.mean(axis=0) - 14) < 0.1) and np.all(mass.std(axis=0) < 0.5)
assert np.all(middle.std(axis=0) > 2 * mass.std(axis=0)), "the box is not what was centred"

# %% [markdown]
# They do. A net that was trained on such digits has never seen others, so ours must be made in the same way.
#
# In `cut_out`, paper becomes 0 and the darkest ink 255. The noise of the paper, and its darker side, leave a little
# grey everywhere. It is well below a quarter of full ink, so whatever is below a quarter is taken for paper.
#
# > 确实遵守。用这样的数字训练出来的网络没有见过别的，所以我们的数字也必须这样制作。
# >
# > 在 `cut_out` 中，纸变成 0，最浓的墨变成 255。纸的噪声和较暗的一边到处留下一点灰色，
# > 远低于最浓墨色的四分之一，所以低于四分之一的都当作纸。


# %%
def scaled(ink, longest):
    """Return a cut-out digit scaled so that its longer side has this many pixels, with its shape kept."""
    height, width = ink.shape
    scale = longest / max(height, width)
    return resize(np.ascontiguousarray(ink), max(1, round(height * scale)), max(1, round(width * scale)))


def place(small, row, column):
    """Return uint8 [28, 28] with the point (row, column) of a small image at row 14, column 14, as far as it fits."""
    top = int(np.clip(round(14 - row), 0, 28 - small.shape[0]))
    left = int(np.clip(round(14 - column), 0, 28 - small.shape[1]))
    out = np.zeros((28, 28), np.uint8)
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out


def middle_of_box(image):
    return (image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2


def centre(ink):
    """Return uint8 [28, 28] of a cut-out digit, uint8, white on black, made as MNIST's digits were."""
    small = scaled(ink, 20)
    return place(small, *centre_of_mass(small))


def cut_out(picture, is_ink, box):
    """Return the digit in a box, white on black: paper becomes 0, the darkest ink 255."""
    top, left, bottom, right = box
    dark = 255.0 - picture[top:bottom, left:right]
    paper = 255.0 - np.median(picture[~is_ink])
    ink = np.clip((dark - paper) / (dark.max() - paper), 0, 1)
    ink[ink < 0.25] = 0
    return np.rint(255 * ink).astype(np.uint8)


paper, darkest = np.median(picture[~is_ink]), picture.min()
right_of_digits = picture[:, found[-1][3] + 8 :]  # there the paper is darkest
grey = ((paper - right_of_digits) / (paper - darkest)).max()
print(f"the darkest paper has {grey:.0%} of full ink")
assert grey < 0.25

made = np.stack([centre(cut_out(picture, is_ink, box)) for box in found])  # [5, 28, 28]
print("digits:", made.shape, made.dtype)
assert made.shape == (5, 28, 28)
for image in made:
    rows, columns = np.nonzero(image)
    assert max(np.ptp(rows), np.ptp(columns)) < 20
    assert np.allclose(centre_of_mass(image), 14, atol=1.0), "the centre of mass lies in the middle"

cuts = [cut_out(picture, is_ink, box) for box in found]
offset = [np.linalg.norm(np.subtract(centre_of_mass(scaled(cut, 20)), middle_of_box(scaled(cut, 20)))) for cut in cuts]
shown = cuts[int(np.argmax(offset))]  # the digit for which the two centres differ most
small = scaled(shown, 20)
figure, panels = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
stages = (
    (shown, f"cut out, {shown.shape[0]} by {shown.shape[1]}"),
    (small, f"scaled, {small.shape[0]} by {small.shape[1]}"),
    (place(small, *middle_of_box(small)), "middle of the box at 14, 14"),
    (centre(shown), "centre of mass at 14, 14"),
)
for panel, (image, title) in zip(panels, stages, strict=True):
    panel.imshow(image, cmap="gray", vmin=0, vmax=255)
    row, column = centre_of_mass(image)
    panel.plot(column, row, "+", color=COLOURS[4], markersize=16, markeredgewidth=3)
    if image.shape == (28, 28):
        panel.axhline(14, color=COLOURS[5], linewidth=1)
        panel.axvline(14, color=COLOURS[5], linewidth=1)
    panel.set(title=title, xticks=[], yticks=[])
figure.suptitle("MNIST puts the centre of mass (cross) at row 14, column 14 (lines), not the middle of the box")
lab.save(figure, "centring.png")

# %% [markdown]
# ## Read it · 读出来
#
# We train a net of two layers like that of lab 3, and let it read the five digits.
#
# > 训练一个与实验 3 类似的两层网络，让它来读这五个数字。


# %%
lab.section("Read it")


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


valid_right = read(digits.valid.images) == digits.valid.labels
answer = "".join(str(digit) for digit in read(made))
print(f"single validation digits: {in_percent(valid_right)}.  The picture shows {written}; the net reads {answer}")
assert valid_right.mean() > 0.85
assert sum(a == b for a, b in zip(answer, written, strict=True)) >= 4

figure = plt.figure(figsize=(9, 5), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(1.5, 1))
axes = top.subplots()
axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
for (y0, x0, y1, x1), digit in zip(found, answer, strict=True):
    axes.add_patch(plt.Rectangle((x0 - 1, y0 - 1), x1 - x0 + 1, y1 - y0 + 1, fill=False, ec=COLOURS[1], lw=2))
    axes.text(x0, y0 - 3, digit, color=COLOURS[1], fontsize=13, weight="bold")
axes.set(title=f"Written {written}, read {answer}", xticks=[], yticks=[], ylim=(80, -14))  # room for the answers
for spine in axes.spines.values():
    spine.set_visible(False)
for k, (axes, image) in enumerate(zip(bottom.subplots(1, 5), made, strict=True)):
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"read as {answer[k]}")
    axes.set_axis_off()
bottom.suptitle("What the net sees: five digits made like MNIST's")
lab.save(figure, "read.png")

# %% [markdown]
# ## The package's way · 软件包的做法
#
# `split_digits` takes the same steps with more care: paper under uneven light, light ink on dark paper, digits that
# touch, digits that lean. On our picture it finds the same boxes. Swap black and white, and our threshold takes the
# paper for ink; the package still finds the digits.
#
# > `split_digits` 走的是同样几步，只是考虑得更周到：光照不均的纸、深底浅墨、粘连的数字、倾斜的数字。
# > 在我们的图片上，它找到同样的框。把黑白对调，我们的阈值就把纸当成了墨；软件包仍能找到数字。

# %%
lab.section("The package's way")
theirs = split_digits(picture)
assert len(theirs) == len(found)
for digit, (y0, x0, y1, x1) in zip(theirs, found, strict=True):
    assert np.allclose(digit.box, (x0, y0, x1, y1), atol=4), "left, top, right, bottom"
    assert digit.image28.shape == (28, 28)
same = np.mean(read(np.stack([digit.image28 for digit in theirs])) == read(made))
print(f"the net reads both versions the same: {same:.0%}")
assert same >= 0.8

negative = 255 - picture  # light ink on dark paper
ours = boxes(negative < otsu(negative))
theirs = split_digits(negative)
print(f"with black and white swapped we find {len(ours)} boxes, the package {len(theirs)}")
assert len(theirs) == len(written)
assert max(right - left for _, left, _, right in ours) > 250, "our largest box is the paper"

# %% [markdown]
# ## Does the centring matter? · 居中重要吗？
#
# Take many pictures, and prepare each digit in five ways. The net is the same, and the ink is the same. Ways 2 to 4
# change one thing each:
#
# 1. as MNIST does it: longer side 20, centre of mass in the middle
# 2. only the centring changed: the middle of the *box* in the middle
# 3. as MNIST does it, then moved 2 pixels to the right
# 4. only the size changed: longer side 28, so that the digit fills the square
# 5. stretched to 28 by 28: size, shape and place changed together
#
# **Predict, then run:** the first is read right about as often as single validation digits are. What share of the
# others is?
#
# > 取许多图片，每个数字用五种方式处理。网络相同，墨迹也相同。第 2 至 4 种各只改变一处：
# >
# > 1. 按 MNIST 的做法：较长一边 20 像素，质心居中
# > 2. 只改居中方式：*外框*的中心居中
# > 3. 按 MNIST 的做法，再向右移 2 个像素
# > 4. 只改大小：较长一边 28 像素，数字充满方格
# > 5. 拉伸到 28×28：大小、形状、位置一起改变
# >
# > **先预测，再运行**：第一种读对的比例与单个验证数字差不多。其余几种各是多少？


# %%
lab.section("Does the centring matter?")


def by_box(cut):
    small = scaled(cut, 20)
    return place(small, *middle_of_box(small))


ways = {
    "as MNIST:\ncentre of mass": centre,
    "centre of\nthe box": by_box,
    "as MNIST, then\n2 pixels aside": lambda cut: np.roll(centre(cut), 2, axis=1),
    "filling\n28 pixels": lambda cut: place(scaled(cut, 28), *centre_of_mass(scaled(cut, 28))),
    "stretched to\n28 by 28": lambda cut: resize(np.ascontiguousarray(cut), 28, 28),
}
right = {name: [] for name in ways}
pictures = lab.budget(80, 25)
come_apart = 0
for _ in range(pictures):
    chosen = rng.choice(len(digits.valid.labels), 5, replace=False)
    picture = make_picture(digits.valid.images[chosen], rng)
    is_ink = picture < otsu(picture)
    found = boxes(is_ink)
    if len(found) != 5:  # digits that touch, or fell into pieces
        continue
    come_apart += 1
    cuts = [cut_out(picture, is_ink, box) for box in found]
    for name, way in ways.items():
        right[name].extend(read(np.stack([way(cut) for cut in cuts])) == digits.valid.labels[chosen])

right = {name: np.array(each) for name, each in right.items()}
print(f"{come_apart} of {pictures} pictures came apart into five digits")
for name, each in right.items():
    print(f"{name!r:32} {in_percent(each)}")
first, *others = right.values()
for other in others:
    difference, error = paired_difference(first, other)
    assert difference > 3 * error, "each change costs far more than luck explains"
assert come_apart > 0.8 * pictures
assert first.mean() > 0.8

figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
heights, errors = (
    [100 * each.mean() for each in right.values()],
    [100 * standard_error(each) for each in right.values()],
)
axes.bar(list(right), heights, color=[COLOURS[0]] + 4 * [COLOURS[1]], yerr=errors, capsize=4)
for k, height in enumerate(heights):
    axes.text(k + 0.06, height + 2.5, f"{height:.0f} %", ha="left")
axes.set(ylabel="digits read right, % (± standard error)", ylim=(0, 108))
axes.set_title("The same ink, the same net: prepare digits as the training digits were, or lose many")
lab.save(figure, "preparation.png")

# %% [markdown]
# If your net reads MNIST well and your own digits badly, look here first: print the 28 by 28 pixels that the net sees,
# and compare them with a training digit.
#
# Nothing is left to choose, so here are the single test digits, once.
#
# > 如果你的网络读 MNIST 很好，读你自己写的数字却很差，先检查这里：把网络看到的 28×28 像素打印出来，
# > 与训练数字比较。
# >
# > 现在没有什么要选择的了，所以看一看单个的测试数字，只看一次。

# %%
tested = read(digits.eval.images) == digits.eval.labels
print(f"single test digits: {in_percent(tested)}")

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 05 --start`, and write into `labs/my/05.py`.
#
# 1. `reading_order(boxes)`: the boxes of a page with several lines, in the order in which one reads them.
# 2. `centre_by_mass(image)`: find the bugs. The ink should move until its centre of mass is in the middle.
# 3. `count_holes(is_ink)`: 8 has two, 0, 6 and 9 have one, 1 has none.
#
# > 先运行 `python -m paddle_mnist.check 05 --start`，再把答案写进 `labs/my/05.py`。
# >
# > 1. `reading_order(boxes)`：把一页多行文字的框按阅读顺序排好。
# > 2. `centre_by_mass(image)`：找错误。它本应移动墨迹，使质心位于正中。
# > 3. `count_holes(is_ink)`：8 有两个洞，0、6、9 有一个，1 没有。

# %%
lab.finish(accuracy=round(float(tested.mean()), 4), read=round(float(first.mean()), 4))

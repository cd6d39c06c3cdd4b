# %% [markdown]
# # 8. Convolution · 卷积
#
# The net of lab 7 throws away where a pixel is: its first layer sees a row of 784 numbers. Shuffle the pixels of all
# images in the same way, and it would learn just as well. A convolution looks at neighbours together, and at every
# place in the same way. This lab slides kernels by hand, draws what they see, and trains the course's second net.
#
# > 实验 7 的网络不管像素在哪里：它的第一层看到的只是一行 784 个数。
# > 若把所有图像的像素按同一种方式打乱，它照样学得一样好。
# > 卷积则把相邻的像素放在一起看，并且在每个位置用同样的方式看。
# > 本实验先手工滑动卷积核，画出它们看到的东西，再训练课程里的第二个网络。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()

import paddle
import paddle.nn.functional as F
from paddle.nn import Conv2D, Linear, MaxPool2D

from paddle_mnist import engine, learners, nets
from paddle_mnist.loader import load_data
from paddle_mnist.recipes import settings_for

lab = Lab("08_convolution")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## A kernel · 卷积核
#
# A kernel is a small square of weights. Lay it on the image, multiply what lies on top of each other, add up: that is
# one output. Move on by one pixel, and again:
#
#     y[i, j] = sum over a and c of  x[i + a, j + c] k[a, c]
#
# This kernel is positive on the left and negative on the right. It answers strongly where ink ends towards the right.
#
# > 卷积核是一小块方形的权重。把它盖在图像上，上下对应的数相乘再相加，就得到一个输出；
# > 移动一个像素，再做一次（公式见上）。
# > 下面这个核左正右负：在墨迹向右结束的地方，它的响应很强。

# %%
image = digits.train.images[np.flatnonzero(digits.train.labels == 7)[0]].astype(np.float32) / 255  # [28, 28]
kernel = np.array([[1, 0, -1], [1, 0, -1], [1, 0, -1]], np.float32)  # [3, 3]


def slide(x, k):
    height, width = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1
    y = np.empty((height, width), np.float32)
    for i in range(height):
        for j in range(width):
            y[i, j] = (x[i : i + k.shape[0], j : j + k.shape[1]] * k).sum()
    return y


by_hand = slide(image, kernel)
print("image", image.shape, " kernel", kernel.shape, " output", by_hand.shape)
assert by_hand.shape == (26, 26), "a kernel of 3 has room at 28 - 3 + 1 places"

# %% [markdown]
# Paddle does the same. It wants four axes: images [n, channels, height, width] and kernels [outputs, channels, height,
# width].
#
# > Paddle 做的是同样的事。它要求四个轴：图像是 [n，通道，高，宽]，卷积核是 [输出，通道，高，宽]。

# %%
by_paddle = F.conv2d(paddle.to_tensor(image[None, None]), paddle.to_tensor(kernel[None, None]))
print("by Paddle:", by_paddle.shape)
assert by_paddle.shape == [1, 1, 26, 26]
assert np.allclose(by_paddle.numpy()[0, 0], by_hand, atol=1e-5)

# %% [markdown]
# ## Feature maps · 特征图
#
# The output of a kernel is called a feature map: it shows where the feature is. Four kernels, four maps. Blue is
# positive, orange negative.
#
# > 卷积核的输出称为特征图：它显示某种特征出现在哪里。四个核，四张图。蓝色为正，橙色为负。

# %%
from matplotlib.colors import LinearSegmentedColormap

signed = LinearSegmentedColormap.from_list("signed", [COLOURS[1], "white", COLOURS[0]])
kernels = {
    "ink ends rightwards": kernel,
    "ink ends downwards": kernel.T,
    "outlines": np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32),
    "blur": np.full((3, 3), 1 / 9, np.float32),
}
figure, grid = plt.subplots(2, 5, figsize=(11, 4.7), layout="constrained")
grid[0, 0].imshow(image, cmap="gray_r")
grid[0, 0].set_title("image, 28×28")
grid[1, 0].set_visible(False)
for column, (name, k) in enumerate(kernels.items(), start=1):
    seen = slide(image, k)
    reach = np.abs(seen).max()
    grid[0, column].imshow(seen, cmap=signed, vmin=-reach, vmax=reach)
    grid[0, column].set_title(name, fontsize=11)
    grid[1, column].imshow(k, cmap=signed, vmin=-1.6 * k.max(), vmax=1.6 * k.max())
    for (i, j), weight in np.ndenumerate(k):
        grid[1, column].text(j, i, f"{weight:.2g}", ha="center", va="center")
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
figure.suptitle("Above: feature maps, 26×26. Below: the kernels that made them")
lab.save(figure, "kernels.png")

# %% [markdown]
# Move the image, and the feature map moves with it: nothing has to be learnt again for another place. That is the
# point of using the same weights everywhere.
#
# > 图像移动，特征图就跟着移动：换一个位置，不必重新学习。处处使用同样的权重，好处就在这里。

# %%
moved = np.roll(image, shift=(1, 2), axis=(0, 1))  # one row down, two columns to the right
assert not image[-1].any() and not image[:, -2:].any(), "only paper is rolled over the edge"
assert np.allclose(slide(moved, kernel)[1:, 2:], by_hand[:-1, :-2])

# %% [markdown]
# And it is cheap. Twenty kernels of 5×5 with a bias each, against a fully connected layer with as many outputs:
#
# > 而且参数很少。二十个 5×5 的核，每个带一个偏置；再看输出同样多的全连接层：

# %%
convolution = Conv2D(in_channels=1, out_channels=20, kernel_size=5, padding=2)
shared = sum(p.size for p in convolution.parameters())
connected = (784 + 1) * 20 * 28 * 28
print(f"convolution: {shared:,} parameters; fully connected: {connected:,}")
assert shared == 20 * (5 * 5 + 1) == 520
assert connected == 12_308_800

# %% [markdown]
# ## Padding and size · 填充与尺寸
#
# A kernel of size k loses k - 1 rows. With a frame of zeros around the image, the *padding*, the size can be kept. In
# general, with stride s (how far the kernel moves each time):
#
#     output = (size + 2 padding - k) // s + 1
#
# > 大小为 k 的核会损失 k - 1 行。给图像围一圈零，即*填充*，就能保持尺寸。
# > 一般情形见上式，其中步幅 s 是核每次移动的距离。

# %%
for padding, wanted in ((0, 24), (1, 26), (2, 28)):
    layer = Conv2D(1, 1, kernel_size=5, padding=padding)
    size = layer(paddle.to_tensor(image[None, None])).shape[-1]
    print(f"28 pixels, kernel 5, padding {padding}: {size}")
    assert size == wanted == (28 + 2 * padding - 5) // 1 + 1

# %% [markdown]
# ## Pooling · 池化
#
# Max pooling keeps the largest of each 2×2 square. A quarter of the numbers is left, and a feature that moves by a
# pixel often stays in its square. In NumPy: give each square two axes of its own, and take their maximum.
#
# > 最大池化在每个 2×2 方格里只留最大的数。数据剩下四分之一，而特征移动一个像素时往往仍在同一个方格里。
# > 用 NumPy：让每个方格占据单独的两个轴，再对这两个轴取最大值。

# %%
x = slide(image, kernel)  # [26, 26]
pooled = x.reshape(13, 2, 13, 2).max(axis=(1, 3))  # [13, 13]
by_paddle = F.max_pool2d(paddle.to_tensor(x[None, None]), kernel_size=2, stride=2)
assert pooled.shape == (13, 13)
assert np.array_equal(by_paddle.numpy()[0, 0], pooled)

# %% [markdown]
# ## The CNN · 卷积神经网络
#
# Convolve, rectify, pool; the same again; one Linear layer at the end. The second convolution has kernels of 20
# channels: each of its outputs looks at all twenty maps of the first.
#
# > 卷积、ReLU、池化；再来一遍；最后接一个 Linear 层。第二个卷积的核有 20 个通道：
# > 它的每个输出都同时看第一层的全部二十张特征图。


# %%
class CNN(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv1 = Conv2D(in_channels=1, out_channels=20, kernel_size=5, stride=1, padding=2)
        self.max_pool1 = MaxPool2D(kernel_size=2, stride=2)
        self.conv2 = Conv2D(in_channels=20, out_channels=20, kernel_size=5, stride=1, padding=2)
        self.max_pool2 = MaxPool2D(kernel_size=2, stride=2)
        self.fc = Linear(in_features=980, out_features=1)

    def forward(self, images):
        x = F.relu(self.conv1(images))  # [n, 20, 28, 28]
        x = self.max_pool1(x)  # [n, 20, 14, 14]
        x = F.relu(self.conv2(x))  # [n, 20, 14, 14]
        x = self.max_pool2(x)  # [n, 20, 7, 7]
        x = paddle.flatten(x, start_axis=1)  # [n, 980]
        return self.fc(x)  # [n, 1]


paddle.seed(0)
net = CNN()
images, labels = next(load_data("train", batch_size=100, seed=0)())
outputs = net(paddle.to_tensor(images))
count = sum(p.size for p in net.parameters())
print("CNN:", list(images.shape), "->", outputs.shape, f" {count:,} parameters")
assert outputs.shape == [100, 1]
assert 20 * 7 * 7 == 980
assert count == (25 + 1) * 20 + (20 * 25 + 1) * 20 + 980 + 1 == 11_521

# %% [markdown]
# The package's `nets.CNN` is this net. `learners.build` trains it by shorter ways to the same numbers, about four
# times as fast as the plain layers on a CPU (lab 16 shows how). Same seed, same batch: the same loss.
#
# > 软件包里的 `nets.CNN` 就是这个网络。`learners.build` 用更短的路算出同样的数，在 CPU 上大约比普通的层快四倍
# >（做法见实验 16）。种子相同、批次相同，损失也相同。

# %%
paddle.seed(0)
assert np.array_equal(nets.CNN()(paddle.to_tensor(images)).numpy(), outputs.numpy())

plain = float(F.square_error_cost(outputs, paddle.to_tensor(labels)).mean())
fast = learners.build(settings_for("cnn", seed=0)).train_step(images, labels)
print(f"loss by plain layers {plain:.5f}, by the faster way {fast:.5f}")
assert abs(plain - fast) < 1e-3 * plain

# %% [markdown]
# ## FC against CNN · FC 对 CNN
#
# The course's closing comparison. Same digits in the same order, same loss, same optimizer, same learning rate. Only
# the net differs. The loop is that of lab 7; `engine.fit` writes down what we plot.
#
# > 这是课程最后的对比：同样的数字、同样的顺序、同样的损失、优化器和学习率，只有网络不同。
# > 循环就是实验 7 的循环；`engine.fit` 把要画的数记录下来。

# %%
whole = len(digits.train.images) > 10_000
epochs = lab.budget(4 if whole else 12, 2 if whole else 4)
steps = {"fc": [], "cnn": []}
history, trained = {}, {}
for name in steps:
    settings = settings_for(name, epochs=epochs, seed=0)
    trained[name] = learners.build(settings)
    history[name] = engine.fit(trained[name], digits.train, digits.valid, settings, on_step=steps[name].append)
    last = history[name][-1]
    print(f"{name:3}  validation square error {last['valid_loss']:.3f}  read right, rounded {last['accuracy']:.1%}")

# %%
figure, axes = plt.subplots(figsize=(8.5, 4.8))
per_epoch = len(steps["fc"]) / epochs
for name, colour, mark in (("fc", COLOURS[1], "s"), ("cnn", COLOURS[0], "o")):
    losses = np.array([step.loss for step in steps[name]])
    width = 10  # a running mean over ten batches: single ones jump about
    smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
    axes.plot(
        (np.arange(len(smooth)) + width) / per_epoch, smooth, color=colour, lw=1, alpha=0.7, label=f"{name}, train"
    )
    valid = [record["valid_loss"] for record in history[name]]
    axes.plot(range(1, epochs + 1), valid, color=colour, marker=mark, ls="--", label=f"{name}, validation")
axes.set(title="The course's two nets on the same digits", xlabel="epochs of training", ylabel="square error")
axes.set_ylim(0, 12)
axes.legend()
lab.save(figure, "fc_cnn.png")

fc, cnn = (history[name][-1]["valid_loss"] for name in ("fc", "cnn"))
assert cnn < fc, "the convolutions see more"
assert cnn < 0.8 * fc

# %% [markdown]
# The CNN has 11,521 parameters and the FC net 7,971. It is not the number that makes the difference, but what each of
# them looks at.
#
# > CNN 有 11,521 个参数，FC 网络有 7,971 个。差别不在数量，而在每个参数看的是什么。

# %%
assert sum(p.size for p in nets.FC().parameters()) == 785 * 10 + 11 * 10 + 11 == 7_971

# %% [markdown]
# ## What the CNN has learnt · CNN 学到了什么
#
# Nobody told it what to look for. Its twenty kernels, and what each of them sees in our 7, after the ReLU.
#
# > 没有人告诉它该找什么。下面是它学到的二十个核，以及每个核在我们的 7 里看到的东西（经过 ReLU）。

# %%
learnt = trained["cnn"].net
weights = learnt.conv1.weight.numpy()[:, 0]  # [20, 5, 5]
with paddle.no_grad():
    maps = F.relu(learnt.conv1(paddle.to_tensor(image[None, None]))).numpy()[0]  # [20, 28, 28]
assert weights.shape == (20, 5, 5)
assert maps.shape == (20, 28, 28)
assert (maps >= 0).all()

figure, grid = plt.subplots(4, 10, figsize=(11, 5.2), layout="constrained")
reach = np.abs(weights).max()
for place in range(20):
    row, column = 2 * (place // 10), place % 10
    grid[row, column].imshow(weights[place], cmap=signed, vmin=-reach, vmax=reach)
    grid[row + 1, column].imshow(maps[place], cmap="gray_r", vmin=0, vmax=maps.max())
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
for row, name in enumerate(("kernels\n1 to 10", "maps\n1 to 10", "kernels\n11 to 20", "maps\n11 to 20")):
    grid[row, 0].set_ylabel(name)
figure.suptitle("The first layer after training: kernels 5×5 (blue positive, orange negative) and their maps 28×28")
lab.save(figure, "learnt.png")

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 08 --start`, write your answers into `labs/my/08.py`, and check them with
# `python -m paddle_mnist.check 08`. `--hint` gives hints.
#
# 1. `output_size(size, kernel, stride, padding)`: how many places a kernel has room at.
# 2. `max_pool(x, size)`: the largest number of each square.
# 3. `convolve(images, kernels, biases, padding)`: a whole convolution layer in NumPy.
#
# > 运行 `python -m paddle_mnist.check 08 --start`，把答案写进 `labs/my/08.py`，
# > 再用 `python -m paddle_mnist.check 08` 检查。`--hint` 给出提示。
# >
# > 1. `output_size(size, kernel, stride, padding)`：卷积核放得下多少个位置。
# > 2. `max_pool(x, size)`：每个方格里最大的数。
# > 3. `convolve(images, kernels, biases, padding)`：用 NumPy 写出完整的卷积层。

# %%
lab.finish(fc_square_error=round(fc, 3), cnn_square_error=round(cnn, 3))

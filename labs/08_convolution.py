# %% [markdown]
# # 8. Convolution · 卷积
#
# The net of lab 7 throws away where a pixel is: its first layer sees a row of 784 numbers. A convolution looks at
# neighbours together, and at every place in the same way. This lab begins with an experiment that shows the difference,
# slides kernels by hand, draws what they see, and trains the course's second net, written on this page.
#
# > 实验 7 的网络不管像素在哪里：它的第一层看到的只是一行 784 个数。卷积则把相邻的像素放在一起看，
# > 并且在每个位置用同样的方式看。本实验先用一个实验说明两者的区别，再手工滑动卷积核，画出它们看到的东西，
# > 最后训练写在这一页上的、课程的第二个网络。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from matplotlib.colors import LinearSegmentedColormap
from paddle.nn import Conv2D, Linear, MaxPool2D

from paddle_mnist import engine, fast, learners, nets
from paddle_mnist.loader import batches, shuffled
from paddle_mnist.recipes import settings_for
from paddle_mnist.splits import Split

lab = Lab("08_convolution")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## Shuffle the pixels · 打乱像素
#
# Choose one order of the 784 pixels at random, and rearrange the pixels of *every* image in that order. Nothing is
# lost: the order can be undone.
#
# **Predict, then run:** can you still read the digits? Will lab 7's FC net learn them as well as before? Will a net of
# convolutions? (That one comes at the end of the lab.)
#
# > 随机选定 784 个像素的一种顺序，把*每一张*图像的像素都按这个顺序重排。没有丢失任何东西：这个顺序可以还原。
# >
# > **先预测，再运行**：你还认得出这些数字吗？实验 7 的全连接网络能学得和以前一样好吗？卷积网络呢？
# > （最后一个问题到本实验结尾再回答。）

# %%
lab.section("Shuffle the pixels")
scatter = np.random.default_rng(0).permutation(784)


def scattered(split):
    rows = split.images.reshape(-1, 784)[:, scatter]  # [n, 784], each row in the new order
    return Split(rows.reshape(-1, 28, 28), split.labels)


splits = {
    "as they are": (digits.train, digits.valid),
    "pixels shuffled": (scattered(digits.train), scattered(digits.valid)),
}
undo = np.argsort(scatter)
assert np.array_equal(
    splits["pixels shuffled"][0].images[:10].reshape(10, 784)[:, undo], digits.train.images[:10].reshape(10, 784)
)

# %% [markdown]
# The loop is that of lab 7. `fast.train_step` does what `plain_step` does, sooner (lab 16); where it does not know a
# net, it returns `None`, and we take the plain step.
#
# > 训练循环就是实验 7 的循环。`fast.train_step` 做的与 `plain_step` 相同，只是更快（见实验 16）；
# > 遇到不认识的网络，它返回 `None`，这时用普通的一步。

# %%
whole = len(digits.train.images) > 10_000
EPOCHS = lab.budget(3 if whole else 8, 1)


def square_error(net, split):
    images, labels = (paddle.to_tensor(array) for array in next(batches(split, 1000)))
    with paddle.no_grad():
        return float(F.square_error_cost(net(images), labels).mean())


def train(net, train_split, valid_split):
    """Return the loss of every batch, and the validation loss after every epoch."""
    clip = paddle.nn.ClipGradByGlobalNorm(5.0)
    optimizer = paddle.optimizer.SGD(0.01, parameters=net.parameters(), grad_clip=clip)

    def plain_step(images, labels):
        loss = F.square_error_cost(net(paddle.to_tensor(images)), paddle.to_tensor(labels)).mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    step = fast.train_step(net, "regress", optimizer) or plain_step
    losses, valid = [], []
    for epoch in range(EPOCHS):
        for images, labels in batches(train_split, 100, order=shuffled(len(train_split.labels), 0, epoch)):
            losses.append(step(images, labels))
        valid.append(square_error(net, valid_split))
    return losses, valid


results, trained = {}, {}
for order, (train_split, valid_split) in splits.items():
    paddle.seed(0)
    trained["FC", order] = nets.FC()
    results["FC", order] = train(trained["FC", order], train_split, valid_split)
    print(f"FC, {order:16} validation square error {results['FC', order][1][-1]:.3f}")
fc, fc_shuffled = results["FC", "as they are"][1][-1], results["FC", "pixels shuffled"][1][-1]
assert abs(fc_shuffled / fc - 1) < 0.1, "the FC net does not care"

# %% [markdown]
# To the FC net a shuffled digit is as good as a straight one: it never knew which pixels are neighbours. We do know. A
# net that uses this knowledge should do better on real images, and worse on shuffled ones.
#
# > 对全连接网络来说，打乱的数字和正常的数字没有区别：它从来不知道哪些像素相邻。而我们知道。
# > 利用这一知识的网络，应当在真实图像上做得更好，在打乱的图像上做得更差。

# %% [markdown]
# ## A kernel · 卷积核
#
# A kernel is a small square of weights. Lay it on the image, multiply each pixel by the weight above it, add up: that
# is one output. Move on by one pixel, and again. (Mathematicians turn the kernel round before they slide it, and call
# what we do *cross-correlation*. In nets it makes no difference, because the weights are learnt.)
#
# The kernel below is positive on the left and negative on the right. It answers strongly where ink ends towards the
# right.
#
# > 卷积核是一小块方形的权重。把它盖在图像上，每个像素乘以它上面的权重，再加起来，就得到一个输出；
# > 移动一个像素，再做一次。（数学家在滑动之前先把核转过来，把我们的做法叫做*互相关*。
# > 在网络里没有区别，因为权重是学出来的。）
# >
# > 下面这个核左正右负：在墨迹向右结束的地方，它的响应很强。
#
#     y[i, j] = Σ_a Σ_c  x[i + a, j + c] k[a, c]

# %%
lab.section("A kernel")
sample = dataset.open_dataset("sample").train
image = sample.images[np.flatnonzero(sample.labels == 7)[12]].astype(np.float32) / 255  # [28, 28]
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
assert by_hand.shape == (26, 26), "a kernel of 3 fits in 28 - 3 + 1 places"

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
lab.section("Feature maps")
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
figure.suptitle("Each kernel (below) answers to its own feature (map above)")
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
# A kernel of size k loses k - 1 rows. With a frame of zeros around the image, the *padding*, the size can be kept. The
# stride s is how far the kernel moves each time.
#
# **Predict, then run:** a kernel of 5 and a padding of 0, 1 and 2. How many rows has the output?
#
# > 大小为 k 的核会损失 k - 1 行。给图像围一圈零，即*填充*，就能保持尺寸。步幅 s 是核每次移动的距离。
# >
# > **先预测，再运行**：核的大小为 5，填充为 0、1、2。输出有多少行？
#
#     output = (size + 2 padding - k) // s + 1

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
images, labels = next(batches(digits.train, 100))
outputs = net(paddle.to_tensor(images))
count = sum(p.size for p in net.parameters())
print("CNN:", list(images.shape), "->", outputs.shape, f" {count:,} parameters")
assert outputs.shape == [100, 1]
assert 20 * 7 * 7 == 980
assert count == (25 + 1) * 20 + (20 * 25 + 1) * 20 + 980 + 1 == 11_521
assert [p.shape for p in net.parameters()] == [p.shape for p in nets.CNN().parameters()], "the package's net is this"

# %% [markdown]
# ## FC against CNN, straight and shuffled · FC 对 CNN，正常与打乱
#
# The course's closing comparison, with a control. Same digits in the same order, same loss, same optimizer, same
# learning rate. Only the net differs; and the CNN gets the shuffled images, too.
#
# > 这是课程最后的对比，加上一个对照：同样的数字、同样的顺序、同样的损失、优化器和学习率，只有网络不同；
# > CNN 也要面对打乱的图像。

# %%
lab.section("FC against CNN")
for order, (train_split, valid_split) in splits.items():
    paddle.seed(0)
    trained["CNN", order] = CNN()
    if order == "as they are":
        before = {name: p.numpy() for name, p in trained["CNN", order].named_parameters()}  # for later
    results["CNN", order] = train(trained["CNN", order], train_split, valid_split)
    print(f"CNN, {order:16} validation square error {results['CNN', order][1][-1]:.3f}")
cnn, cnn_shuffled = results["CNN", "as they are"][1][-1], results["CNN", "pixels shuffled"][1][-1]
assert cnn < 0.8 * fc, "on images the convolutions see more"
assert cnn_shuffled > 1.15 * cnn, "without neighbours they lose much of it"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=(1, 2.6), layout="constrained")
picture = np.hstack([digits.valid.images[:3].reshape(-1, 28), splits["pixels shuffled"][1].images[:3].reshape(-1, 28)])
left.imshow(picture, cmap="gray_r")
left.axvline(27.5, color=COLOURS[1])
left.set(title="as they are | shuffled", xticks=[], yticks=[])
per_epoch = len(results["FC", "as they are"][0]) / EPOCHS
for (name, order), (losses, valid) in results.items():
    colour, mark = (COLOURS[1], "s") if name == "FC" else (COLOURS[0], "o")
    line = "-" if order == "as they are" else ":"
    places = range(1, EPOCHS + 1)
    right.plot(places, valid, line, color=colour, marker=mark, label=f"{name}, {order}: {valid[-1]:.2f}")
    if order == "as they are":
        width = 10  # a running mean over ten batches: single ones jump about
        smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
        right.plot((np.arange(len(smooth)) + width) / per_epoch, smooth, color=colour, lw=0.8, alpha=0.5)
right.set(title="The CNN is better, but only while neighbours are neighbours", xlabel="epochs of training")
right.set(ylabel="square error (thin: training batches)", ylim=(0, 12))
right.legend(title="validation digits")
lab.save(figure, "fc_cnn.png")

# %% [markdown]
# The CNN has 11,521 parameters and the FC net 7,971. It is not the number that makes the difference, but what each of
# them looks at. The package has the same net, and its loop gives the same losses:
#
# > CNN 有 11,521 个参数，FC 网络有 7,971 个。差别不在数量，而在每个参数看的是什么。
# > 软件包里有同样的网络，它的循环给出同样的损失：

# %%
assert sum(p.size for p in nets.FC().parameters()) == 785 * 10 + 11 * 10 + 11 == 7_971
settings = settings_for("cnn", epochs=1, seed=0)
first_epoch = []
engine.fit(learners.build(settings), digits.train, digits.valid, settings, on_step=lambda s: first_epoch.append(s.loss))
ours = np.mean(results["CNN", "as they are"][0][: len(first_epoch)])
print(f"mean loss of the first epoch: ours {ours:.4f}, the package's {np.mean(first_epoch):.4f}")
assert abs(np.mean(first_epoch) - ours) < 0.01 * ours

# %% [markdown]
# ## What the CNN has learnt · CNN 学到了什么
#
# **Predict, then run:** the twenty kernels of the first layer began as random numbers. How different are they now?
#
# > **先预测，再运行**：第一层的二十个核从随机数开始。现在它们变了多少？

# %%
lab.section("What the CNN has learnt")
learnt = trained["CNN", "as they are"]
moved = {}
for name, parameter in learnt.named_parameters():
    if "weight" in name:
        now, start = parameter.numpy().ravel(), before[name].ravel()
        moved[name] = float(np.linalg.norm(now - start) / np.linalg.norm(start))
        print(f"{name:13} moved by {moved[name]:5.1%} of its length; correlation", end=" ")
        print(f"with its start {np.corrcoef(now, start)[0, 1]:.3f}")
kernels_now, kernels_before = learnt.conv1.weight.numpy()[:, 0], before["conv1.weight"][:, 0]  # [20, 5, 5]
assert np.corrcoef(kernels_now.ravel(), kernels_before.ravel())[0, 1] > 0.9, "they look as at the start"
assert moved["conv1.weight"] < 0.3 * moved["fc.weight"], "most of the learning is in the last layer"

# %% [markdown]
# They have hardly moved! A picture of these kernels is a picture of the random start. So what does the first layer do?
# Ask it: for each kernel, find the fifty patches of digits that excite it most, and average them. Random kernels, too,
# answer each to a stroke of its own, and the last layer learns to use the answers.
#
# > 它们几乎没有变！这些核的图像就是随机初始值的图像。那么第一层做了什么？问问它自己：
# > 为每个核找出使它响应最强的五十个图像小块，再求平均。随机的核也各自响应某一种笔画，最后一层学会利用这些响应。

# %%
first = digits.train.images[:500].astype(np.float32) / 255  # [500, 28, 28]
windows = np.lib.stride_tricks.sliding_window_view(first, (5, 5), axis=(1, 2)).reshape(-1, 25)  # every patch
answers = windows @ kernels_now.reshape(20, 25).T  # [patches, 20]
favourites = np.stack([windows[np.argsort(answers[:, k])[-50:]].mean(axis=0).reshape(5, 5) for k in range(20)])
assert favourites.shape == (20, 5, 5)
contrast = favourites.reshape(20, 25).std(axis=1)
print(f"contrast within an average favourite patch: {contrast.mean():.2f}; within an average patch", end=" ")
print(f"{windows[answers.max(axis=1) > 0].mean(axis=0).std():.2f}")
assert contrast.mean() > 3 * windows[answers.max(axis=1) > 0].mean(axis=0).std(), "the patches of one kernel agree"

figure, grid = plt.subplots(3, 20, figsize=(13, 2.7), layout="constrained")
reach = np.abs(kernels_now).max()
for k in range(20):
    grid[0, k].imshow(kernels_before[k], cmap=signed, vmin=-reach, vmax=reach)
    grid[1, k].imshow(kernels_now[k], cmap=signed, vmin=-reach, vmax=reach)
    grid[2, k].imshow(favourites[k], cmap="gray_r", vmin=0, vmax=1)
for axes in grid.flat:
    axes.set(xticks=[], yticks=[])
for row, name in enumerate(("start", "trained", "favourite\npatch")):
    grid[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.suptitle("Training hardly moved these kernels; even so, each answers to a stroke of its own (below)")
lab.save(figure, "learnt.png")

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 08 --start`, write your answers into `labs/my/08.py`, and check them with
# `python -m paddle_mnist.check 08`. `--hint` gives hints.
#
# 1. `receptive_field(layers)`: how many pixels one output of several layers sees.
# 2. `max_pool(x, size)`: the largest number of each square.
# 3. `convolve(images, kernels, biases, padding)`: a whole convolution layer in NumPy.
#
# > 运行 `python -m paddle_mnist.check 08 --start`，把答案写进 `labs/my/08.py`，
# > 再用 `python -m paddle_mnist.check 08` 检查。`--hint` 给出提示。
# >
# > 1. `receptive_field(layers)`：几层之后，一个输出能看到多少个像素。
# > 2. `max_pool(x, size)`：每个方格里最大的数。
# > 3. `convolve(images, kernels, biases, padding)`：用 NumPy 写出完整的卷积层。

# %%
lab.finish(square_error={f"{name}, {order}": round(valid[-1], 3) for (name, order), (_, valid) in results.items()})

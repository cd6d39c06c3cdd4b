# %% [markdown]
# # 16. Make it fast · 加速
#
# The same net can train in an hour or in a few minutes on the same machine. This lab measures, on *your* machine, where
# the time goes, and tries one improvement after the other. None of them changes a result: that is asserted every time.
# The times are yours; nothing is asserted about them.
#
# > 同一个网络在同一台机器上，可能训练一小时，也可能只要几分钟。本实验在*你的*机器上测量时间花在哪里，
# > 逐个尝试各种办法。没有一个会改变结果：每次都用断言验证。时间是你机器上的，我们对它不作任何断言。

# %%
import mmap
import os
import platform
import subprocess
import sys
import time

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

pulled = cpu.tune()  # what it does is measured at the end
import paddle
import paddle.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view

from paddle_mnist import fast
from paddle_mnist.nets import CNN

lab = Lab("16_make_it_fast")
paddle.set_device("cpu")  # this lab is about the processor, also on a machine with a GPU
digits = dataset.open_dataset("auto", log=print)
print(f"{platform.system()} {platform.machine()}, {cpu.threads()} cores for us; tuned: {pulled or 'nothing'}")

# %% [markdown]
# ## How to measure · 怎样测量
#
# Do the thing once without the clock: first calls load code and make buffers. Then repeat, and take the *smallest*
# time. Whatever disturbs a measurement (other programs, a hot processor) only ever makes it longer.
#
# > 先不计时做一次：第一次调用要加载代码、准备缓冲区。然后重复多次，取*最小*的时间。
# > 干扰测量的因素（别的程序、处理器过热）只会让时间变长。

# %%
lab.section("How to measure")
REPEATS = lab.budget(7, 3)


def best_ms(work):
    """Return the smallest time of several calls after a first one, in milliseconds."""
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


# %% [markdown]
# ## What can be reached · 能达到什么
#
# A processor is at its best in a product of large matrices. For [n, k] times [k, m] it does n · m · k multiplications
# and as many additions, so 2 n m k operations. A billion operations a second are one GFLOP/s.
#
# **Predict, then run:** which is closer to the processor's best, a product of [8, 8] matrices or one of [512, 512]? By
# what factor?
#
# > 处理器在做大矩阵乘积时效率最高。[n, k] 乘 [k, m] 要做 n · m · k 次乘法和同样多的加法，即 2 n m k 次运算。
# > 每秒十亿次运算是 1 GFLOP/s。
# >
# > **先预测，再运行**：[8, 8] 的矩阵乘积和 [512, 512] 的矩阵乘积，哪个更接近处理器的最佳状态？相差多少倍？

# %%
lab.section("What can be reached")
rng = np.random.default_rng(0)
sizes = lab.budget([8, 16, 32, 64, 128, 256, 512, 1024], [8, 64, 256])
gflops = {"NumPy": [], "Paddle": []}
for n in sizes:
    a, b = rng.normal(size=(2, n, n)).astype(np.float32)
    pa, pb = paddle.to_tensor(a), paddle.to_tensor(b)
    often = max(1, 64**3 // n**3)
    for name, product in (("NumPy", lambda a=a, b=b: a @ b), ("Paddle", lambda pa=pa, pb=pb: paddle.matmul(pa, pb))):
        ms = best_ms(lambda product=product, often=often: [product() for _ in range(often)]) / often
        gflops[name].append(2 * n**3 / ms / 1e6)
    assert np.allclose(a @ b, paddle.matmul(pa, pb).numpy(), atol=1e-3)
peak = max(*gflops["NumPy"], *gflops["Paddle"])
print(f"the most that a product reached here: {peak:.0f} GFLOP/s")

figure, axes = plt.subplots(figsize=(7.5, 4.2))
for colour, (name, values) in zip(COLOURS, gflops.items(), strict=False):
    axes.loglog(sizes, values, "o-", color=colour, label=name)
axes.set(title="Large matrix products are fast, small ones are not", xlabel="n, of [n, n] @ [n, n]", ylabel="GFLOP/s")
axes.set_xticks(sizes, [str(n) for n in sizes])
axes.minorticks_off()
axes.legend()
lab.save(figure, "products.png")

# %% [markdown]
# Small matrices are slow: calling costs more than computing.
#
# > 小矩阵很慢：调用的开销超过计算本身。

# %% [markdown]
# ## What a step costs at least · 一步至少要花多少
#
# Count the operations of the course's convolutional net, forward, for a batch of 100. Backward costs about twice that:
# once for the weights' gradient, once for the inputs' (the first layer needs none of its inputs').
#
# > 数一数课程卷积网络前向传播一批 100 张的运算量。反向传播大约是它的两倍：一次求权重的梯度，一次求输入的梯度
# > （第一层不需要输入的梯度）。
#
#     convolution   2 · outputs · (patch size)          Linear   2 · inputs · outputs

# %%
batch = lab.budget(100, 20)
conv1 = 2 * (batch * 20 * 28 * 28) * (1 * 5 * 5)
conv2 = 2 * (batch * 20 * 14 * 14) * (20 * 5 * 5)
linear = 2 * batch * 980 * 1
step_operations = 2 * conv1 + 3 * conv2 + 3 * linear
bound_ms = step_operations / (peak * 1e6)
print(f"a step does {step_operations / 1e9:.2f} GFLOP: at {peak:.0f} GFLOP/s that is {bound_ms:.1f} ms")
assert conv2 == batch * 3_920_000
assert conv2 / (conv1 + conv2 + linear) > 0.8, "most of the work is in the second convolution"

# %% [markdown]
# ## Where Paddle's step spends its time · Paddle 的一步花在哪里
#
# Now measure the layers as they come, forward and backward.
#
# **Predict, then run:** the second convolution does more than 80 % of the operations. Does it take 80 % of the time?
#
# > 现在测量各层本来的样子，前向加反向。
# >
# > **先预测，再运行**：第二个卷积占了 80 % 以上的运算量。它也占 80 % 的时间吗？

# %%
lab.section("Where Paddle's step spends its time")
images = digits.train.images[:batch, np.newaxis].astype(np.float32) / 255  # [100, 1, 28, 28]
labels = digits.train.labels[:batch, np.newaxis].astype(np.float32)  # [100, 1]
paddle.seed(0)
net = CNN()


def forward_and_backward(layer, shape):
    x = paddle.to_tensor(rng.normal(size=shape).astype(np.float32), stop_gradient=shape[1] == 1)
    g = paddle.ones_like(layer(x))

    def work():
        layer(x).backward(g)
        net.clear_gradients()
        x.clear_gradient()

    return best_ms(work)


hidden = [batch, 20, 28, 28], [batch, 20, 14, 14]
layer_ms = {
    "convolution 1": forward_and_backward(net.conv1, [batch, 1, 28, 28]),
    "ReLU 1": forward_and_backward(F.relu, hidden[0]),
    "pooling 1": forward_and_backward(net.max_pool1, hidden[0]),
    "convolution 2": forward_and_backward(net.conv2, hidden[1]),
    "ReLU 2": forward_and_backward(F.relu, hidden[1]),
    "pooling 2": forward_and_backward(net.max_pool2, hidden[1]),
    "Linear": forward_and_backward(net.fc, [batch, 980]),
}
for name, ms in layer_ms.items():
    print(f"{name:14} {ms:7.2f} ms")

figure, axes = plt.subplots(figsize=(7.5, 3.8))
names = list(layer_ms)[::-1]
axes.barh(names, [layer_ms[name] for name in names], color=[COLOURS["conv" in name] for name in names])
axes.set(title="ReLU and pooling compute little, and still take time", xlabel="milliseconds (smallest of several)")
lab.save(figure, "layers.png")

# %% [markdown]
# The first ReLU and the first pooling compute almost nothing, and yet they cost time: in a batch of 100 each goes over
# 1.5 million numbers. Moving numbers is as costly as computing with them.
#
# > 第一个 ReLU 和第一个池化几乎不做计算，却也要花时间：一批 100 张时，各要处理一百五十万个数。搬运数据与计算一样昂贵。

# %% [markdown]
# ## Convolution as one matrix product · 把卷积写成一个矩阵乘积
#
# The best trick there is: lay the 25 pixels under the kernel, for every place of every image, side by side in a row.
# Then the whole convolution is a single product of large matrices. This is called *im2col*.
#
# > 最有效的技巧：把每张图像每个位置上核下面的 25 个像素排成一行。这样整个卷积就是一个大矩阵乘积。
# > 这种做法叫 *im2col*。
#
#     patches [n · 28 · 28, 25]  @  kernels [25, 20]  =  outputs [n · 28 · 28, 20]


# %%
def im2col(images, size=5, padding=2):
    """Return patches [n * height * width, channels * size * size] of images [n, channels, height, width]."""
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(padded, (size, size), axis=(2, 3))  # [n, c, h, w, size, size], nothing copied
    n, channels, height, width = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, channels * size * size)  # copied here


def convolve(images, weight, bias):
    n, _, height, width = images.shape
    outputs = im2col(images) @ weight.reshape(len(weight), -1).T + bias  # [n * h * w, 20]
    return outputs.reshape(n, height, width, len(weight)).transpose(0, 3, 1, 2)  # [n, 20, h, w]


def convolve_by_loops(image, weight, bias):
    """Return the same for one image [channels, height, width], by the definition."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2)))
    outputs = np.empty((len(weight), height, width), np.float32)
    for channel in range(len(weight)):
        for row in range(height):
            for column in range(width):
                window = padded[:, row : row + 5, column : column + 5]
                outputs[channel, row, column] = (window * weight[channel]).sum() + bias[channel]
    return outputs


weight, bias = net.conv1.weight.numpy(), net.conv1.bias.numpy()  # [20, 1, 5, 5] and [20]
with paddle.no_grad():
    theirs = net.conv1(paddle.to_tensor(images)).numpy()  # [100, 20, 28, 28]
ours = convolve(images, weight, bias)
print("patches:", im2col(images).shape, " outputs:", ours.shape)
assert im2col(images).shape == (batch * 28 * 28, 25)
assert ours.shape == theirs.shape == (batch, 20, 28, 28)
assert np.allclose(ours, theirs, atol=1e-5), "the same as Paddle's Conv2D"
assert np.allclose(ours[0], convolve_by_loops(images[0], weight, bias), atol=1e-5), "and as the definition"

middle = rng.normal(size=(batch, 20, 14, 14)).astype(np.float32)
weight2, bias2 = net.conv2.weight.numpy(), net.conv2.bias.numpy()
with paddle.no_grad():
    assert np.allclose(convolve(middle, weight2, bias2), net.conv2(paddle.to_tensor(middle)).numpy(), atol=1e-4), (
        "with twenty channels too"
    )

# %%
loops_began = time.perf_counter()
convolve_by_loops(images[0], weight, bias)
loops_ms = 1000 * (time.perf_counter() - loops_began) * batch  # measured on one image
with paddle.no_grad():
    x = paddle.to_tensor(images)
    ways = {
        "loops in Python": loops_ms,
        "im2col and a product": best_ms(lambda: convolve(images, weight, bias)),
        "Paddle's Conv2D": best_ms(lambda: net.conv1(x)),
    }
for name, ms in ways.items():
    print(f"{name:22} {ms:9.1f} ms for {batch} images")

# %% [markdown]
# ## Fresh memory, used memory · 新内存与旧内存
#
# Fresh memory is only a promise. The system hands out each page, often 4096 bytes, when it is first touched, and has
# to fill it with zeros before. Memory that is used again is there already. So a fast program makes its buffers once
# and writes into them: `out=` in NumPy.
#
# > 新内存只是一个承诺：每一页（通常 4096 字节）要到第一次被碰到时，系统才真正给出，给之前还得填满零。
# > 重复使用的内存早已在那里。所以快的程序只创建一次缓冲区，以后都写进去：在 NumPy 里用 `out=`。


# %%
def in_fresh_memory(source):
    target = np.frombuffer(mmap.mmap(-1, source.nbytes), np.float32)  # straight from the system
    return np.multiply(source, 2, out=target)


megabytes = np.array(lab.budget([0.25, 1, 4, 16, 48], [0.25, 4, 16]))
memory_ms = {"fresh from the system": [], "a new NumPy array": [], "one array, used again (out=)": []}
for size in megabytes:
    source = np.ones(int(size * 2**18), np.float32)  # 2**18 numbers are a megabyte
    target = np.empty_like(source)
    doublings = (
        lambda source=source: in_fresh_memory(source),
        lambda source=source: source * 2,
        lambda source=source, target=target: np.multiply(source, 2, out=target),
    )
    for times, double in zip(memory_ms.values(), doublings, strict=True):
        assert np.array_equal(double(), np.full_like(source, 2))
        times.append(best_ms(double))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for colour, (name, times) in zip(COLOURS, memory_ms.items(), strict=False):
    speed = 2 * megabytes / times  # read and written, MB a millisecond are GB a second
    left.semilogx(megabytes, speed, "o-", color=colour, label=name)
    print(f"{name:22}", "  ".join(f"{size:g} MB {ms:.2f} ms" for size, ms in zip(megabytes, times, strict=True)))
left.set(title="Memory that is used again is faster than fresh memory", xlabel="size of the array, MB")
left.set_ylabel("GB read and written a second")
left.set_ylim(bottom=0)
left.set_xticks(megabytes, [f"{size:g}" for size in megabytes])
left.minorticks_off()
left.legend()

# %% [markdown]
# A new NumPy array costs far less than fresh memory: the C library often keeps what was given back, and hands it out
# again. Paddle's arrays are made in another way, and there it often does not. `cpu.tune()` asks it (on Linux with
# glibc) to keep blocks of up to 32 MB always.
#
# > 新的 NumPy 数组比全新的内存便宜得多：C 运行库常常留下还回来的内存，再次发放。
# > Paddle 的数组用另一种方式创建，往往享受不到。
# > `cpu.tune()` 请求它（在使用 glibc 的 Linux 上）把 32 MB 以内的内存块一律留着。

# %% [markdown]
# ## Blocks that fit the cache · 放得进缓存的块
#
# Next to each core is a small, fast memory: the cache, some hundred kilobytes to a few megabytes. Three passes over a
# large array fetch it three times from the slow main memory. Taken in blocks that fit, each block is fetched once and
# then stays near for all three passes. The result is the same to the bit, since the same operations are done on the
# same numbers.
#
# > 每个核心旁边有一小块快速内存：缓存，几百 KB 到几 MB。对一个大数组处理三遍，就要从慢的主存取三次。
# > 如果分成放得进缓存的小块，每块只取一次，三遍处理时都留在近处。
# > 结果一个比特都不差，因为对同样的数做的是同样的运算。

# %%
values = rng.normal(size=lab.budget(2**24, 2**21)).astype(np.float32)
result = np.empty_like(values)


def three_passes(block):
    for first in range(0, len(values), block):
        part, out = values[first : first + block], result[first : first + block]
        np.multiply(part, 1.5, out=out)
        np.add(out, 0.25, out=out)
        np.maximum(out, 0, out=out)


whole = np.maximum(values * np.float32(1.5) + np.float32(0.25), 0)
block_sizes = [2**power for power in lab.budget(range(9, 25), range(9, 22, 4))]
block_ms = []
for block in block_sizes:
    result[:] = np.nan
    block_ms.append(best_ms(lambda block=block: three_passes(block)))
    assert np.array_equal(result, whole), "the same to the bit, whatever the block"

kilobytes = np.array(block_sizes) * 4 / 1024
right.semilogx(kilobytes, block_ms, "o-", color=COLOURS[2], base=2)
right.set_ylim(bottom=0)
right.set(title="Three passes, block by block: neither too small nor too large", xlabel="size of a block, KB")
right.set_ylabel("milliseconds")
right.set_xticks([4, 64, 1024, 16384], ["4", "64", "1024", "16384"])
lab.save(figure, "memory.png")
print(f"best block: {kilobytes[int(np.argmin(block_ms))]:.0f} KB, whole array at once: {block_ms[-1]:.1f} ms, ", end="")
print(f"best: {min(block_ms):.1f} ms")

# %% [markdown]
# On the left end of this curve the blocks are so small that calling NumPy costs more than computing. On the right they
# no longer fit into the cache; how much that costs depends on your machine. With a large cache and fast memory the
# curve rises only a little there.
#
# > 曲线左端的块太小，调用 NumPy 的开销超过计算；右端的块放不进缓存，代价有多大取决于你的机器。
# > 如果缓存大、内存快，曲线在那里只略微上升。

# %% [markdown]
# ## All together: plain step, fast step · 合在一起：普通训练步与加速训练步
#
# `paddle_mnist.fast` does all this for any net of the layers it knows: a few images at a time go through the whole net,
# forward and backward, as matrix products in buffers that stay in the cache, one such block on each core. We used it in
# labs 8, 9, 13 and 14: `fast.train_step(net, task, optimizer)`. Losses and weights agree with the plain step to
# rounding.
#
# **Predict, then run:** from all that you have measured, how many times as fast will it be on your machine?
#
# > `paddle_mnist.fast` 对由它认识的层组成的任何网络做的就是这些：每次让几张图像走完整个网络，前向加反向，
# > 全部写成矩阵乘积，缓冲区留在缓存里，每个核心处理一块。实验 8、9、13、14 用过它：
# > `fast.train_step(net, task, optimizer)`。损失和权重与普通的一步在舍入误差内一致。
# >
# > **先预测，再运行**：根据你测量的一切，它在你的机器上会快多少倍？

# %%
lab.section("Plain step, fast step")


def build():
    paddle.seed(0)
    net = CNN()
    clip = paddle.nn.ClipGradByGlobalNorm(5.0)
    return net, paddle.optimizer.SGD(0.01, parameters=net.parameters(), grad_clip=clip)


plain_net, plain_optimizer = build()


def plain_step(images, labels):
    loss = F.square_error_cost(plain_net(paddle.to_tensor(images)), paddle.to_tensor(labels)).mean()
    loss.backward()
    plain_optimizer.step()
    plain_optimizer.clear_grad()
    return float(loss)


quick_net, quick_optimizer = build()
quick_step = fast.train_step(quick_net, "regress", quick_optimizer)
losses = np.array([[step(images, labels) for step in (plain_step, quick_step)] for _ in range(3)])  # [3, 2]
print("losses of three steps, plain and fast:\n", losses)
assert np.allclose(losses[:, 0], losses[:, 1], rtol=1e-4)
for ours, theirs in zip(plain_net.parameters(), quick_net.parameters(), strict=True):
    assert np.allclose(ours.numpy(), theirs.numpy(), atol=1e-4), ours.name

step_ms = {
    "plain step": best_ms(lambda: plain_step(images, labels)),
    "fast step": best_ms(lambda: quick_step(images, labels)),
}
print(f"the fast step is {step_ms['plain step'] / step_ms['fast step']:.1f} times as fast on this machine, now")

# %% [markdown]
# ## Out of the box · 不做任何优化
#
# And how fast is Paddle out of the box? Its threads and its matrix library are chosen when it is
# imported, so that takes a new process. It trains the same net with the same three steps.
#
# > 那么开箱即用的 Paddle 会怎样？线程数和矩阵库是在导入时选定的，所以要另起一个进程。
# > 它用同样的三步训练同一个网络。

# %%
lab.section("Out of the box")
SCRIPT = """
import sys, time
import numpy as np
from paddle_mnist import cpu
way, tuned = sys.argv[2:4]
if tuned == "tuned":
    cpu.tune()
from paddle_mnist import learners
from paddle_mnist.recipes import settings_for

batch = np.load(sys.argv[1])
learner = learners.build(settings_for("cnn"), plain=way == "plain")
losses, times = [], []
for _ in range(int(sys.argv[4])):
    began = time.perf_counter()
    losses.append(learner.train_step(batch["images"], batch["labels"]))
    times.append(time.perf_counter() - began)
print(1000 * min(times), *losses[:3])
"""
np.savez(lab.folder / "batch.npz", images=images, labels=labels)
CHOICES = ("MKL_DEBUG_CPU_TYPE", "MKL_NUM_THREADS", "MKL_DYNAMIC", "OMP_NUM_THREADS")


def in_a_new_process(way, tuned, **variables):
    clean = {name: value for name, value in os.environ.items() if name not in CHOICES}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(lab.folder / "batch.npz"), way, tuned, str(REPEATS)]
    done = subprocess.run(command, env={**clean, **variables}, stdout=subprocess.PIPE, text=True, check=True)
    ms, *their_losses = map(float, done.stdout.split("\n")[-2].split())
    assert np.allclose(their_losses, losses[:, 0], rtol=1e-4), "none of this changes what is computed"
    return ms


step_ms = {"as installed": in_a_new_process("plain", "untuned"), **step_ms}
if lab.budget(True, False):
    step_ms["fast step, one core"] = in_a_new_process("fast", "tuned", OMP_NUM_THREADS="1")

for name, ms in step_ms.items():
    print(f"{name:22} {ms:7.1f} ms a step, {step_operations / ms / 1e6:6.1f} GFLOP/s of the {peak:.0f} reached above")

# %%
figure, axes = plt.subplots(figsize=(8, 3.2))
names = [name for name in ("as installed", "plain step", "fast step, one core", "fast step") if name in step_ms][::-1]
named = {"plain step": "plain step, tuned", "fast step": "fast step, all cores"}
bars = axes.barh([named.get(name, name) for name in names], [step_ms[name] for name in names], color=COLOURS[0])
axes.bar_label(bars, fmt="%.1f", padding=3)
axes.axvline(bound_ms, color=COLOURS[1], linestyle="--", label="if all were a large product")
axes.set(title="One training step of the CNN: same losses, other time", xlabel=f"milliseconds, batch of {batch}")
axes.margins(x=0.12)
axes.legend(loc="lower right")
lab.save(figure, "steps.png")

# %% [markdown]
# Is "plain step, tuned" hardly shorter than "as installed" on your machine? It may be. Paddle convolves image by image,
# so its products are small, and two threads on a small product can wait for each other longer than they compute (see
# the middle sizes in the first picture). So `cpu.tune()` leaves the plain layers on one thread. More threads pay on
# large pieces of work, which is why `fast` gives each core whole blocks of images.
#
# > 在你的机器上，“plain step, tuned”几乎不比“as installed”快吗？有可能。Paddle 逐张图像做卷积，所以矩阵乘积都很小，
# > 两个线程合做一个小乘积时，互相等待的时间可能超过计算（看第一张图中的中等尺寸）。
# > 因此 `cpu.tune()` 让普通的层只用一个线程。线程多只对大块的工作有好处，所以 `fast` 把整块的图像分给每个核心。

# %% [markdown]
# Between the last bar and the dashed line is what is left to gain. Measure before you change anything, change one thing
# at a time, and check after each change that the results are the same. A fast program that computes something else is
# only wrong sooner.
#
# > 最短的条与虚线之间，就是还能争取的余地。改动之前先测量，一次只改一处，每次改动后都要证明结果没有变。
# > 一个算错东西的快程序，只是错得更早而已。

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 16 --start`, write into `labs/my/16.py`, and check with
# `python -m paddle_mnist.check 16`.
#
# 1. `conv_operations(n, channels, height, width, kernels, size)`: the operations of a convolution.
# 2. `smallest_time(work, clock, repeats)`: how to measure.
# 3. `col2im(patches, shape, size)`: the way back through im2col, the gradient of the images.
#
# > 用 `python -m paddle_mnist.check 16 --start` 开始，把答案写进 `labs/my/16.py`，
# > 再用 `python -m paddle_mnist.check 16` 检查。
# >
# > 1. `conv_operations(n, channels, height, width, kernels, size)`：一次卷积的运算量。
# > 2. `smallest_time(work, clock, repeats)`：怎样测量。
# > 3. `col2im(patches, shape, size)`：im2col 的反向，即图像的梯度。

# %%
lab.finish(gflops=round(float(peak), 1), ms_per_step={name: round(ms, 2) for name, ms in step_ms.items()})

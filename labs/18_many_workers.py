# %% [markdown]
# # 18. Many workers · 多个工作进程
#
# When one processor is too slow, several can share the work: each takes a part of every batch, they add up their
# gradients, and all make the same step. That sounds as if it could not go wrong. Most first attempts do: two workers
# train a different net than one, often a worse one. Here you make five mistakes one after the other and see what each
# does to the curve, and then you make two workers give what one gives, to the last bit.
#
# > 一个处理器太慢时，几个处理器可以分担：每个负责每批的一部分，把各自的梯度加起来，大家走同样的一步。
# > 听起来不会出错，但第一次尝试大多会错：两个工作进程训练出的网络与一个不同，而且往往更差。
# > 这里我们依次犯五个错误，看每个错误怎样改变曲线，然后让两个工作进程得到与一个完全相同的结果，直到最后一位。

# %%
import subprocess
import sys

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.tools import COLOURS, Lab

lab = Lab("18_many_workers")
digits = dataset.open_dataset("sample", log=print)
images = digits.train.images.reshape(-1, 784).astype(np.float32) / 255
labels = digits.train.labels.astype(int)
N, BATCH, EPOCHS = len(labels), 96, lab.budget(6, 2)

# %% [markdown]
# ## One worker · 一个工作进程
#
# The net is as small as can be: 784 pixels, 10 scores, softmax and cross-entropy. `gradient` returns the *mean* over
# the samples it is given, as every framework does.
#
# > 网络小到不能再小：784 个像素、10 个得分、Softmax 与交叉熵。`gradient` 返回所给样本的*平均*梯度，所有框架都这样。

# %%
lab.section("One worker")


def scores(weights, x):
    return x @ weights[:-1] + weights[-1]


def gradient(weights, x, t):
    """Return the mean loss and the mean gradient, in float32."""
    z = scores(weights, x)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(t)), t] + 1e-12).mean()
    p[np.arange(len(t)), t] -= 1
    return loss, np.vstack([x.T @ p, p.sum(axis=0)]) / np.float32(len(t))


def epoch_order(epoch, seed=0):
    return np.random.default_rng([seed, epoch]).permutation(N)


def train(step, lr=0.3, order=epoch_order):
    """Train with ``step(weights, rows) -> (loss, gradient)``; return the weights and the losses of all steps."""
    weights = np.zeros((785, 10), np.float32)
    losses = []
    for epoch in range(EPOCHS):
        rows = order(epoch)
        for first in range(0, N, BATCH):
            loss, slope = step(weights, rows[first : first + BATCH])
            weights = weights - np.float32(lr) * slope
            losses.append(loss)
    return weights, np.array(losses)


one, one_losses = train(lambda weights, rows: gradient(weights, images[rows], labels[rows]))
steps_per_epoch = -(-N // BATCH)
assert len(one_losses) == EPOCHS * steps_per_epoch
print(f"{EPOCHS} epochs of {steps_per_epoch} steps: loss {one_losses[0]:.3f}, then {one_losses[-40:].mean():.3f}")

# %% [markdown]
# ## The right sum · 正确的求和
#
# Two workers, each with half of a batch. Each computes the mean gradient over *its* samples. What is the batch's? Three
# candidates: their sum, their mean, or the mean weighted by the number of samples.
#
# **Predict, then run:** which of them is right for a batch of 96, and which for the last batch of an epoch?
#
# > 两个工作进程各拿半批，各自计算*自己*样本的平均梯度。整批的平均梯度是什么？有三个候选：
# > 它们的和、它们的平均、按样本数加权的平均。
# >
# > **先预测，再运行**：每批 96 个时哪个对？一轮的最后一批呢？

# %%
lab.section("The right sum")


def parts(rows, workers, uneven=False):
    """Divide the rows of a batch among workers."""
    if uneven:  # three quarters for the first: a faster machine, or a batch that does not divide
        return np.split(rows, [3 * len(rows) // 4])
    return np.array_split(rows, workers)


def shared_step(weights, rows, workers=2, combine="weighted", uneven=False):
    found = [gradient(weights, images[part], labels[part]) for part in parts(rows, workers, uneven)]
    counts = np.float32([len(part) for part in parts(rows, workers, uneven)])
    share = {"sum": np.ones(workers), "mean": np.ones(workers) / workers, "weighted": counts / counts.sum()}[combine]
    return tuple(sum(np.float32(w) * each[i] for w, each in zip(share, found, strict=True)) for i in (0, 1))


start = np.random.default_rng(0).standard_normal((785, 10)).astype(np.float32) * np.float32(0.1)
for count in (96, 64, 33):
    rows = np.arange(count)
    wanted = gradient(start, images[rows], labels[rows])[1]
    off = {
        name: np.abs(shared_step(start, rows, combine=name)[1] - wanted).max() / np.abs(wanted).max()
        for name in ("sum", "mean", "weighted")
    }
    print(f"batch of {count}: " + ", ".join(f"{name} is off by {value:.1e}" for name, value in off.items()))
    assert off["weighted"] < 1e-5 and off["sum"] > 0.3
    assert (off["mean"] < 1e-5) == (count % 2 == 0)

# %% [markdown]
# The sum is a step twice as long: with two workers, twice the learning rate without anybody having asked for it, with
# 64 workers 64 times. The mean is right as long as all have equally many samples. Only the weighted mean is always
# right.
#
# > 求和等于步长加倍：两个工作进程时，学习率无人要求就变成两倍，64 个时是 64 倍。
# > 只要样本一样多，平均就是对的。只有加权平均永远正确。

# %%
wrong_sum = train(lambda weights, rows: shared_step(weights, rows, 8, "sum"))[1] / 8
wrong_mean = train(lambda weights, rows: shared_step(weights, rows, combine="mean", uneven=True))[1]
right, right_losses = train(shared_step)
assert np.abs(right_losses - one_losses).max() < 1e-4

# %% [markdown]
# ## The right samples · 正确的样本
#
# Each worker has to know which samples are its own. Two ways to get it wrong:
#
# - **Every worker draws its own order**, each with its own seed. Then some samples come twice in an epoch and others
#   not at all.
# - **Every worker keeps its own part of the data** in the file's order. A file that is sorted, by digit for instance,
#   gives one worker the digits 0 to 4 only: harmless while gradients are added at every step, fatal where each trains
#   for an epoch by itself and only then the weights are averaged.
#
# > 每个工作进程必须知道哪些样本归自己。有两种常见的错法：
# >
# > - **各自用自己的种子打乱**。这样一轮里有些样本出现两次，有些一次也没有。
# > - **各自只留文件顺序中的一段**。若文件按数字排序，一个进程就只见到 0 到 4。每步都相加梯度时无害，
# >   但若各自训练一整轮再平均权重，就很糟糕。

# %%
lab.section("The right samples")


def own_orders(epoch):
    """Return the order in which two workers see samples if each shuffles with its own seed, batch by batch."""
    found = []
    for first in range(0, N, BATCH):
        for rank, seed in enumerate((1, 2)):
            found.append(np.array_split(epoch_order(epoch, seed)[first : first + BATCH], 2)[rank])
    return np.concatenate(found)


seen = np.bincount(own_orders(0), minlength=N)
never, twice = (seen == 0).mean(), (seen == 2).mean()
print(f"own orders: {never:.0%} of the samples are not seen in an epoch, {twice:.0%} are seen twice")
assert 0.2 < never < 0.3 and 0.2 < twice < 0.3
wrong_seeds = train(lambda weights, rows: gradient(weights, images[rows], labels[rows]), order=own_orders)[1]

sorted_rows = np.argsort(labels, kind="stable")
halves = np.array_split(sorted_rows, 2)
apart = [np.zeros((785, 10), np.float32)] * 2
apart_losses = []
for epoch in range(EPOCHS):
    trained = []
    for rank, half in enumerate(halves):
        mine = np.random.default_rng([rank, epoch]).permutation(half)
        weights = apart[rank]
        for first in range(0, len(mine), BATCH // 2):
            chosen = mine[first : first + BATCH // 2]
            weights = weights - np.float32(0.3) * gradient(weights, images[chosen], labels[chosen])[1]
        trained.append(weights)
    apart = [(trained[0] + trained[1]) / 2] * 2
    apart_losses.append(gradient(apart[0], images, labels)[0])
together = gradient(right, images, labels)[0]
print(f"loss on the training digits: {apart_losses[-1]:.3f} averaged once an epoch, {together:.3f} added at every step")
assert apart_losses[-1] > 1.2 * together

# %% [markdown]
# ## The right count · 正确的计数
#
# To measure, workers divide the test digits, too. Samplers that give every worker equally many *repeat* some samples
# when the division leaves a remainder (Paddle's `DistributedBatchSampler` does, and PyTorch's). Repeated digits count
# twice. With 500 digits and 64 workers 12 are repeated; if these are easy or hard ones, the accuracy is another.
#
# > 测量时工作进程也要分担测试数字。为了让每个进程拿到一样多，有些采样器在除不尽时会*重复*样本
# > （Paddle 的 `DistributedBatchSampler` 如此，PyTorch 的也是）。重复的数字被算了两次。
# > 500 个数字、64 个进程时会重复 12 个；它们若偏易或偏难，准确率就变了。

# %%
lab.section("The right count")
test_x = digits.eval.images.reshape(-1, 784).astype(np.float32) / 255
correct = scores(one, test_x).argmax(axis=1) == digits.eval.labels
accuracies = {}
for workers in range(1, 151):
    padded = np.resize(np.arange(len(correct)), -(-len(correct) // workers) * workers)
    accuracies[workers] = correct[padded].mean()
    if workers in (1, 7, 64, 150):
        print(f"{workers:>3} workers: {len(padded)} answers are counted, accuracy {accuracies[workers]:.2%}")
assert accuracies[1] == correct.mean()
assert max(accuracies.values()) > min(accuracies.values()), "the figure depends on the number of workers"
count = len(correct)
whole = np.concatenate([correct[rank * count // 7 : (rank + 1) * count // 7] for rank in range(7)])
np.testing.assert_array_equal(whole, correct)

# %% [markdown]
# ## The right order · 正确的顺序
#
# The weighted mean is right, and still not the same: addition in floating point rounds, so the result depends on the
# order. $(10^8 + 1) - 10^8$ is 0 in float32. One worker adds 96 samples in one order, two workers in another. The
# difference is in the seventh digit. Training makes it larger, step after step.
#
# > 加权平均是对的，但仍不相同：浮点加法会舍入，所以结果依赖顺序。float32 中 $(10^8 + 1) - 10^8$ 等于 0。
# > 一个进程按一种顺序加 96 个样本，两个进程按另一种。差别在第七位，训练会一步一步把它放大。

# %%
lab.section("The right order")
big, small = np.float32(1e8), np.float32(1)
assert (big + small) - big == 0 and (big - big) + small == 1


def distance(a, b):
    return np.abs(a - b).max()


drift = []
weights_one = weights_two = np.zeros((785, 10), np.float32)
for epoch in range(EPOCHS):
    rows = epoch_order(epoch)
    for first in range(0, N, BATCH):
        chosen = rows[first : first + BATCH]
        weights_one = weights_one - np.float32(0.3) * gradient(weights_one, images[chosen], labels[chosen])[1]
        weights_two = weights_two - np.float32(0.3) * shared_step(weights_two, chosen)[1]
        drift.append(distance(weights_one, weights_two))
print(f"after 1 step they differ by {drift[0]:.1e}, after {len(drift)} steps by {drift[-1]:.1e}")
assert 0 < drift[0] < 1e-6 and drift[-1] > drift[0]

# %% [markdown]
# The remedy: cut the batch into blocks *before* anybody asks how many workers there are, and fix the order in which
# the blocks' gradients are added, as a tree: the sum of a list is the sum of its first half plus that of its second
# half. A worker computes some consecutive blocks, and everybody adds up all of them. One worker does the same, alone.
#
# > 办法是：在问有几个工作进程*之前*就把一批切成块，并规定各块梯度相加的顺序，像一棵树：
# > 一列的和等于前一半的和加上后一半的和。每个进程计算相邻的几块，然后大家都按这个顺序相加。一个进程时也一样。

# %%
BLOCK = 8


def tree_sum(arrays):
    if len(arrays) == 1:
        return arrays[0]
    middle = len(arrays) // 2
    return tree_sum(arrays[:middle]) + tree_sum(arrays[middle:])


def block_step(weights, rows, workers):
    blocks = [rows[first : first + BLOCK] for first in range(0, len(rows), BLOCK)]
    computed = {}
    for rank in range(workers):  # each of these would be a process
        for i in range(rank * len(blocks) // workers, (rank + 1) * len(blocks) // workers):
            loss, slope = gradient(weights, images[blocks[i]], labels[blocks[i]])
            computed[i] = (loss * np.float32(len(blocks[i])), slope * np.float32(len(blocks[i])))
    total = np.float32(len(rows))
    return tuple(tree_sum([computed[i][part] for i in range(len(blocks))]) / total for part in (0, 1))


by_workers = {
    n: train(lambda weights, rows, n=n: block_step(weights, rows, n))[0] for n in lab.budget((1, 2, 3, 7), (1, 3))
}
first, *others = by_workers.values()
for other in others:
    np.testing.assert_array_equal(other, first)
print(f"{', '.join(map(str, by_workers))} workers: all {first.size:,} weights are the same to the bit")


# %%
def smooth(losses):
    return np.convolve(losses, np.ones(20) / 20, mode="valid")


figure, (curves, count_axes, order_axes) = plt.subplots(1, 3, figsize=(15, 4.4), layout="constrained")
runs = {
    "one worker": one_losses,
    "two, weighted": right_losses,
    "eight, summed": wrong_sum,
    "two, mean of uneven parts": wrong_mean,
    "two, own seeds": wrong_seeds,
}
for colour, (name, losses) in zip(COLOURS, runs.items(), strict=False):
    thick = name == "one worker"
    curves.plot(smooth(losses), label=name, color=colour, linewidth=6 if thick else 1.4, alpha=0.4 if thick else 1)
ends = steps_per_epoch * np.arange(1, EPOCHS + 1)
curves.plot(ends, apart_losses, "o--", color=COLOURS[5], label="two, averaged once an epoch")
curves.set(title="Which gradients, which samples", xlabel="step", ylabel="loss", yscale="log")
curves.legend(fontsize=8)
count_axes.plot(accuracies.keys(), accuracies.values(), color=COLOURS[1], label="padded")
count_axes.plot([1, 150], [correct.mean()] * 2, color=COLOURS[0], label="each digit once")
count_axes.set(title="The same net's accuracy", xlabel="workers", ylabel="accuracy")
count_axes.legend()
order_axes.plot(drift, color=COLOURS[1], label="two workers, weighted mean")
order_axes.plot(np.zeros(len(drift)), color=COLOURS[0], label="blocks in a fixed order: exactly 0")
order_axes.set(title="How far from one worker's weights", xlabel="step", ylabel="largest difference")
order_axes.legend()
lab.save(figure, "workers.png")

# %% [markdown]
# ## Real workers · 真正的工作进程
#
# The package trains like this. Paddle's launcher starts the command as often as you say, and the processes exchange
# the sums of their blocks. Batch norm needs sums over the whole batch, too; dropout's masks depend on seed and step.
# A worker may be killed, and the run resumed with another number of them: the weights stay the same to the bit.
#
# > 本软件包就是这样训练的。Paddle 的启动器按你说的次数启动同一条命令，各进程交换各块的和。
# > 批归一化也需要整批的和；Dropout 的掩码由种子和步数决定。
# > 工作进程可以被杀掉，再用另一个数目恢复：权重仍逐位相同。
#
#     python -m paddle.distributed.launch --nproc_per_node 2 python -m paddle_mnist.train --net cnn
#     python -m paddle_mnist.train --resume work/runs/cnn

# %%
lab.section("Real workers")
launches = lab.budget((1, 2), ())  # each takes some seconds to start
results = []
if sys.platform == "linux":
    for workers in launches:
        run = lab.folder / f"run-{workers}"
        subprocess.run(["rm", "-rf", run], check=True)
        command = [sys.executable, "-m", "paddle_mnist.train", "--net", "cnn", "--task", "classify", "--epochs", "1"]
        command += ["--data", "sample", "--quiet", "--out", str(run)]
        launcher = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", str(workers)]
        logs = ["--log_dir", str(lab.folder / "log")]
        subprocess.run(command if workers == 1 else [*launcher, *logs, *command], check=True, capture_output=True)
        results.append((run / "best.pdparams").read_bytes())
assert all(result == results[0] for result in results)
print(f"{len(results)} runs of the CNN, by 1 and 2 processes: equal files" if results else "left out here")

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 18 --start`, write into `labs/my/18.py`, and check with
# `python -m paddle_mnist.check 18`.
#
# 1. `combine(gradients, counts)`: the batch's mean gradient from those of the workers.
# 2. `shares(samples, workers)`: which samples each worker measures, so that each counts once.
# 3. `ordered_sum(blocks)`: a sum whose order does not depend on the number of workers.
#
# > 用 `python -m paddle_mnist.check 18 --start` 开始，把答案写进 `labs/my/18.py`，
# > 再用 `python -m paddle_mnist.check 18` 检查。
# >
# > 1. `combine(gradients, counts)`：由各工作进程的平均梯度得到整批的平均梯度。
# > 2. `shares(samples, workers)`：每个工作进程测量哪些样本，使每个样本只算一次。
# > 3. `ordered_sum(blocks)`：顺序与工作进程数目无关的和。

# %%
lab.finish(never_seen=float(never), drift=float(drift[-1]), equal_weights=int(first.size))

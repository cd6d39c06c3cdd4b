# %% [markdown]
# # 15. Stop and resume · 停止与恢复
#
# Training takes minutes here and weeks elsewhere. Batteries run out, machines restart. This lab asks what has to be
# saved so that training that was interrupted ends as if nothing had happened, to the last bit. It saves with Paddle's
# own `paddle.save`, and falls into its traps on purpose. Then it kills a real training process and tries.
#
# > 训练在这里只要几分钟，在别处可能要几周。电池会耗尽，机器会重启。本实验要弄清：必须保存什么，
# > 才能让中断的训练最终得到与从未中断时完全一样的结果，一个比特都不差。
# > 保存用 Paddle 自己的 `paddle.save`，并故意踩一踩它的陷阱。然后真的杀掉一个训练进程来试一试。

# %%
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import time

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)
import paddle
import paddle.nn.functional as F
from paddle.nn import Linear

from paddle_mnist.loader import shuffled, to_input, to_target
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs import session
from paddle_mnist.runs.run import reproducible_state

lab = Lab("15_stop_and_resume")
digits = dataset.open_dataset("sample", log=print)  # a few thousand digits show it all

# %% [markdown]
# ## Training that can be interrupted · 可以中断的训练
#
# We train the net of lab 7, with ten scores, by Adam and a falling rate (labs 12 and 13). Step number s of the training
# belongs to an epoch and a batch, and the order of the samples follows from the seed and the epoch alone. So any step
# can be done without the ones before it; nothing random is kept between steps.
#
# > 我们用 Adam 和下降的学习率（实验 12、13）训练实验 7 的网络，输出十个得分。训练的第 s 步属于某一轮的某一批，
# > 样本的顺序只由种子和轮次决定。所以任何一步都可以单独执行，不需要前面的步骤；步与步之间不保留任何随机状态。
#
#     epoch, batch = divmod(s, steps per epoch)          order = permutation of (seed, epoch)

# %%
lab.section("Training that can be interrupted")
SEED = 3
samples = len(digits.train.labels)
PER_EPOCH = -(-samples // 100)
STEPS, CUT = 3 * PER_EPOCH, PER_EPOCH + PER_EPOCH // 4  # interrupted in the second epoch


class Sigmoids(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.fc1 = Linear(784, 10)
        self.fc2 = Linear(10, 10)
        self.fc3 = Linear(10, 10)

    def forward(self, images):
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        return self.fc3(F.sigmoid(self.fc2(F.sigmoid(self.fc1(x)))))  # [n, 10]


def as_in_a_new_process():
    """Number Paddle's own names from 0 within the block; see the trap below."""
    return paddle.utils.unique_name.guard()


def build():
    """Return a new net, optimizer and scheduler, as a new process would make them."""
    paddle.seed(SEED)
    with as_in_a_new_process():
        net = Sigmoids()
    rate = paddle.optimizer.lr.CosineAnnealingDecay(0.02, T_max=STEPS)
    return net, paddle.optimizer.Adam(rate, parameters=net.parameters()), rate


def train(net, optimizer, rate, first, last, order_of=lambda epoch: shuffled(samples, SEED, epoch)):
    """Do the steps first to last - 1, and return all the weights, in one row, after each."""
    trail = []
    for step in range(first, last):
        epoch, batch = divmod(step, PER_EPOCH)
        chosen = order_of(epoch)[100 * batch : 100 * (batch + 1)]
        images = paddle.to_tensor(to_input(digits.train.images[chosen], "01"))
        labels = paddle.to_tensor(to_target(digits.train.labels[chosen], "classify"))
        F.cross_entropy(net(images), labels).backward()
        with as_in_a_new_process():
            optimizer.step()
        optimizer.clear_grad()
        rate.step()
        trail.append(np.concatenate([p.numpy().ravel() for p in net.parameters()]))
    return np.array(trail)  # [steps, weights]


undisturbed = train(*build(), 0, STEPS)
print(f"{STEPS} steps of {PER_EPOCH} an epoch, {undisturbed.shape[1]:,} weights; interrupted after step {CUT}")
assert undisturbed.shape == (STEPS, 784 * 10 + 10 + 10 * 10 + 10 + 10 * 10 + 10)

# %% [markdown]
# **Predict, then run:** is training itself repeatable? Do two runs with the same seed end with the same weights:
# nearly, or to the bit? Without that nothing below could be compared.
#
# > **先预测，再运行**：训练本身可重复吗？种子相同的两次训练，最终的权重是接近，还是一个比特都不差？
# > 如果不可重复，下面就无从比较。

# %%
again = train(*build(), 0, STEPS)
assert np.array_equal(undisturbed, again), "equal, not merely close"
print("two runs with seed 3 agree in every bit:", hashlib.sha256(again[-1].tobytes()).hexdigest()[:16])

# %% [markdown]
# ## What has to be saved · 必须保存什么
#
# Train up to the interruption, and save three things:
#
# - the weights: `net.state_dict()`;
# - what the optimizer remembers: `optimizer.state_dict()`, which holds Adam's two averages of each weight, how many
#   steps it has done, and where the learning rate's schedule is;
# - where we are: the step, from which epoch, batch and order follow.
#
# > 训练到中断处，保存三样东西：
# >
# > - 权重：`net.state_dict()`；
# > - 优化器记住的内容：`optimizer.state_dict()`，其中有 Adam 为每个权重保存的两个平均值、走过的步数，
# >   以及学习率调度走到了哪里；
# > - 我们所在的位置：第几步，由此可知轮次、批次和样本顺序。

# %%
lab.section("What has to be saved")
net, optimizer, rate = build()
train(net, optimizer, rate, 0, CUT)
paddle.save(net.state_dict(), str(lab.folder / "model.pdparams"))
paddle.save(optimizer.state_dict(), str(lab.folder / "model.pdopt"))
paddle.save({"step": CUT}, str(lab.folder / "where.pdparams"))

saved = {name: paddle.load(str(lab.folder / f"model.{name}")) for name in ("pdparams", "pdopt")}
print("of the net:      ", ", ".join(list(saved["pdparams"])[:3]), "…")
print("of the optimizer:", ", ".join(list(saved["pdopt"])[:2]), "…", saved["pdopt"]["LR_Scheduler"])
count = {
    name: sum(int(np.prod(value.shape)) for value in state.values() if hasattr(value, "shape"))
    for name, state in saved.items()
}
print(f"numbers saved: {count['pdparams']:,} weights, {count['pdopt']:,} of the optimizer's")
assert count["pdopt"] > 2 * count["pdparams"], "two averages for each weight, and the powers of 0.9 and 0.999"
assert saved["pdopt"]["LR_Scheduler"]["last_epoch"] == CUT, "the schedule counts its own steps"

# %% [markdown]
# One trap is in the names: the net's state is keyed by *your* names, `fc1.weight`, but the optimizer's by Paddle's own,
# `linear_0.w_0`, which are counted over the whole process. If another net was built first in the process, the names
# differ. That is why `build` numbers them from 0.
#
# Now resume in new nets, with `set_state_dict`. One gets everything. Three lack something that people do forget, and
# one finds the optimizer's state under other names.
#
# **Predict, then run:** which of them will raise an error?
#
# > 有一个陷阱藏在名字里：网络状态的键是*你*取的名字 `fc1.weight`，优化器状态的键却是 Paddle 自己的名字 `linear_0.w_0`，
# > 它在整个进程里统一编号。如果这个进程里先建过别的网络，名字就对不上。所以 `build` 让编号从 0 开始。
# >
# > 现在用 `set_state_dict` 在新的网络里恢复。一个得到全部内容，三个各缺一样人们确实会忘记的东西，
# > 还有一个拿到的是别的名字下的优化器状态。
# >
# > **先预测，再运行**：其中哪一个会报错？


# %%
def resume(optimizer_state=True, first=CUT, other_names=False, **changes):
    net, optimizer, rate = build()
    if other_names:  # another net was built first in this process
        _, net = Sigmoids(), Sigmoids()
        optimizer = paddle.optimizer.Adam(rate, parameters=net.parameters())
    net.set_state_dict(paddle.load(str(lab.folder / "model.pdparams")))
    if optimizer_state:
        optimizer.set_state_dict(paddle.load(str(lab.folder / "model.pdopt")))
    return train(net, optimizer, rate, first, first + STEPS - CUT, **changes)


resumed = {
    "everything": resume(),
    "no optimizer state": resume(optimizer_state=False),
    "from the epoch's first batch": resume(first=PER_EPOCH),
    "samples in another order": resume(order_of=lambda epoch: shuffled(samples, 99, epoch)),
}
distance = {}
for name, trail in resumed.items():
    distance[name] = np.abs(trail - undisturbed[CUT:]).max(axis=1)  # [steps]
    print(f"{name:28} ends {distance[name][-1]:.3g} away from the undisturbed weights")

try:
    resume(other_names=True)
except AssertionError as error:
    print("with the optimizer's state under other names Paddle stops:", error)
else:
    raise RuntimeError("other names were accepted")
assert np.array_equal(resumed["everything"], undisturbed[CUT:]), "every bit, in every step"
for name in list(resumed)[1:]:
    assert distance[name][-1] > 1e-3, f"{name}: the weights end elsewhere"

# %%
figure, axes = plt.subplots(figsize=(8.5, 4.5), layout="constrained")
for colour, (name, gap) in zip(COLOURS, distance.items(), strict=False):
    wide = {"linewidth": 3} if name == "everything" else {}
    axes.plot(np.arange(CUT + 1, STEPS + 1), gap, color=colour, label=name, **wide)
axes.axvline(CUT, color="0.5", linestyle="--", label="interrupted here")
axes.set_xlim(0, STEPS)
axes.set(
    title="Resumed with everything, the distance is exactly 0",
    xlabel="step",
    ylabel="largest difference of a weight\nfrom the undisturbed run",
)
axes.legend(loc="upper left", fontsize=9)
lab.save(figure, "distance.png")

# %% [markdown]
# Wrong names are noticed. The three other mistakes raise no error, and each of these nets has learnt something. That is
# what makes them so common. But a result that nobody can repeat is no result.
#
# > 名字对不上会被发现。其余三种错误都不报错，而且每个网络都学到了东西。正因为如此，这些错误才很常见。
# > 但是，无法重复的结果算不上结果。

# %% [markdown]
# ## A file that is whole or not there · 文件要么完整，要么不存在
#
# If the process dies while it writes, half a file is left, and the good one before it is gone. So write under another
# name, flush it to disk, and only then give it the right name. Renaming is one step for the file system: readers
# see the old file or the new one, never half of one.
#
# > 如果进程在写文件时死掉，就会留下半个文件，而之前那个好的也没了。所以先用另一个名字写，确保写到磁盘上，
# > 最后才改成正确的名字。改名对文件系统来说是一步完成的：别人看到的要么是旧文件，要么是新文件，绝不会是半个。


# %%
lab.section("A file that is whole or not there")


def write_whole(path, data, die_at=None):
    new = path.with_name(path.name + ".new")
    with open(new, "wb") as file:
        file.write(data[:die_at])
        if die_at is not None:
            return  # the plug is pulled
        file.flush()
        os.fsync(file.fileno())  # the disk has it, not only the memory of the system
    os.replace(new, path)


path = lab.folder / "weights.bin"
write_whole(path, b"the first weights")
write_whole(path, b"the second, better weights", die_at=9)
assert path.read_bytes() == b"the first weights", "the old file is as it was"
write_whole(path, b"the second, better weights")
assert path.read_bytes() == b"the second, better weights"

# %% [markdown]
# A disk can also flip a bit later. A digest shows it: SHA-256 makes 32 bytes of any file, and changing one bit of the
# file changes them beyond recognition. So save the digest of each file beside it, and compare before you load. The
# package does both for each part of a checkpoint.
#
# > 磁盘以后也可能翻转一个比特。摘要能发现这种情况：SHA-256 把任何文件变成 32 个字节，
# > 文件只要改动一个比特，摘要就面目全非。所以把每个文件的摘要存在它旁边，读取之前加以核对。
# > 软件包对检查点的每个部分都做到了这两点。

# %%
data = (lab.folder / "model.pdopt").read_bytes()
digest = hashlib.sha256(data).hexdigest()
damaged = bytearray(data)
damaged[len(damaged) // 2] ^= 1  # one bit
print("digest as saved:    ", digest[:32], "…")
print("after one bit flip: ", hashlib.sha256(damaged).hexdigest()[:32], "…")
assert hashlib.sha256(data).hexdigest() == digest
assert hashlib.sha256(damaged).hexdigest() != digest

# %% [markdown]
# A warning: `paddle.load` reads a pickle, and a pickle can hold code that runs when it is loaded. Load only files that
# you trust, or read them with the package's own reader (`paddle_mnist.storage`), which runs nothing.
#
# > 警告：`paddle.load` 读取的是 pickle，而 pickle 里可以藏着一加载就运行的代码。只加载你信任的文件，
# > 或者用软件包自己的读取器（`paddle_mnist.storage`），它不运行任何代码。

# %% [markdown]
# ## The package does all this · 软件包全都做了
#
# `paddle_mnist.runs.session` trains from Python, with checkpoints that hold all of the above, and resumes.
#
# **Predict, then run:** two epochs now, and a third one later: are the weights those of three epochs in one go?
#
# > `paddle_mnist.runs.session` 可以在 Python 里训练，它的检查点包含上面的一切，并且能恢复。
# >
# > **先预测，再运行**：现在训练两轮，以后再训练第三轮：权重与一次训练三轮的相同吗？

# %%
lab.section("The package does all this")
shutil.rmtree(lab.folder / "runs", ignore_errors=True)
settings = settings_for("fc", "classify", optimizer="adam", lr=0.01, clip_norm=0.0, epochs=2)
quiet = session.RunOptions(quiet=True)
first = session.train(settings, "sample", lab.folder / "runs" / "two-and-one", quiet)
session.resume(first.path, epochs=3, quiet=True)
session.train(dataclasses.replace(settings, epochs=3), "sample", lab.folder / "runs" / "three", quiet)
two_and_one, three = (reproducible_state(lab.folder / "runs" / name)["weights"] for name in ("two-and-one", "three"))
np.testing.assert_equal(two_and_one, three)
assert set(three) == {f"fc{i}.{kind}" for i in (1, 2, 3) for kind in ("weight", "bias")}
print("two epochs and one more, or three at once: the same weights to the bit")

# %% [markdown]
# ## Kill it · 杀掉它
#
# Now in earnest. The package's training command saves a checkpoint every few steps. We let one process train
# undisturbed. Another one is killed somewhere in the middle: it gets no chance to tidy up. Then `--resume` continues,
# and is killed again, until we let it end.
#
# > 现在动真格的。软件包的训练命令每隔几步就存一个检查点。我们让一个进程不受干扰地训练；
# > 另一个在中途被杀掉，来不及做任何收尾。然后用 `--resume` 继续，再杀掉，直到我们让它结束。
#
#     python -m paddle_mnist.train --net fc --optimizer adam --lr 0.01 --epochs 3 --save-every 5 --out RUN
#     python -m paddle_mnist.train --resume RUN

# %%
lab.section("Kill it")
COMMAND = lab.budget(
    "--net fc --task classify --optimizer adam --lr 0.01 --epochs 4", "--net two-layer --lr 0.0005 --epochs 4"
)
MOMENTS = lab.budget([(0, 15), (1, 20)], [(1, 5)])  # epochs and batches done when it is killed


def start(*arguments):
    command = [sys.executable, "-m", "paddle_mnist.train", "--quiet", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def steps_saved(run):
    """Return how far the newest checkpoint of a run is, as (epochs, batches)."""
    names = [path.name for path in (run / "checkpoints").glob("epoch-*")]
    parts = [name.removeprefix("epoch-").partition("-batch-") for name in names]
    return max(((int(epochs), int(batches or 0)) for epochs, _, batches in parts), default=(0, 0))


def kill_when_it_has_saved(process, run, moment):
    while process.poll() is None and steps_saved(run) < moment:
        time.sleep(0.002)
    process.kill()  # SIGKILL; on Windows TerminateProcess: the process cannot prepare for it
    process.wait()
    return steps_saved(run)


steady, victim = lab.folder / "runs" / "undisturbed", lab.folder / "runs" / "victim"
options = [*COMMAND.split(), "--data", "sample", "--save-every", "5", "--log-every", "2"]
whole_run = start(*options, "--out", steady)
cuts = []
for moment in MOMENTS:
    process = start("--resume", victim) if cuts else start(*options, "--out", victim)
    cuts.append(kill_when_it_has_saved(process, victim, moment))
for epochs, count in cuts:
    print(f"killed; the newest whole checkpoint is {epochs} epochs and {count} batches")

assert whole_run.wait() == 0
assert start("--resume", victim).wait() == 0, "the last one may go on to the end"

# %% [markdown]
# Compare: weights, optimizer, best weights, every loss in the history, and the result on the test digits. Not nearly
# equal: equal. Only the times differ.
#
# > 比较：权重、优化器、最好的权重、历史记录里的每个损失，以及测试数字上的结果。不是接近，而是相等。只有时间不同。

# %%
ours, theirs = reproducible_state(victim), reproducible_state(steady)
np.testing.assert_equal(ours, theirs)
compared = sum(np.size(array) for part in ("weights", "optimizer", "best") for array in ours[part].values())
print(f"{compared:,} numbers and {len(ours['history'])} lines of history are the same in both runs")

# %%
figure, axes = plt.subplots(figsize=(8.5, 4.3))
for state, name, style in (
    (theirs, "undisturbed", {"color": COLOURS[5], "linewidth": 5, "alpha": 0.7}),
    (ours, f"killed {len(cuts)}×, and resumed", {"color": COLOURS[0], "linewidth": 1.3}),
):
    logged = [line for line in state["history"] if "batch" in line]
    axes.plot([line["step"] for line in logged], [line["loss"] for line in logged], label=name, **style)
last = theirs["history"][-1]  # an epoch's record: the number of its last step, counted from 0
per_epoch = (last["step"] + 1) // (last["epoch"] + 1)
for place, (epochs, count) in enumerate(cuts):
    label = "newest checkpoint when killed" if place == 0 else None
    axes.axvline(epochs * per_epoch + count, color=COLOURS[1], linestyle="--", label=label)
axes.set(
    title="Killed and resumed, the run is the same to the bit: one line covers the other",
    xlabel="step",
    ylabel="loss of the batch",
)
axes.legend()
lab.save(figure, "killed.png")

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 15 --start`, write into `labs/my/15.py`, and check with
# `python -m paddle_mnist.check 15`.
#
# 1. `resume_point(steps, samples, batch_size)`: the epoch and the batch to go on with.
# 2. `newest_whole(checkpoints)`: the newest one that is not damaged.
# 3. `batches_left(samples, batch_size, seed, epoch, done)`: what is left of an interrupted epoch.
#
# > 用 `python -m paddle_mnist.check 15 --start` 开始，把答案写进 `labs/my/15.py`，
# > 再用 `python -m paddle_mnist.check 15` 检查。
# >
# > 1. `resume_point(steps, samples, batch_size)`：从哪一轮、哪一批继续。
# > 2. `newest_whole(checkpoints)`：最新的、没有损坏的那个检查点。
# > 3. `batches_left(samples, batch_size, seed, epoch, done)`：被中断的一轮还剩下哪些批次。

# %%
lab.finish(kills=len(cuts), numbers_compared=int(compared))

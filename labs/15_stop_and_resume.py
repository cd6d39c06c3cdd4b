# %% [markdown]
# # 15. Stop and resume · 停止与恢复
#
# Training takes minutes here and weeks elsewhere. Batteries run out, machines restart. This lab asks what has to be
# saved so that a training that was cut off ends as if nothing had happened, to the last bit. Then it kills a real
# training process and tries.
#
# > 训练在这里只要几分钟，在别处可能要几周。电池会耗尽，机器会重启。本实验要弄清：必须保存什么，
# > 才能让中断的训练最终得到与从未中断时完全一样的结果，一个比特都不差。然后真的杀掉一个训练进程来试一试。

# %%
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

cpu.tune()
from paddle_mnist import learners
from paddle_mnist.errors import UserError
from paddle_mnist.loader import shuffled, to_input, to_target
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import reproducible_state

lab = Lab("15_stop_and_resume")
digits = dataset.open_dataset("sample", log=print)  # a few thousand digits show it all

# %% [markdown]
# ## A training that can be cut · 可以切断的训练
#
# We train the small net with Adam. Step number s of the training belongs to an epoch and a batch, and the order of the
# samples follows from the seed and the epoch alone:
#
#     epoch, batch = divmod(s, steps per epoch)          order = permutation of (seed, epoch)
#
# So any step can be done without the ones before it. Nothing random is kept between steps.
#
# > 我们用 Adam 训练小网络。训练的第 s 步属于某一轮的某一批，样本的顺序只由种子和轮次决定，公式见上。
# > 所以任何一步都可以单独执行，不需要前面的步骤；步与步之间不保留任何随机状态。

# %%
settings = settings_for("fc", "classify", optimizer="adam", lr=0.01, clip_norm=0.0, seed=3)
samples = len(digits.train.labels)
PER_EPOCH = -(-samples // 100)
STEPS, CUT = 3 * PER_EPOCH, PER_EPOCH + PER_EPOCH // 4  # cut off in the second epoch


def train(learner, first, last, order_of=lambda epoch: shuffled(samples, settings.seed, epoch)):
    """Do the steps first to last - 1, and return all the weights, in one row, after each."""
    trail = []
    for step in range(first, last):
        epoch, batch = divmod(step, PER_EPOCH)
        chosen = order_of(epoch)[100 * batch : 100 * (batch + 1)]
        images, labels = digits.train.images[chosen], digits.train.labels[chosen]
        learner.train_step(to_input(images, "01"), to_target(labels, "classify"))
        trail.append(np.concatenate([array.ravel() for array in learner.state_dict().values()]))
    return np.array(trail)  # [steps, weights]


undisturbed = train(learners.build(settings), 0, STEPS)
print(f"{STEPS} steps of {PER_EPOCH} an epoch, {undisturbed.shape[1]:,} weights; it will be cut after step {CUT}")
assert undisturbed.shape == (STEPS, 784 * 10 + 10 + 10 * 10 + 10 + 10 * 10 + 10)

# %% [markdown]
# Is training itself repeatable? Without that nothing could be compared. The same seed has to give the same weights, to
# the bit.
#
# > 训练本身可重复吗？如果不可重复，就无从比较。同样的种子必须得到一个比特都不差的权重。

# %%
again = train(learners.build(settings), 0, STEPS)
assert np.array_equal(undisturbed, again), "equal, not merely close"
print("two trainings with seed 3 agree in every bit:", hashlib.sha256(again[-1].tobytes()).hexdigest()[:16])

# %% [markdown]
# ## What has to be saved · 必须保存什么
#
# Train up to the cut, and keep three things:
#
# - the weights;
# - what the optimizer remembers: Adam's two averages of each weight, and how many steps it has done;
# - where we are: the step, from which epoch, batch and order follow.
#
# > 训练到切断处，保留三样东西：权重；优化器记住的内容（Adam 为每个权重保存的两个平均值，以及走过的步数）；
# > 我们所在的位置（第几步，由此可知轮次、批次和样本顺序）。

# %%
learner = learners.build(settings)
train(learner, 0, CUT)
saved = {"weights": learner.state_dict(), "optimizer": learner.optimizer_state(), "step": CUT}
for name in ("weights", "optimizer"):
    print(f"{name}:", {key: list(np.shape(value)) for key, value in list(saved[name].items())[:4]}, "…")

count = {name: sum(np.size(value) for value in saved[name].values()) for name in ("weights", "optimizer")}
print(f"numbers to save: {count['weights']:,} weights, {count['optimizer']:,} of the optimizer's")
assert count["optimizer"] > 2 * count["weights"], "two averages for each weight, and the powers of 0.9 and 0.999"


# %% [markdown]
# Now resume in new learners. One gets everything. The others each lack something that people do forget.
#
# > 现在在新的学习器里恢复。一个得到全部内容，其余的各缺一样人们确实会忘记的东西。


# %%
def resume(optimizer=True, first=CUT, **changes):
    learner = learners.build(settings)  # weights drawn anew, as in a new process
    learner.load_state_dict(saved["weights"], "the lab's checkpoint")
    if optimizer:
        learner.load_optimizer_state(saved["optimizer"], "the lab's checkpoint")
    return train(learner, first, first + STEPS - CUT, **changes)


resumed = {
    "everything": resume(),
    "without Adam's memory": resume(optimizer=False),
    "from the epoch's first batch": resume(first=PER_EPOCH),
    "samples in another order": resume(order_of=lambda epoch: shuffled(samples, 99, epoch)),
}
distance = {}
for name, trail in resumed.items():
    distance[name] = np.abs(trail - undisturbed[CUT:]).max(axis=1)  # [steps]
    print(f"{name:28} ends {distance[name][-1]:.3g} away from the undisturbed weights")

assert np.array_equal(resumed["everything"], undisturbed[CUT:]), "every bit, in every step"
for name in list(resumed)[1:]:
    assert distance[name][-1] > 1e-3, f"{name}: the weights end elsewhere"

# %%
figure, axes = plt.subplots(figsize=(8.5, 4.5))
for colour, (name, gap) in zip(COLOURS, distance.items(), strict=False):
    wide = {"linewidth": 3} if name == "everything" else {}
    axes.plot(np.arange(CUT + 1, STEPS + 1), gap, color=colour, label=name, **wide)
axes.axvline(CUT, color="0.5", linestyle="--", label="cut off here")
axes.set_xlim(0, STEPS)
axes.set(
    title="Resumed with everything, the distance is exactly 0",
    xlabel="step",
    ylabel="largest difference of a weight\nfrom the undisturbed training",
)
axes.legend()
lab.save(figure, "distance.png")

# %% [markdown]
# None of the three crashed, and each has learnt something. That is what makes the mistake so common: the loss only
# hops a little. But a result that nobody can repeat is no result.
#
# > 三个残缺的版本都没有报错，也都学到了东西。正因为如此，这种错误才很常见：损失只是轻轻一跳。
# > 但是，无法重复的结果算不上结果。

# %% [markdown]
# ## A file that is whole or not there · 文件要么完整，要么不存在
#
# If the process dies while it writes, half a file is left, and the good one before it is gone. So write under another
# name, bring it to the disk, and only then give it the right name. Renaming is one step for the file system: whoever
# looks sees the old file or the new one, never half of one.
#
# > 如果进程在写文件时死掉，就会留下半个文件，而之前那个好的也没了。所以先用另一个名字写，确保写到磁盘上，
# > 最后才改成正确的名字。改名对文件系统来说是一步完成的：别人看到的要么是旧文件，要么是新文件，绝不会是半个。


# %%
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
# A disk can also lose a bit later on. A digest shows it: SHA-256 makes 32 bytes of any file, and changing one bit of
# the file changes them beyond recognition. The package saves the digest of each part of a checkpoint, and looks.
#
# > 磁盘以后也可能丢掉一个比特。摘要能发现这种情况：SHA-256 把任何文件变成 32 个字节，
# > 文件只要改动一个比特，摘要就面目全非。软件包保存检查点每个部分的摘要，读取时加以核对。

# %%
shutil.rmtree(lab.folder / "runs", ignore_errors=True)
run = lab.folder / "runs" / "by-hand"
state = {"epoch": CUT // PER_EPOCH, "batch": CUT % PER_EPOCH, "step": CUT}
place = checkpoint.save(run, saved["weights"], saved["optimizer"], state)
print(place.name, "holds", sorted(file.name for file in place.iterdir()))

weights, optimizer, back = checkpoint.load(place)
assert back["step"] == CUT
for name, array in saved["weights"].items():
    assert np.array_equal(weights[name], array)

file = place / "optimizer.pdopt"
damaged = bytearray(file.read_bytes())
damaged[len(damaged) // 2] ^= 1  # one bit
file.write_bytes(damaged)
try:
    checkpoint.load(place)
except UserError as error:
    print("refused:", str(error).replace(str(place), place.name))
else:
    raise AssertionError("a damaged checkpoint was taken")

# %% [markdown]
# ## Kill it · 杀掉它
#
# So much for the theory. The package's training command saves a checkpoint every few steps. We let one process train
# in peace. Another one is killed somewhere in the middle: it gets no chance to tidy up. Then `--resume` goes
# on, and is killed again, until we let it end.
#
#     python -m paddle_mnist.train --net fc --optimizer adam --lr 0.01 --epochs 3 --save-every 5 --out RUN
#     python -m paddle_mnist.train --resume RUN
#
# > 理论到此为止。软件包的训练命令每隔几步就存一个检查点。我们让一个进程安静地训练；
# > 另一个在中途被杀掉，来不及做任何收尾。然后用 `--resume` 继续，再杀掉，直到我们让它结束。命令见上。

# %%
COMMAND = lab.budget(
    "--net fc --task classify --optimizer adam --lr 0.01 --epochs 4", "--net two-layer --lr 0.0005 --epochs 4"
)
MOMENTS = lab.budget([(0, 15), (1, 20)], [(1, 5)])  # epochs and batches done when it is killed


def start(*arguments):
    command = [sys.executable, "-m", "paddle_mnist.train", "--quiet", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def steps_saved(run):
    """Return how far the newest checkpoint of a run is, as (epochs, batches)."""
    found = checkpoint.checkpoints(run)
    name = found[-1].name if found else "epoch-000"
    epochs, _, batches = name.removeprefix("epoch-").partition("-batch-")
    return int(epochs), int(batches or 0)


def kill_when_it_has_saved(process, run, moment):
    while process.poll() is None and steps_saved(run) < moment:
        time.sleep(0.002)
    process.kill()  # SIGKILL; on Windows TerminateProcess: the process cannot prepare for it
    process.wait()
    return steps_saved(run)


peaceful, victim = lab.folder / "runs" / "peaceful", lab.folder / "runs" / "victim"
options = [*COMMAND.split(), "--data", "sample", "--save-every", "5", "--log-every", "2"]
in_peace = start(*options, "--out", peaceful)
cuts = []
for moment in MOMENTS:
    process = start("--resume", victim) if cuts else start(*options, "--out", victim)
    cuts.append(kill_when_it_has_saved(process, victim, moment))
for epochs, count in cuts:
    print(f"killed; the newest whole checkpoint is {epochs} epochs and {count} batches")

assert in_peace.wait() == 0
assert start("--resume", victim).wait() == 0, "the last one may go on to the end"

# %% [markdown]
# Compare: weights, optimizer, best weights, every loss in the history, and the result on the test digits. Not nearly
# equal: equal. Only the times differ.
#
# > 比较：权重、优化器、最好的权重、历史记录里的每个损失，以及测试数字上的结果。不是接近，而是相等。只有时间不同。

# %%
ours, theirs = reproducible_state(victim), reproducible_state(peaceful)
np.testing.assert_equal(ours, theirs)
compared = sum(np.size(array) for part in ("weights", "optimizer", "best") for array in ours[part].values())
print(f"{compared:,} numbers and {len(ours['history'])} lines of history are the same in both runs")

# %%
figure, axes = plt.subplots(figsize=(8.5, 4.3))
for state, name, style in (
    (theirs, "trained in peace", {"color": COLOURS[5], "linewidth": 5, "alpha": 0.7}),
    (ours, f"killed {len(cuts)}×, and resumed", {"color": COLOURS[0], "linewidth": 1.3}),
):
    logged = [line for line in state["history"] if "batch" in line]
    axes.plot([line["step"] for line in logged], [line["loss"] for line in logged], label=name, **style)
last = theirs["history"][-1]  # an epoch's record: the number of its last step, counted from 0
per_epoch = (last["step"] + 1) // (last["epoch"] + 1)
for place, (epochs, count) in enumerate(cuts):
    label = "newest checkpoint when killed" if place == 0 else None
    axes.axvline(epochs * per_epoch + count, color=COLOURS[1], linestyle="--", label=label)
axes.set(title="One line covers the other: the same run to the bit", xlabel="step", ylabel="loss of the batch")
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

# %% [markdown]
# # 11. The high-level API · 高层 API
#
# The loop of lab 7 is always the same few lines. `paddle.Model` has it built in: `prepare` takes optimizer, loss and
# metric, `fit` trains, `evaluate` measures, `predict` answers. If you know Keras, these are compile, fit, evaluate and
# predict. The data come in Paddle's own way too: a `Dataset`, transforms, a `DataLoader`. At the end we check that all
# this computes exactly what our own loop computes.
#
# > 实验 7 的训练循环总是那几行。`paddle.Model` 已经内置了它：`prepare` 接收优化器、损失和指标，`fit` 训练，
# > `evaluate` 评估，`predict` 预测。用过 Keras 的人会认出它们就是 compile、fit、evaluate 和 predict。
# > 数据也用 Paddle 自己的方式读取：`Dataset`、变换（transforms）和 `DataLoader`。
# > 最后检查：这一切与我们自己写的循环算出的结果完全相同。

# %%
import warnings

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from paddle.nn import Flatten, Linear, ReLU, Sequential
from paddle.vision import transforms

from paddle_mnist import engine, learners
from paddle_mnist.loader import batches, shuffled
from paddle_mnist.recipes import settings_for

lab = Lab("11_high_level_api")
digits = dataset.open_dataset("auto", log=print)
whole = len(digits.train.images) > 10_000

# %% [markdown]
# ## The device · 设备
#
# Where should Paddle compute? `paddle.set_device` says it once for everything that follows. On a machine with a GPU,
# and with Paddle's GPU package, it would be `"gpu"`; not a line below would change. Several GPUs take one more line,
# `net = paddle.DataParallel(net)`, and are started by `python -m paddle.distributed.launch`.
#
# > Paddle 在哪里计算？`paddle.set_device` 一次指定，对后面的一切有效。如果机器有 GPU，并安装了 GPU 版的 Paddle，
# > 这里就写 `"gpu"`，下面的代码一行都不用改。多个 GPU 再加一行 `net = paddle.DataParallel(net)`，
# > 并用 `python -m paddle.distributed.launch` 启动。

# %%
place = paddle.set_device("cpu")
print("computing on:", paddle.get_device())
assert paddle.get_device() == "cpu"
assert paddle.zeros([1]).place.is_cpu_place()

# %% [markdown]
# ## The net, layer by layer · 逐层看网络
#
# A chain of layers needs no class: `Sequential` calls one after the other. 784 pixels, 512 rectified units, ten scores.
#
# **Predict, then run:** how many parameters has each of the four layers? Which one has nearly all of them?
#
# > 一串首尾相接的层不需要写类：`Sequential` 依次调用它们。784 个像素，512 个 ReLU 单元，十个得分。
# >
# > **先预测，再运行**：四个层各有多少参数？几乎所有参数都在哪一层？


# %%
def build():
    paddle.seed(0)  # the same starting weights every time
    return Sequential(Flatten(), Linear(784, 512), ReLU(), Linear(512, 10))


net = build()
paddle.summary(net, (1, 1, 28, 28))
count = sum(p.size for p in net.parameters())
assert count == 784 * 512 + 512 + 512 * 10 + 10 == 407_050
assert 784 * 512 / count > 0.98, "nearly all parameters are in the first Linear layer"

# %% [markdown]
# `paddle.summary` sends zeros through the net and prints the shape after each layer. When a net does something odd,
# look closer: send a real digit through, and print the shape *and the numbers* of each layer. A layer whose outputs are
# all 0, or all alike, is where to search.
#
# > `paddle.summary` 让全零的输入通过网络，打印每一层之后的形状。网络表现奇怪时要看得更仔细：
# > 让真实的数字通过网络，打印每一层的形状*和数值*。如果某一层的输出全是 0，或者全都一样，问题就在那里。

# %%
x = paddle.to_tensor(digits.train.images[:1, np.newaxis].astype(np.float32) / 255)  # [1, 1, 28, 28]
shapes = []
for layer in net:
    x = layer(x)
    shapes.append(x.shape)
    values = x.numpy()
    print(f"{type(layer).__name__:8} {x.shape!s:10} from {values.min():6.2f} to {values.max():5.2f}", end="")
    print(f", {np.mean(values == 0):4.0%} are 0")
assert shapes == [[1, 784], [1, 512], [1, 512], [1, 10]]

# %% [markdown]
# ## The data, Paddle's way · Paddle 的数据方式
#
# A `Dataset` answers two questions: how many samples are there, and what is sample number i? A *transform* turns the
# stored sample into what the net takes: `ToTensor` makes float32 in [0, 1] of bytes, and moves the channel to the
# front. Ready-made transforms also crop, flip, rotate and shift images.
#
# > `Dataset` 回答两个问题：一共有多少样本？第 i 个样本是什么？*变换*把存储的样本变成网络的输入：
# > `ToTensor` 把字节变成 [0, 1] 内的 float32，并把通道移到最前面。现成的变换还能裁剪、翻转、旋转和平移图像。


# %%
class Digits(paddle.io.Dataset):
    def __init__(self, split):
        super().__init__()
        self.split = split
        self.transform = transforms.Compose([transforms.ToTensor()])

    def __len__(self):
        return len(self.split.labels)

    def __getitem__(self, i):
        image = self.split.images[i][:, :, np.newaxis]  # [28, 28, 1] bytes: height, width, channel
        return self.transform(image), self.split.labels[i : i + 1].astype(np.int64)


image, label = Digits(digits.train)[0]
print("sample 0:", image.shape, image.dtype, "label", label)
assert image.shape == [1, 28, 28]
assert label.shape == (1,)
assert float(image.min()) >= 0 and float(image.max()) <= 1

# %% [markdown]
# A `DataLoader` makes batches of them, in order or shuffled, and with `num_workers=2` it reads in two other processes
# while the net computes. To compare with our loop we need *our* order of the samples, so we hand it over as a
# `Sampler`; `shuffle=True` would draw one of its own.
#
# > `DataLoader` 把样本组成批次，可以按顺序，也可以打乱；`num_workers=2` 时由另外两个进程读取，网络同时计算。
# > 为了与我们的循环比较，样本的顺序必须是*我们的*，所以用一个 `Sampler` 交给它；`shuffle=True` 会自己另抽一个顺序。


# %%
class OurOrder(paddle.io.Sampler):
    def __init__(self, samples):
        super().__init__()
        self.samples, self.epoch = samples, 0

    def __iter__(self):
        order = shuffled(self.samples, seed=0, epoch=self.epoch)
        self.epoch += 1  # the next epoch has another order
        return iter(order.tolist())

    def __len__(self):
        return self.samples


def train_loader(split):
    sampler = paddle.io.BatchSampler(sampler=OurOrder(len(split.labels)), batch_size=128)
    return paddle.io.DataLoader(Digits(split), batch_sampler=sampler)


theirs = next(iter(train_loader(digits.train)))
ours = next(batches(digits.train, 128, "classify", order=shuffled(len(digits.train.labels), 0, 0)))
print("a batch:", theirs[0].shape, theirs[0].dtype, " its labels:", theirs[1].shape, theirs[1].dtype)
assert np.allclose(theirs[0].numpy(), ours[0], atol=1e-7), "the same images as our loader's"
assert np.array_equal(theirs[1].numpy(), ours[1]), "and the same labels"

train = train_loader(digits.train)
valid = paddle.io.DataLoader(Digits(digits.valid), batch_size=500)
test = paddle.io.DataLoader(Digits(digits.eval), batch_size=500)

# %% [markdown]
# ## RMSProp · RMSProp 优化器
#
# SGD gives every weight the same rate. RMSProp gives each its own: it keeps a running mean m of the squared gradient,
# and divides the gradient by its root. Weights with small gradients then move as fast as those with large ones.
#
# > SGD 给所有权重同一个学习率，RMSProp 给每个权重各自的学习率：它保存梯度平方的滑动平均 m，
# > 再用梯度除以它的平方根。这样，梯度小的权重与梯度大的权重走得一样快。
#
#     m = 0.9 m + 0.1 g²        w = w - lr g / sqrt(m + epsilon)

# %%
layer = Linear(3, 1)
rmsprop = paddle.optimizer.RMSProp(0.001, rho=0.9, epsilon=1e-7, parameters=layer.parameters())
w = layer.weight.numpy().astype(np.float64)  # [3, 1]
m = np.zeros_like(w)
sample = np.array([[100.0, 1.0, 0.01]], np.float32)  # three inputs of very different sizes
for _ in range(5):
    layer(paddle.to_tensor(sample)).sum().backward()
    g = layer.weight.grad.numpy()
    m = 0.9 * m + 0.1 * g**2
    step = 0.001 * g / np.sqrt(m + 1e-7)
    w = w - step
    rmsprop.step()
    rmsprop.clear_grad()
print("gradients:", g.ravel(), " last step:", step.ravel().round(5))
assert np.allclose(layer.weight.numpy(), w, atol=1e-6), "Paddle's rule is this one"
assert step.max() < 1.1 * step.min(), "the gradients differ by a factor of 10,000, the steps hardly"

# %% [markdown]
# ## A callback of your own · 自己写回调
#
# What if you want something inside the loop that is not yours? A *callback* is called at the right moments: at the
# beginning and end of training, of every epoch, of every batch. Ours keeps the losses and the learning rate.
#
# > 循环不是你写的，却想在里面加点东西，怎么办？*回调*会在适当的时刻被调用：训练、每一轮、每一批的开始和结束。
# > 我们的回调记录损失和学习率。


# %%
class Watch(paddle.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses, self.rates, self.valid, self.reported = [], [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(self.model._optimizer.get_lr())

    def on_train_batch_end(self, step, logs=None):
        self.losses.append(float(logs["loss"][0]))

    def on_epoch_end(self, epoch, logs=None):
        self.reported.append(float(logs["loss"][0]))

    def on_eval_end(self, logs=None):
        self.valid.append((float(logs["loss"][0]), float(logs["acc"])))


# %% [markdown]
# ## Prepare and fit · 准备与训练
#
# `CrossEntropyLoss` takes raw scores (lab 9). `Accuracy` counts while the batches pass. The learning rate comes from a
# scheduler: `ExponentialDecay` multiplies it by 0.8 at each step *of the scheduler*. Beware: `Model` moves a scheduler
# on after every batch unless it is told otherwise. The callback `LRScheduler(by_step=False, by_epoch=True)` does so.
#
# `InputSpec` describes an input before there is one: its shape, its type, its name. `None` stands for any number of
# samples. `Model` needs it where it has to know the shapes ahead, such as for saving a net for use elsewhere.
#
# > `CrossEntropyLoss` 接收原始得分（见实验 9）。`Accuracy` 在各批经过时计数。学习率来自一个调度器：
# > `ExponentialDecay` 在*调度器*每走一步时把它乘以 0.8。注意：`Model` 默认每一批之后就让调度器走一步；
# > 回调 `LRScheduler(by_step=False, by_epoch=True)` 把它改成每一轮一步。
# >
# > `InputSpec` 在输入出现之前就描述它：形状、类型、名字。`None` 表示样本数任意。
# > 需要提前知道形状时，例如保存网络供别处使用，`Model` 就要用到它。

# %%
epochs = lab.budget(5 if whole else 8, 2 if whole else 3)
images = paddle.static.InputSpec([None, 1, 28, 28], "float32", "images")
labels = paddle.static.InputSpec([None, 1], "int64", "labels")
model = paddle.Model(net, images, labels)
rate = paddle.optimizer.lr.ExponentialDecay(0.001, gamma=0.8)
optimizer = paddle.optimizer.RMSProp(rate, rho=0.9, epsilon=1e-7, parameters=net.parameters())
model.prepare(optimizer, paddle.nn.CrossEntropyLoss(), paddle.metric.Accuracy())
warnings.filterwarnings("ignore", "To copy construct", UserWarning)  # Paddle's warning about a line of its own Model
watch = Watch()
each_epoch = paddle.callbacks.LRScheduler(by_step=False, by_epoch=True)
model.fit(train, valid, epochs=epochs, verbose=0, callbacks=[watch, each_epoch])

per_epoch = len(train)
for epoch, (loss, share) in enumerate(watch.valid):
    mean = np.mean(watch.losses[epoch * per_epoch : (epoch + 1) * per_epoch])
    lr = watch.rates[epoch]
    print(f"epoch {epoch}  rate {lr:.5f}  training loss {mean:.3f}  validation loss {loss:.3f}, accuracy {share:.1%}")
assert np.allclose(watch.rates, 0.001 * 0.8 ** np.arange(epochs))
assert len(watch.losses) == epochs * per_epoch
assert np.mean(watch.losses[-per_epoch:]) < 0.5 * np.mean(watch.losses[:per_epoch])
assert watch.valid[-1][1] > 0.85

# %% [markdown]
# **Predict, then run:** `Model` reports one loss at the end of each epoch. Is it the mean over the epoch's batches?
#
# > **先预测，再运行**：每轮结束时 `Model` 报告一个损失。它是这一轮各批的平均值吗？

# %%
print("reported:        ", *[f"{loss:.3f}" for loss in watch.reported])
print("mean of batches: ", *[f"{loss:.3f}" for loss in np.reshape(watch.losses, (epochs, per_epoch)).mean(axis=1)])
assert watch.reported == watch.losses[per_epoch - 1 :: per_epoch]

# %% [markdown]
# It is the loss of the *last batch*, so it jumps about. Take the average yourself, as above.
#
# To watch a long run in the browser, while it runs, add the callback `paddle.callbacks.VisualDL("logs")` and
# start `visualdl --logdir logs` (a package of its own: `pip install visualdl`). In a loop of your own, its `LogWriter`
# takes one line for each number: `writer.add_scalar("loss", loss, step)`. Our pictures show the same curves afterwards.
#
# > 它是*最后一批*的损失，所以会跳动。要像上面那样自己求平均。
# >
# > 想在浏览器里实时观察长时间的训练，可以加上回调 `paddle.callbacks.VisualDL("logs")`，再运行
# > `visualdl --logdir logs`（需另外安装：`pip install visualdl`）。在自己写的循环里，用它的 `LogWriter`，
# > 每个数一行：`writer.add_scalar("loss", loss, step)`。我们的图在训练后画出同样的曲线。

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
places = (np.arange(len(watch.losses)) + 1) / per_epoch
left.plot(places, watch.losses, color=COLOURS[5], lw=0.8, label="train, each batch")
left.plot(range(1, epochs + 1), [v[0] for v in watch.valid], color=COLOURS[1], marker="o", label="validation")
left.set(title="Single batches jump about; the trend falls", xlabel="epochs of training")
left.set(ylabel="cross-entropy", ylim=(0, 1.2))
left.legend()
right.errorbar(
    range(1, epochs + 1),
    [100 * share for _, share in watch.valid],
    yerr=[100 * np.sqrt(share * (1 - share) / len(digits.valid.labels)) for _, share in watch.valid],
    color=COLOURS[0],
    marker="o",
    capsize=3,
)
right.set(title="Accuracy ± one standard error: later epochs hardly differ", xlabel="epochs of training")
right.set_ylabel(f"right, % of {len(digits.valid.labels):,} validation digits")
right.grid(alpha=0.3)
for axes in (left, right):
    axes.xaxis.get_major_locator().set_params(integer=True)
lab.save(figure, "curve.png")

# %% [markdown]
# ## Evaluate and predict · 评估与预测
#
# The test digits, once, at the end. We count ourselves too: do not trust a figure that you cannot compute.
#
# > 最后用测试数字评估一次。我们自己也数一遍：算不出来的数字，不要相信。

# %%
result = model.evaluate(test, verbose=0)
(scores,) = model.predict(test, stack_outputs=True, verbose=0)  # [n, 10]
counted = float((scores.argmax(axis=1) == digits.eval.labels).mean())
error = np.sqrt(counted * (1 - counted) / len(scores))
print(f"test: loss {result['loss'][0]:.3f}, accuracy {result['acc']:.2%}; counted by us {counted:.2%} ± {error:.2%}")
assert scores.shape == (len(digits.eval.labels), 10)
assert abs(counted - result["acc"]) < 1e-6
assert counted > 0.85

# %% [markdown]
# `predict` returns what the net returns: raw scores. For people we turn them into probabilities. On which digits was
# the net most confident, and wrong?
#
# > `predict` 返回网络的输出，即原始得分。给人看时再换成概率。网络在哪些数字上最有把握，却错了？

# %%
probabilities = F.softmax(paddle.to_tensor(scores)).numpy()  # [n, 10]
wrong = np.flatnonzero(scores.argmax(axis=1) != digits.eval.labels)
surest = wrong[np.argsort(-probabilities[wrong].max(axis=1))][:8]
figure, grid = plt.subplots(2, 8, figsize=(11, 3.9), height_ratios=(1.4, 1), layout="constrained")
for column, index in enumerate(surest):
    above, below = grid[:, column]
    above.imshow(digits.eval.images[index], cmap="gray_r")
    above.set_title(f"{digits.eval.labels[index]} read as {scores[index].argmax()}", fontsize=10)
    above.set(xticks=[], yticks=[])
    colours = [COLOURS[5]] * 10
    colours[scores[index].argmax()], colours[digits.eval.labels[index]] = COLOURS[1], COLOURS[2]
    below.bar(range(10), probabilities[index], color=colours)
    below.set(ylim=(0, 1), xticks=range(10), yticks=[0, 1] if column == 0 else [])
    below.tick_params(labelsize=7)
grid[1, 0].set_ylabel("probability")
figure.supxlabel("digit")
figure.suptitle("Confident and wrong: test digits (orange: the answer, green: the label)")
lab.save(figure, "surest_mistakes.png")
assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)

# %% [markdown]
# ## The same as our loop · 与我们的循环一致
#
# Same starting weights, same batches: does `Model.fit` compute what lab 7's loop computes? And does the package's
# `engine.fit`, which also keeps records? Two epochs on 2,000 digits, three ways.
#
# **Predict, then run:** will the losses be equal to the last digit, nearly equal, or merely similar?
#
# > 初始权重相同，批次相同：`Model.fit` 算出的与实验 7 的循环相同吗？软件包的 `engine.fit`（它还做记录）呢？
# > 用 2,000 个数字训练两轮，三种方式比较。
# >
# > **先预测，再运行**：三者的损失会完全相等、几乎相等，还是只是相近？

# %%
few = type(digits.train)(digits.train.images[:2000], digits.train.labels[:2000])
by_loop, net = [], build()
optimizer = paddle.optimizer.RMSProp(0.0003, rho=0.9, epsilon=1e-7, parameters=net.parameters())
loader = train_loader(few)
for _ in range(2):
    for images, labels in loader:
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        by_loop.append(float(loss))

model = paddle.Model(build())
optimizer = paddle.optimizer.RMSProp(0.0003, rho=0.9, epsilon=1e-7, parameters=model.parameters())
model.prepare(optimizer, paddle.nn.CrossEntropyLoss())
by_model = Watch()
model.fit(train_loader(few), epochs=2, verbose=0, callbacks=[by_model])

by_package = []
settings = settings_for("mlp", epochs=2, seed=0, lr=0.0003, lr_decay=1.0)
learner = learners.build(settings)
engine.fit(learner, few, digits.valid, settings, on_step=lambda step: by_package.append(step.loss))

for name, losses in (("our loop", by_loop), ("paddle.Model", by_model.losses), ("engine.fit", by_package)):
    print(f"{name:13} first batch {losses[0]:.6f}, last batch {losses[-1]:.6f}")
assert np.allclose(by_model.losses, by_loop, rtol=1e-5), "the same numbers"
assert np.allclose(by_package, by_loop, rtol=2e-3), "equal but for rounding, which RMSProp enlarges at first"

# %% [markdown]
# Which one, when? `paddle.Model` is short and good for the ordinary case. The loop is yours to change, and you see what
# happens. Both compute the same.
#
# > 什么时候用哪个？`paddle.Model` 简短，适合普通情形；自己的循环可以随意修改，每一步都看得见。两者算的是同样的东西。

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 11 --start`, write your answers into `labs/my/11.py`, and check them with
# `python -m paddle_mnist.check 11`. `--hint` gives hints.
#
# 1. `count_parameters(sizes)`: how many parameters a chain of Linear layers has.
# 2. `rmsprop_step(w, g, m, lr, rho, epsilon)`: one step of RMSProp.
# 3. `early_stopping(patience)`: a callback that stops when the validation loss no longer falls.
#
# > 运行 `python -m paddle_mnist.check 11 --start`，把答案写进 `labs/my/11.py`，
# > 再用 `python -m paddle_mnist.check 11` 检查。`--hint` 给出提示。
# >
# > 1. `count_parameters(sizes)`：一串 Linear 层共有多少参数。
# > 2. `rmsprop_step(w, g, m, lr, rho, epsilon)`：RMSProp 的一步。
# > 3. `early_stopping(patience)`：验证损失不再下降时停止训练的回调。

# %%
lab.finish(accuracy=round(counted, 4))

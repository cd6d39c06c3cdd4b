# %% [markdown]
# # 11. The high-level API · 高层 API
#
# The loop of lab 7 is always the same ten lines. `paddle.Model` brings it along: `prepare` takes optimizer, loss and
# metric, `fit` trains, `evaluate` measures, `predict` answers. Whoever comes from Keras knows them as compile, fit,
# evaluate and predict. This lab trains a net of 512 hidden units with RMSProp that way, and looks into the box.
#
# > 实验 7 的循环总是那十行。`paddle.Model` 把它打包好了：`prepare` 接收优化器、损失和指标，`fit` 训练，
# > `evaluate` 评估，`predict` 作答。用过 Keras 的人会认出它们就是 compile、fit、evaluate 和 predict。
# > 本实验用它训练一个有 512 个隐藏单元的网络，优化器是 RMSProp，并打开盒子看看里面。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()

import paddle
from paddle.nn import Flatten, Linear, ReLU, Sequential

from paddle_mnist import engine, high_level, learners, losses, nets
from paddle_mnist.loader import batches, shuffled
from paddle_mnist.recipes import settings_for

lab = Lab("11_high_level_api")
digits = dataset.open_dataset("auto", say=print)
whole = len(digits.train.images) > 10_000

# %% [markdown]
# ## The net · 网络
#
# A chain of layers needs no class: `Sequential` calls one after the other. 784 pixels, 512 rectified units, ten raw
# scores. Nearly all parameters are in the first layer.
#
# > 一串首尾相接的层不需要写类：`Sequential` 依次调用它们。784 个像素，512 个 ReLU 单元，十个原始得分。
# > 几乎所有参数都在第一层。

# %%
paddle.seed(0)
net = Sequential(Flatten(), Linear(784, 512), ReLU(), Linear(512, 10))
count = sum(p.size for p in net.parameters())
print(net)
print(f"{count:,} parameters")
assert count == 784 * 512 + 512 + 512 * 10 + 10 == 407_050
assert net(paddle.zeros([3, 1, 28, 28])).shape == [3, 10]

# %% [markdown]
# ## The data · 数据
#
# `fit` takes a `paddle.io.Dataset`, or anything that can be iterated over once per epoch and knows how many batches
# that makes. Ours hands out lab 1's batches, in a new order each epoch.
#
# > `fit` 接收 `paddle.io.Dataset`，或者任何每轮可以遍历一遍、并且知道共有多少批的对象。
# > 我们的对象给出实验 1 的批次，每一轮换一个顺序。


# %%
class Batches:
    def __init__(self, split, size, shuffle):
        self.split, self.size, self.shuffle, self.epoch = split, size, shuffle, 0

    def __len__(self):
        return -(-len(self.split.labels) // self.size)

    def __iter__(self):
        order = shuffled(len(self.split.labels), seed=0, epoch=self.epoch) if self.shuffle else None
        self.epoch += 1
        return batches(self.split, self.size, "classify", order=order)


train = Batches(digits.train, 128, shuffle=True)
valid, test = Batches(digits.valid, 500, shuffle=False), Batches(digits.eval, 500, shuffle=False)
x, t = next(iter(valid))
print("a batch:", x.shape, x.dtype, " its labels:", t.shape, t.dtype)
assert x.shape == (500, 1, 28, 28)
assert t.shape == (500, 1)
assert len(train) == np.ceil(len(digits.train.labels) / 128)

# %% [markdown]
# ## RMSProp · RMSProp 优化器
#
# SGD gives every weight the same rate. RMSProp gives each its own: it keeps a running mean m of the squared gradient,
# and divides the gradient by its root. Weights with small gradients then move as fast as those with large ones.
#
#     m = 0.9 m + 0.1 g²        w = w - lr g / sqrt(m + epsilon)
#
# > SGD 给所有权重同一个学习率，RMSProp 给每个权重各自的学习率：它保存梯度平方的滑动平均 m，
# > 再用梯度除以它的平方根（公式见上）。这样，梯度小的权重与梯度大的权重走得一样快。

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
assert step.max() < 1.1 * step.min(), "gradients differ ten thousandfold, the steps hardly"

# %% [markdown]
# ## A callback of one's own · 自己写回调
#
# What if you want something inside the loop that is not yours? A *callback* is called at the right moments: at the
# begin and end of training, of every epoch, of every batch. Ours keeps the losses, and lowers the rate by a fifth after
# each epoch.
#
# > 循环不是你写的，却想在里面加点东西，怎么办？*回调*会在适当的时刻被调用：训练、每一轮、每一批的开始和结束。
# > 我们的回调记录损失，并在每一轮之后把学习率降低五分之一。


# %%
class Watch(paddle.callbacks.Callback):
    def __init__(self, optimizer):
        super().__init__()
        self.optimizer = optimizer
        self.losses, self.rates, self.valid, self.ends = [], [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(0.001 * 0.8**epoch)
        self.optimizer.set_lr(self.rates[-1])

    def on_train_batch_end(self, step, logs=None):
        self.losses.append(float(logs["loss"][0]))

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(float(logs["loss"][0]))

    def on_eval_end(self, logs=None):
        self.valid.append((float(logs["loss"][0]), float(logs["acc"])))


# %% [markdown]
# ## Prepare, fit · 准备与训练
#
# `CrossEntropyLoss` takes raw scores (lab 9). `Accuracy` counts while the batches pass. After each epoch `fit` measures
# the validation digits.
#
# > `CrossEntropyLoss` 接收原始得分（见实验 9）。`Accuracy` 在各批经过时计数。每一轮之后，`fit` 会评估验证数字。

# %%
epochs = lab.budget(5 if whole else 8, 2 if whole else 4)
images = paddle.static.InputSpec([None, 1, 28, 28], "float32", "images")  # None: any number of samples
labels = paddle.static.InputSpec([None, 1], "int64", "labels")
model = paddle.Model(net, images, labels)
optimizer = paddle.optimizer.RMSProp(0.001, rho=0.9, epsilon=1e-7, parameters=net.parameters())
watch = Watch(optimizer)
model.prepare(optimizer, paddle.nn.CrossEntropyLoss(), paddle.metric.Accuracy())
model.fit(train, valid, epochs=epochs, verbose=0, callbacks=[watch])

per_epoch = len(train)
for epoch, (loss, share) in enumerate(watch.valid):
    mean = np.mean(watch.losses[epoch * per_epoch : (epoch + 1) * per_epoch])
    rate = watch.rates[epoch]
    print(f"epoch {epoch}  rate {rate:.5f}  training loss {mean:.3f}  validation loss {loss:.3f}, accuracy {share:.1%}")
assert len(watch.losses) == epochs * per_epoch
assert np.mean(watch.losses[-per_epoch:]) < 0.5 * np.mean(watch.losses[:per_epoch])
assert watch.valid[-1][1] > 0.85

# %% [markdown]
# Mind what is reported: the loss at the end of an epoch is that of its *last batch*, not the mean. It jumps. Average
# yourself, as above.
#
# > 注意报告的是什么：一轮结束时的损失是*最后一批*的损失，不是平均值，所以会跳动。要像上面那样自己求平均。

# %%
assert watch.ends == watch.losses[per_epoch - 1 :: per_epoch]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
places = (np.arange(len(watch.losses)) + 1) / per_epoch
left.plot(places, watch.losses, color=COLOURS[5], lw=0.8, label="train, each batch")
left.plot(range(1, epochs + 1), [v[0] for v in watch.valid], color=COLOURS[1], marker="o", label="validation")
left.set(title="512 units, RMSProp: the loss", xlabel="epochs of training", ylabel="cross-entropy")
left.set_ylim(0, 1.2)
left.legend()
right.plot(range(1, epochs + 1), [100 * v[1] for v in watch.valid], color=COLOURS[0], marker="o")
right.set(title="Validation digits read right", xlabel="epochs of training", ylabel="share, %")
right.grid(alpha=0.3)
for axes in (left, right):
    axes.xaxis.get_major_locator().set_params(integer=True)
lab.save(figure, "curve.png")

# %% [markdown]
# ## Evaluate and predict · 评估与预测
#
# The test digits, once, at the end. We count ourselves too: never trust a figure that you cannot compute.
#
# > 最后用测试数字评估一次。我们自己也数一遍：算不出来的数字，不要相信。

# %%
result = model.evaluate(test, verbose=0)
(scores,) = model.predict(test, stack_outputs=True, verbose=0)  # [n, 10]
counted = float((scores.argmax(axis=1) == digits.eval.labels).mean())
print(f"test: loss {result['loss'][0]:.3f}, accuracy {result['acc']:.2%}; counted by hand {counted:.2%}")
assert scores.shape == (len(digits.eval.labels), 10)
assert abs(counted - result["acc"]) < 1e-6
assert counted > 0.85

# %% [markdown]
# `predict` returns what the net returns: raw scores. For people we turn them into probabilities. Where was the net most
# sure, and wrong?
#
# > `predict` 返回网络的输出，即原始得分。给人看时再换成概率。网络在哪些数字上最有把握，却错了？

# %%
probabilities = losses.softmax(scores)  # [n, 10]
wrong = np.flatnonzero(scores.argmax(axis=1) != digits.eval.labels)
surest = wrong[np.argsort(-probabilities[wrong].max(axis=1))][:8]
figure, grid = plt.subplots(2, 8, figsize=(11, 3.9), height_ratios=(1.4, 1), layout="constrained")
for column, index in enumerate(surest):
    above, below = grid[:, column]
    above.imshow(digits.eval.images[index], cmap="gray_r")
    above.set_title(f"is {digits.eval.labels[index]}, read {scores[index].argmax()}", fontsize=10)
    above.set(xticks=[], yticks=[])
    colours = [COLOURS[5]] * 10
    colours[scores[index].argmax()], colours[digits.eval.labels[index]] = COLOURS[1], COLOURS[2]
    below.bar(range(10), probabilities[index], color=colours)
    below.set(ylim=(0, 1), xticks=range(10), yticks=[0, 1] if column == 0 else [])
    below.tick_params(labelsize=7)
grid[1, 0].set_ylabel("probability")
figure.supxlabel("digit")
figure.suptitle("Test digits misread with most confidence (orange: what was read, green: the label)")
lab.save(figure, "surest_mistakes.png")
assert np.allclose(probabilities.sum(axis=1), 1)

# %% [markdown]
# ## The same as our loop · 与我们的循环一致
#
# The package offers both: `engine.fit` is the written-out loop, `high_level.fit` goes through `paddle.Model` with a
# callback that keeps records. Same seed, same batches: the same losses.
#
# > 软件包两种都有：`engine.fit` 是写开的循环；`high_level.fit` 经过 `paddle.Model`，由一个回调来记录。
# > 种子相同，批次相同，损失也相同。

# %%
first = type(digits.train)(digits.train.images[:2000], digits.train.labels[:2000])
settings = settings_for("mlp", epochs=2, seed=0, lr=0.0003)
by_loop = engine.fit(learners.build(settings), first, digits.valid, settings)
by_model = high_level.fit(learners.build(settings), first, digits.valid, settings)
for ours, theirs in zip(by_loop, by_model, strict=True):
    print(f"epoch {ours['epoch']}  by the loop {ours['loss']:.6f}  by paddle.Model {theirs['loss']:.6f}")
    assert abs(ours["loss"] - theirs["loss"]) < 2e-3 * ours["loss"]
assert sum(p.size for p in nets.MLP().parameters()) == count, "the package's net of 512 units is this one"

# %% [markdown]
# When which? `paddle.Model` is short and good for the ordinary case. The loop is yours to change, and you see what
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

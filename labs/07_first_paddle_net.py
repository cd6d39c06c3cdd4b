# %% [markdown]
# # 7. The first Paddle net · 第一个 Paddle 网络
#
# In lab 3 we wrote every backward pass by hand. A framework does that for us: we write the forward pass, and it finds
# the gradient, as our own engine did in lab 6. This lab shows that Paddle's gradient is the one we worked out, and then
# trains the course's first net with it: digits in, one number out.
#
# > 在实验 3 里，每个反向传播都是我们手写的。框架会替我们做这件事：我们只写前向计算，梯度由它来求，
# > 就像实验 6 里我们自己写的引擎那样。本实验先证明 Paddle 求出的梯度正是我们推导的那个，再用它训练课程里的第一个网络：
# > 输入数字图像，输出一个数。

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch import gradient_check, layers

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)

import paddle
import paddle.nn.functional as F
from paddle.nn import Linear

from paddle_mnist import engine, learners, nets
from paddle_mnist.labs import accuracy
from paddle_mnist.loader import load_data
from paddle_mnist.recipes import settings_for

lab = Lab("07_first_paddle_net")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## A tensor remembers · 张量会记住
#
# A tensor is an array that remembers how it was computed. `stop_gradient=False` says: I want the gradient with
# respect to this one. Take one neuron with one input, and the square of its error.
#
# > 张量就是一个记得自己怎样算出来的数组。`stop_gradient=False` 的意思是：我要对它求梯度。
# > 取一个只有一个输入的神经元，以及它的误差的平方。
#
#     L = (w x + b - t)²        dL/dw = 2 (w x + b - t) x

# %%
lab.section("A tensor remembers")
x, t = 3.0, 1.0
w = paddle.to_tensor(2.0, dtype="float64", stop_gradient=False)
b = paddle.to_tensor(-1.0, dtype="float64", stop_gradient=False)
loss = (w * x + b - t) ** 2
loss.backward()  # walks the computation back, as we did in lab 3
print("L =", float(loss), " dL/dw =", float(w.grad), " dL/db =", float(b.grad))
assert float(loss) == (2 * 3 - 1 - 1) ** 2 == 16
assert float(w.grad) == 2 * 4 * 3
assert float(b.grad) == 2 * 4

# %% [markdown]
# Three ways to a gradient: by hand, by measuring (step a little to both sides), and by Paddle. They agree.
#
# > 求梯度有三种办法：手算、测量（向两边各走一小步）、交给 Paddle。三者一致。

# %%
measured = gradient_check.numerical_gradient(lambda w: (w[0] * x - 1.0 - t) ** 2, np.array([2.0]))
print("measured:", measured)
assert abs(measured[0] - float(w.grad)) < 1e-6

# %% [markdown]
# **Predict, then run:** we call `backward` a second time, on the same loss. What does `w.grad` hold now: 24 again, 48,
# or an error?
#
# > **先预测，再运行**：对同样的损失再调用一次 `backward`。现在 `w.grad` 是多少：还是 24、48，还是报错？

# %%
((w * x + b - t) ** 2).backward()
print("after a second backward, without clearing:", float(w.grad))
assert float(w.grad) == 2 * 24
w.clear_gradient()
assert w.grad is None or float(w.grad) == 0

# %% [markdown]
# Gradients *add up*, because a value that is used twice gets a gradient from both uses (lab 3). That is why every
# training loop clears them after each step. Forget it, and each step also follows every earlier gradient.
#
# > 梯度会*累加*，因为一个值被用了两次，就从两处得到梯度（见实验 3）。所以每个训练循环在每一步之后都要清零。
# > 忘了清零，每一步就会同时沿着以前所有的梯度走。

# %% [markdown]
# ## Lab 3's net in Paddle · 用 Paddle 写实验 3 的网络
#
# A `Layer` holds parameters and says in `forward` how outputs come from inputs. `Linear` is lab 3's Affine:
# y = x W + b. This is the net with 50 hidden units.
#
# > `Layer` 保存参数，并在 `forward` 里说明怎样由输入得到输出。`Linear` 就是实验 3 的 Affine：y = x W + b。
# > 下面是带 50 个隐藏单元的网络。


# %%
class TwoLayers(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.fc1 = Linear(784, 50)
        self.fc2 = Linear(50, 10)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


lab.section("Lab 3's net in Paddle")
paddle.seed(0)
net = TwoLayers()
for name, parameter in net.named_parameters():
    print(f"{name:10}  {parameter.shape}")
assert sum(p.size for p in net.parameters()) == 784 * 50 + 50 + 50 * 10 + 10

# %% [markdown]
# Now check it. We give our NumPy layers the same weights and the same hundred digits. Scores, loss and gradients
# must be the same.
#
# > 现在来证明。给 NumPy 写的层同样的权重和同样的一百个数字，得分、损失和梯度都必须相同。

# %%
images = digits.train.images[:100].reshape(100, 784).astype(np.float32) / 255  # [100, 784]
labels = digits.train.labels[:100].astype(np.int64)  # [100]

scores = net(paddle.to_tensor(images))  # [100, 10]
loss = F.cross_entropy(scores, paddle.to_tensor(labels))
loss.backward()

first = layers.Affine(net.fc1.weight.numpy(), net.fc1.bias.numpy())
relu = layers.ReLU()
second = layers.Affine(net.fc2.weight.numpy(), net.fc2.bias.numpy())
last = layers.SoftmaxWithLoss()
our_scores = second.forward(relu.forward(first.forward(images)))
our_loss = last.forward(our_scores, labels)
first.backward(relu.backward(second.backward(last.backward())))

print(f"loss by Paddle {float(loss):.6f}, by hand {our_loss:.6f}")
assert scores.shape == [100, 10]
assert np.allclose(scores.numpy(), our_scores, atol=1e-4)
assert abs(float(loss) - our_loss) < 1e-4
for name, theirs, ours in (
    ("dW1", net.fc1.weight.grad, first.dW),
    ("db1", net.fc1.bias.grad, first.db),
    ("dW2", net.fc2.weight.grad, second.dW),
    ("db2", net.fc2.bias.grad, second.db),
):
    error = gradient_check.relative_error(theirs.numpy(), ours)
    print(f"{name} {list(ours.shape)!s:10}  relative difference {error:.1e}")
    assert error < 1e-4, f"{name} differs"

# %% [markdown]
# ## The course's first net · 课程的第一个网络
#
# The course begins with *regression*: the net answers with one number, and for a picture of a 7 that number should be
# 7. Two hidden layers of ten sigmoids, one output. The loss is the square error.
#
# > 课程从*回归*开始：网络用一个数作答，对着一张 7 的图像，这个数应当是 7。
# > 两个隐藏层，各有十个 Sigmoid 单元，一个输出。损失是平方误差。


# %%
class FC(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.fc1 = Linear(784, 10)
        self.fc2 = Linear(10, 10)
        self.fc3 = Linear(10, 1)

    def forward(self, images):
        x = paddle.flatten(images, start_axis=1)  # [n, 784]
        x = F.sigmoid(self.fc1(x))  # [n, 10]
        x = F.sigmoid(self.fc2(x))  # [n, 10]
        return self.fc3(x)  # [n, 1]


paddle.seed(0)
net = FC()
paddle.seed(0)
theirs = nets.FC()
batch = paddle.to_tensor(images.reshape(100, 1, 28, 28))
assert net(batch).shape == [100, 1]
assert np.array_equal(net(batch).numpy(), theirs(batch).numpy()), "the package's net is this one"

# %% [markdown]
# A silent trap: outputs have the shape [100, 1]; if the labels have the shape [100], the difference is *broadcast*.
#
# **Predict, then run:** what is the shape of the difference? And what will a net learn from its mean?
#
# > 一个无声的陷阱：输出的形状是 [100, 1]，如果标签的形状是 [100]，差就会被*广播*。
# >
# > **先预测，再运行**：差的形状是什么？网络从它的平均值里会学到什么？

# %%
t = paddle.to_tensor(labels.astype(np.float32))  # [100]
wrong = F.square_error_cost(net(batch), t)
right = F.square_error_cost(net(batch), t.reshape([100, 1]))
print("labels [100]:", wrong.shape, "  labels [100, 1]:", right.shape)
assert wrong.shape == [100, 100]
assert right.shape == [100, 1]
answers = np.linspace(0, 9, 91)  # what if the net gave this one answer to every image?
means = [float(((answer - labels[:, np.newaxis]) ** 2).mean()) for answer in answers]
print(f"the best single answer is {answers[np.argmin(means)]:.1f}, the average label {labels.mean():.2f}")
assert abs(answers[np.argmin(means)] - labels.mean()) <= 0.05

# %% [markdown]
# Every output is compared with every label. The mean is still a number, and training still runs. But the best that one
# output can do against *all* labels is to answer the average digit, so that is what the net learns.
#
# > 每个输出都和每个标签相减。平均值仍是一个数，训练也照样进行。
# > 但一个输出面对*所有*标签，最好的办法就是回答平均数字，于是网络学会的就是这个。

# %% [markdown]
# ## The loop · 训练循环
#
# Ten lines, the same for every net to come: take a batch, forward, loss, backward, step, clear. Gradients longer than 5
# are shortened to 5: at this learning rate the recipe is close to diverging, and lab 13 shows why.
#
# > 十行代码，以后所有网络都用它：取一批、前向、损失、反向、更新、清零。
# > 长度超过 5 的梯度缩短到 5：用这个学习率，这套方案已接近发散，原因见实验 13。

# %%
lab.section("The loop")
whole = len(digits.train.images) > 10_000
epochs = lab.budget(10 if whole else 30, 3 if whole else 10)
train_loader = load_data("train", batch_size=100, seed=0)
optimizer = paddle.optimizer.SGD(0.01, parameters=net.parameters(), grad_clip=paddle.nn.ClipGradByGlobalNorm(5.0))

valid_images = paddle.to_tensor(digits.valid.images[:, np.newaxis].astype(np.float32) / 255)  # [n, 1, 28, 28]
valid_labels = digits.valid.labels[:, np.newaxis].astype(np.float32)  # [n, 1]
before = float(((net(valid_images).numpy() - valid_labels) ** 2).mean())

batch_losses, valid_losses = [], []
for _ in range(epochs):
    for images, labels in train_loader():
        outputs = net(paddle.to_tensor(images))  # [100, 1]
        loss = F.square_error_cost(outputs, paddle.to_tensor(labels)).mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        batch_losses.append(float(loss))
    with paddle.no_grad():  # only to look: nothing has to be remembered for a backward pass
        valid_losses.append(float(((net(valid_images).numpy() - valid_labels) ** 2).mean()))
print(f"validation square error: {before:.2f} before training, {valid_losses[-1]:.2f} after {epochs} epochs")

# %% [markdown]
# What is a good square error? Compare with an answer that needs no net: always the average label. That scores the
# labels' variance, about 8.3. Only what is below it has been learnt from the pictures.
#
# > 多大的平方误差才算好？和一个不需要网络的答案比一比：永远回答标签的平均值。
# > 它的误差是标签的方差，大约 8.3。低于这个数，才说明真的从图像里学到了东西。

# %%
constant = float(((digits.train.labels.mean() - valid_labels) ** 2).mean())
print(f"always answering {digits.train.labels.mean():.2f}: {constant:.2f}")
assert valid_losses[-1] < 0.7 * constant, "the net is better than any constant answer"
assert valid_losses[-1] < 0.5 * before

figure, axes = plt.subplots(figsize=(8, 4.5))
per_epoch = len(batch_losses) / epochs
axes.plot(
    (np.arange(len(batch_losses)) + 1) / per_epoch, batch_losses, color=COLOURS[5], lw=0.8, label="train, batches"
)
axes.plot(np.arange(1, epochs + 1), valid_losses, color=COLOURS[1], marker="o", ms=4, label="validation")
axes.axhline(constant, color=COLOURS[6], linestyle="--", label="always the average digit")
axes.set(title="The FC net beats every constant answer (dashed)", xlabel="epochs of training", ylabel="square error")
axes.set_ylim(0, 1.6 * constant)
axes.legend()
lab.save(figure, "curve.png")

# %% [markdown]
# The package trains the same net with one call, `engine.fit`. Same seed, same batches, so the same losses.
#
# > 软件包只用一次调用 `engine.fit` 就训练同样的网络。种子相同，批次相同，损失也就相同。

# %%
settings = settings_for("fc", epochs=1, seed=0)
learner = learners.build(settings)
(record,) = engine.fit(learner, digits.train, digits.valid, settings)
print(f"after one epoch: ours {valid_losses[0]:.5f}, the package's {record['valid_loss']:.5f}")
assert abs(record["valid_loss"] - valid_losses[0]) < 1e-3 * valid_losses[0]

# %% [markdown]
# ## What the net answers · 网络的回答
#
# For each label, how the answers to it spread: the box holds the middle half of them, the line in it is the median, and
# the whiskers reach to the furthest answers that are not outliers. The dashed line is where the answers ought to be. To
# read a digit we round the answer.
#
# **Predict, then run:** the square error has fallen by more than half. What share of the digits is read right?
#
# > 图中是网络对每个标签的回答怎样分布：方框是中间的一半，框中的线是中位数，须线延伸到不算离群的最远的回答。
# > 虚线是回答本该在的位置。把回答四舍五入就得到读出的数字。
# >
# > **先预测，再运行**：平方误差下降了一半多。有多少数字读得对？

# %%
lab.section("What the net answers")
with paddle.no_grad():
    answers = net(valid_images).numpy()[:, 0]  # [n]
figure, axes = plt.subplots(figsize=(8, 4.5))
boxes = axes.boxplot(
    [answers[digits.valid.labels == digit] for digit in range(10)],
    positions=range(10),
    widths=0.6,
    sym="",
    patch_artist=True,
    medianprops={"color": "black"},
)
for box in boxes["boxes"]:
    box.set_facecolor(COLOURS[5])
axes.plot([0, 9], [0, 9], color=COLOURS[1], linestyle="--", label="the right answer")
axes.set(title="The answers rise with the digit, but few round to it", xlabel="label", ylabel="answer")
axes.legend()
lab.save(figure, "answers.png")

right = np.clip(np.rint(answers), 0, 9) == digits.valid.labels
near = float((np.abs(answers - digits.valid.labels) < 1.5).mean())
print(f"rounded, {accuracy.in_percent(right)} are read right; {near:.1%} of the answers are within 1.5 of the label")
assert right.mean() - 3 * accuracy.standard_error(right) > 0.1, "better than guessing, which is right once in ten"
assert near > right.mean()

# %% [markdown]
# So a small square error is not yet good reading. Lab 8 gives the net better eyes, and lab 9 a better question.
#
# > 可见平方误差小，并不等于读得准。实验 8 会给网络更好的眼睛，实验 9 会给它一个更好的问题。

# %% [markdown]
# ## Exercises · 练习
#
# Run `python -m paddle_mnist.check 07 --start`, write your answers into `labs/my/07.py`, and check them with
# `python -m paddle_mnist.check 07`. `--hint` gives hints.
#
# 1. `square_error(outputs, labels)`: the mean square error, without the broadcasting trap.
# 2. `train_epoch(net, optimizer, batches)`: find the three mistakes in a loop that seems to train.
# 3. `fit_line(x, t, lr, steps)`: train a single `Linear` by Paddle's autograd.
#
# > 运行 `python -m paddle_mnist.check 07 --start`，把答案写进 `labs/my/07.py`，
# > 再用 `python -m paddle_mnist.check 07` 检查。`--hint` 给出提示。
# >
# > 1. `square_error(outputs, labels)`：平均平方误差，避开广播的陷阱。
# > 2. `train_epoch(net, optimizer, batches)`：找出一个看似能训练的循环里的三个错误。
# > 3. `fit_line(x, t, lr, steps)`：用 Paddle 的自动求导训练单个 `Linear`。

# %%
lab.finish(square_error=round(valid_losses[-1], 3), accuracy=round(float(right.mean()), 4))

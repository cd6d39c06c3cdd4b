# %% [markdown]
# # 3. Backprop by hand · 手写反向传播
#
# A net has tens of thousands of weights. Which way should each one move, so that the net's answers get better?
# Backpropagation answers this for all of them at once, for about twice the work of a forward pass. This lab derives it,
# checks it, trains with it, and shows what happens if one line of it is wrong.
#
# > 网络有几万个权重。每个权重该往哪个方向调，网络的回答才会变好？反向传播一次就给出所有权重的答案，
# > 计算量大约只是前向传播的两倍。本实验推导它、检查它、用它训练，并展示其中一行写错会怎样。

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: lab 1 says why

import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import dataset
from paddle_mnist.labs.accuracy import in_percent, paired_difference
from paddle_mnist.labs.graphs import draw_steps
from paddle_mnist.labs.tools import COLOURS, Lab
from paddle_mnist.scratch import gradient_check, layers
from paddle_mnist.scratch.two_layer_net import TwoLayerNet

lab = Lab("03_backprop_by_hand")
digits = dataset.open_dataset("auto", log=print)

# %% [markdown]
# ## A computation graph · 计算图
#
# Any computation is a graph of small steps. Take this one, in three steps:
#
# > 任何计算都是由许多小步骤组成的图。看下面这个例子，它分三步：
#
#     u = x w,   v = u + b,   L = v²
#
# Forward, each step passes its value on. Backward, each step is given the gradient of L with respect to its output. It
# multiplies by its own slope, and so finds the gradient with respect to each of its inputs. That is the chain rule.
#
# **Predict, then run:** for x = 3, w = 2, b = -1, what is dL/dw? Go backward through the three steps on paper.
#
# > 前向时，每一步把值往后传。反向时，每一步得到 L 对自己输出的梯度，乘以自己的斜率，
# > 就得到 L 对自己每个输入的梯度。这就是链式法则。
# >
# > **先预测，再运行**：当 x = 3、w = 2、b = -1 时，dL/dw 是多少？请在纸上倒着走完这三步。

# %%
lab.section("A computation graph")
x, w, b = 3.0, 2.0, -1.0
u = x * w  # forward, from left to right
v = u + b
L = v**2

dL = 1.0  # backward, from right to left: dL/dL is 1
dv = dL * 2 * v  # the slope of v² is 2 v
du = dv * 1  # a sum passes the gradient on as it is
db = dv * 1
dw = du * x  # a product swaps: w gets x ...
dx = du * w  # ... and x gets w
print(f"L = {L}   dL/dw = {dw}   dL/db = {db}   dL/dx = {dx}")
assert (L, dv, dw, db, dx) == (25.0, 10.0, 30.0, 10.0, 20.0)

# %% [markdown]
# Can we trust these slopes? Measure one: move w a little to both sides, and see how much L changes.
#
# > 这些斜率可信吗？量一个就知道：把 w 向两边各移动一点，看 L 变化多少。
#
#     dL/dw ≈ (L(w + h) - L(w - h)) / 2h

# %%
h = 1e-6
measured = ((x * (w + h) + b) ** 2 - (x * (w - h) + b) ** 2) / (2 * h)
print(f"by the chain rule {dw}, measured {measured:.6f}")
assert abs(measured - dw) < 1e-6

# %% [markdown]
# ## A value used twice · 用了两次的值
#
# What if a value is used in two places? Here a goes into p and into q:
#
# > 如果一个值在两处用到呢？下面的 a 既进入 p，又进入 q：
#
#     p = 3 a,   q = a²,   L = p + q
#
# Move a by a tiny h. Then p grows by 3 h, and q by 2 a h. Both changes reach L, so L grows by their sum. **The
# gradients of a value that is used several times add up**, one for each use. Remember this sentence: the rest of the
# lab, and all of lab 6, lives on it.
#
# **Predict, then run:** what is dL/da for a = 2?
#
# > 把 a 移动一个很小的 h，p 就增加 3 h，q 增加 2 a h。两个变化都传到 L，所以 L 增加它们的和。
# > **一个值用了几次，它的梯度就是各次使用的梯度之和**。记住这句话：本实验余下的部分，以及整个实验 6，都靠它。
# >
# > **先预测，再运行**：当 a = 2 时，dL/da 是多少？

# %%
lab.section("A value used twice")
a = 2.0
p, q = 3 * a, a**2
dp = dq = 1.0  # L is their sum
da_by_p = dp * 3  # the first use
da_by_q = dq * 2 * a  # the second
da = da_by_p + da_by_q
measured = ((3 * (a + h) + (a + h) ** 2) - (3 * (a - h) + (a - h) ** 2)) / (2 * h)
print(f"through p {da_by_p}, through q {da_by_q}, together {da}; measured {measured:.6f}")
assert da == 7.0
assert abs(measured - da) < 1e-6

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4), width_ratios=(1.4, 1), layout="constrained")
draw_steps(
    left,
    {
        "x": (0, 1.5),
        "w": (0, -0.5),
        "product": (1.2, 0.5),
        "b": (1.2, -1.1),
        "sum": (2.4, 0.5),
        "square": (3.6, 0.5),
        "L": (4.8, 0.5),
    },
    [
        ("x", "product", x, dx),
        ("w", "product", w, dw),
        ("product", "sum", u, du),
        ("b", "sum", b, db),
        ("sum", "square", v, dv),
        ("square", "L", L, dL),
    ],
    "L = (x w + b)²",
)
draw_steps(
    right,
    {"a": (0, 0.2), "3 a": (1.3, 1.4), "a²": (1.3, -1.0), "sum": (2.6, 0.2), "L": (3.7, 0.2)},
    [
        ("a", "3 a", a, da_by_p),
        ("a", "a²", a, da_by_q),
        ("3 a", "sum", p, dp),
        ("a²", "sum", q, dq),
        ("sum", "L", p + q, 1.0),
    ],
    f"A value used twice: its gradients add, {da_by_p:g} + {da_by_q:g} = {da:g}",
)
figure.suptitle("Values go forward (blue), gradients come back (orange)")
lab.save(figure, "graph.png")

# %% [markdown]
# ## The Affine layer · Affine 层
#
# A batch x of n samples gives y = x W + b. Write down a single element of y:
#
# > n 个样本的一批 x 给出 y = x W + b。写出 y 的一个元素：
#
#     y[s, k] = x[s, 0] W[0, k] + x[s, 1] W[1, k] + … + b[k]
#
# We are given dy, the gradient with respect to y. Now ask of each number where it is used. The weight W[j, k] is used
# once for every sample s, and its slope there is x[s, j]. The bias b[k] is used once for every sample, with slope 1.
# The input x[s, j] is used once for every output k, with slope W[j, k]. The gradients of all uses add up:
#
# > 已知 dy，即 L 对 y 的梯度。现在对每个数问一句：它用在哪里？权重 W[j, k] 对每个样本 s 用一次，斜率是 x[s, j]。
# > 偏置 b[k] 对每个样本用一次，斜率是 1。输入 x[s, j] 对每个输出 k 用一次，斜率是 W[j, k]。
# > 所有使用的梯度相加：
#
#     dW[j, k] = Σ_s x[s, j] dy[s, k]        dW = xᵀ dy
#     db[k]    = Σ_s dy[s, k]                db = Σ_s dy[s]
#     dx[s, j] = Σ_k dy[s, k] W[j, k]        dx = dy Wᵀ
#
# Σ_s is the sum over all s. On the right stands the same in matrices. The shapes help to remember it: only one order
# of the factors fits, as long as n, the inputs and the outputs differ. Forward takes one matrix product, backward two.
# That is why backpropagation costs about twice as much as a forward pass.
#
# > Σ_s 表示对所有 s 求和。右边是同样内容的矩阵写法。形状有助于记忆：
# > 只要 n、输入数和输出数各不相同，就只有一种相乘的顺序能对上。前向需要一次矩阵乘法，反向需要两次。
# > 所以反向传播的代价大约是前向传播的两倍。


# %%
lab.section("The Affine layer")


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x  # backward needs it
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


rng = np.random.default_rng(0)
x, W, b = rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
dy = rng.standard_normal((5, 3))
layer = Affine(W, b)
layer.forward(x)
dx = layer.backward(dy)
print("x", x.shape, "W", W.shape, "y", (x @ W).shape, "-> dx", dx.shape, "dW", layer.dW.shape, "db", layer.db.shape)

by_loops = np.zeros_like(W)  # the sum over s, written out
for j in range(4):
    for k in range(3):
        for s in range(5):
            by_loops[j, k] += x[s, j] * dy[s, k]
assert np.allclose(layer.dW, by_loops)
assert layer.dW.shape == W.shape and layer.db.shape == b.shape and dx.shape == x.shape

theirs = layers.Affine(W, b)  # the package's layer
assert np.array_equal(layer.forward(x), theirs.forward(x))
assert np.array_equal(dx, theirs.backward(dy))
assert np.array_equal(layer.dW, theirs.dW) and np.array_equal(layer.db, theirs.db)

# %% [markdown]
# ## The ReLU layer · ReLU 层
#
# The rectifier lets positive values through and turns the others into 0. So its slope is 1 or 0: backward, the
# gradient passes where the input was positive and stops elsewhere.
#
# > ReLU 让正数通过，其余变成 0。所以它的斜率是 1 或 0：
# > 反向时，输入为正的地方梯度通过，其他地方被截断。


# %%
class ReLU:
    def forward(self, x):
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * self.positive


relu = ReLU()
assert relu.forward(np.array([-2.0, 0.0, 3.0])).tolist() == [0, 0, 3]
assert relu.backward(np.array([10.0, 10.0, 10.0])).tolist() == [0, 0, 10]

# %% [markdown]
# ## Softmax with loss · Softmax 与损失
#
# Softmax turns the scores z of a sample into probabilities p. The loss of a sample with label t is the cross entropy,
# -log p[t]. It is near 0 if the net is confident and right; if it is confident and wrong, there is no limit to it. Put
# the formula of softmax in, and take the logarithm apart:
#
# > Softmax 把一个样本的得分 z 变成概率 p。标签为 t 的样本，损失是交叉熵 -log p[t]。
# > 网络又有把握又正确时，它接近 0；又有把握又错误时，它可以任意大。代入 Softmax 的公式，把对数拆开：
#
#     L = -log p[t] = log(exp(z[0]) + … + exp(z[9])) - z[t]
#
# How does one score z[c] move L? Call S the sum inside the logarithm. Only exp(z[c]) in it depends on z[c], and the
# slope of log(S) is 1 / S. So the first term gives exp(z[c]) / S, which is p[c]. The second term gives -1 if c is the
# label, and else nothing:
#
# > 某个得分 z[c] 怎样影响 L？记对数里的和为 S，其中只有 exp(z[c]) 与 z[c] 有关，而 log(S) 的斜率是 1 / S。
# > 所以第一项给出 exp(z[c]) / S，也就是 p[c]。第二项在 c 是标签时给出 -1，否则没有贡献：
#
#     dL/dz[c] = p[c] - 1   (c = t)
#     dL/dz[c] = p[c]       (c ≠ t)
#
# What the net says, minus what is true: no gradient could be simpler. Write the truth as a row with a 1 at the label
# and 0 elsewhere (*one-hot*), and the gradient is p - one-hot. The loss of a batch is the mean over its n samples, so
# divide by n.
#
# **Predict, then run:** a net gives the same score to all ten digits, and the label is 3. What are the ten gradients?
#
# > 网络说的减去真实的，没有比这更简单的梯度了。把真实答案写成一行，标签处为 1，其余为 0（*one-hot*），
# > 梯度就是 p - one-hot。一批的损失是 n 个样本的平均，所以还要除以 n。
# >
# > **先预测，再运行**：网络给十个数字同样的得分，标签是 3。十个梯度各是多少？


# %%
lab.section("Softmax with loss")


class SoftmaxWithLoss:
    def forward(self, scores, labels):
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        self.p = powers / powers.sum(axis=1, keepdims=True)  # [n, k]
        self.labels = labels
        return -np.log(self.p[np.arange(len(labels)), labels]).mean()

    def backward(self):
        d = self.p.copy()
        d[np.arange(len(d)), self.labels] -= 1
        return d / len(d)


undecided = SoftmaxWithLoss()
undecided.forward(np.zeros((1, 10)), np.array([3]))
print("equal scores, label 3: gradients", undecided.backward()[0].round(2))
assert np.allclose(undecided.backward()[0], [0.1, 0.1, 0.1, -0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])

scores, labels = rng.standard_normal((6, 10)), np.array([3, 1, 4, 1, 5, 9])
ours, theirs = SoftmaxWithLoss(), layers.SoftmaxWithLoss()
assert np.isclose(ours.forward(scores, labels), theirs.forward(scores, labels))
assert np.allclose(ours.backward(), theirs.backward())
assert np.allclose(ours.backward().sum(axis=1), 0), "what one score gains the others lose"

# %% [markdown]
# ## A net is a chain · 网络是一条链
#
# Affine, ReLU, Affine, then softmax with loss. Forward through the chain, backward through the reversed chain:
# `loss_and_gradient` is all of backpropagation.
#
# The weights begin random, with a spread of √(2 / n) for n inputs. A sum of many random terms grows with the root of
# their number, and ReLU removes half of them; this spread makes up for both. Lab 10 measures it.
#
# > Affine、ReLU、Affine，最后是 Softmax 与损失。前向沿着链走，反向倒着走：
# > `loss_and_gradient` 就是反向传播的全部。
# >
# > 权重从随机数开始，标准差是 √(2 / n)，n 是输入数。许多随机项之和随项数的平方根增长，ReLU 又去掉其中一半；
# > 这个标准差恰好把两者抵消。实验 10 会测量它。


# %%
def loss_and_gradient(params, x, labels, rectifier=ReLU):
    first, second = Affine(params["W1"], params["b1"]), Affine(params["W2"], params["b2"])
    chain, last = [first, rectifier(), second], SoftmaxWithLoss()
    for layer in chain:
        x = layer.forward(x)
    loss = last.forward(x, labels)
    d = last.backward()
    for layer in reversed(chain):
        d = layer.backward(d)
    return loss, {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}


def random_params(inputs, hidden, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "W1": rng.standard_normal((inputs, hidden)) * np.sqrt(2 / inputs),
        "b1": np.zeros(hidden),
        "W2": rng.standard_normal((hidden, outputs)) * np.sqrt(2 / hidden),
        "b2": np.zeros(outputs),
    }


# %% [markdown]
# ## Check the gradient · 检查梯度
#
# A wrong gradient often goes unnoticed: the net still learns, just worse. So compare every gradient with measured
# slopes, on a tiny net, in float64 (in float32, rounding would drown the small differences). We compare by
#
# > 错误的梯度往往不易察觉：网络照样学习，只是学得差。所以要在一个很小的网络上，用 float64
# > （float32 的舍入会淹没微小的差别），把每个梯度与量出来的斜率比较。比较的公式是
#
#     |a - b| / (|a| + |b|)
#
# which is tiny if all is well, and far larger, up to 1, if something is wrong.
#
# > 一切正常时，它非常小；有错误时，它大得多，最大为 1。


# %%
lab.section("Check the gradient")


def check(rectifier):
    rng = np.random.default_rng(1)
    params = random_params(6, 5, 4)
    x, labels = rng.standard_normal((7, 6)), rng.integers(0, 4, 7)
    _, gradient = loss_and_gradient(params, x, labels, rectifier)
    errors = {}
    for name, value in params.items():
        measured = np.zeros_like(value)
        for place in np.ndindex(value.shape):
            for sign in (1, -1):
                moved = {**params, name: value.copy()}
                moved[name][place] += sign * 1e-5
                measured[place] += sign * loss_and_gradient(moved, x, labels, rectifier)[0] / 2e-5
        errors[name] = gradient_check.relative_error(gradient[name], measured)
    return errors


errors = check(ReLU)
print("relative errors:", {name: f"{error:.1e}" for name, error in errors.items()})
assert max(errors.values()) < 1e-7

# %% [markdown]
# ## What a wrong backward pass looks like · 反向写错了是什么样
#
# Leave out one thing: make the rectifier's backward pass let everything through, also where the input was negative.
# Nothing crashes, and every shape is right.
#
# **Predict, then run:** which of the four gradients W1, b1, W2, b2 will the check find wrong?
#
# > 漏掉一处：让 ReLU 的反向把所有梯度都放过去，包括输入为负的地方。程序不报错，形状也都对。
# >
# > **先预测，再运行**：检查会发现 W1、b1、W2、b2 四个梯度中的哪几个是错的？


# %%
lab.section("What a wrong backward pass looks like")


class MaskForgotten(ReLU):
    def backward(self, dy):
        return dy


class NothingPassedOn(ReLU):
    def backward(self, dy):
        return 0 * dy  # so the first layer never learns


errors = check(MaskForgotten)
print("with the mask forgotten:", {name: f"{error:.1e}" for name, error in errors.items()})
assert errors["W2"] < 1e-7 and errors["b2"] < 1e-7
assert errors["W1"] > 0.1 and errors["b1"] > 0.1

# %% [markdown]
# The check says not only that something is wrong, but where. The gradient comes from the end: what lies behind the
# rectifier (W2, b2) is right, what it reaches only through the rectifier (W1, b1) is wrong.
#
# > 检查不但指出有错，还指出错在哪里。梯度从末端传来：在 ReLU 之后的（W2、b2）是对的，
# > 要穿过 ReLU 才能到达的（W1、b1）是错的。

# %% [markdown]
# ## Train · 训练
#
# Now learn the digits. Take a batch, get the gradient, and move each weight a little against it:
#
# > 现在来学数字。取一批样本，求出梯度，把每个权重朝梯度的反方向移动一点：
#
#     W ← W - rate · dL/dW
#
# We train three nets from the same start: one with the right backward pass, two with the wrong ones. We
# judge them on the validation digits.
#
# > 我们从相同的起点训练三个网络：一个反向正确，另外两个各有一处错误。用验证数字来评判它们。

# %%
lab.section("Train")
count = lab.budget(20_000, 4_000)


def rows(images):
    return images.reshape(-1, 784).astype(np.float32) / 255  # [n, 784]


train_images, train_labels = rows(digits.train.images[:count]), digits.train.labels[:count].astype(int)
valid_images, valid_labels = rows(digits.valid.images), digits.valid.labels
epochs = lab.budget(10, 3)

RATE = 0.1


def is_right(params, images, labels):
    """Return booleans [n]: whether each digit is read right."""
    hidden = np.maximum(images @ params["W1"] + params["b1"], 0)  # [n, 50]
    return (hidden @ params["W2"] + params["b2"]).argmax(axis=1) == labels


def train(rectifier):
    params, rng, losses = random_params(784, 50, 10), np.random.default_rng(0), []
    params = {name: value.astype(np.float32) for name, value in params.items()}  # half the bytes of float64, and faster
    for _ in range(epochs):
        order = rng.permutation(len(train_labels))
        for first in range(0, len(order), 100):
            chosen = order[first : first + 100]
            loss, gradient = loss_and_gradient(params, train_images[chosen], train_labels[chosen], rectifier)
            for name in params:
                params[name] -= RATE * gradient[name]
            losses.append(loss)
    return losses, params


kinds = {"right": ReLU, "mask forgotten": MaskForgotten, "nothing passed on": NothingPassedOn}
losses, nets, right = {}, {}, {}
for name, rectifier in kinds.items():
    losses[name], nets[name] = train(rectifier)
    right[name] = is_right(nets[name], valid_images, valid_labels)
    print(f"{name:17}  last losses {np.mean(losses[name][-20:]):.3f}   accuracy {in_percent(right[name])}")

# %% [markdown]
# Two of these nets are broken, and both learn. Could you have told by the accuracy alone? Compare the net with the
# forgotten mask and the right one digit by digit, as in lab 2:
#
# > 其中两个网络是坏的，但都在学习。只看准确率，你能看出来吗？像实验 2 那样，
# > 把忘了掩码的网络与正确的网络逐个数字地比较：

# %%
difference, error = paired_difference(right["right"], right["mask forgotten"])
verdict = "a clear difference" if difference > 2 * error else "the accuracy alone does not tell them apart"
print(f"right minus mask forgotten: {100 * difference:+.1f} ± {100 * error:.1f} points: {verdict}")

figure, axes = plt.subplots(figsize=(8, 4.5))
for place, name in enumerate(kinds):
    smooth = np.convolve(losses[name], np.ones(20) / 20, mode="valid")  # each value stands for the 20 steps up to it
    label = f"{name}: {in_percent(right[name])}"
    axes.plot(range(20, len(smooth) + 20), smooth, color=COLOURS[place], linestyle=("-", "--", ":")[place], label=label)
axes.set(title="With a wrong backward pass the net still learns, just worse", xlim=(0, None), ylim=(0, None))
axes.set(xlabel="step (100 digits)", ylabel="loss, mean of the last 20 steps")
axes.legend()
lab.save(figure, "training.png")

last = {name: np.mean(losses[name][-20:]) for name in kinds}
assert right["right"].mean() > 0.8
assert last["right"] < 0.5 * losses["right"][0]
for name in ("mask forgotten", "nothing passed on"):
    assert right[name].mean() > 0.25, "it learns nevertheless: this is why it goes unnoticed"
    assert last[name] > last["right"], "but worse"

tested = is_right(nets["right"], rows(digits.eval.images), digits.eval.labels)
print(f"the right net on {len(tested):,} test digits, looked at once: {in_percent(tested)}")

# %% [markdown]
# ## The package's two-layer net · 软件包里的两层网络
#
# `TwoLayerNet` is this chain with one layer more: the course puts a ReLU after the last Affine too. With the same
# weights, and scores above 0, its gradients are ours.
#
# > `TwoLayerNet` 就是这条链，只是多了一层：课程在最后的 Affine 之后也放了 ReLU。
# > 在权重相同、得分都大于 0 时，它的梯度与我们的相同。

# %%
net = TwoLayerNet(784, 50, 10, seed=0)
x, labels = train_images[:100], train_labels[:100]
assert (net.predict(x) > 0).all()
loss, gradient = loss_and_gradient(net.params, x, labels)
assert np.isclose(loss, net.loss(x, labels))
for name, value in net.gradient(x, labels).items():
    assert np.allclose(gradient[name], value), name

# %% [markdown]
# ## Exercises · 练习
#
# Begin with `python -m paddle_mnist.check 03 --start`, and write into `labs/my/03.py`.
#
# 1. `numerical_gradient(f, x)`: slopes by measuring.
# 2. `tied_backward(x, W, dy)`: the gradients of a layer that uses its weights twice. Derive them with one index.
# 3. `gradients(params, x, labels)`: the gradients of a net of two layers with sigmoid.
#
# > 先运行 `python -m paddle_mnist.check 03 --start`，再把答案写进 `labs/my/03.py`。
# >
# > 1. `numerical_gradient(f, x)`：用测量求斜率。
# > 2. `tied_backward(x, W, dy)`：一个把权重用了两次的层的梯度。请用下标推导。
# > 3. `gradients(params, x, labels)`：带 Sigmoid 的两层网络的梯度。

# %%
lab.finish(accuracy=round(float(tested.mean()), 4))

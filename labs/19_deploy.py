# %% [markdown]
# # 19. Deploy · 部署
#
# A trained net is worth something where it is used: in a service, on a phone, in a page. None of these has Paddle. This
# lab takes a net out of Paddle in four steps: it captures what the net computes as a graph, writes the graph into an
# ONNX file, byte by byte, runs the file elsewhere, and shrinks it to 8 bits a weight. Each time it asks what has
# changed.
#
# > 训练好的网络要到使用的地方才有价值：服务里、手机上、网页中。那些地方都没有 Paddle。
# > 本实验分四步把网络带出 Paddle：把网络的计算记录成一张图；逐字节写成 ONNX 文件；在别处运行这个文件；
# > 把每个权重压缩到 8 位。每一步都要问：什么变了？

# %%
import numpy as np
from matplotlib import pyplot as plt

from paddle_mnist import cpu, dataset
from paddle_mnist.labs.tools import COLOURS, Lab

cpu.tune()  # before Paddle is imported: it lets Paddle use the processor well (lab 16)
import paddle
import paddle.nn.functional as F
from paddle import nn

from paddle_mnist.loader import batches, shuffled, to_input
from paddle_mnist.program import capture

lab = Lab("19_deploy")
digits = dataset.open_dataset("sample", log=print)

# %% [markdown]
# ## A net to deploy · 要部署的网络
#
# Two layers with a ReLU between them, trained for some epochs on pixels between 0 and 1.
#
# > 两层，中间是 ReLU，在 0 到 1 的像素上训练几轮。

# %%
lab.section("A net to deploy")
HIDDEN = 32


def trained(task):
    """Return a net of two layers that classifies (10 outputs) or regresses (1 output)."""
    paddle.seed(0)
    num_outputs = {"classify": 10, "regress": 1}[task]
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_outputs))
    optimizer = paddle.optimizer.Adam(0.003, parameters=net.parameters())
    for epoch in range(lab.budget(12, 3)):
        order = shuffled(len(digits.train.labels), 0, epoch)
        for images, labels in batches(digits.train, 100, task, order=order):
            outputs, labels = net(paddle.to_tensor(images)), paddle.to_tensor(labels)
            loss = F.cross_entropy(outputs, labels) if task == "classify" else F.mse_loss(outputs, labels)
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
    net.eval()
    return net


net = trained("classify")
images, labels = digits.eval.images, digits.eval.labels.astype(np.int64)
with paddle.no_grad():
    wanted = net(paddle.to_tensor(to_input(images, "01"))).numpy()  # [500, 10], what every later version must give
answers = wanted.argmax(axis=1)
print(f"accuracy in Paddle: {(answers == labels).mean():.1%} of {len(labels)} digits")
assert (answers == labels).mean() > lab.budget(0.9, 0.7)

# %% [markdown]
# ## Capture the graph · 记录计算图
#
# `forward` is Python, and Python does not leave with the net. What leaves is the list of operations that `forward`
# called: run it once with a placeholder in place of the images, and write down every call. `paddle.jit` does that, and
# `program.capture` reads its result. Here a bias is an operation of its own.
#
# **Predict, then run:** how many operations will the list have? Which of the net's lines are not in it?
#
# > `forward` 是 Python 代码，Python 不会跟着网络走。能带走的是 `forward` 调用过的运算列表：
# > 用一个占位符代替图像运行一次，把每个调用记下来。`paddle.jit` 做这件事，`program.capture` 读取它的结果。
# > 这里偏置是一个单独的运算。
# >
# > **先预测，再运行**：列表里会有几个运算？网络的哪几行不在其中？

# %%
lab.section("Capture the graph")
graph = capture(net, (1, 28, 28))
print(graph)
operations = [node.operation for node in graph.nodes if node.operation != "add_parameter"]
assert operations == ["reshape", "linear", "relu", "linear"]

weights = {name: tensor.numpy() for name, tensor in net.named_parameters()}
W1, b1, W2, b2 = weights["1.weight"], weights["1.bias"], weights["3.weight"], weights["3.bias"]


def by_graph(x, W1=W1, W2=W2, b2=b2):
    """Return the raw outputs [n, k] for inputs x [n, 1, 28, 28]: the four operations, in NumPy."""
    x = x.reshape(len(x), 784)
    return np.maximum(x @ W1 + b1, 0) @ W2 + b2


assert np.allclose(by_graph(to_input(images, "01")), wanted, atol=1e-4), "the list says all that the net computes"

# %% [markdown]
# ## A file, byte by byte · 逐字节写文件
#
# ONNX is a file format for such lists. It is written in *protobuf*, which is simpler than it sounds: a message is a
# series of fields, and a field is a key and a value. The key is `number * 8 + kind`. Kind 0 is an integer, written 7
# bits a byte, the lowest first, where a set top bit means "more follows". Kind 2 is a length and so many bytes: a text,
# raw numbers, or another message.
#
# > ONNX 就是存放这种列表的文件格式。它用 *protobuf* 编码，并没有听起来那么复杂：一条消息是一串字段，
# > 一个字段是一个键和一个值。键是 `编号 * 8 + 类型`。类型 0 是整数，每字节写 7 位，低位在前，
# > 最高位为 1 表示“后面还有”。
# > 类型 2 是一个长度，后面跟这么多字节：一段文本、一串数字，或另一条消息。
#
#     300 = 0b10_0101100   →   1 0101100  0 0000010   =   AC 02


# %%
def varint(value):
    """Return a non-negative integer in 7 bits a byte."""
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def field(number, value):
    """Return one field; value is an integer, a text, or bytes."""
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number * 8 + 2) + varint(len(data)) + data


assert varint(300) == bytes([0xAC, 0x02])
assert field(1, "Gemm") == b"\x0a\x04Gemm"

# %% [markdown]
# The numbers of the fields are in ONNX's specification, `onnx.proto`. A model holds a graph; the graph holds nodes,
# named arrays (its *initializers*), inputs and outputs. That is all that we need:
#
# > 字段的编号写在 ONNX 的规范 `onnx.proto` 里。模型包含一张图；图包含节点、带名字的数组（*initializer*）、输入和输出。
# > 我们需要的就这些：

# %%
UINT8, INT64, FLOAT = 2, 7, 1  # TensorProto.DataType
KINDS = {np.dtype(np.uint8): UINT8, np.dtype(np.int64): INT64, np.dtype(np.float32): FLOAT}


def array(name, values):
    shape = b"".join(field(1, size) for size in values.shape)
    return shape + field(2, KINDS[values.dtype]) + field(8, name) + field(9, values.tobytes())


def node(operation, inputs, output, **attributes):
    data = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, operation)
    for name, value in attributes.items():
        data += field(5, field(1, name) + field(3, value) + field(20, 2))  # 2: an integer
    return data


def tensor_info(name, kind, shape):
    sizes = b"".join(field(1, field(2, size) if isinstance(size, str) else field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, sizes)))


def model(nodes, arrays, inputs, outputs):
    graph = b"".join(field(1, one) for one in nodes) + field(2, "two layers")
    graph += b"".join(field(5, array(name, values)) for name, values in arrays.items())
    graph += b"".join(field(11, one) for one in inputs) + b"".join(field(12, one) for one in outputs)
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))  # IR version 8, operator set 17


layers = [
    node("Reshape", ["x", "shape"], "flat"),
    node("Gemm", ["flat", "W1", "b1"], "hidden"),  # flat @ W1 + b1
    node("Relu", ["hidden"], "active"),
    node("Gemm", ["active", "W2", "b2"], "outputs"),
]
arrays = {"W1": W1, "b1": b1, "W2": W2, "b2": b2, "shape": np.array([-1, 784])}
bare = model(layers, arrays, [tensor_info("x", FLOAT, ["n", 1, 28, 28])], [tensor_info("outputs", FLOAT, ["n", 10])])
numbers = 4 * sum(values.size for values in weights.values())
print(f"{len(bare):,} bytes: {numbers:,} of weights and {len(bare) - numbers} of everything else")
assert 0 < len(bare) - numbers < 400

# %% [markdown]
# ## Right for whoever uses it · 对使用者来说是对的
#
# This file takes numbers between 0 and 1 and gives ten scores. Who knows that, in a year? A user has pixels between 0
# and 255 and wants a digit. Users feed what they have, and nothing reports an error.
#
# **Predict, then run:** how many answers are right if our net is fed pixels between 0 and 255? And with pixels between
# −1 and 1?
#
# > 这个文件接收 0 到 1 之间的数，给出十个分数。一年以后谁还记得？使用者手里是 0 到 255 的像素，想要一个数字。
# > 使用者会把手里的直接送进去，而且不会有任何报错。
# >
# > **先预测，再运行**：把 0 到 255 的像素送进我们的网络，有多少答案是对的？送进 −1 到 1 的像素呢？

# %%
lab.section("Right for whoever uses it")
wrong = by_graph(images[:, np.newaxis].astype(np.float32))
print(f"fed 0 to 255: accuracy {(wrong.argmax(axis=1) == labels).mean():.1%}, scores up to {np.abs(wrong).max():,.0f}")
shifted = by_graph(to_input(images, "pm1"))
print(f"fed -1 to 1: accuracy {(shifted.argmax(axis=1) == labels).mean():.1%}")

# %% [markdown]
# With 0 to 255 the answers are right, but the scores are about 255 times too large, as the input is: softmax would call
# every answer certain. Nobody notices a mistake whose answers look right. With −1 to 1 the paper is no longer 0, and
# most answers are wrong. So the scaling goes into the file, and so does the choice of the digit: three more nodes.
#
# > 送入 0 到 255 时，答案是对的，但分数和输入一样大了约 255 倍：Softmax 会把每个答案都说成十拿九稳。
# > 答案看起来正确的错误，没有人会发现。送入 −1 到 1 时，纸的颜色不再是 0，多数答案就错了。
# > 所以缩放要写进文件，选出数字这一步也要写进去：多三个节点。

# %%
complete = model(
    [
        node("Cast", ["images"], "pixels", to=FLOAT),
        node("Div", ["pixels", "white"], "x"),
        *layers,
        node("ArgMax", ["outputs"], "digit", axis=1, keepdims=0),
    ],
    {**arrays, "white": np.array(255, np.float32)},
    [tensor_info("images", UINT8, ["n", 28, 28])],
    [tensor_info("digit", INT64, ["n"]), tensor_info("outputs", FLOAT, ["n", 10])],
)
path = lab.folder / "two-layers.onnx"
path.write_bytes(complete)
print(f"{path}: {len(complete):,} bytes")

# %% [markdown]
# ## Run it elsewhere · 在别处运行
#
# First by our own reader, some forty lines of Python: you understand a format when you can read it back. Then by ONNX
# Runtime, which runs such files on servers and phones. It is not part of Paddle: `pip install onnxruntime` (or
# `pip install "paddle-mnist[export]"`). Without it this lab goes on with its own reader.
#
# > 先用我们自己的阅读器，四十来行 Python：能读回来，才算真正懂了这种格式。再用 ONNX Runtime，
# > 它在服务器和手机上运行这种文件。它不属于 Paddle，用 `pip install onnxruntime`
# > （或 `pip install "paddle-mnist[export]"`）安装。没有它，本实验就用自己的阅读器继续。


# %%
def fields(data):
    """Return the fields of a message: a list of values for each number."""
    found, place = {}, 0

    def integer():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place, value, shift = place + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while place < len(data):
        number, kind = divmod(integer(), 8)
        value = integer()
        if kind == 2:
            value, place = data[place : place + value], place + value
        found.setdefault(number, []).append(value)
    return found


def run(data, inputs):
    """Return what the model computes: all tensors by name."""
    graph = fields(fields(data)[7][0])
    tensors, dtypes = dict(inputs), {kind: dtype for dtype, kind in KINDS.items()}
    for one in map(fields, graph[5]):
        tensors[one[8][0].decode()] = np.frombuffer(one[9][0], dtypes[one[2][0]]).reshape(one.get(1, []))
    for one in map(fields, graph[1]):
        a, *more = (tensors[name.decode()] for name in one[1])
        tensors[one[2][0].decode()] = {
            "Cast": lambda a: a.astype(np.float32),
            "Div": lambda a, b: a / b,
            "Reshape": lambda a, shape: a.reshape(shape if len(a) else (0, *shape[1:])),
            "Gemm": lambda a, b, c: a @ b + c,
            "Relu": lambda a: np.maximum(a, 0),
            "ArgMax": lambda a: a.argmax(axis=1),
        }[one[4][0].decode()](a, *more)
    return tensors


try:
    import onnxruntime
except ImportError:
    onnxruntime = None
    print("onnxruntime is not installed: pip install onnxruntime")


def deployed(data, images):
    """Return digits [n] and raw outputs [n, 10] of a model, by ONNX Runtime if it is here."""
    if onnxruntime is None:
        tensors = run(data, {"images": images})
        return tensors["digit"], tensors["outputs"]
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(["digit", "outputs"], {"images": images})


lab.section("Run it elsewhere")
for name, (found, outputs) in {
    "our reader": [run(complete, {"images": images})[key] for key in ("digit", "outputs")],
    "ONNX Runtime" if onnxruntime else "our reader again": deployed(complete, images),
}.items():
    changed = int((found != answers).sum())
    print(f"{name}: {changed} of {len(labels)} answers changed, outputs differ by {np.abs(outputs - wanted).max():.1e}")
    assert changed == 0
    assert np.abs(outputs - wanted).max() <= 1e-5 * np.abs(wanted).max()

# %% [markdown]
# Not one answer changed, and the outputs differ in the last digits only: sums were added up in another order. *Compare
# before you deploy*, on every digit that you have, and with the batches that will come: one image, several, none.
#
# > 没有一个答案改变，输出只在最后几位不同：求和的顺序不一样。*部署之前要比较*，用你有的每一个数字，
# > 并用将来会遇到的各种批次：一张、几张、零张。

# %%
for n in (0, 1, 7, len(images)):
    assert deployed(complete, images[:n])[0].shape == (n,)

# %% [markdown]
# ## Eight bits a weight · 每个权重八位
#
# Nearly the whole file is weights, 4 bytes each. Written as `scale * q` with q a whole number from −127 to 127, a
# weight takes one byte. The scale is chosen so that the largest weight becomes 127: one scale for the whole matrix, or
# one for each column, since each output can have its own.
#
# **Predict, then run:** how many of the 500 answers will change with 8 bits? With 4? With 2, when weights are only −1,
# 0 and 1 times a scale?
#
# > 文件里几乎全是权重，每个 4 字节。写成 `scale * q`，q 是 −127 到 127 的整数，每个权重就只要一个字节。
# > scale 的选法是让最大的权重变成 127：整个矩阵用一个，或者每列用一个，因为每个输出都可以有自己的。
# >
# > **先预测，再运行**：用 8 位时，500 个答案里会变几个？4 位呢？2 位呢（权重只剩 −1、0、1 乘以 scale）？


# %%
def quantized(W, bits, per_column):
    """Return integers q and scales [1, columns], or [1, 1], so that q * scales is close to W."""
    largest = 2 ** (bits - 1) - 1  # 127 for 8 bits
    scales = np.abs(W).max(axis=0 if per_column else None, keepdims=True) / largest
    return np.rint(W / scales).astype(np.int8), scales.astype(np.float32)


def in_bits(bits, per_column):
    (q1, s1), (q2, s2) = (quantized(W, bits, per_column) for W in (W1, W2))
    return by_graph(to_input(images, "01"), q1 * s1, q2 * s2)


lab.section("Eight bits a weight")
all_bits = [8, 7, 6, 5, 4, 3, 2]
lost = {"one scale a matrix": [], "one scale a column": []}
for (name, changes), per_column in zip(lost.items(), (False, True), strict=True):
    for bits in all_bits:
        outputs = in_bits(bits, per_column)
        changes.append(int((outputs.argmax(axis=1) != answers).sum()))
        accuracy = (outputs.argmax(axis=1) == labels).mean()
        print(f"{name}, {bits} bits: {changes[-1]:3} answers changed, accuracy {accuracy:.1%}")
assert lost["one scale a column"][0] <= len(labels) // 50
assert lost["one scale a matrix"][-1] > lost["one scale a matrix"][0]

q1, s1 = quantized(W1, 8, per_column=True)
step = s1.max() / 2
assert np.abs(q1 * s1 - W1).max() <= step * 1.001, "a rounded weight is off by at most half a step"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
column = int(np.abs(W1).max(axis=0).argmin())  # the hidden unit with the smallest weights
inked = (images > 0).mean(axis=0).ravel() > 0.02  # pixels at the border teach nothing
left.hist(W1[inked].ravel(), 80, density=True, color="0.8", label="all weights of layer 1")
left.hist(W1[inked, column], 40, density=True, histtype="step", color=COLOURS[0], label=f"those of unit {column + 1}")
whole_step, own_step = np.abs(W1).max() / 7, np.abs(W1[:, column]).max() / 7
for colour, size, height, name in ((COLOURS[1], whole_step, 0.6, "matrix"), (COLOURS[0], own_step, 0.3, "column")):
    left.plot(
        size * np.arange(-7, 8),
        np.full(15, -height),
        "|",
        color=colour,
        markersize=9,
        label=f"4 bits, scale of the {name}",
    )
left.set(title="A unit with small weights needs steps of its own", xlabel="weight", ylabel="density")
left.legend(fontsize=8)
for colour, (name, changes) in zip((COLOURS[1], COLOURS[0]), lost.items(), strict=True):
    right.plot(all_bits, 100 * np.array(changes) / len(labels), "o-", color=colour, label=name)
right.set(title="Below five bits, answers change", xlabel="bits a weight", ylabel="% of the digits")
right.invert_xaxis()
right.legend()
lab.save(figure, "bits.png")

# %% [markdown]
# Eight bits cost next to nothing, and below five it becomes expensive. One scale for each column is better where the
# columns differ in size: in the left picture, the unit with small weights uses few of the matrix's steps, and all of
# its own.
#
# > 八位几乎没有代价，低于五位就贵了。各列大小不同时，每列一个 scale 更好：左图中那个权重小的单元，
# > 用整个矩阵的 scale 时只用到少数几档，用自己的 scale 时每一档都用上了。

# %% [markdown]
# ## Whole numbers only · 只用整数
#
# Small weights save room. What saves *time* is to compute with the integers: pixels are bytes, weights are bytes, and a
# processor multiplies 64 pairs of bytes in one instruction. The scales leave the sum, since a whole column shares one:
#
# > 权重变小省的是空间。要省*时间*，就要直接用整数计算：像素是字节，权重也是字节，处理器一条指令能乘 64 对字节。
# > 同一列共用一个 scale，所以 scale 可以提到求和外面：
#
#     Σ (pixel / 255) · (scale · q)   =   scale / 255 · Σ pixel · q
#
# **Predict, then run:** products of a byte from 0 to 255 and one from −127 to 127 are added up. Are 16 bits, −32,768 to
# 32,767, enough for the sum of two?
#
# > **先预测，再运行**：0 到 255 的字节与 −127 到 127 的字节相乘再相加。两个乘积之和，16 位（−32,768 到 32,767）够吗？

# %%
lab.section("Whole numbers only")
flat = images.reshape(len(images), 784)
sums = flat.astype(np.int32) @ q1.astype(np.int32)  # [500, 32], exact
hidden = np.maximum(sums * (s1 / 255) + b1, 0)
outputs = hidden @ W2 + b2
changed = int((outputs.argmax(axis=1) != answers).sum())
print(f"first layer in integers: {changed} answers changed; the largest sum was {np.abs(sums).max():,}")
assert np.allclose(sums * (s1 / 255), flat / np.float32(255) @ (q1 * s1), atol=1e-3), (
    "the same, without rounding errors"
)
assert 2 * 255 * 127 > 32_767, "two products need more than 16 bits: processors without 32-bit sums saturate"

# %% [markdown]
# Two are too many already. Processors without the newer instructions (VNNI) add pairs in 16 bits and cut off what does
# not fit, without a warning: the same file then answers differently on another machine. Storing weights as bytes from 1
# to 255, with 128 for zero, avoids that instruction; weights of 7 bits avoid the overflow.
#
# > 两个就已经放不下了。没有新指令（VNNI）的处理器用 16 位相加，放不下的部分悄悄截掉：
# > 同一个文件换一台机器，答案就不一样。把权重存成 1 到 255 的字节、用 128 表示零，可以避开那条指令；
# > 权重只用 7 位，可以避免溢出。

# %% [markdown]
# ## A net that regresses · 做回归的网络
#
# **Predict, then run:** the same net with one output, a number that is rounded to the digit. Will 8 bits change more
# answers, or fewer?
#
# > **先预测，再运行**：同样的网络，只有一个输出，是一个四舍五入成数字的数。用 8 位时，改变的答案会更多还是更少？

# %%
lab.section("A net that regresses")
line = trained("regress")
V1, c1, V2, c2 = (tensor.numpy() for tensor in line.parameters())


def on_the_line(V1, V2):
    return (np.maximum(to_input(images, "01").reshape(-1, 784) @ V1 + c1, 0) @ V2 + c2)[:, 0]


values = on_the_line(V1, V2)
coarse = on_the_line(*(np.multiply(*quantized(V, 8, per_column=True)) for V in (V1, V2)))
line_changed = int((np.clip(np.rint(coarse), 0, 9) != np.clip(np.rint(values), 0, 9)).sum())
eight = in_bits(8, per_column=True)
top_two = np.sort(wanted, axis=1)[:, -2:]
margins = {
    "classification": (top_two[:, 1] - top_two[:, 0]) / np.abs(eight - wanted).max(),
    "regression": np.abs(values - np.floor(values) - 0.5) / np.abs(coarse - values).max(),
}
print(f"8 bits change {lost['one scale a column'][0]} answers of the classifier and {line_changed} of the regression")
assert len(margins["regression"]) == len(margins["classification"]) == len(labels)
near = {name: float((margin < 2).mean()) for name, margin in margins.items()}
print("answers within two errors of changing:", {name: f"{share:.1%}" for name, share in near.items()})

figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
for colour, (name, margin) in zip(COLOURS, margins.items(), strict=False):
    axes.plot(np.sort(margin), np.linspace(0, 100, len(margin)), color=colour, label=name)
axes.axvline(1, color="0.5", linestyle="--", label="the largest error that 8 bits make")
axes.set(
    title="Scores are far from changing the answer, numbers are not",
    xlabel="distance, in errors of 8 bits",
    ylabel="% of digits that are nearer",
)
axes.set_xscale("log")
axes.set_xlim(0.05, None)
axes.legend()
lab.save(figure, "margins.png")

# %% [markdown]
# A classifier was trained to keep the right score far above the others. A number is as often close to a half as to
# anything else. Left of the dashed line, rounding can turn the answer. What the task asks decides how much precision is
# needed, and only a measurement says whether it is there. `python -m paddle_mnist.export RUN --to onnx --int8` measures
# it on every evaluation digit, takes finer weights where 8 bits are not enough, and writes nothing that answers
# differently.
#
# > 分类器的训练目标就是让正确的分数远高于其他。而一个数靠近二分之一的机会，和靠近别处一样多。
# > 虚线左边的答案可能被舍入改变。需要多高的精度由任务决定，够不够只能靠测量。
# > `python -m paddle_mnist.export RUN --to onnx --int8` 会在每个评估数字上测量，8 位不够时改用更细的权重，
# > 答案不同的文件一律不写。

# %% [markdown]
# ## Exercises · 练习
#
# Start with `python -m paddle_mnist.check 19 --start`, write into `labs/my/19.py`, and check with
# `python -m paddle_mnist.check 19`.
#
# 1. `varint(value)`: an integer in 7 bits a byte.
# 2. `quantize(weights, bits)`: integers, and a scale for each column.
# 3. `uint8_range(low, high)`: the scale and the zero point of activations that are stored as uint8.
#
# > 用 `python -m paddle_mnist.check 19 --start` 开始，把答案写进 `labs/my/19.py`，
# > 再用 `python -m paddle_mnist.check 19` 检查。
# >
# > 1. `varint(value)`：每字节 7 位的整数。
# > 2. `quantize(weights, bits)`：整数，以及每列一个 scale。
# > 3. `uint8_range(low, high)`：以 uint8 存储的激活值的 scale 和零点。

# %%
lab.finish(bytes=len(complete), changed=dict(zip(map(str, all_bits), lost["one scale a column"], strict=True)))

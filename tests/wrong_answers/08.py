"""Wrong answers to lab 8, each with a slip that its name tells."""

import numpy as np


def _cut(x, size):
    h, w = x.shape[0] // size, x.shape[1] // size
    return x[: h * size, : w * size], h, w


def max_pool__averages(x, size):
    """this is the average: return the largest"""
    x, h, w = _cut(x, size)
    return x.reshape(h, size, w, size).mean(axis=(1, 3))


def max_pool__begins_at_zero(x, size):
    """the largest of negative numbers is negative: do not begin with 0"""
    x, h, w = _cut(x, size)
    y = np.zeros((h, w))
    for i in range(h * size):
        for j in range(w * size):
            y[i // size, j // size] = max(y[i // size, j // size], x[i, j])
    return y


def max_pool__reshapes_across_rows(x, size):
    """reshape to [h, size, w, size]: an array is stored row by row"""
    x, h, w = _cut(x, size)
    return x.reshape(h, w, size, size).max(axis=(2, 3))


def max_pool__needs_sizes_that_divide(x, size):
    """ignore the rows and columns that do not fill a square: cut them off first"""
    h, w = x.shape
    return x.reshape(h // size, size, w // size, size).max(axis=(1, 3))


def max_pool__moves_by_one(x, size):
    """the squares do not overlap: move by size, not by 1"""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size)).max(axis=(2, 3))


def max_pool__pools_what_is_left_too(x, size):
    """ignore the rows and columns that do not fill a square: cut them off first"""
    rows, columns = range(0, x.shape[0], size), range(0, x.shape[1], size)
    return np.array([[x[i : i + size, j : j + size].max() for j in columns] for i in rows])


def _convolve(images, kernels, biases, padding):
    x = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, kernels) + biases.reshape(-1, 1, 1)


def convolve__turns_the_kernel(images, kernels, biases, padding):
    """the kernel is rotated by 180°: nets use it as it is"""
    return _convolve(images, kernels[:, :, ::-1, ::-1], biases, padding)


def convolve__forgets_the_bias(images, kernels, biases, padding):
    """the bias of each output is not added"""
    return _convolve(images, kernels, 0 * biases, padding)


def convolve__does_not_pad(images, kernels, biases, padding):
    """the padding is missing"""
    return _convolve(images, kernels, biases, 0)


def convolve__pads_the_batch_too(images, kernels, biases, padding):
    """the batch is padded too: pad the last two axes only"""
    return _convolve(np.pad(images, padding), kernels, biases, 0)


def convolve__sees_the_first_channel_only(images, kernels, biases, padding):
    """only the first channel is used: add up all channels"""
    return _convolve(images[:, :1], kernels[:, :1], biases, padding)


def convolve__adds_the_bias_for_each_channel(images, kernels, biases, padding):
    """add the bias once, not for each channel"""
    return _convolve(images, kernels, biases * images.shape[1], padding)


def convolve__exchanges_rows_and_columns(images, kernels, biases, padding):
    """the kernel's rows and columns are exchanged"""
    return _convolve(images, kernels.swapaxes(2, 3), biases, padding)


def max_pool__stops_one_column_early(x, size):
    """ignore the rows and columns that do not fill a square: cut them off first"""
    h, w = x.shape
    rows = range(0, h - 1, size)
    return np.array([[x[i : i + size, j : j + size].max() for j in range(0, w - 1, size)] for i in rows])


def max_pool__min(x, size):
    """this is the smallest: return the largest"""
    h_, w = (x.shape[0] // size, x.shape[1] // size)
    return x[: h_ * size, : w * size].reshape(h_, size, w, size).min((1, 3))


def convolve__channels_last_output(images, kernels, biases, padding):
    """the outputs are the second axis: [n, outputs, height, width]"""
    x = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    w = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nhwo", w, kernels) + biases


def convolve__bias_added_along_wrong_axis(images, kernels, biases, padding):
    """shapes do not fit: add the bias of each output as biases[:, np.newaxis, np.newaxis]"""
    x = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    w = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", w, kernels) + biases


def convolve__pads_ones_side_only(images, kernels, biases, padding):
    """the padding is on one side only: at the top and on the left"""
    x = np.pad(images, ((0, 0), (0, 0), (padding, 0), (padding, 0)))
    w = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", w, kernels) + biases[:, None, None]


def convolve__one_kernel_for_all_outputs(images, kernels, biases, padding):
    """every output uses the first kernel: each has its own"""
    x = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    w = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", w, np.repeat(kernels[:1], len(kernels), 0)) + biases[:, None, None]


def receptive_field__multiplies_the_kernels(layers):
    """sizes do not multiply: neighbouring windows overlap"""
    size = 1
    for kernel, _ in layers:
        size *= kernel
    return size


def receptive_field__adds_the_kernels(layers):
    """a layer adds kernel - 1 steps to what was seen before, not kernel"""
    return sum(kernel for kernel, _ in layers) if layers else 1


def receptive_field__ignores_the_strides(layers):
    """the strides are not used"""
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def receptive_field__multiplies_too_early(layers):
    """a stride spreads the layers after it"""
    size, spacing = 1, 1
    for kernel, stride in layers:
        spacing *= stride
        size += (kernel - 1) * spacing
    return size


def receptive_field__adds_the_strides(layers):
    """strides multiply"""
    size, spacing = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * spacing
        spacing += stride
    return size


def receptive_field__begins_with_zero(layers):
    """the pixel itself counts too: begin with 1"""
    size, spacing = 0, 1
    for kernel, stride in layers:
        size += (kernel - 1) * spacing
        spacing *= stride
    return size


def receptive_field__begins_with_the_last_layer(layers):
    """the spacing grows from the image on: begin with the first layer"""
    size, spacing = 1, 1
    for kernel, stride in reversed(layers):
        size += (kernel - 1) * spacing
        spacing *= stride
    return size

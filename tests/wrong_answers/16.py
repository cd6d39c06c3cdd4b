"""Wrong answers to lab 16, each with a slip that its name tells."""

import numpy as np


def conv_operations__counts_multiplications_only(n, channels, height, width, kernels, size):
    """a multiplication and an addition for each number: two operations"""
    return n * kernels * height * width * channels * size * size


def conv_operations__forgets_the_channels(n, channels, height, width, kernels, size):
    """a kernel covers all channels of the image"""
    return 2 * n * kernels * height * width * size * size


def conv_operations__forgets_the_padding(n, channels, height, width, kernels, size):
    """the images are padded: outputs have their height and width"""
    return 2 * n * kernels * (height - size + 1) * (width - size + 1) * channels * size * size


def conv_operations__takes_size_once(n, channels, height, width, kernels, size):
    """the patch has size × size pixels"""
    return 2 * n * kernels * height * width * channels * size


def _times(work, clock, repeats):
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return times


def smallest_time__counts_the_first_call(work, clock, repeats):
    """the first call must not count: it loads and prepares"""
    return min(_times(work, clock, repeats + 1))


def smallest_time__without_a_first_call(work, clock, repeats):
    """once unmeasured, then repeats times"""
    return min(_times(work, clock, repeats))


def smallest_time__takes_the_mean(work, clock, repeats):
    """this is the mean: disturbances only add time, so return the smallest"""
    work()
    return float(np.mean(_times(work, clock, repeats)))


def smallest_time__measures_all_together(work, clock, repeats):
    """this measures all calls together: measure each separately and return the smallest"""
    work()
    began = clock()
    for _ in range(repeats):
        work()
    return (clock() - began) / repeats


def smallest_time__never_calls_after_the_first(work, clock, repeats):
    """work is not called between the two readings of the clock"""
    work()
    times = []
    for _ in range(repeats):
        began = clock()
        times.append(clock() - began)
    return min(times)


def _col2im(patches, shape, size, add=True, transpose=False, columns_first=False):
    n, channels, height, width = shape
    images, number = np.zeros(shape), 0
    for i in range(n):
        for a in range((width if columns_first else height) - size + 1):
            for b in range((height if columns_first else width) - size + 1):
                r, c = (b, a) if columns_first else (a, b)
                block = patches[number].reshape(channels, size, size)
                block = block.transpose(0, 2, 1) if transpose else block
                number += 1
                images[i, :, r : r + size, c : c + size] = block + add * images[i, :, r : r + size, c : c + size]
    return images


def col2im__overwrites(patches, shape, size):
    """a later patch overwrites"""
    return _col2im(patches, shape, size, add=False)


def col2im__averages(patches, shape, size):
    """this is the average of the patches"""
    return _col2im(patches, shape, size) / _col2im(np.ones_like(patches), shape, size)


def col2im__exchanges_rows_and_columns_of_a_patch(patches, shape, size):
    """rows before columns"""
    return _col2im(patches, shape, size, transpose=True)


def col2im__goes_down_first(patches, shape, size):
    """from left to right first, then the next line"""
    return _col2im(patches, shape, size, columns_first=True)


def conv_operations__forgets_n(n, channels, height, width, kernels, size):
    """there are n images"""
    return 2 * channels * height * width * kernels * size * size


def smallest_time__divides_by_repeats(work, clock, repeats):
    """this measures all calls together: measure each separately and return the smallest"""
    work()
    b = clock()
    for _ in range(repeats):
        work()
    return (clock() - b) / repeats


def smallest_time__returns_the_list(work, clock, repeats):
    """return one number, not several"""
    work()
    o = []
    for _ in range(repeats):
        b = clock()
        work()
        o.append(clock() - b)
    return o


def smallest_time__median(work, clock, repeats):
    """this is the median: return the smallest"""
    work()
    o = []
    for _ in range(repeats):
        b = clock()
        work()
        o.append(clock() - b)
    return float(np.median(o))


def conv_operations__size_not_squared(n, channels, height, width, kernels, size):
    """the patch has size × size pixels"""
    return 2 * n * channels * height * width * kernels * size

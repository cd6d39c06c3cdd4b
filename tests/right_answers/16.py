"""Right answers to lab 16 in other styles."""


def conv_operations__adds_up(n, channels, height, width, kernels, size):
    return sum(2 * channels * size**2 * kernels for _ in range(n) for _ in range(height * width))


def smallest_time__keeps_the_smallest(work, clock, repeats):
    work()
    smallest = float("inf")
    for _ in range(repeats):
        began = clock()
        work()
        ended = clock()
        smallest = min(smallest, ended - began)
    return smallest


def smallest_time__sorts(work, clock, repeats):
    def once():
        before = clock()
        work()
        return clock() - before

    work()
    return sorted(once() for _ in range(repeats))[0]

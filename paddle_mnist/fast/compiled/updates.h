/* Steps of optimizers; included by kernels.h. `numbers` are float32. */

/* Arguments: parameter, gradient, count, numbers: lr, scale of the gradient, decay. */
EXPORT int64_t NAME(sgd)(Arguments a)
{
    float *restrict parameter = POINTER(float, 0);
    const float *restrict gradient = POINTER(const float, 1);
    const float *numbers = POINTER(const float, 3);
    float lr = numbers[0], scale = numbers[1], decay = numbers[2];
    for (int64_t i = 0, count = a[2]; i < count; i++) {
        float g = gradient[i] * scale + decay * parameter[i];
        parameter[i] -= lr * g;
    }
    return 0;
}

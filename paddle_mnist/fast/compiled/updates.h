/* Steps of optimizers as Paddle computes them; included by kernels.h.

   `numbers` are float32: the learning rate, the factor that clipping gives the gradient, the coefficient of the L2 penalty
   (added to the gradient after clipping), and those of the optimizer. */

/* Arguments: parameter, gradient, count, numbers. */
EXPORT int64_t NAME(sgd)(Arguments a)
{
    float *restrict parameter = POINTER(float, 0);
    const float *restrict gradient = POINTER(const float, 1);
    const float *numbers = POINTER(const float, 3);
    float lr = numbers[0], scale = numbers[1], decay = numbers[2];
    for (int64_t i = 0, count = a[2]; i < count; i++)
        parameter[i] -= lr * (gradient[i] * scale + decay * parameter[i]);
    return 0;
}

/* Arguments: parameter, gradient, count, numbers (then momentum, whether it is Nesterov's), velocity. */
EXPORT int64_t NAME(momentum)(Arguments a)
{
    float *restrict parameter = POINTER(float, 0), *restrict velocity = POINTER(float, 4);
    const float *restrict gradient = POINTER(const float, 1);
    const float *numbers = POINTER(const float, 3);
    float lr = numbers[0], scale = numbers[1], decay = numbers[2], momentum = numbers[3];
    if (numbers[4] != 0)
        for (int64_t i = 0, count = a[2]; i < count; i++) {
            float g = gradient[i] * scale + decay * parameter[i];
            velocity[i] = momentum * velocity[i] + g;
            parameter[i] -= (g + momentum * velocity[i]) * lr;
        }
    else
        for (int64_t i = 0, count = a[2]; i < count; i++) {
            velocity[i] = momentum * velocity[i] + (gradient[i] * scale + decay * parameter[i]);
            parameter[i] -= lr * velocity[i];
        }
    return 0;
}

/* Arguments: parameter, gradient, count, numbers (then rho, epsilon, momentum, whether it is centered), mean of squares,
   momentum, mean of gradients. */
EXPORT int64_t NAME(rmsprop)(Arguments a)
{
    float *restrict parameter = POINTER(float, 0), *restrict square = POINTER(float, 4);
    float *restrict moment = POINTER(float, 5), *restrict mean = POINTER(float, 6);
    const float *restrict gradient = POINTER(const float, 1);
    const float *numbers = POINTER(const float, 3);
    float lr = numbers[0], scale = numbers[1], decay = numbers[2], rho = numbers[3], epsilon = numbers[4];
    float momentum = numbers[5];
    if (numbers[6] != 0)
        for (int64_t i = 0, count = a[2]; i < count; i++) {
            float g = gradient[i] * scale + decay * parameter[i];
            square[i] = rho * square[i] + (1 - rho) * g * g;
            mean[i] = rho * mean[i] + (1 - rho) * g;
            moment[i] = momentum * moment[i] + lr * g / __builtin_sqrtf(square[i] - mean[i] * mean[i] + epsilon);
            parameter[i] -= moment[i];
        }
    else
        for (int64_t i = 0, count = a[2]; i < count; i++) {
            float g = gradient[i] * scale + decay * parameter[i];
            square[i] = rho * square[i] + (1 - rho) * g * g;
            moment[i] = momentum * moment[i] + lr * g / __builtin_sqrtf(square[i] + epsilon);
            parameter[i] -= moment[i];
        }
    return 0;
}

/* Adam and AdamW. Arguments: parameter, gradient, count, numbers (then beta1, beta2, epsilon, the coefficient of the
   decoupled weight decay), both moments, the powers of beta1 and beta2. */
EXPORT int64_t NAME(adam)(Arguments a)
{
    float *restrict parameter = POINTER(float, 0), *restrict first = POINTER(float, 4);
    float *restrict second = POINTER(float, 5), *power1 = POINTER(float, 6), *power2 = POINTER(float, 7);
    const float *restrict gradient = POINTER(const float, 1);
    const float *numbers = POINTER(const float, 3);
    float scale = numbers[1], decay = numbers[2], beta1 = numbers[3], beta2 = numbers[4];
    float root = __builtin_sqrtf(1 - power2[0]), lr = numbers[0] * (root / (1 - power1[0]));
    float epsilon = numbers[5] * root, kept = 1 - numbers[0] * numbers[6];
    for (int64_t i = 0, count = a[2]; i < count; i++) {
        float old = parameter[i], g = gradient[i] * scale + decay * old;
        first[i] = beta1 * first[i] + (1 - beta1) * g;
        second[i] = beta2 * second[i] + (1 - beta2) * g * g;
        parameter[i] = old * kept - lr * (first[i] / (__builtin_sqrtf(second[i]) + epsilon));
    }
    return 0;
}

/* What follows it. Arguments: numbers, both moments, the powers of beta1 and beta2. */
EXPORT int64_t NAME(adam_powers)(Arguments a)
{
    const float *numbers = POINTER(const float, 0);
    POINTER(float, 3)[0] *= numbers[3];
    POINTER(float, 4)[0] *= numbers[4];
    return 0;
}

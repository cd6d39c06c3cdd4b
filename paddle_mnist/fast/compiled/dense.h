/* Linear layers with few outputs, and losses; included by kernels.h.

   Rows of outputs are padded with zeros to whole vectors: `wide` floats. */

/* Pad the rows of weights [inputs][outputs] to [inputs][wide], and transpose them to [outputs][line].
   Arguments: weights, padded, transposed, bias (or 0) and what it is copied to; inputs, outputs, wide, line. */
EXPORT int64_t NAME(narrow_pack)(Arguments a)
{
    const float *weights = POINTER(const float, 0);
    float *padded = POINTER(float, 1), *transposed = POINTER(float, 2);
    int64_t inputs = a[5], outputs = a[6], wide = a[7], line = a[8];
    if (a[3])
        memcpy(POINTER(float, 4), POINTER(const float, 3), 4 * outputs);
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o++)
            padded[i * wide + o] = transposed[o * line + i] = weights[i * outputs + o];
    return 0;
}

/* y = x @ weights + bias. Arguments: x, padded weights, bias, y, n * wide; n, inputs, outputs, wide. */
EXPORT int64_t NAME(narrow_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *weights = POINTER(const float, 1), *bias = POINTER(const float, 2);
    float *y = POINTER(float, 3);
    SCRATCH(rows, 4);
    int64_t n = a[5], inputs = a[6], outputs = a[7], wide = a[8];
    NAME(product)(x, inputs, 1, weights, wide, rows, wide, n, inputs, wide, 0);
    for (int64_t i = 0; i < n; i++)
        for (int64_t o = 0; o < outputs; o++)
            y[i * outputs + o] = rows[i * wide + o] + bias[o];
    return 0;
}

/* Arguments: x, gradient, transposed weights, gradients of weights, bias and x (0: not wanted), (n + inputs) *
   wide + n * line; n, inputs, outputs, wide, line. */
EXPORT int64_t NAME(narrow_backward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *gradient = POINTER(const float, 1), *transposed = POINTER(const float, 2);
    float *to_weight = POINTER(float, 3), *to_bias = POINTER(float, 4), *to_x = POINTER(float, 5);
    int64_t n = a[7], inputs = a[8], outputs = a[9], wide = a[10], line = a[11];
    SCRATCH(rows, 6);
    float *padded = rows + n * wide, *lines = padded + inputs * wide;
    memset(rows, 0, 4 * n * wide);
    for (int64_t i = 0; i < n; i++)
        memcpy(rows + i * wide, gradient + i * outputs, 4 * outputs);
    NAME(product)(x, 1, inputs, rows, wide, padded, wide, inputs, n, wide, 0);
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t o = 0; o < outputs; o++)
            to_weight[i * outputs + o] = padded[i * wide + o];
    if (to_bias) {
        memset(to_bias, 0, 4 * outputs);
        for (int64_t i = 0; i < n; i++)
            for (int64_t o = 0; o < outputs; o++)
                to_bias[o] += gradient[i * outputs + o];
    }
    if (to_x && line == inputs)
        NAME(product)(gradient, outputs, 1, transposed, line, to_x, inputs, n, outputs, inputs, 0);
    else if (to_x) {
        NAME(product)(gradient, outputs, 1, transposed, line, lines, line, n, outputs, line, 0);
        for (int64_t i = 0; i < n; i++)
            memcpy(to_x + i * inputs, lines + i * line, 4 * inputs);
    }
    return 0;
}

/* Losses of scores against classes, and the gradient of their sum times `scale`; see losses.py.
   Arguments: scores, classes (int64), losses (float64), gradient, numbers (smoothing, least score, scale), n, classes. */
EXPORT int64_t NAME(cross_entropy)(Arguments a)
{
    const float *scores = POINTER(const float, 0);
    const int64_t *labels = POINTER(const int64_t, 1);
    double *losses = POINTER(double, 2);
    float *gradient = POINTER(float, 3);
    const float *numbers = POINTER(const float, 4);
    float smoothing = numbers[0], least = numbers[1], scale = numbers[2];
    int64_t n = a[5], classes = a[6];
    for (int64_t i = 0; i < n; i++, scores += classes, gradient += classes) {
        float largest = scores[0], sum = 0, total = 0;
        for (int64_t k = 1; k < classes; k++)
            largest = scores[k] > largest ? scores[k] : largest;
        for (int64_t k = 0; k < classes; k++) {
            float score = scores[k] - largest;
            score = score < least ? least : score; /* keeps NaN */
            total += score;
            gradient[k] = expf(score);
            sum += gradient[k];
        }
        float own = scores[labels[i]] - largest, logarithm = logf(sum);
        own = own < least ? least : own;
        losses[i] = (1 - smoothing) * (logarithm - own) + smoothing * (logarithm - total / (float)classes);
        for (int64_t k = 0; k < classes; k++) {
            float wanted = smoothing / (float)classes + (k == labels[i] ? 1 - smoothing : 0);
            gradient[k] = (gradient[k] / sum - wanted) * scale;
        }
    }
    return 0;
}

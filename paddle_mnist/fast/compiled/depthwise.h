/* Convolution of each channel by a kernel of its own; included by kernels.h.

   Any kernel, stride and padding, no dilation; channels in multiples of LANES. Weights are packed to [kh * kw][channels].
   All functions end with the same numbers: n, height and width of x, channels, height and width of y, kh, kw, vertical
   and horizontal stride, top, left. */

typedef struct {
    int64_t n, x_height, x_width, channels, height, width, kh, kw, down, across, top, left;
} NAME(Depthwise);

/* Run `body` for every pixel (image, i, j) of y and every tap (p, q) inside x, LANES channels at a time; `at` is the
   pixel's place in x, `tap` the weight's, `here` the place in y. `before` and `after` surround the taps. */
#define PIXELS(d, before, body, after)                                                                                 \
    for (int64_t i = 0; i < d.height; i++) {                                                                           \
        int64_t row = i * d.down - d.top, p0 = row < 0 ? -row : 0;                                                     \
        int64_t p1 = d.x_height - row < d.kh ? d.x_height - row : d.kh;                                                \
        for (int64_t j = 0; j < d.width; j++) {                                                                        \
            int64_t column = j * d.across - d.left, q0 = column < 0 ? -column : 0;                                     \
            int64_t q1 = d.x_width - column < d.kw ? d.x_width - column : d.kw;                                        \
            for (int64_t c = 0; c < d.channels; c += LANES) {                                                          \
                int64_t here = (i * d.width + j) * d.channels + c;                                                     \
                before;                                                                                                \
                for (int64_t p = p0; p < p1; p++) {                                                                    \
                    int64_t at = ((row + p) * d.x_width + column + q0) * d.channels + c;                               \
                    int64_t tap = (p * d.kw + q0) * d.channels + c;                                                    \
                    for (int64_t q = q0; q < q1; q++, at += d.channels, tap += d.channels)                             \
                        body;                                                                                          \
                }                                                                                                      \
                after;                                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
    }

#define AT(array, place) (*(V *)((array) + (place)))

/* Arguments: weights [channels][1][kh][kw], packed; channels, kh * kw. */
EXPORT int64_t NAME(depthwise_pack)(Arguments a)
{
    const float *weights = POINTER(const float, 0);
    float *packed = POINTER(float, 1);
    int64_t channels = a[2], taps = a[3];
    for (int64_t c = 0; c < channels; c++)
        for (int64_t t = 0; t < taps; t++)
            packed[t * channels + c] = weights[c * taps + t];
    return 0;
}

/* Arguments: x, packed weights, bias, y; the numbers. */
EXPORT int64_t NAME(depthwise_forward)(Arguments a)
{
    float *x = POINTER(float, 0), *w = POINTER(float, 1), *bias = POINTER(float, 2), *y = POINTER(float, 3);
    NAME(Depthwise) d;
    memcpy(&d, a + 4, sizeof d);
    for (int64_t image = 0; image < d.n; image++) {
        PIXELS(d, V sum = AT(bias, c), sum += AT(x, at) * AT(w, tap), AT(y, here) = sum)
        x += d.x_height * d.x_width * d.channels;
        y += d.height * d.width * d.channels;
    }
    return 0;
}

/* Arguments: gradient, packed weights, the gradient of x; the numbers. */
EXPORT int64_t NAME(depthwise_to_x)(Arguments a)
{
    float *gradient = POINTER(float, 0), *w = POINTER(float, 1), *to = POINTER(float, 2);
    NAME(Depthwise) d;
    memcpy(&d, a + 3, sizeof d);
    int64_t size = d.x_height * d.x_width * d.channels;
    for (int64_t image = 0; image < d.n; image++, to += size) {
        memset(to, 0, 4 * size);
        PIXELS(d, V given = AT(gradient, here), AT(to, at) += given * AT(w, tap), )
        gradient += d.height * d.width * d.channels;
    }
    return 0;
}

/* Sums are taken over an image before they are added up. Arguments: x, gradient, gradients of the weights
   [channels][1][kh][kw] and of the bias (0: not wanted), 2 * (kh * kw + 1) * channels; the numbers. */
EXPORT int64_t NAME(depthwise_to_weight)(Arguments a)
{
    float *x = POINTER(float, 0), *gradient = POINTER(float, 1);
    float *to_weight = POINTER(float, 2), *to_bias = POINTER(float, 3);
    SCRATCH(totals, 4);
    NAME(Depthwise) d;
    memcpy(&d, a + 5, sizeof d);
    int64_t taps = d.kh * d.kw, size = (taps + 1) * d.channels;
    float *own = totals + size, *own_bias = own + taps * d.channels;
    memset(totals, 0, 4 * size);
    for (int64_t image = 0; image < d.n; image++) {
        memset(own, 0, 4 * size);
        PIXELS(d, V given = AT(gradient, here); AT(own_bias, c) += given, AT(own, tap) += given * AT(x, at), )
        for (int64_t k = 0; k < size; k++)
            totals[k] += own[k];
        x += d.x_height * d.x_width * d.channels;
        gradient += d.height * d.width * d.channels;
    }
    for (int64_t c = 0; c < d.channels; c++)
        for (int64_t t = 0; t < taps; t++)
            to_weight[c * taps + t] = totals[t * d.channels + c];
    if (to_bias)
        memcpy(to_bias, totals + taps * d.channels, 4 * d.channels);
    return 0;
}

#undef PIXELS
#undef AT

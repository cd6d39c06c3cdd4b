/* ReLU, sums and poolings of maps with channels last; included by kernels.h. */

/* Arguments: x, y, count. */
EXPORT int64_t NAME(relu_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0);
    float *y = POINTER(float, 1);
    for (int64_t i = 0, count = a[2]; i < count; i++)
        y[i] = x[i] < 0 ? 0 : x[i]; /* keeps NaN */
    return 0;
}

/* Arguments: y, gradient (changed in place), count. */
EXPORT int64_t NAME(relu_backward)(Arguments a)
{
    const float *restrict y = POINTER(const float, 0);
    float *restrict gradient = POINTER(float, 1);
    for (int64_t i = 0, count = a[2]; i < count; i++) {
        float value = gradient[i];
        gradient[i] = y[i] > 0 ? value : 0;
    }
    return 0;
}

/* Arguments: one, other, y, count, whether a ReLU follows. */
EXPORT int64_t NAME(add)(Arguments a)
{
    const float *one = POINTER(const float, 0), *other = POINTER(const float, 1);
    float *y = POINTER(float, 2);
    int64_t count = a[3];
    if (a[4])
        for (int64_t i = 0; i < count; i++) {
            float sum = one[i] + other[i];
            y[i] = sum < 0 ? 0 : sum;
        }
    else
        for (int64_t i = 0; i < count; i++)
            y[i] = one[i] + other[i];
    return 0;
}

/* Arguments: x, y, count. */
EXPORT int64_t NAME(copy)(Arguments a)
{
    memcpy(POINTER(float, 1), POINTER(const float, 0), 4 * a[2]);
    return 0;
}

/* y += bias for rows of channels. Arguments: y, bias, rows, channels. */
EXPORT int64_t NAME(add_bias)(Arguments a)
{
    float *restrict y = POINTER(float, 0);
    const float *restrict bias = POINTER(const float, 1);
    int64_t channels = a[3];
    for (int64_t i = 0; i < a[2]; i++, y += channels)
        for (int64_t c = 0; c < channels; c++)
            y[c] += bias[c];
    return 0;
}

/* Sums of columns. Arguments: x, sums, rows, channels. */
EXPORT int64_t NAME(sum_rows)(Arguments a)
{
    const float *restrict x = POINTER(const float, 0);
    float *restrict sums = POINTER(float, 1);
    int64_t channels = a[3];
    memset(sums, 0, 4 * channels);
    for (int64_t i = 0; i < a[2]; i++, x += channels)
        for (int64_t c = 0; c < channels; c++)
            sums[c] += x[c];
    return 0;
}

/* The largest of four, the first one of equals, and which one it is: 0 to 3. */
ALWAYS_INLINE V NAME(maximum)(V p, V q, V r, V s, I *place)
{
    I right = q > p, lower_right = s > r;
    V upper = SELECT(right, q, p), lower = SELECT(lower_right, s, r);
    I down = lower > upper;
    *place = (down & (2 - lower_right)) | (~down & -right);
    return SELECT(down, lower, upper);
}

/* Maxima of 2×2 windows, and which pixel of its window each one is, the first in reading order.
   Arguments: x, y, places, n, height and width of x, channels, whether a ReLU follows. */
EXPORT int64_t NAME(pool_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0);
    float *y = POINTER(float, 1);
    uint8_t *places = POINTER(uint8_t, 2);
    int64_t n = a[3], height = a[4], width = a[5], channels = a[6], relu = a[7], line = width * channels;
    for (int64_t image = 0; image < n; image++)
        for (int64_t i = 0; i < height / 2; i++)
            for (int64_t j = 0; j < width / 2; j++, y += channels, places += channels) {
                const float *top = x + ((image * height + 2 * i) * width + 2 * j) * channels;
                int64_t c = 0;
                for (; c + LANES <= channels; c += LANES) {
                    const float *window = top + c;
                    I place;
                    V p = *(const V *)window, q = *(const V *)(window + channels);
                    V r = *(const V *)(window + line), s = *(const V *)(window + line + channels);
                    V largest = NAME(maximum)(p, q, r, s, &place);
                    *(V *)(y + c) = relu ? POSITIVE(largest) : largest;
                    NAME(to_bytes)(place, places + c);
                }
                for (; c < channels; c++) {
                    const float window[4] = {top[c], top[c + channels], top[c + line], top[c + line + channels]};
                    int place = 0;
                    for (int k = 1; k < 4; k++)
                        if (window[k] > window[place])
                            place = k;
                    y[c] = relu && !(window[place] > 0) ? 0 : window[place];
                    places[c] = (uint8_t)place;
                }
            }
    return 0;
}

/* Arguments: gradient, y, places, the gradient of x, n, height and width of x, channels, whether a ReLU follows. */
EXPORT int64_t NAME(pool_backward)(Arguments a)
{
    const float *gradient = POINTER(const float, 0), *y = POINTER(const float, 1);
    const uint8_t *places = POINTER(const uint8_t, 2);
    float *to = POINTER(float, 3);
    int64_t n = a[4], height = a[5], width = a[6], channels = a[7], relu = a[8], line = width * channels;
    if (height % 2 || width % 2)
        memset(to, 0, 4 * n * height * line);
    for (int64_t image = 0; image < n; image++)
        for (int64_t i = 0; i < height / 2; i++)
            for (int64_t j = 0; j < width / 2; j++, y += channels, gradient += channels, places += channels) {
                float *top = to + ((image * height + 2 * i) * width + 2 * j) * channels;
                int64_t c = 0;
                for (; c + LANES <= channels; c += LANES) {
                    I value = *(const I *)(gradient + c);
                    I place = NAME(from_bytes)(places + c);
                    if (relu)
                        value &= *(const V *)(y + c) > 0;
                    *(I *)(top + c) = value & (place == 0);
                    *(I *)(top + c + channels) = value & (place == 1);
                    *(I *)(top + c + line) = value & (place == 2);
                    *(I *)(top + c + line + channels) = value & (place == 3);
                }
                for (; c < channels; c++) {
                    float value = relu && !(y[c] > 0) ? 0 : gradient[c];
                    top[c] = places[c] == 0 ? value : 0;
                    top[c + channels] = places[c] == 1 ? value : 0;
                    top[c + line] = places[c] == 2 ? value : 0;
                    top[c + line + channels] = places[c] == 3 ? value : 0;
                }
            }
    return 0;
}

/* The mean of whole maps: rows of pixels first, so that rounding does not accumulate over all of them.
   Arguments: x, y, a scratch array [channels], n, height, width, channels. */
EXPORT int64_t NAME(mean_forward)(Arguments a)
{
    const float *restrict x = POINTER(const float, 0);
    float *restrict y = POINTER(float, 1), *restrict row = POINTER(float, 2);
    int64_t n = a[3], height = a[4], width = a[5], channels = a[6];
    float count = (float)(height * width);
    for (int64_t image = 0; image < n; image++, y += channels) {
        memset(y, 0, 4 * channels);
        for (int64_t i = 0; i < height; i++) {
            memset(row, 0, 4 * channels);
            for (int64_t j = 0; j < width; j++, x += channels)
                for (int64_t c = 0; c < channels; c++)
                    row[c] += x[c];
            for (int64_t c = 0; c < channels; c++)
                y[c] += row[c];
        }
        for (int64_t c = 0; c < channels; c++)
            y[c] /= count;
    }
    return 0;
}

/* Arguments: gradient, the gradient of x, a scratch array [channels], n, pixels, channels. */
EXPORT int64_t NAME(mean_backward)(Arguments a)
{
    const float *restrict gradient = POINTER(const float, 0);
    float *restrict to = POINTER(float, 1), *restrict share = POINTER(float, 2);
    int64_t n = a[3], pixels = a[4], channels = a[5];
    for (int64_t image = 0; image < n; image++, gradient += channels) {
        for (int64_t c = 0; c < channels; c++)
            share[c] = gradient[c] / (float)pixels;
        for (int64_t i = 0; i < pixels; i++, to += channels)
            memcpy(to, share, 4 * channels);
    }
    return 0;
}

/* Batch norm, in few passes over memory; included by kernels.h.

   Numbers per channel are repeated to rows of `wide` floats, a multiple of the channels that divides an image, so that
   inner loops are long. Sums are taken in float32 over SUMMED rows at most, then in float64. */

/* Add the sums of a wide row per channel to `totals`, and empty the row. */
static void NAME(fold)(float *sums, double *totals, int64_t wide, int64_t channels)
{
    for (int64_t i = 0; i < wide; i += channels)
        for (int64_t c = 0; c < channels; c++)
            totals[c] += sums[i + c];
    memset(sums, 0, 4 * wide);
}

/* Mean and sum of squared deviations from it, per channel. Each image's mean is found first and its deviations are
   taken from that: no difference of large sums. Images are combined in order (Chan, Golub and LeVeque 1983).
   Arguments: x, means and squares (float64 [channels]), a scratch array (float32 [3 * wide]), another one (float64
   [2 * channels]); images, rows of an image, wide, channels. */
EXPORT int64_t NAME(norm_statistics)(Arguments a)
{
    const float *restrict x = POINTER(const float, 0);
    double *restrict means = POINTER(double, 1), *restrict squares = POINTER(double, 2);
    float *restrict shift = POINTER(float, 3);
    double *restrict first = POINTER(double, 4);
    int64_t images = a[5], rows = a[6], wide = a[7], channels = a[8];
    float *restrict sums = shift + wide, *restrict more = sums + wide;
    double *restrict second = first + channels, size = (double)(rows * (wide / channels)), count = 0;
    memset(sums, 0, 8 * wide);
    for (int64_t image = 0; image < images; image++, x += rows * wide) {
        memset(first, 0, 16 * channels);
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < wide; j++)
                sums[j] += x[i * wide + j];
            if (i % SUMMED == SUMMED - 1)
                NAME(fold)(sums, first, wide, channels);
        }
        NAME(fold)(sums, first, wide, channels);
        for (int64_t c = 0; c < channels; c++)
            shift[c] = (float)(first[c] / size);
        for (int64_t j = channels; j < wide; j++)
            shift[j] = shift[j - channels];
        memset(first, 0, 8 * channels);
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < wide; j++) {
                float difference = x[i * wide + j] - shift[j];
                sums[j] += difference;
                more[j] += difference * difference;
            }
            if (i % SUMMED == SUMMED - 1) {
                NAME(fold)(sums, first, wide, channels);
                NAME(fold)(more, second, wide, channels);
            }
        }
        NAME(fold)(sums, first, wide, channels);
        NAME(fold)(more, second, wide, channels);
        for (int64_t c = 0; c < channels; c++) {
            double left = first[c] / size, mean = shift[c] + left, square = second[c] - first[c] * left;
            if (image == 0) {
                means[c] = mean;
                squares[c] = square;
            } else {
                double difference = mean - means[c];
                means[c] += difference * (size / (count + size));
                squares[c] += square + difference * difference * (count * size / (count + size));
            }
        }
        count += size;
    }
    return 0;
}

/* Mean and variance of a batch from the counts, means and squares of its blocks (float64 [blocks][3][channels]).
   Arguments: these, mean and variance (float64 [channels]), running mean and variance, what they become, the momentum, the
   number of values per channel in the batch (float64); blocks, channels. */
EXPORT int64_t NAME(norm_combine)(Arguments a)
{
    const double *blocks = POINTER(const double, 0);
    double *mean = POINTER(double, 1), *variance = POINTER(double, 2);
    const float *running[2] = {POINTER(const float, 3), POINTER(const float, 4)}, *momentum = POINTER(const float, 7);
    float *kept[2] = {POINTER(float, 5), POINTER(float, 6)};
    int64_t count = a[9], channels = a[10];
    for (int64_t c = 0; c < channels; c++) {
        double values = 0, sum = 0, squares = 0;
        for (int64_t i = 0; i < count; i++) {
            const double *own = blocks + 3 * i * channels + c;
            values += own[0];
            sum += own[0] * own[channels];
        }
        *POINTER(double, 8) = values;
        mean[c] = sum / values;
        for (int64_t i = 0; i < count; i++) {
            const double *own = blocks + 3 * i * channels + c;
            double difference = own[channels] - mean[c];
            squares += own[2 * channels] + difference * difference * own[0];
        }
        variance[c] = squares / values;
        kept[0][c] = momentum[0] * running[0][c] + (1 - momentum[0]) * (float)mean[c];
        kept[1][c] = momentum[0] * running[1][c] + (1 - momentum[0]) * (float)variance[c];
    }
    return 0;
}

/* Numbers per channel, repeated to a wide row. */
static void NAME(repeat)(float *row, int64_t wide, int64_t channels)
{
    for (int64_t i = channels; i < wide; i++)
        row[i] = row[i - channels];
}

/* Arguments: mean and variance (float64), weight, bias, epsilon (float64), what float32 leaves of the mean (`rest`) and
   1 / sqrt(variance + epsilon) (`inverse`; both float64), mean, factor, offset [wide]; wide, channels. */
EXPORT int64_t NAME(norm_numbers)(Arguments a)
{
    const double *means = POINTER(const double, 0), *variance = POINTER(const double, 1);
    const float *weight = POINTER(const float, 2), *bias = POINTER(const float, 3);
    const double *epsilon = POINTER(const double, 4);
    double *rest = POINTER(double, 5), *inverse = POINTER(double, 6);
    float *mean = POINTER(float, 7), *factor = POINTER(float, 8), *offset = POINTER(float, 9);
    int64_t wide = a[10], channels = a[11];
    for (int64_t c = 0; c < channels; c++) {
        inverse[c] = 1 / __builtin_sqrt(variance[c] + epsilon[0]);
        mean[c] = (float)means[c];
        factor[c] = (float)(weight[c] * inverse[c]);
        rest[c] = means[c] - mean[c];
        offset[c] = (float)(bias[c] - rest[c] * factor[c]);
    }
    NAME(repeat)(mean, wide, channels);
    NAME(repeat)(factor, wide, channels);
    NAME(repeat)(offset, wide, channels);
    return 0;
}

/* The gradients of weight and bias, and the numbers for the way back, from the sums of all blocks (float64
   [blocks][2][channels]). Arguments: these, rest and inverse, gradients of weight and bias (float64), factor, slope,
   constant [wide], the number of values per channel in the batch (float64); blocks, wide, channels. */
EXPORT int64_t NAME(norm_combine_backward)(Arguments a)
{
    const double *blocks = POINTER(const double, 0), *rest = POINTER(const double, 1);
    const double *inverse = POINTER(const double, 2);
    double *to_weight = POINTER(double, 3), *to_bias = POINTER(double, 4);
    const float *factor = POINTER(const float, 5);
    float *slope = POINTER(float, 6), *constant = POINTER(float, 7);
    double values = *POINTER(const double, 8);
    int64_t count = a[9], wide = a[10], channels = a[11];
    for (int64_t c = 0; c < channels; c++) {
        double bias = 0, products = 0;
        for (int64_t i = 0; i < count; i++) {
            bias += blocks[2 * i * channels + c];
            products += blocks[(2 * i + 1) * channels + c];
        }
        to_bias[c] = bias;
        to_weight[c] = (products - rest[c] * bias) * inverse[c];
        double own = -(double)factor[c] * inverse[c] * (to_weight[c] / values);
        slope[c] = (float)own;
        constant[c] = (float)(-(double)factor[c] * (bias / values) - rest[c] * own);
    }
    NAME(repeat)(slope, wide, channels);
    NAME(repeat)(constant, wide, channels);
    return 0;
}

/* Store the gradients of weight and bias for one block, and zeros for the others. Arguments: the gradients (float64
   [2][channels]), addresses of float32 arrays [blocks][2], blocks, channels, which block has them (none: -1). */
EXPORT int64_t NAME(norm_store)(Arguments a)
{
    const double *gradients = POINTER(const double, 0);
    const int64_t *places = POINTER(const int64_t, 1);
    int64_t channels = a[3];
    for (int64_t i = 0; i < 2 * a[2]; i++) {
        float *to = (float *)(intptr_t)places[i];
        if (i / 2 == a[4])
            for (int64_t c = 0; c < channels; c++)
                to[c] = (float)gradients[i % 2 * channels + c];
        else
            memset(to, 0, 4 * channels);
    }
    return 0;
}

/* y = (x - mean) * factor + offset. Arguments: x, y, mean, factor, offset [wide], rows, wide, whether a ReLU follows. */
EXPORT int64_t NAME(norm_forward)(Arguments a)
{
    const float *restrict x = POINTER(const float, 0);
    float *restrict y = POINTER(float, 1);
    const float *restrict mean = POINTER(const float, 2), *restrict factor = POINTER(const float, 3);
    const float *restrict offset = POINTER(const float, 4);
    int64_t rows = a[5], wide = a[6];
    if (a[7])
        for (int64_t i = 0; i < rows; i++, x += wide, y += wide)
            for (int64_t j = 0; j < wide; j++) {
                float value = (x[j] - mean[j]) * factor[j] + offset[j];
                y[j] = value < 0 ? 0 : value; /* keeps NaN */
            }
    else
        for (int64_t i = 0; i < rows; i++, x += wide, y += wide)
            for (int64_t j = 0; j < wide; j++)
                y[j] = (x[j] - mean[j]) * factor[j] + offset[j];
    return 0;
}

static void NAME(sums_row)(const float *restrict x, const float *restrict gradient, const float *restrict mean,
                           const float *restrict factor, const float *restrict offset, float *restrict sums,
                           float *restrict products, int64_t wide)
{
    for (int64_t j = 0; j < wide; j++) {
        float difference = x[j] - mean[j], value = difference * factor[j] + offset[j], given = gradient[j];
        given = value > 0 ? given : 0;
        sums[j] += given;
        products[j] += given * difference;
    }
}

static void NAME(sums_row_plain)(const float *restrict x, const float *restrict gradient, const float *restrict mean,
                                 float *restrict sums, float *restrict products, int64_t wide)
{
    for (int64_t j = 0; j < wide; j++) {
        sums[j] += gradient[j];
        products[j] += gradient[j] * (x[j] - mean[j]);
    }
}

/* Sums of the gradient, and of the gradient times (x - mean), per channel. With a ReLU, the gradient counts where the
   result is positive. Arguments: x, gradient, mean, factor, offset [wide], the sums (float64 [2 * channels]), a scratch
   array (float32 [2 * wide]), rows, wide, channels, whether a ReLU follows. */
EXPORT int64_t NAME(norm_sums)(Arguments a)
{
    const float *restrict x = POINTER(const float, 0), *restrict gradient = POINTER(const float, 1);
    const float *restrict mean = POINTER(const float, 2), *restrict factor = POINTER(const float, 3);
    const float *restrict offset = POINTER(const float, 4);
    double *restrict totals = POINTER(double, 5);
    float *restrict sums = POINTER(float, 6);
    int64_t rows = a[7], wide = a[8], channels = a[9], relu = a[10];
    float *restrict products = sums + wide;
    memset(totals, 0, 16 * channels);
    memset(sums, 0, 8 * wide);
    for (int64_t i = 0; i < rows; i++, x += wide, gradient += wide) {
        if (relu)
            NAME(sums_row)(x, gradient, mean, factor, offset, sums, products, wide);
        else
            NAME(sums_row_plain)(x, gradient, mean, sums, products, wide);
        if (i % SUMMED == SUMMED - 1 || i == rows - 1) {
            NAME(fold)(sums, totals, wide, channels);
            NAME(fold)(products, totals + channels, wide, channels);
        }
    }
    return 0;
}

/* The gradient of x: gradient * factor + (x - mean) * slope + constant. Arguments: x, gradient, the result (which may
   be the gradient), mean, factor, offset, slope, constant [wide], rows, wide, whether a ReLU follows. */
EXPORT int64_t NAME(norm_backward)(Arguments a)
{
    const float *restrict x = POINTER(const float, 0);
    const float *gradient = POINTER(const float, 1);
    float *to = POINTER(float, 2);
    const float *restrict mean = POINTER(const float, 3), *restrict factor = POINTER(const float, 4);
    const float *restrict offset = POINTER(const float, 5), *restrict slope = POINTER(const float, 6);
    const float *restrict constant = POINTER(const float, 7);
    int64_t rows = a[8], wide = a[9], relu = a[10];
    for (int64_t i = 0; i < rows; i++, x += wide, gradient += wide, to += wide) {
        if (relu)
            for (int64_t j = 0; j < wide; j++) {
                float difference = x[j] - mean[j], value = difference * factor[j] + offset[j], given = gradient[j];
                given = value > 0 ? given : 0;
                to[j] = given * factor[j] + (difference * slope[j] + constant[j]);
            }
        else
            for (int64_t j = 0; j < wide; j++)
                to[j] = gradient[j] * factor[j] + ((x[j] - mean[j]) * slope[j] + constant[j]);
    }
    return 0;
}

/* --- followed by a max pooling of 2×2 windows -------------------------------------------------------------------------
   Numbers per channel are not repeated here. `places` says which pixel of its window each maximum is. */

/* Arguments: x, y, places, mean, factor, offset [channels], n, height and width of x, channels, whether a ReLU follows.
*/
EXPORT int64_t NAME(norm_pool_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0);
    float *y = POINTER(float, 1);
    uint8_t *places = POINTER(uint8_t, 2);
    const float *mean = POINTER(const float, 3), *factor = POINTER(const float, 4), *offset = POINTER(const float, 5);
    int64_t n = a[6], height = a[7], width = a[8], channels = a[9], relu = a[10], line = width * channels;
    for (int64_t image = 0; image < n; image++)
        for (int64_t i = 0; i < height / 2; i++)
            for (int64_t j = 0; j < width / 2; j++, y += channels, places += channels) {
                const float *top = x + ((image * height + 2 * i) * width + 2 * j) * channels;
                int64_t c = 0;
                for (; c + LANES <= channels; c += LANES) {
                    const float *window = top + c;
                    V m = *(const V *)(mean + c), f = *(const V *)(factor + c), o = *(const V *)(offset + c);
                    V p = (*(const V *)window - m) * f + o, q = (*(const V *)(window + channels) - m) * f + o;
                    V r = (*(const V *)(window + line) - m) * f + o;
                    V s = (*(const V *)(window + line + channels) - m) * f + o;
                    I right = q > p, lower_right = s > r;
                    V upper = SELECT(right, q, p), lower = SELECT(lower_right, s, r);
                    I down = lower > upper, place = (down & (2 - lower_right)) | (~down & -right);
                    V largest = SELECT(down, lower, upper);
                    if (relu)
                        largest = (V)((I)largest & (largest > 0));
                    *(V *)(y + c) = largest;
                    *(B *)(places + c) = __builtin_convertvector(place, B);
                }
                for (; c < channels; c++) {
                    float window[4] = {top[c], top[c + channels], top[c + line], top[c + line + channels]};
                    int place = 0;
                    for (int k = 0; k < 4; k++) {
                        window[k] = (window[k] - mean[c]) * factor[c] + offset[c];
                        if (window[k] > window[place])
                            place = k;
                    }
                    y[c] = relu && !(window[place] > 0) ? 0 : window[place];
                    places[c] = (uint8_t)place;
                }
            }
    return 0;
}

/* Arguments: x, y, places, gradient, mean [channels], the sums (float64 [2 * channels]), a scratch array (float32
   [2 * channels]), n, height and width of x, channels, whether a ReLU follows. */
EXPORT int64_t NAME(norm_pool_sums)(Arguments a)
{
    const float *x = POINTER(const float, 0), *y = POINTER(const float, 1);
    const uint8_t *places = POINTER(const uint8_t, 2);
    const float *gradient = POINTER(const float, 3), *mean = POINTER(const float, 4);
    double *totals = POINTER(double, 5);
    float *sums = POINTER(float, 6);
    int64_t n = a[7], height = a[8], width = a[9], channels = a[10], relu = a[11], line = width * channels;
    float *products = sums + channels;
    memset(totals, 0, 16 * channels);
    memset(sums, 0, 8 * channels);
    for (int64_t image = 0; image < n; image++) {
        for (int64_t i = 0; i < height / 2; i++)
            for (int64_t j = 0; j < width / 2; j++, y += channels, gradient += channels, places += channels) {
                const float *top = x + ((image * height + 2 * i) * width + 2 * j) * channels;
                int64_t c = 0;
                for (; c + LANES <= channels; c += LANES) {
                    const float *window = top + c;
                    I given = *(const I *)(gradient + c);
                    I place = NAME(from_bytes)(places + c);
                    if (relu)
                        given &= *(const V *)(y + c) > 0;
                    V p = *(const V *)window, q = *(const V *)(window + channels);
                    V r = *(const V *)(window + line), s = *(const V *)(window + line + channels);
                    I right = -(place & 1), down = -(place >> 1);
                    V upper = SELECT(right, q, p), lower = SELECT(right, s, r);
                    V chosen = SELECT(down, lower, upper);
                    *(V *)(sums + c) += (V)given;
                    *(V *)(products + c) += (V)given * (chosen - *(const V *)(mean + c));
                }
                for (; c < channels; c++) {
                    float given = relu && !(y[c] > 0) ? 0 : gradient[c];
                    float chosen = top[c + (places[c] & 1) * channels + (places[c] >> 1) * line];
                    sums[c] += given;
                    products[c] += given * (chosen - mean[c]);
                }
            }
        NAME(fold)(sums, totals, channels, channels);
        NAME(fold)(products, totals + channels, channels, channels);
    }
    return 0;
}

/* Arguments: x, y, places, gradient, the gradient of x, mean, factor, slope, constant [channels], n, height and width of
   x, channels, whether a ReLU follows. */
EXPORT int64_t NAME(norm_pool_backward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *y = POINTER(const float, 1);
    const uint8_t *places = POINTER(const uint8_t, 2);
    const float *gradient = POINTER(const float, 3);
    float *to = POINTER(float, 4);
    const float *mean = POINTER(const float, 5), *factor = POINTER(const float, 6), *slope = POINTER(const float, 7);
    const float *constant = POINTER(const float, 8);
    int64_t n = a[9], height = a[10], width = a[11], channels = a[12], relu = a[13], line = width * channels;
    if (height % 2 || width % 2) /* pixels in no window */
        for (int64_t i = 0; i < n * height * width; i++)
            for (int64_t c = 0; c < channels; c++)
                to[i * channels + c] = (x[i * channels + c] - mean[c]) * slope[c] + constant[c];
    for (int64_t image = 0; image < n; image++)
        for (int64_t i = 0; i < height / 2; i++)
            for (int64_t j = 0; j < width / 2; j++, y += channels, gradient += channels, places += channels) {
                int64_t start = ((image * height + 2 * i) * width + 2 * j) * channels, c = 0;
                for (; c + LANES <= channels; c += LANES) {
                    I given = *(const I *)(gradient + c);
                    I place = NAME(from_bytes)(places + c);
                    if (relu)
                        given &= *(const V *)(y + c) > 0;
                    given = (I)((V)given * *(const V *)(factor + c));
                    V m = *(const V *)(mean + c), l = *(const V *)(slope + c), o = *(const V *)(constant + c);
#define PIXEL(which, shift)                                                                                            \
    {                                                                                                                  \
        const float *from = x + start + c + (shift);                                                                   \
        *(V *)(to + start + c + (shift)) = (V)(given & (place == which)) + ((*(const V *)from - m) * l + o);           \
    }
                    PIXEL(0, 0)
                    PIXEL(1, channels)
                    PIXEL(2, line)
                    PIXEL(3, line + channels)
#undef PIXEL
                }
                for (; c < channels; c++) {
                    float given = relu && !(y[c] > 0) ? 0 : gradient[c] * factor[c];
                    for (int k = 0; k < 4; k++) {
                        int64_t at = start + c + (k & 1) * channels + (k >> 1) * line;
                        to[at] = (places[c] == k ? given : 0) + ((x[at] - mean[c]) * slope[c] + constant[c]);
                    }
                }
            }
    return 0;
}

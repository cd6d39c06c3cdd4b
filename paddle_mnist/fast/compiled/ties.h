/* Equal results of a convolution by minimal filtering (filtering.h); included by kernels.h.

   On blank paper a result is the bias, and where a window of pixels is the same as the next one, so are the results.
   Minimal filtering rounds them by their places in a tile. Paddle's are equal to the bit, and a ReLU at zero or a max
   pooling decides by that where gradients go. tiles.h does the same for planes. */

ALWAYS_INLINE int32_t NAME(all_lanes)(I mask)
{
    return -(NAME(lanes_sum)((V)(mask & (I)((V){0} + 1))) == LANES);
}

/* Masks, as of tiles_ties, for `rows` rows of `line` pixels; one more row and column are read. */
static void NAME(pixel_ties)(const float *x, int64_t channels, int64_t rows, int64_t line, int32_t *zero, int32_t *right,
                             int32_t *below)
{
    for (int64_t i = 0; i < rows * line; i++, x += channels) {
        zero[i] = right[i] = below[i] = 0;
        if (*x != 0 && *x != x[channels] && *x != x[line * channels])
            continue;
        I all[3] = {(I){0} - 1, (I){0} - 1, (I){0} - 1};
        for (int64_t c = 0; c < channels; c += LANES) {
            V own = *(const V *)(x + c);
            all[0] &= own == 0;
            all[1] &= own == *(const V *)(x + channels + c);
            all[2] &= own == *(const V *)(x + line * channels + c);
        }
        zero[i] = NAME(all_lanes)(all[0]);
        right[i] = NAME(all_lanes)(all[1]);
        below[i] = NAME(all_lanes)(all[2]);
    }
}

/* Set each result of a map to the bias, or to the one above it or left of it in its window of 2×2, where they are equal. */
static void NAME(settle_map)(float *y, const float *bias, int relu, int64_t height, int64_t width, int64_t outputs,
                             int64_t line, const int32_t *zero, const int32_t *right, const int32_t *below)
{
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++, y += outputs) {
            int64_t at = i * line + j;
            if (zero[at])
                for (int64_t k = 0; k < outputs; k++)
                    y[k] = relu && bias[k] < 0 ? 0 : bias[k];
            else if (i % 2 && below[at - line])
                memcpy(y, y - width * outputs, 4 * outputs);
            else if (j % 2 && right[at - 1])
                memcpy(y, y - outputs, 4 * outputs);
        }
}

/* Arguments: x, bias, y, (height + taps) * (width + taps) * (channels + 3), for pixels and three masks; n, height and width
   of x, channels (a multiple of LANES), outputs, height and width of y, top, left, whether a ReLU is done, taps along an axis. */
EXPORT int64_t NAME(settle)(Arguments a)
{
    const float *x = POINTER(const float, 0), *bias = POINTER(const float, 1);
    float *y = POINTER(float, 2);
    SCRATCH(padded, 3);
    int64_t n = a[4], x_height = a[5], x_width = a[6], channels = a[7], outputs = a[8], height = a[9], width = a[10];
    int64_t top = a[11], left = a[12], taps = a[14], line = width + taps, size = (height + taps) * line;
    int32_t *masks = (int32_t *)(padded + size * channels);
    memset(padded, 0, 4 * size * channels);
    for (int64_t image = 0; image < n; image++, y += height * width * outputs) {
        for (int64_t i = 0; i < x_height; i++, x += x_width * channels)
            memcpy(padded + ((top + i) * line + left) * channels, x, 4 * x_width * channels);
        NAME(pixel_ties)(padded, channels, height + taps - 1, line, masks, masks + size, masks + 2 * size);
        for (int k = 0; k < 3; k++) /* in windows of taps×taps, whose first pixel is where the result is */
            for (int along = 0; along < 2; along++) {
                int64_t step = along ? line : 1, count = (height + taps - 1) * line - step;
                int32_t *own = masks + k * size;
                for (int64_t tap = 1; tap < taps; tap++)
                    for (int64_t i = 0; i < count; i++)
                        own[i] &= own[i + step];
            }
        NAME(settle_map)(y, bias, (int)a[13], height, width, outputs, line, masks, masks + size, masks + 2 * size);
    }
    return 0;
}

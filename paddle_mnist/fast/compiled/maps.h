/* Maps of images, and the order of a convolution's weights, for filtering.h; included by kernels.h. */

/* float32 maps [n, height, width, channels]; pixels up to `top` above and `left` of them are asked for, and are zero. */
typedef struct {
    float *data;
    int64_t height, width, channels, top, left;
} NAME(Maps);

/* Ask for a part of an array, one of `parts`, to be brought into the cache. */
ALWAYS_INLINE void NAME(prefetch)(const float *array, int64_t size, int64_t part, int64_t parts)
{
    for (int64_t i = part * size / parts / 16 * 16; i < (part + 1) * size / parts; i += 16)
        __builtin_prefetch(array + i, 0, 2);
}

/* Return the first of size×size pixels of an image, (i, j) counted from its border, and the distance between their rows.
   Where some lie outside, all are copied to `patch`, with zeros there. */
ALWAYS_INLINE const float *NAME(pixels)(const NAME(Maps) *maps, int64_t image, int64_t i, int64_t j, int size, float *patch,
                                        int64_t *line)
{
    int64_t height = maps->height, width = maps->width, channels = maps->channels;
    i -= maps->top;
    j -= maps->left;
    const float *first = maps->data + ((image * height + i) * width + j) * channels;
    if (i >= 0 && j >= 0 && i + size <= height && j + size <= width) {
        *line = width * channels;
        return first;
    }
    *line = size * channels;
    for (int p = 0; p < size; p++)
        for (int q = 0; q < size; q++) {
            int inside = i + p >= 0 && i + p < height && j + q >= 0 && j + q < width;
            for (int64_t c = 0; c < channels; c += LANES)
                *(V *)(patch + (p * size + q) * channels + c) =
                    inside ? *(const V *)(first + (p * width + q) * channels + c) : (V){0};
        }
    return patch;
}

/* Reorder weights [outputs][channels][taps] to [taps][channels][outputs] or, turned, to [taps][outputs][channels]; LANES
   floats are left between taps, as between the planes of U. */
static void NAME(taps_first)(const float *weights, float *to, int64_t outputs, int64_t channels, int64_t taps, int turned)
{
    int64_t rows = turned ? outputs : channels, columns = turned ? channels : outputs, plane = rows * columns + LANES;
    for (int64_t first = 0; first < columns; first += LANES)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = first; c < first + LANES && c < columns; c++) {
                const float *w = weights + (turned ? r * channels + c : c * channels + r) * taps;
                for (int64_t t = 0; t < taps; t++)
                    to[t * plane + r * columns + c] = w[t];
            }
}

/* The inverse of it, without the floats between taps. Arguments: [taps][channels][outputs], the result; outputs,
   channels, taps. */
EXPORT int64_t NAME(taps_last)(Arguments a)
{
    const float *from = POINTER(const float, 0);
    float *to = POINTER(float, 1);
    int64_t outputs = a[2], channels = a[3], taps = a[4];
    for (int64_t first = 0; first < outputs; first += LANES)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t k = first; k < first + LANES && k < outputs; k++)
                for (int64_t t = 0; t < taps; t++)
                    to[(k * channels + c) * taps + t] = from[(t * channels + c) * outputs + k];
    return 0;
}

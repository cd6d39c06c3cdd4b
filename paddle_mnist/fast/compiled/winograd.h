/* Convolution with 3×3 kernels by Winograd's minimal filtering F(2×2, 3×3); included by kernels.h.

   A tile of 2×2 pixels of the result takes 16 multiplications for each pair of channels instead of 36 (Winograd 1980;
   Lavin and Gray 2015): 4×4 pixels of the input and the weights are transformed, multiplied element by element, summed
   over the channels, which are 16 matrix products, and transformed back. Both transforms are sums, differences and
   halves only, so that little is lost to rounding. Stride 1, one group, channels in multiples of LANES.

   `V`, `U`, `M` are called after Lavin and Gray: transformed inputs [16][tiles][channels], transformed weights
   [16][channels][outputs], their products [16][tiles][outputs]. LANES floats are left between the 16 planes of each, lest
   all of them meet in the same lines of the cache. Tiles are done some rows at a time, which stay in the cache. */

/* Return the first of size×size pixels of a map, and the distance between their rows. Where some lie outside, all are
   copied to `patch`, with zeros there. */
ALWAYS_INLINE const float *NAME(pixels)(const float *map, float *patch, int64_t i, int64_t j, int64_t height,
                                        int64_t width, int64_t channels, int size, int64_t *line)
{
    const float *first = map + (i * width + j) * channels;
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

/* V = transposed(B) d B for tiles of an input, `rows` rows of tiles from row `first` of all images on. */
static void NAME(transform_input)(const float *x, float *patch, float *v, int64_t v_plane, int64_t first,
                                  int64_t rows, int64_t down, int64_t across, int64_t height, int64_t width,
                                  int64_t channels, int64_t top, int64_t left)
{
    for (int64_t row = first; row < first + rows; row++) {
        const float *image = x + row / down * height * width * channels;
        for (int64_t j = 0; j < across; j++, v += channels) {
            int64_t i = row % down * 2 - top, line;
            const float *d = NAME(pixels)(image, patch, i, 2 * j - left, height, width, channels, 4, &line);
            for (int64_t c = 0; c < channels; c += LANES) {
                V t[16];
#define PIXEL(p, q) (*(const V *)(d + (p) * line + (q) * channels + c))
                _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++)
                {
                    V d0 = PIXEL(0, q), d1 = PIXEL(1, q), d2 = PIXEL(2, q), d3 = PIXEL(3, q);
                    t[q] = d0 - d2;
                    t[4 + q] = d1 + d2;
                    t[8 + q] = d2 - d1;
                    t[12 + q] = d1 - d3;
                }
#undef PIXEL
                _Pragma("GCC unroll 4") for (int p = 0; p < 16; p += 4)
                {
                    *(V *)(v + p * v_plane + c) = t[p] - t[p + 2];
                    *(V *)(v + (p + 1) * v_plane + c) = t[p + 1] + t[p + 2];
                    *(V *)(v + (p + 2) * v_plane + c) = t[p + 2] - t[p + 1];
                    *(V *)(v + (p + 3) * v_plane + c) = t[p + 1] - t[p + 3];
                }
            }
        }
    }
}

/* Arguments: x, U, bias, a scratch array [16][channels], y, V, M; n, height and width of x, channels, outputs, height and width of y, top, left,
   rows of tiles at a time, tiles in V and M (a multiple of ROWS), whether a ReLU follows. */
EXPORT int64_t NAME(winograd_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *u = POINTER(const float, 1), *bias = POINTER(const float, 2);
    float *patch = POINTER(float, 3), *y = POINTER(float, 4), *v = POINTER(float, 5), *m = POINTER(float, 6);
    int64_t n = a[7], x_height = a[8], x_width = a[9], channels = a[10], outputs = a[11], height = a[12], width = a[13];
    int64_t top = a[14], left = a[15], rows = a[16], tiles = a[17], relu = a[18];
    int64_t down = (height + 1) / 2, across = (width + 1) / 2;
    int64_t v_plane = tiles * channels + LANES, m_plane = tiles * outputs + LANES;
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows, used = (some * across + ROWS - 1) / ROWS * ROWS;
        NAME(transform_input)(x, patch, v, v_plane, first, some, down, across, x_height, x_width, channels, top, left);
        for (int p = 0; p < 16; p++)
            NAME(product)(v + p * v_plane, channels, 1, u + p * (channels * outputs + LANES), outputs, m + p * m_plane, outputs,
                          used, channels, outputs, 0);
        const float *from = m;
        for (int64_t row = first; row < first + some; row++) {
            int64_t i = row % down * 2;
            for (int64_t j = 0; j < width; j += 2, from += outputs) {
                float *to = y + ((row / down * height + i) * width + j) * outputs;
                for (int64_t k = 0; k < outputs; k += LANES) {
                    V t[8], r[4], b = *(const V *)(bias + k);
#define AT(p) (*(const V *)(from + (p) * m_plane + k))
                    _Pragma("GCC unroll 4") for (int q = 0; q < 4; q++)
                    {
                        V m1 = AT(4 + q), m2 = AT(8 + q);
                        t[q] = AT(q) + m1 + m2;
                        t[4 + q] = m1 - m2 - AT(12 + q);
                    }
#undef AT
                    for (int p = 0; p < 2; p++) {
                        r[2 * p] = t[4 * p] + t[4 * p + 1] + t[4 * p + 2] + b;
                        r[2 * p + 1] = t[4 * p + 1] - t[4 * p + 2] - t[4 * p + 3] + b;
                    }
                    if (relu)
                        for (int p = 0; p < 4; p++)
                            r[p] = POSITIVE(r[p]);
                    *(V *)(to + k) = r[0];
                    if (j + 1 < width)
                        *(V *)(to + outputs + k) = r[1];
                    if (i + 1 < height) {
                        *(V *)(to + width * outputs + k) = r[2];
                        if (j + 1 < width)
                            *(V *)(to + (width + 1) * outputs + k) = r[3];
                    }
                }
            }
        }
    }
    return 0;
}

/* The gradients of weights, in the order [3][3][channels][outputs], and of the bias (0: not wanted).
   Arguments: x, gradient, a scratch array [16][channels or outputs], gradient of the weights, of the bias, V, M, U's
   gradient; the numbers as above, but for the ReLU. */
EXPORT int64_t NAME(winograd_backward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *gradient = POINTER(const float, 1);
    float *patch = POINTER(float, 2), *to_weight = POINTER(float, 3), *to_bias = POINTER(float, 4);
    float *v = POINTER(float, 5), *m = POINTER(float, 6), *to_u = POINTER(float, 7);
    int64_t n = a[8], x_height = a[9], x_width = a[10], channels = a[11], outputs = a[12], height = a[13];
    int64_t width = a[14], top = a[15], left = a[16], rows = a[17], tiles = a[18], size = channels * outputs;
    int64_t down = (height + 1) / 2, across = (width + 1) / 2;
    int64_t v_plane = tiles * channels + LANES, m_plane = tiles * outputs + LANES;
    if (to_bias)
        memset(to_bias, 0, 4 * outputs);
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows;
        NAME(transform_input)(x, patch, v, v_plane, first, some, down, across, x_height, x_width, channels, top, left);
        float *to = m;
        for (int64_t row = first; row < first + some; row++)
            for (int64_t j = 0; j < across; j++, to += outputs) { /* A g transposed(A) */
                const float *map = gradient + row / down * height * width * outputs;
                int64_t line;
                const float *g = NAME(pixels)(map, patch, row % down * 2, 2 * j, height, width, outputs, 2, &line);
                for (int64_t k = 0; k < outputs; k += LANES) {
                    V g0 = *(const V *)(g + k), g1 = *(const V *)(g + outputs + k), g2 = *(const V *)(g + line + k);
                    V g3 = *(const V *)(g + line + outputs + k), left_sum = g0 + g2, right_sum = g1 + g3;
                    const V t[8] = {g0, g1, left_sum, right_sum, g0 - g2, g1 - g3, -g2, -g3};
                    _Pragma("GCC unroll 4") for (int p = 0; p < 4; p++)
                    {
                        float *place = to + 4 * p * m_plane + k;
                        *(V *)place = t[2 * p];
                        *(V *)(place + m_plane) = t[2 * p] + t[2 * p + 1];
                        *(V *)(place + 2 * m_plane) = t[2 * p] - t[2 * p + 1];
                        *(V *)(place + 3 * m_plane) = -t[2 * p + 1];
                    }
                    if (to_bias)
                        *(V *)(to_bias + k) += left_sum + right_sum;
                }
            }
        for (int p = 0; p < 16; p++)
            NAME(product)(v + p * v_plane, 1, channels, m + p * m_plane, outputs, to_u + p * (size + LANES), outputs, channels,
                          some * across, outputs, first > 0);
    }
    for (int64_t i = 0; i < size; i += LANES) { /* transposed(G) U G */
        V t[12];
#define AT(p) (*(const V *)(to_u + (p) * (size + LANES) + i))
        for (int q = 0; q < 4; q++) {
            V half = 0.5f * (AT(4 + q) + AT(8 + q));
            t[q] = AT(q) + half;
            t[4 + q] = 0.5f * (AT(4 + q) - AT(8 + q));
            t[8 + q] = half + AT(12 + q);
        }
#undef AT
        for (int p = 0; p < 3; p++) {
            const V *own = t + 4 * p;
            V half = 0.5f * (own[1] + own[2]);
            *(V *)(to_weight + 3 * p * size + i) = own[0] + half;
            *(V *)(to_weight + (3 * p + 1) * size + i) = 0.5f * (own[1] - own[2]);
            *(V *)(to_weight + (3 * p + 2) * size + i) = half + own[3];
        }
    }
    return 0;
}

/* Reorder weights [outputs][channels][taps] to [taps][channels][outputs] or, turned, to [taps][outputs][channels] with
   the taps in reverse order; LANES floats are left between taps, as between the planes of U. */
static void NAME(taps_first)(const float *weights, float *to, int64_t outputs, int64_t channels, int64_t taps, int turned)
{
    int64_t rows = turned ? outputs : channels, columns = turned ? channels : outputs, plane = rows * columns + LANES;
    for (int64_t first = 0; first < columns; first += LANES)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = first; c < first + LANES && c < columns; c++) {
                const float *w = weights + (turned ? r * channels + c : c * channels + r) * taps;
                for (int64_t t = 0; t < taps; t++)
                    to[t * plane + r * columns + c] = w[turned ? taps - 1 - t : t];
            }
}

/* The inverse of it. Arguments: [taps][channels][outputs], the result; outputs, channels, taps. */
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

/* U = G w transposed(G) for weights [outputs][channels][3][3]. With `turned`, for the gradient of the input: channels and
   outputs change places and the kernel is turned around. Arguments: weights, U, a scratch array [9][outputs * channels +
   LANES]; outputs, channels, turned. */
EXPORT int64_t NAME(winograd_pack)(Arguments a)
{
    float *u = POINTER(float, 1), *w = POINTER(float, 2);
    int64_t outputs = a[3], channels = a[4], size = outputs * channels, plane = size + LANES;
    NAME(taps_first)(POINTER(const float, 0), w, outputs, channels, 9, (int)a[5]);
    for (int64_t i = 0; i < size; i += LANES) {
        V t[12];
#define AT(tap) (*(const V *)(w + (tap) * plane + i))
        _Pragma("GCC unroll 3") for (int j = 0; j < 3; j++)
        {
            t[j] = AT(j);
            t[3 + j] = 0.5f * (AT(j) + AT(3 + j) + AT(6 + j));
            t[6 + j] = 0.5f * (AT(j) - AT(3 + j) + AT(6 + j));
            t[9 + j] = AT(6 + j);
        }
#undef AT
        _Pragma("GCC unroll 4") for (int p = 0; p < 4; p++)
        {
            const V *own = t + 3 * p;
            float *to = u + 4 * p * plane + i;
            *(V *)to = own[0];
            *(V *)(to + plane) = 0.5f * (own[0] + own[1] + own[2]);
            *(V *)(to + 2 * plane) = 0.5f * (own[0] - own[1] + own[2]);
            *(V *)(to + 3 * plane) = own[2];
        }
    }
    return 0;
}

/* Convolution with 5×5 kernels by nested minimal filtering; included by kernels.h.

   Along one axis, 4 results of 5 taps take 11 multiplications instead of 20: pairs of results and pairs of taps are one
   F(2, 3), each of whose four products is an F(2, 2) of three multiplications, or of two where one tap is left (Winograd
   1980). Along both axes, 16 results of 25 taps take 121 multiplications for each pair of channels instead of 400.
   Transforms are sums, differences and halves only, so that little is lost to rounding, unlike with one large F(4, 5).
   Stride 1, one group, channels in multiples of LANES.

   Names are as in winograd.h: transformed inputs V [121][tiles][channels], transformed weights U [121][channels][outputs],
   their products M [121][tiles][outputs], with LANES floats between the planes of each. On the way back the transposes
   of the same transforms serve: W = A g transposed(A), of the result's gradient, gives the gradients of U and V. */

/* 8 pixels of the input, `step` apart, to 11 points, `to_step` apart. */
ALWAYS_INLINE void NAME(nested_input)(const V *d, int step, V *t, int to_step)
{
#define D(i) d[(i) * step]
    V a0 = D(0) - D(4), a1 = D(1) - D(5), a2 = D(2) - D(6), b0 = D(2) + D(4), b1 = D(3) + D(5), b2 = D(4) + D(6);
    V c0 = D(4) - D(2), c1 = D(5) - D(3), c2 = D(6) - D(4), e0 = D(2) - D(6), e1 = D(3) - D(7);
#undef D
    const V points[11] = {a0 - a1, a1, a1 - a2, b0 - b1, b1, b1 - b2, c0 - c1, c1, c1 - c2, e0 - e1, e1};
    _Pragma("GCC unroll 11") for (int i = 0; i < 11; i++) t[i * to_step] = points[i];
}

/* Its transpose. */
ALWAYS_INLINE void NAME(nested_input_back)(const V *t, int step, V *d, int to_step)
{
#define T(i) t[(i) * step]
    V a0 = T(0), a1 = T(1) + T(2) - T(0), a2 = T(2), b0 = T(3), b1 = T(4) + T(5) - T(3), b2 = T(5); /* a2, b2: negative */
    V c0 = T(6), c1 = T(7) + T(8) - T(6), c2 = T(8), e0 = T(9), e1 = T(10) - T(9);
#undef T
    const V pixels[8] = {a0, a1, b0 - a2 - c0 + e0, b1 - c1 + e1, b0 - b2 - a0 + c0 + c2, b1 - a1 + c1, a2 - b2 - c2 - e0,
                         -e1};
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) d[i * to_step] = pixels[i];
}

/* 11 points of the products to 4 results. */
ALWAYS_INLINE void NAME(nested_output)(const V *m, int step, V *y, int to_step)
{
#define M(i) m[(i) * step]
    V a0 = M(0) + M(1), a1 = M(1) - M(2), b0 = M(3) + M(4), b1 = M(4) - M(5), c0 = M(6) + M(7), c1 = M(7) - M(8);
    V e1 = M(10), e0 = M(9) + e1;
#undef M
    const V results[4] = {a0 + b0 + c0, a1 + b1 + c1, b0 - c0 - e0, b1 - c1 - e1};
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) y[i * to_step] = results[i];
}

/* Its transpose. */
ALWAYS_INLINE void NAME(nested_output_back)(const V *y, int step, V *m, int to_step)
{
    V y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
    V b0 = y0 + y2, b1 = y1 + y3, c0 = y0 - y2, c1 = y1 - y3;
    const V points[11] = {y0, y0 + y1, -y1, b0, b0 + b1, -b1, c0, c0 + c1, -c1, -y2, -y2 - y3};
    _Pragma("GCC unroll 11") for (int i = 0; i < 11; i++) m[i * to_step] = points[i];
}

/* 5 taps to 11 points. */
ALWAYS_INLINE void NAME(nested_taps)(const V *g, int step, V *u, int to_step)
{
#define G(i) g[(i) * step]
    V even = G(0) + G(4), s0 = 0.5f * (even + G(2)), s1 = 0.5f * (G(1) + G(3));
    V r0 = 0.5f * (even - G(2)), r1 = 0.5f * (G(1) - G(3));
    const V points[11] = {G(0), G(0) + G(1), G(1), s0, s0 + s1, s1, r0, r0 + r1, r1, G(4), G(4)};
#undef G
    _Pragma("GCC unroll 11") for (int i = 0; i < 11; i++) u[i * to_step] = points[i];
}

/* Its transpose. */
ALWAYS_INLINE void NAME(nested_taps_back)(const V *u, int step, V *g, int to_step)
{
#define U(i) u[(i) * step]
    V s0 = 0.5f * (U(3) + U(4)), s1 = 0.5f * (U(4) + U(5)), r0 = 0.5f * (U(6) + U(7)), r1 = 0.5f * (U(7) + U(8));
    const V taps[5] = {U(0) + U(1) + s0 + r0, U(1) + U(2) + s1 + r1, s0 - r0, s1 - r1, s0 + r0 + U(9) + U(10)};
#undef U
    _Pragma("GCC unroll 5") for (int i = 0; i < 5; i++) g[i * to_step] = taps[i];
}

/* The 121 points of 25 taps, `plane` floats apart. */
ALWAYS_INLINE void NAME(nested_weights)(const V *g, float *u, int64_t plane)
{
    V t[55], p[121];
    for (int k = 0; k < 5; k++)
        NAME(nested_taps)(g + k, 5, t + k, 5);
    for (int k = 0; k < 11; k++)
        NAME(nested_taps)(t + 5 * k, 1, p + 11 * k, 1);
    for (int k = 0; k < 121; k++)
        *(V *)(u + k * plane) = p[k];
}

/* The 121 points of a tile of which each column is transformed already, t [11][8], `plane` floats apart. */
ALWAYS_INLINE void NAME(nested_rows)(const V *t, float *v, int64_t plane)
{
    V p[11];
    for (int k = 0; k < 11; k++) {
        NAME(nested_input)(t + 8 * k, 1, p, 1);
        for (int q = 0; q < 11; q++)
            *(V *)(v + (11 * k + q) * plane) = p[q];
    }
}

/* U for weights [outputs][channels][5][5] in the orders [121][channels][outputs] and, transposed, [121][outputs][channels]
   (0: not wanted). Arguments: weights, U, transposed U, a scratch array [25][outputs * channels + LANES]; outputs,
   channels. */
EXPORT int64_t NAME(nested_pack)(Arguments a)
{
    int64_t outputs = a[4], channels = a[5], size = outputs * channels, plane = size + LANES;
    for (int turned = 0; turned < 2; turned++) {
        float *u = POINTER(float, 1 + turned), *w = POINTER(float, 3);
        if (!u)
            continue;
        NAME(taps_first)(POINTER(const float, 0), w, outputs, channels, 25, turned);
        for (int64_t i = 0; i < size; i += LANES) {
            V g[25];
            for (int k = 0; k < 25; k++) /* `turned` weights have their taps in reverse order: not wanted here */
                g[k] = *(const V *)(w + (turned ? 24 - k : k) * plane + i);
            NAME(nested_weights)(g, u + i, plane);
        }
    }
    return 0;
}

/* V for `rows` rows of tiles from row `first` of all images on; see transform_input. */
static void NAME(nested_inputs)(const float *x, float *patch, float *v, int64_t v_plane, int64_t first, int64_t rows,
                                int64_t down, int64_t across, int64_t height, int64_t width, int64_t channels,
                                int64_t top, int64_t left)
{
    for (int64_t row = first; row < first + rows; row++) {
        const float *image = x + row / down * height * width * channels;
        for (int64_t j = 0; j < across; j++, v += channels) {
            int64_t i = row % down * 4 - top, line;
            const float *from = NAME(pixels)(image, patch, i, 4 * j - left, height, width, channels, 8, &line);
            for (int64_t c = 0; c < channels; c += LANES) {
                V d[8], t[88];
                for (int q = 0; q < 8; q++) {
                    for (int k = 0; k < 8; k++)
                        d[k] = *(const V *)(from + k * line + q * channels + c);
                    NAME(nested_input)(d, 1, t + q, 8);
                }
                NAME(nested_rows)(t, v + c, v_plane);
            }
        }
    }
}

/* Store a tile of results whose first one is at (i, j) of a map; those outside are left out. */
ALWAYS_INLINE void NAME(store_tile)(const V *tile, float *map, int64_t i, int64_t j, int64_t height, int64_t width,
                                    int64_t outputs)
{
    for (int p = 0; p < 4 && i + p < height; p++)
        for (int q = 0; q < 4 && j + q < width; q++)
            *(V *)(map + ((i + p) * width + j + q) * outputs) = tile[4 * p + q];
}

/* Arguments: x, U, bias, a scratch array [64][channels], y, V, M; n, height and width of x, channels, outputs, height and
   width of y, top, left, rows of tiles at a time, tiles in V and M (a multiple of ROWS), whether a ReLU follows. */
EXPORT int64_t NAME(nested_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *u = POINTER(const float, 1), *bias = POINTER(const float, 2);
    float *patch = POINTER(float, 3), *y = POINTER(float, 4), *v = POINTER(float, 5), *m = POINTER(float, 6);
    int64_t n = a[7], x_height = a[8], x_width = a[9], channels = a[10], outputs = a[11], height = a[12], width = a[13];
    int64_t top = a[14], left = a[15], rows = a[16], tiles = a[17], relu = a[18];
    int64_t down = (height + 3) / 4, across = (width + 3) / 4, plane = channels * outputs + LANES;
    int64_t v_plane = tiles * channels + LANES, m_plane = tiles * outputs + LANES;
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows, used = (some * across + ROWS - 1) / ROWS * ROWS;
        NAME(nested_inputs)(x, patch, v, v_plane, first, some, down, across, x_height, x_width, channels, top, left);
        for (int p = 0; p < 121; p++)
            NAME(product)(v + p * v_plane, channels, 1, u + p * plane, outputs, m + p * m_plane, outputs, used, channels,
                          outputs, 0);
        const float *from = m;
        for (int64_t row = first; row < first + some; row++)
            for (int64_t j = 0; j < width; j += 4, from += outputs)
                for (int64_t k = 0; k < outputs; k += LANES) {
                    V points[11], t[44], result[16], b = *(const V *)(bias + k);
                    for (int p = 0; p < 11; p++) {
                        for (int q = 0; q < 11; q++)
                            points[q] = *(const V *)(from + (11 * p + q) * m_plane + k);
                        NAME(nested_output)(points, 1, t + 4 * p, 1);
                    }
                    for (int q = 0; q < 4; q++)
                        NAME(nested_output)(t + q, 4, result + q, 4);
                    for (int p = 0; p < 16; p++) {
                        result[p] += b;
                        result[p] = relu ? POSITIVE(result[p]) : result[p];
                    }
                    NAME(store_tile)(result, y + row / down * height * width * outputs + k, row % down * 4, j, height,
                                     width, outputs);
                }
    }
    return 0;
}

/* W for `rows` rows of tiles of the result's gradient, and the sums of the gradient per channel (0: not wanted). */
static void NAME(nested_gradients)(const float *gradient, float *patch, float *w, int64_t w_plane, int64_t first,
                                   int64_t rows, int64_t down, int64_t across, int64_t height, int64_t width,
                                   int64_t outputs, float *to_bias)
{
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t j = 0; j < across; j++, w += outputs) {
            const float *map = gradient + row / down * height * width * outputs;
            int64_t line;
            const float *g = NAME(pixels)(map, patch, row % down * 4, 4 * j, height, width, outputs, 4, &line);
            for (int64_t k = 0; k < outputs; k += LANES) {
                V own[16], t[44], p[11], sum = {0};
                for (int i = 0; i < 16; i++) {
                    own[i] = *(const V *)(g + i / 4 * line + i % 4 * outputs + k);
                    sum += own[i];
                }
                if (to_bias)
                    *(V *)(to_bias + k) += sum;
                for (int q = 0; q < 4; q++)
                    NAME(nested_output_back)(own + q, 4, t + q, 4);
                for (int i = 0; i < 11; i++) {
                    NAME(nested_output_back)(t + 4 * i, 1, p, 1);
                    for (int q = 0; q < 11; q++)
                        *(V *)(w + (11 * i + q) * w_plane + k) = p[q];
                }
            }
        }
}

/* Add the gradients of V, back in terms of the input, to those of x. */
static void NAME(nested_inputs_back)(const float *v, float *to_x, int64_t v_plane, int64_t first, int64_t rows,
                                     int64_t down, int64_t across, int64_t height, int64_t width, int64_t channels,
                                     int64_t top, int64_t left)
{
    for (int64_t row = first; row < first + rows; row++) {
        float *image = to_x + row / down * height * width * channels;
        for (int64_t j = 0; j < across; j++, v += channels) {
            int64_t i0 = row % down * 4 - top, j0 = 4 * j - left;
            for (int64_t c = 0; c < channels; c += LANES) {
                V points[11], t[88], d[64];
                for (int k = 0; k < 11; k++) {
                    for (int q = 0; q < 11; q++)
                        points[q] = *(const V *)(v + (11 * k + q) * v_plane + c);
                    NAME(nested_input_back)(points, 1, t + 8 * k, 1);
                }
                for (int q = 0; q < 8; q++)
                    NAME(nested_input_back)(t + q, 8, d + q, 8);
                for (int64_t p = 0; p < 8; p++)
                    for (int64_t q = 0; q < 8; q++)
                        if (i0 + p >= 0 && i0 + p < height && j0 + q >= 0 && j0 + q < width)
                            *(V *)(image + ((i0 + p) * width + j0 + q) * channels + c) += d[8 * p + q];
            }
        }
    }
}

/* The gradients of weights, in the order [5][5][channels][outputs], of the bias and of x (0: not wanted, for both).
   Arguments: x, gradient, transposed U, a scratch array [64][channels or outputs], gradient of the weights, of the bias, of
   x, V, W, U's gradient; the numbers as above, but for the ReLU. */
EXPORT int64_t NAME(nested_backward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *gradient = POINTER(const float, 1), *turned = POINTER(const float, 2);
    float *patch = POINTER(float, 3), *to_weight = POINTER(float, 4), *to_bias = POINTER(float, 5);
    float *to_x = POINTER(float, 6), *v = POINTER(float, 7), *w = POINTER(float, 8), *to_u = POINTER(float, 9);
    int64_t n = a[10], x_height = a[11], x_width = a[12], channels = a[13], outputs = a[14], height = a[15];
    int64_t width = a[16], top = a[17], left = a[18], rows = a[19], tiles = a[20], size = channels * outputs;
    int64_t down = (height + 3) / 4, across = (width + 3) / 4, plane = size + LANES;
    int64_t v_plane = tiles * channels + LANES, w_plane = tiles * outputs + LANES;
    if (to_bias)
        memset(to_bias, 0, 4 * outputs);
    if (to_x)
        memset(to_x, 0, 4 * n * x_height * x_width * channels);
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows, used = some * across;
        NAME(nested_inputs)(x, patch, v, v_plane, first, some, down, across, x_height, x_width, channels, top, left);
        NAME(nested_gradients)(gradient, patch, w, w_plane, first, some, down, across, height, width, outputs, to_bias);
        for (int p = 0; p < 121; p++) {
            NAME(product)(v + p * v_plane, 1, channels, w + p * w_plane, outputs, to_u + p * plane, outputs, channels,
                          used, outputs, first > 0);
            if (to_x) /* V is not needed any more */
                NAME(product)(w + p * w_plane, outputs, 1, turned + p * plane, channels, v + p * v_plane, channels,
                              (used + ROWS - 1) / ROWS * ROWS, outputs, channels, 0);
        }
        if (to_x)
            NAME(nested_inputs_back)(v, to_x, v_plane, first, some, down, across, x_height, x_width, channels, top, left);
    }
    for (int64_t i = 0; i < size; i += LANES) {
        V points[11], t[55], g[25];
        for (int p = 0; p < 11; p++) {
            for (int q = 0; q < 11; q++)
                points[q] = *(const V *)(to_u + (11 * p + q) * plane + i);
            NAME(nested_taps_back)(points, 1, t + 5 * p, 1);
        }
        for (int q = 0; q < 5; q++)
            NAME(nested_taps_back)(t + q, 5, g + q, 5);
        for (int p = 0; p < 25; p++)
            *(V *)(to_weight + p * size + i) = g[p];
    }
    return 0;
}

/* Convolution with 5×5 kernels by nested minimal filtering (filters.h), for numbers of channels that would leave lanes of a
   vector idle; included by kernels.h.

   Vectors hold one point of LANES neighbouring tiles, a group: 4 across and LANES / 4 down, so that its results are LANES
   rows of 16 pixels. Maps are planes with rows of `line` floats, as in convolution.h, large enough for whole groups and 4
   pixels more: the rest is zero. Two images at a time, the same group of both: transformed inputs V [121][channels][2]
   and products M [121][outputs][2], in vectors, with LANES floats between the planes. Stride 1, one group of channels.

   On the way back to the weights, products are added up over tiles, and vectors of V hold channels instead. */

/* Transpose 4 rows of 4 floats. */
ALWAYS_INLINE void NAME(transpose_four)(const Four *r, Four *t)
{
    Four a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    Four c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    t[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    t[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    t[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    t[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

/* The 121 points of a tile of which each column is transformed already, t [11][8], `plane` floats apart. */
ALWAYS_INLINE void NAME(tiles_rows)(const V *t, float *v, int64_t plane)
{
    V p[11];
    for (int k = 0; k < 11; k++) {
        NAME(f45_input)(t + 8 * k, 1, p, 1);
        for (int q = 0; q < 11; q++)
            *(V *)(v + (11 * k + q) * plane) = p[q];
    }
}

/* The 121 points of a group whose first pixel is x, `v_plane` floats apart. */
static void NAME(tiles_input)(const float *x, int64_t line, float *v, int64_t v_plane)
{
    /* Pixel (i, j) of the tiles, 0 to 7, is found from i % 4, j, i / 4 on; the tiles below share the rows. */
    float pixels[4][8][LANES + 4] __attribute__((aligned(64)));
    for (int row = 0; row < LANES + 4; row++, x += line) {
        Four own[5], turned[8];
        for (int k = 0; k < 5; k++)
            own[k] = *(const Four *)(x + 4 * k);
        NAME(transpose_four)(own, turned);
        NAME(transpose_four)(own + 1, turned + 4);
        for (int j = 0; j < 8; j++)
            *(Four *)(pixels[row % 4][j] + row / 4 * 4) = turned[j];
    }
    V d[8], t[88];
    for (int j = 0; j < 8; j++) {
        for (int i = 0; i < 8; i++)
            d[i] = *(const V *)(pixels[i % 4][j] + i / 4 * 4);
        NAME(f45_input)(d, 1, t + j, 8);
    }
    NAME(tiles_rows)(t, v, v_plane);
}

/* The results of a group, from its 121 points: at most `rows` rows from y on. */
static void NAME(tiles_output)(const float *m, int64_t m_plane, float bias, int relu, float *y, int64_t line, int64_t rows)
{
    V points[11], t[44], results[16];
    for (int p = 0; p < 11; p++) {
        for (int q = 0; q < 11; q++)
            points[q] = *(const V *)(m + (11 * p + q) * m_plane);
        NAME(f45_output)(points, 1, t + 4 * p, 1);
    }
    for (int q = 0; q < 4; q++)
        NAME(f45_output)(t + q, 4, results + q, 4);
    for (int k = 0; k < 16; k++) {
        results[k] += bias;
        results[k] = relu ? POSITIVE(results[k]) : results[k];
    }
    for (int row = 0; row < LANES && row < rows; row++, y += line) {
        Four own[4], turned[4];
        for (int q = 0; q < 4; q++)
            own[q] = *(const Four *)((const float *)(results + row % 4 * 4 + q) + row / 4 * 4);
        NAME(transpose_four)(own, turned);
        for (int k = 0; k < 4; k++)
            *(Four *)(y + 4 * k) = turned[k];
    }
}

/* W of a group, the 121 points of the result's gradient from g on, `w_plane` floats apart. */
static void NAME(tiles_gradient)(const float *g, int64_t line, float *w, int64_t w_plane)
{
    float pixels[4][4][LANES] __attribute__((aligned(64)));
    for (int row = 0; row < LANES; row++, g += line) {
        Four own[4], turned[4];
        for (int k = 0; k < 4; k++)
            own[k] = *(const Four *)(g + 4 * k);
        NAME(transpose_four)(own, turned);
        for (int j = 0; j < 4; j++)
            *(Four *)(pixels[row % 4][j] + row / 4 * 4) = turned[j];
    }
    V t[44], p[11];
    for (int j = 0; j < 4; j++) {
        V own[4] = {*(V *)pixels[0][j], *(V *)pixels[1][j], *(V *)pixels[2][j], *(V *)pixels[3][j]};
        NAME(f45_output_back)(own, 1, t + j, 4);
    }
    for (int i = 0; i < 11; i++) {
        NAME(f45_output_back)(t + 4 * i, 1, p, 1);
        for (int q = 0; q < 11; q++)
            *(V *)(w + (11 * i + q) * w_plane) = p[q];
    }
}

/* V of a group whose first pixel is x, [121][tiles][wide]: each pixel has `channels` floats, and a row `line` pixels. What
   stands in the lanes beyond the channels is not used. */
static void NAME(tiles_channels)(const float *x, int64_t channels, int64_t wide, int64_t line, float *v, int64_t v_plane)
{
    for (int64_t tile = 0; tile < LANES; tile++)
        for (int64_t c = 0; c < wide; c += LANES) {
            const float *from = x + (tile / 4 * 4 * line + tile % 4 * 4) * channels + c;
            V d[8], t[88];
            for (int j = 0; j < 8; j++) {
                for (int i = 0; i < 8; i++)
                    d[i] = *(const V *)(from + (i * line + j) * channels);
                NAME(f45_input)(d, 1, t + j, 8);
            }
            NAME(tiles_rows)(t, v + tile * wide + c, v_plane);
        }
}

/* The gradient of weights [outputs][channels][25] from that of U, [121][outputs][wide]. */
static void NAME(tiles_taps)(const float *to_u, int64_t outputs, int64_t channels, int64_t wide, float *to_weight)
{
    for (int64_t k = 0; k < outputs; k++)
        for (int64_t c = 0; c < channels; c += LANES) {
            V points[11], t[55], taps[25];
            for (int p = 0; p < 11; p++) {
                for (int q = 0; q < 11; q++)
                    points[q] = *(const V *)(to_u + ((11 * p + q) * outputs + k) * wide + c);
                NAME(f45_taps_back)(points, 1, t + 5 * p, 1);
            }
            for (int q = 0; q < 5; q++)
                NAME(f45_taps_back)(t + q, 5, taps + q, 5);
            for (int64_t i = c; i < channels && i < c + LANES; i++)
                for (int p = 0; p < 25; p++)
                    to_weight[(k * channels + i) * 25 + p] = taps[p][i - c];
        }
}

/* The gradient of the weights. Arguments: x, planes of the result's gradient, the weights' gradient, floats of scratch
   memory; n, channels, outputs, height and width of x, of the convolution's result, top, left, line, plane of the
   gradient. The scratch memory holds an image with its border, V, W and U's gradient. */
EXPORT int64_t NAME(tiles_to_weight)(Arguments a)
{
    const float *x = POINTER(const float, 0), *gradient = POINTER(const float, 1);
    float *to_weight = POINTER(float, 2);
    SCRATCH(padded, 3);
    int64_t n = a[4], channels = a[5], outputs = a[6], x_height = a[7], x_width = a[8], height = a[9], width = a[10];
    int64_t top = a[11], left = a[12], line = a[13], plane = a[14], wide = (channels + LANES - 1) / LANES * LANES;
    int64_t across = (width + 15) / 16, down = (height + LANES - 1) / LANES, x_line = 16 * across + 4;
    int64_t size = (LANES * down + 4) * x_line * channels, v_plane = LANES * wide + LANES, w_plane = (outputs + 1) * LANES;
    float *v = padded + (size + 2 * LANES) / LANES * LANES, *w = v + 121 * v_plane, *to_u = w + 121 * w_plane;
    memset(padded, 0, 4 * size);
    for (int64_t image = 0; image < n; image++) {
        for (int64_t i = 0; i < x_height; i++, x += x_width * channels)
            memcpy(padded + ((top + i) * x_line + left) * channels, x, 4 * x_width * channels);
        for (int64_t group = 0; group < down * across; group++) {
            int64_t row = group / across * LANES, column = group % across * 16;
            NAME(tiles_channels)(padded + (row * x_line + column) * channels, channels, wide, x_line, v, v_plane);
            for (int64_t k = 0; k < outputs; k++)
                NAME(tiles_gradient)(gradient + (image * outputs + k) * plane + row * line + column, line, w + k * LANES,
                                     w_plane);
            for (int64_t p = 0; p < 121; p++)
                NAME(product)(w + p * w_plane, LANES, 1, v + p * v_plane, wide, to_u + p * outputs * wide, wide, outputs,
                              LANES, channels, image + group > 0);
        }
    }
    NAME(tiles_taps)(to_u, outputs, channels, wide, to_weight);
    return 0;
}

/* U for weights packed by conv_pack, in blocks of [25][tile]: [121][blocks][tile], `tile` as conv_pack has chosen it.
   Arguments: packed weights, U, a scratch array [25][size + LANES]; outputs, size (blocks * tile). */
EXPORT int64_t NAME(tiles_pack)(Arguments a)
{
    const float *packed = POINTER(const float, 0);
    float *u = POINTER(float, 1), *taps = POINTER(float, 2);
    int64_t tile = NAME(tile_for)(a[3]), size = a[4], plane = size + LANES;
    for (int64_t i = 0; i < size; i += tile)
        for (int k = 0; k < 25; k++, packed += tile)
            memcpy(taps + k * plane + i, packed, 4 * tile);
    for (int64_t i = 0; i < size; i += LANES) {
        V g[25];
        for (int k = 0; k < 25; k++)
            g[k] = *(const V *)(taps + k * plane + i);
        NAME(f45_weights)(g, u + i, plane);
    }
    return 0;
}

#define ODD_LANES LOW((I){0}, (I){0} - 1)
#define EVEN_LANES(v) LOW(EVEN(v, v), EVEN(v, v)) /* each one twice */

/* Where results of an image are equal to others, or to the bias, because the pixels they depend on are: masks of whole
   vectors, for rows of `line` floats. Rounding makes such results differ by their places in a tile; Paddle's do not, and
   a ReLU or a max pooling compares them. `zero`: all pixels are zero; `right`, `below`: the pixels are those of the next
   result. `x` are planes with `rows` rows. */
static void NAME(tiles_ties)(const float *x, int64_t channels, int64_t rows, int64_t line, int64_t plane, int32_t *zero,
                             int32_t *right, int32_t *below)
{
    int32_t *masks[3] = {zero, right, below};
    int64_t size = rows * line;
    for (int64_t i = 0; i < size; i += LANES) {
        I all[3] = {(I){0} - 1, (I){0} - 1, (I){0} - 1};
        for (int64_t c = 0; c < channels; c++) {
            const float *own = x + c * plane + i;
            V value = *(const V *)own;
            all[0] &= value == 0;
            all[1] &= value == *(const V *)(own + 1);
            all[2] &= value == *(const V *)(own + line);
        }
        for (int k = 0; k < 3; k++)
            *(I *)(masks[k] + i) = all[k];
    }
    for (int k = 0; k < 3; k++) /* in windows of 5×5, whose first pixel is where the result is */
        for (int along = 0; along < 2; along++)
            for (int64_t i = 0; i < size; i += LANES) {
                int32_t *own = masks[k] + i;
                int64_t step = along ? line : 1;
                *(I *)own &= *(I *)(own + step) & *(I *)(own + 2 * step) & *(I *)(own + 3 * step) & *(I *)(own + 4 * step);
            }
}

/* Set the results of a plane that are equal to others in their window of 2×2, or to the bias; see tiles_ties. */
static void NAME(tiles_settle)(float *y, float bias, int64_t height, int64_t width, int64_t line, const int32_t *zero,
                               const int32_t *right, const int32_t *below)
{
    for (int64_t i = 0; i < height; i += 2)
        for (int64_t j = 0; j < width; j += LANES) {
            int64_t at = i * line + j, under = at + line;
            V top = SELECT(*(const I *)(zero + at), (V){0} + bias, *(V *)(y + at));
            top = SELECT(ODD_LANES & *(const I *)(right + at - 1), EVEN_LANES(top), top);
            *(V *)(y + at) = top;
            if (i + 1 == height)
                continue;
            V bottom = SELECT(*(const I *)(zero + under), (V){0} + bias, *(V *)(y + under));
            I equal = ODD_LANES & *(const I *)(right + under - 1);
            bottom = SELECT(equal, EVEN_LANES(bottom), bottom);
            bottom = SELECT(*(const I *)(below + at), top, bottom);
            *(V *)(y + under) = SELECT(equal, EVEN_LANES(bottom), bottom);
        }
}

/* Arguments: x (0: its planes are filled), its planes, U, bias, y, places, floats of scratch memory; n, channels,
   outputs, height and width of x, of the convolution's result, top, left, line, plane, kind of the result, whether to
   keep the planes. The scratch memory holds V, M, planes of two images' results, those of one image's pooled results,
   and three planes of masks. */
EXPORT int64_t NAME(tiles_forward)(Arguments a)
{
    static const float zeros[16] = {0};
    const float *x = POINTER(const float, 0), *u = POINTER(const float, 2), *bias = POINTER(const float, 3);
    float *planes = POINTER(float, 1), *y = POINTER(float, 4);
    SCRATCH(v, 6);
    uint8_t *places = POINTER(uint8_t, 5);
    int64_t n = a[7], channels = a[8], outputs = a[9], x_height = a[10], x_width = a[11], height = a[12], width = a[13];
    int64_t top = a[14], left = a[15], line = a[16], plane = a[17], kind = a[18], keep = a[19];
    int64_t tile = NAME(tile_for)(outputs), rows = (outputs + tile - 1) / tile * tile;
    int64_t v_plane = channels * 2 * LANES + LANES, m_plane = rows * 2 * LANES + LANES, u_plane = rows * channels + LANES;
    int64_t y_plane = height * line + 2 * LANES, across = (width + 15) / 16, down = (height + LANES - 1) / LANES;
    float *m = v + 121 * v_plane, *results = m + 121 * m_plane, *maxima = results + 2 * outputs * y_plane;
    int64_t mask = (height + 9) * line + 2 * LANES;
    int32_t *zero = (int32_t *)(maxima + outputs * (height / 2) * ((width / 2 + LANES - 1) / LANES * LANES)) + LANES;
    int32_t *right = zero + mask, *below = right + mask;
    for (int64_t first = 0; first < n; first += 2) {
        int64_t images = n - first < 2 ? 1 : 2;
        float *own = planes + (keep ? first * channels * plane : 0);
        for (int64_t i = 0; i < images && x; i++)
            NAME(to_planes)(x + (first + i) * x_height * x_width * channels, own + i * channels * plane + top * line + left,
                            x_height, x_width, channels, line, plane);
        for (int64_t group = 0; group < down * across; group++) {
            int64_t row = group / across * LANES, at = row * line + group % across * 16;
            for (int64_t i = 0; i < images; i++)
                for (int64_t c = 0; c < channels; c++)
                    NAME(tiles_input)(own + (i * channels + c) * plane + at, line, v + (2 * c + i) * LANES, v_plane);
            for (int64_t p = 0; p < 121; p++)
                for (int64_t k = 0; k < rows; k += tile) {
                    const float *from = v + p * v_plane, *weights = u + p * u_plane + k * channels;
                    float *to = m + p * m_plane + 2 * k * LANES;
                    switch (tile) {
#define CALL(size)                                                                                                     \
    case size:                                                                                                         \
        NAME(tile_##size)(from, from + LANES, weights, to, to + LANES, channels, 1, 1, 0, 2 * LANES, 2 * LANES, zeros, \
                          0, 0, 0);                                                                                    \
        break;
                        TILES(CALL)
#undef CALL
                    }
                }
            for (int64_t i = 0; i < images; i++)
                for (int64_t k = 0; k < outputs; k++)
                    NAME(tiles_output)(m + (2 * k + i) * LANES, m_plane, bias[k], kind == RELU_RESULT,
                                       results + (i * outputs + k) * y_plane + at, line, height - row);
        }
        for (int64_t i = 0; i < images && keep && kind != PLAIN_RESULT; i++) {
            NAME(tiles_ties)(own + i * channels * plane, channels, height + 4, line, plane, zero, right, below);
            for (int64_t k = 0; k < outputs; k++)
                NAME(tiles_settle)(results + (i * outputs + k) * y_plane, kind == RELU_RESULT && bias[k] < 0 ? 0 : bias[k],
                                   height, width, line, zero, right, below);
        }
        for (int64_t i = 0; i < images; i++)
            NAME(from_results)(results + i * outputs * y_plane, maxima, y, places, first + i, 0, outputs, outputs, height,
                               width, line, y_plane, kind);
    }
    return 0;
}

#undef ODD_LANES
#undef EVEN_LANES

/* Convolution; included by kernels.h. */

/* --- convolution ---------------------------------------------------------------------------------------------------

   Stride 1, one group. Vectors hold neighbouring pixels, not channels: no lane is idle where the number of channels is
   no multiple of a vector. Each image is copied into padded planes, one for each channel, with rows of `line` floats;
   a pixel's neighbour at (i, j) is i * line + j floats further, for a whole vector of pixels at once. Vectors run
   across the ends of rows; what they compute there is never read. */

/* Transpose 8 rows of 8 floats: rows `from_step` floats apart become columns, in rows `to_step` floats apart. */
ALWAYS_INLINE void NAME(transpose)(const float *from, int64_t from_step, float *to, int64_t to_step)
{
    Eight r[8], s[8];
#define PAIRS(i, a, b) __builtin_shufflevector(r[i], r[i + 1], a, 8 + a, a + 1, 9 + a, b, 8 + b, b + 1, 9 + b)
#define QUADS(i, j, a) \
    __builtin_shufflevector(s[i], s[j], a, a + 1, 8 + a, 9 + a, 4 + a, 5 + a, 12 + a, 13 + a)
#define HALVES(i, a) \
    __builtin_shufflevector(r[i], r[i + 4], a, a + 1, a + 2, a + 3, 8 + a, 9 + a, 10 + a, 11 + a)
    for (int i = 0; i < 8; i++)
        r[i] = *(const Eight *)(from + i * from_step);
    for (int i = 0; i < 8; i += 2) {
        s[i] = PAIRS(i, 0, 4);
        s[i + 1] = PAIRS(i, 2, 6);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = QUADS(i, i + 2, 0);
        r[i + 1] = QUADS(i, i + 2, 2);
        r[i + 2] = QUADS(i + 1, i + 3, 0);
        r[i + 3] = QUADS(i + 1, i + 3, 2);
    }
    for (int i = 0; i < 4; i++) {
        *(Eight *)(to + i * to_step) = HALVES(i, 0);
        *(Eight *)(to + (i + 4) * to_step) = HALVES(i, 4);
    }
#undef PAIRS
#undef QUADS
#undef HALVES
}

/* Copy [height, width, channels] into planes of lines, from `first` on. */
static void NAME(to_planes)(const float *x, float *planes, int64_t height, int64_t width, int64_t channels,
                            int64_t line, int64_t plane)
{
    if (channels == 1) {
        for (int64_t i = 0; i < height; i++)
            memcpy(planes + i * line, x + i * width, 4 * width);
        return;
    }
    for (int64_t i = 0; i < height; i++) {
        int64_t c = 0;
        for (; c + 8 <= channels; c += 8) {
            const float *from = x + i * width * channels + c;
            float *to = planes + c * plane + i * line;
            int64_t j = 0;
            for (; j + 8 <= width; j += 8)
                NAME(transpose)(from + j * channels, channels, to + j, plane);
            for (; j < width; j++)
                for (int64_t k = 0; k < 8; k++)
                    to[k * plane + j] = from[j * channels + k];
        }
        for (; c < channels; c++) {
            const float *from = x + i * width * channels + c;
            float *to = planes + c * plane + i * line;
            for (int64_t j = 0; j < width; j++)
                to[j] = from[j * channels];
        }
    }
}

/* The inverse for some of the channels; a pixel has `step` channels. */
static void NAME(from_planes)(const float *planes, float *x, int64_t height, int64_t width, int64_t channels,
                              int64_t step, int64_t line, int64_t plane)
{
    for (int64_t i = 0; i < height; i++) {
        int64_t c = 0;
        for (; c + 8 <= channels; c += 8) {
            const float *from = planes + c * plane + i * line;
            float *to = x + i * width * step + c;
            int64_t j = 0;
            for (; j + 8 <= width; j += 8)
                NAME(transpose)(from + j, plane, to + j * step, step);
            for (; j < width; j++)
                for (int64_t k = 0; k < 8; k++)
                    to[j * step + k] = from[k * plane + j];
        }
        for (; c < channels; c++) {
            const float *from = planes + c * plane + i * line;
            float *to = x + i * width * step + c;
            for (int64_t j = 0; j < width; j++)
                to[j * step] = from[j];
        }
    }
}

/* Pictures of digits are mostly paper, 0, for which nothing is added up. Of a plane with rows of whole vectors, `blank`
   says which vectors are zero, with the kw - 1 floats that follow them. `planes` planes are one array of vectors; those
   that reach beyond its end do not count as blank. Infinite or NaN factors of a blank pixel make NaN, so all are checked
   first. */
static void NAME(find_blank)(const float *x, int64_t planes, int64_t plane, int64_t kw, uint8_t *blank)
{
    int64_t count = planes * plane / LANES, whole = (planes * plane - kw + 1) / LANES;
    for (int64_t i = 0; i < whole; i++, x += LANES) {
        I own = *(const I *)x, next = *(const I *)(x + kw - 1), any = (own | next) << 1; /* drops the sign: -0 is zero */
        int32_t all = 0;
        for (int k = 0; k < LANES; k++)
            all |= any[k];
        blank[i] = all == 0;
    }
    memset(blank + whole, 0, count - whole);
}

static int NAME(all_finite)(const float *x, int64_t count)
{
    V zero = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        zero += *(const V *)(x + i) * 0.0f;
    for (; i < count; i++)
        zero[0] += x[i] * 0.0f;
    int finite = 1;
    for (int k = 0; k < LANES; k++)
        finite &= zero[k] == 0;
    return finite;
}

/* Two vectors of pixels, at x0 and x1, for `tile` channels of the result. `blank0` and `blank1` belong to them (0: not
   known). */
#define DEFINE_TILE(tile)                                                                                              \
    static void NAME(tile_##tile)(const float *x0, const float *x1, const float *w, float *y0, float *y1,              \
                                  int64_t channels, int64_t kh, int64_t kw, int64_t line, int64_t plane,               \
                                  int64_t y_plane, const float *bias, int relu, const uint8_t *blank0,                 \
                                  const uint8_t *blank1)                                                               \
    {                                                                                                                  \
        V sums0[tile], sums1[tile];                                                                                    \
        _Pragma("GCC unroll 16") for (int k = 0; k < tile; k++)                                                        \
            sums0[k] = sums1[k] = (V){0} + bias[k];                                                                    \
        for (int64_t c = 0; c < channels; c++)                                                                         \
            for (int64_t i = 0; i < kh; i++) {                                                                         \
                if (blank0 && blank0[i * line / LANES] & blank1[i * line / LANES]) {                                   \
                    w += kw * tile;                                                                                    \
                    continue;                                                                                          \
                }                                                                                                      \
                const float *p0 = x0 + c * plane + i * line, *p1 = x1 + c * plane + i * line;                          \
                for (int64_t j = 0; j < kw; j++, w += tile) {                                                          \
                    V v0 = *(const V *)(p0 + j), v1 = *(const V *)(p1 + j);                                            \
                    _Pragma("GCC unroll 16") for (int k = 0; k < tile; k++)                                            \
                    {                                                                                                  \
                        sums0[k] += v0 * w[k];                                                                         \
                        sums1[k] += v1 * w[k];                                                                         \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        _Pragma("GCC unroll 16") for (int k = 0; k < tile; k++)                                                        \
        {                                                                                                              \
            *(V *)(y0 + k * y_plane) = relu ? POSITIVE(sums0[k]) : sums0[k];                                           \
            *(V *)(y1 + k * y_plane) = relu ? POSITIVE(sums1[k]) : sums1[k];                                           \
        }                                                                                                              \
    }
TILES(DEFINE_TILE)
#undef DEFINE_TILE

/* Return the number of channels to compute together: the one that leaves the fewest idle, the largest of these. */
static int64_t NAME(tile_for)(int64_t outputs)
{
    int64_t best = 0, least = INT64_MAX;
#define CONSIDER(tile)                                                                                                 \
    if ((outputs + tile - 1) / tile * tile < least) {                                                                  \
        best = tile;                                                                                                   \
        least = (outputs + tile - 1) / tile * tile;                                                                    \
    }
    TILES(CONSIDER)
#undef CONSIDER
    return best;
}

/* The channels of a convolution's result, rounded up to whole tiles. Arguments: outputs. */
EXPORT int64_t NAME(conv_rows)(Arguments a)
{
    int64_t tile = NAME(tile_for)(a[0]);
    return (a[0] + tile - 1) / tile * tile;
}

/* Reorder weights [outputs, inputs, kh, kw] to tiles [tiles][inputs][kh][kw][tile], padded with zeros.
   With `turned`, for the gradient of the input: outputs and inputs change places and the kernel is turned around. */
EXPORT int64_t NAME(conv_pack)(Arguments a)
{
    const float *w = POINTER(const float, 0);
    float *packed = POINTER(float, 1);
    int64_t outputs = a[2], inputs = a[3], kh = a[4], kw = a[5], turned = a[6];
    int64_t rows = turned ? inputs : outputs, columns = turned ? outputs : inputs, tile = NAME(tile_for)(rows);
    for (int64_t first = 0; first < rows; first += tile)
        for (int64_t c = 0; c < columns; c++)
            for (int64_t i = 0; i < kh; i++)
                for (int64_t j = 0; j < kw; j++)
                    for (int64_t k = first; k < first + tile; k++, packed++) {
                        if (k >= rows)
                            *packed = 0;
                        else if (turned)
                            *packed = w[((c * inputs + k) * kh + kh - 1 - i) * kw + kw - 1 - j];
                        else
                            *packed = w[((k * inputs + c) * kh + i) * kw + j];
                    }
    return 0;
}

/* Planes of `tile` results of one image, from `first` on: y[k] = bias[k] + the sum over x's planes. `blank` (or 0) is for
   x with one plane. */
static void NAME(convolve)(const float *x, const float *packed, const float *bias, float *y, int64_t channels,
                           int64_t tile, int64_t first, int64_t kh, int64_t kw, int64_t height, int64_t width,
                           int64_t line, int64_t plane, int64_t y_plane, int relu, const uint8_t *blank)
{
    int64_t across = (width + LANES - 1) / LANES, by_rows = height * across;
    int64_t flat = ((height - 1) * line + width + LANES - 1) / LANES, count = flat < by_rows ? flat : by_rows;
    const float *w = packed + first * channels * kh * kw;
    for (int64_t i = 0; i < count; i += 2) {
        int64_t next = i + 1 < count ? i + 1 : i, start0, start1;
        if (flat <= by_rows) {
            start0 = i * LANES;
            start1 = next * LANES;
        } else {
            start0 = i / across * line + i % across * LANES;
            start1 = next / across * line + next % across * LANES;
        }
        switch (tile) {
#define CALL(size)                                                                                                     \
    case size:                                                                                                         \
        NAME(tile_##size)(x + start0, x + start1, w, y + start0, y + start1, channels, kh, kw, line, plane, y_plane,   \
                          bias + first, relu, blank ? blank + start0 / LANES : 0, blank ? blank + start1 / LANES : 0); \
        break;
            TILES(CALL)
#undef CALL
        }
    }
}

/* Maxima of 2×2 windows of a plane, and which pixel of its window each one is: the first in reading order. Rows of the
   results have `y_line` floats; whole vectors are read and written. */
static void NAME(pool_plane)(const float *x, float *y, uint8_t *places, int64_t height, int64_t width, int64_t line,
                             int64_t y_line, int relu)
{
    for (int64_t i = 0; i < height; i++, y += y_line, places += y_line) {
        const float *top = x + 2 * i * line, *bottom = top + line;
        for (int64_t j = 0; j < width; j += LANES) {
            V t0 = *(const V *)(top + 2 * j), t1 = *(const V *)(top + 2 * j + LANES);
            V b0 = *(const V *)(bottom + 2 * j), b1 = *(const V *)(bottom + 2 * j + LANES);
            V p = EVEN(t0, t1), q = ODD(t0, t1), r = EVEN(b0, b1), s = ODD(b0, b1);
            I right = q > p, lower_right = s > r;
            V upper = SELECT(right, q, p), lower = SELECT(lower_right, s, r);
            I down = lower > upper, place = (down & (2 - lower_right)) | (~down & -right);
            V largest = SELECT(down, lower, upper);
            *(V *)(y + j) = relu ? POSITIVE(largest) : largest;
            *(B *)(places + j) = __builtin_convertvector(place, B);
        }
    }
}

/* Store planes of `size` results of an image, from channel `first` on, pooled if that is their kind. `maxima` is a
   scratch array for planes of pooled results. */
static void NAME(from_results)(const float *results, float *maxima, float *y, uint8_t *places, int64_t image,
                               int64_t first, int64_t size, int64_t outputs, int64_t height, int64_t width,
                               int64_t line, int64_t plane, int64_t kind)
{
    if (kind == PLAIN_RESULT || kind == RELU_RESULT) {
        NAME(from_planes)(results, y + image * height * width * outputs + first, height, width, size, outputs, line, plane);
        return;
    }
    height /= 2;
    width /= 2;
    int64_t pooled_line = (width + LANES - 1) / LANES * LANES, pooled_plane = height * pooled_line;
    for (int64_t k = 0; k < size; k++)
        NAME(pool_plane)(results + k * plane, maxima + k * pooled_plane,
                         places + (image * outputs + first + k) * pooled_plane, height, width, line, pooled_line,
                         kind == POOL_RELU_RESULT);
    NAME(from_planes)(maxima, y + image * height * width * outputs + first, height, width, size, outputs, pooled_line,
                      pooled_plane);
}

/* Arguments: x, packed weights, bias, y, x's planes, floats of scratch memory, places; n, channels, outputs, kh, kw,
   height and width of x, of the convolution's result, top, left, line, plane, kind of the result, whether to keep the
   planes. x's planes are [n or 1][channels][plane], zero at their borders. Pooled results have half the height and
   width. */
EXPORT int64_t NAME(conv_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0), *packed = POINTER(const float, 1), *bias = POINTER(const float, 2);
    float *y = POINTER(float, 3), *planes = POINTER(float, 4);
    SCRATCH(results, 5);
    uint8_t *places = POINTER(uint8_t, 6);
    int64_t n = a[7], channels = a[8], outputs = a[9], kh = a[10], kw = a[11], x_height = a[12], x_width = a[13];
    int64_t height = a[14], width = a[15], top = a[16], left = a[17], line = a[18], plane = a[19], kind = a[20];
    int64_t keep = a[21], tile = NAME(tile_for)(outputs), y_plane = height * line + 2 * LANES;
    float *maxima = results + tile * y_plane;
    uint8_t blank[MOST_BLANK];
    int skip = channels == 1 && kw <= LANES && line % LANES == 0 && plane / LANES <= MOST_BLANK &&
               NAME(all_finite)(packed, (outputs + tile - 1) / tile * tile * kh * kw);
    for (int64_t image = 0; image < n; image++) {
        float *own = planes + (keep ? image * channels * plane : 0);
        NAME(to_planes)(x + image * x_height * x_width * channels, own + top * line + left, x_height, x_width,
                        channels, line, plane);
        if (skip)
            NAME(find_blank)(own, 1, plane, kw, blank);
        for (int64_t first = 0; first < outputs; first += tile) {
            int64_t size = outputs - first < tile ? outputs - first : tile;
            NAME(convolve)(own, packed, bias, results, channels, tile, first, kh, kw, height, width, line, plane, y_plane,
                           kind == RELU_RESULT, skip ? blank : 0);
            NAME(from_results)(results, maxima, y, places, image, first, size, outputs, height, width, line, y_plane, kind);
        }
    }
    return 0;
}

/* Spread the gradient of pooled results over the pixels of a plane, with zeros right of them up to a whole vector. These
   may reach into the row below, so that each row is written from its end: its beginning comes after the row above. */
static void NAME(unpool_plane)(const float *gradient, const uint8_t *places, float *to, int64_t height, int64_t width,
                               int64_t line, int64_t y_line)
{
    I lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    for (int64_t i = 0; i < height; i++, gradient += y_line, places += y_line) {
        float *top = to + 2 * i * line, *bottom = top + line;
        for (int64_t j = (width - 1) / LANES * LANES; j >= 0; j -= LANES) {
            I value = *(const I *)(gradient + j), place = NAME(from_bytes)(places + j);
            place |= lane >= (int32_t)(width - j); /* no place at all */
            V p = (V)(value & (place == 0)), q = (V)(value & (place == 1));
            V r = (V)(value & (place == 2)), s = (V)(value & (place == 3));
            *(V *)(top + 2 * j) = LOW(p, q);
            *(V *)(top + 2 * j + LANES) = HIGH(p, q);
            *(V *)(bottom + 2 * j) = LOW(r, s);
            *(V *)(bottom + 2 * j + LANES) = HIGH(r, s);
        }
    }
}

ALWAYS_INLINE float NAME(lanes_sum)(V v)
{
#if LANES == 16
    Eight e = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
              __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    Four f = __builtin_shufflevector(e, e, 0, 1, 2, 3) + __builtin_shufflevector(e, e, 4, 5, 6, 7);
#elif LANES == 8
    Four f = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
    V f = v;
#endif
    return (f[0] + f[2]) + (f[1] + f[3]);
}

/* Sums over all pixels of g[k] * x shifted by j, for `tile` channels of g and `taps` shifts; out[k * step + j]. `blank`
   (or 0) is for images of one plane. */
#define DEFINE_TAPS(tile, taps)                                                                                        \
    static void NAME(taps_##taps)(const float *g, const float *x, int64_t count, int64_t across, int64_t line,         \
                                  int64_t n, int64_t g_plane, int64_t g_image, int64_t x_image, int64_t first,         \
                                  int64_t outputs, float *out, int64_t step, const uint8_t *blank)                     \
    {                                                                                                                  \
        V sums[tile][taps];                                                                                            \
        _Pragma("GCC unroll 16") for (int k = 0; k < tile; k++)                                                        \
            _Pragma("GCC unroll 16") for (int j = 0; j < taps; j++)                                                    \
                sums[k][j] = (V){0};                                                                                   \
        int64_t starts[tile];                                                                                          \
        for (int k = 0; k < tile; k++)                                                                                 \
            starts[k] = (first + k < outputs ? first + k : outputs - 1) * g_plane;                                     \
        for (int64_t image = 0; image < n; image++)                                                                    \
            for (int64_t i = 0; i < count; i++) {                                                                      \
                int64_t at = across == 1 ? i * line : i * LANES;                                                       \
                if (blank && blank[(image * x_image + at) / LANES])                                                    \
                    continue;                                                                                          \
                const float *px = x + image * x_image + at, *pg = g + image * g_image + at;                            \
                V shifted[taps];                                                                                       \
                _Pragma("GCC unroll 16") for (int j = 0; j < taps; j++) shifted[j] = *(const V *)(px + j);             \
                _Pragma("GCC unroll 16") for (int k = 0; k < tile; k++)                                                \
                {                                                                                                      \
                    V own = *(const V *)(pg + starts[k]);                                                              \
                    IN_REGISTER(own);                                                                                  \
                    _Pragma("GCC unroll 16") for (int j = 0; j < taps; j++) sums[k][j] += own * shifted[j];            \
                }                                                                                                      \
            }                                                                                                          \
        _Pragma("GCC unroll 16") for (int k = 0; k < tile; k++)                                                        \
            for (int j = 0; j < taps && first + k < outputs; j++)                                                      \
                out[(first + k) * step + j] += NAME(lanes_sum)(sums[k][j]);                                            \
    }
TAP_TILES(DEFINE_TAPS)
#undef DEFINE_TAPS

/* The gradient of one image's result [height, width, outputs], or of its pooled result, in planes: zero where a ReLU's
   result y is not positive, and at the places of the maxima. */
static void NAME(gradient_planes)(const float *gradient, const float *y, const uint8_t *places, float *planes,
                                  float *scratch, int64_t outputs, int64_t height, int64_t width, int64_t line,
                                  int64_t plane, int64_t kind)
{
    int pooled = kind == POOL_RESULT || kind == POOL_RELU_RESULT;
    int64_t y_height = pooled ? height / 2 : height, y_width = pooled ? width / 2 : width;
    int64_t size = y_height * y_width * outputs, pooled_line = (y_width + LANES - 1) / LANES * LANES;
    if (kind == RELU_RESULT || kind == POOL_RELU_RESULT) {
        for (int64_t i = 0; i < size; i++) {
            float value = gradient[i];
            scratch[i] = y[i] > 0 ? value : 0;
        }
        gradient = scratch;
    }
    if (!pooled) {
        NAME(to_planes)(gradient, planes, height, width, outputs, line, plane);
        return;
    }
    float *maxima = scratch + size;
    NAME(to_planes)(gradient, maxima, y_height, y_width, outputs, pooled_line, y_height * pooled_line);
    for (int64_t k = 0; k < outputs; k++)
        NAME(unpool_plane)(maxima + k * y_height * pooled_line, places + k * y_height * pooled_line, planes + k * plane,
                           y_height, y_width, line, pooled_line);
}

/* Planes of x and of the result's gradient, for the functions that follow. `own` is the gradient's first pixel, of which
   `count` vectors are read, or, if `across`, one of each row. `blank` (or 0) tells where x is. */
typedef struct {
    const float *x, *planes, *own;
    const uint8_t *blank;
    int64_t images, channels, outputs, kh, kw, x_height, x_width, line, plane, g_plane, count, across;
} NAME(Backward);

/* Add to the gradient of the weights. */
static void NAME(planes_to_weight)(const NAME(Backward) *b, float *to_weight)
{
    int64_t step = b->channels * b->kh * b->kw;
    for (int64_t c = 0; c < b->channels; c++)
        for (int64_t i = 0; i < b->kh; i++)
            for (int64_t j = 0, taps; j < b->kw; j += taps) {
                const float *x = b->x + c * b->plane + i * b->line + j;
                float *out = to_weight + (c * b->kh + i) * b->kw + j;
                taps = b->kw - j > 5 ? 5 : b->kw - j;
                switch (taps) {
#define CALL(tile, size)                                                                                               \
    case size:                                                                                                         \
        for (int64_t k = 0; k < b->outputs; k += tile)                                                                 \
            NAME(taps_##size)(b->own, x, b->count, b->across, b->line, b->images, b->g_plane, b->outputs * b->g_plane, \
                              b->channels * b->plane, k, b->outputs, out, step,                                        \
                              b->blank ? b->blank + i * b->line / LANES : 0);                                          \
        break;
                    TAP_TILES(CALL)
#undef CALL
                }
            }
}

/* Add to the gradient of the bias. */
static void NAME(planes_to_bias)(const NAME(Backward) *b, float *to_bias)
{
    for (int64_t k = 0; k < b->outputs; k++)
        for (int64_t image = 0; image < b->images; image++) {
            V sums = {0};
            for (int64_t i = 0; i < b->count; i++)
                sums += *(const V *)(b->own + (image * b->outputs + k) * b->g_plane + i * (b->across ? b->line : LANES));
            to_bias[k] += NAME(lanes_sum)(sums);
        }
}

/* The gradient of the images, a convolution of the result's gradient with packed weights, by way of `results`. */
static void NAME(planes_to_x)(const NAME(Backward) *b, const float *packed, const float *zeros, float *results, float *to_x)
{
    int64_t tile = NAME(tile_for)(b->channels), y_plane = b->x_height * b->line + 2 * LANES;
    for (int64_t image = 0; image < b->images; image++)
        for (int64_t c = 0; c < b->channels; c += tile) {
            int64_t some = b->channels - c < tile ? b->channels - c : tile;
            NAME(convolve)(b->planes + image * b->outputs * b->g_plane, packed, zeros, results, b->outputs, tile, c, b->kh,
                           b->kw, b->x_height, b->x_width, b->line, b->g_plane, y_plane, 0, 0);
            NAME(from_planes)(results, to_x + image * b->x_height * b->x_width * b->channels + c, b->x_height, b->x_width,
                              some, b->channels, b->line, y_plane);
        }
}

/* Arguments: the result's gradient, y, places, x's planes, the gradient's planes, floats of scratch memory, packed and
   turned weights, zeros, gradients of weight, bias and x (0 for one that is not wanted); n, channels, outputs, kh, kw,
   height and width of x, of the convolution's result, line, plane, kind of the result, plane of the gradient, its first
   row and column in the plane: kh - 1 - top and kw - 1 - left, images at a time. `line` serves the planes of both. The
   gradient has planes for as many images as are done at a time, so that they stay in the cache. */
EXPORT int64_t NAME(conv_backward)(Arguments a)
{
    const float *gradient = POINTER(const float, 0), *y = POINTER(const float, 1);
    const uint8_t *places = POINTER(const uint8_t, 2);
    const float *x_planes = POINTER(const float, 3);
    float *planes = POINTER(float, 4);
    SCRATCH(buffer, 5);
    const float *packed = POINTER(const float, 6), *zeros = POINTER(const float, 7);
    float *to_weight = POINTER(float, 8), *to_bias = POINTER(float, 9), *to_x = POINTER(float, 10);
    int64_t n = a[11], channels = a[12], outputs = a[13], kh = a[14], kw = a[15], x_height = a[16], x_width = a[17];
    int64_t height = a[18], width = a[19], line = a[20], plane = a[21], kind = a[22], g_plane = a[23], g_top = a[24];
    int64_t g_left = a[25], together = a[26];
    int pooled = kind == POOL_RESULT || kind == POOL_RELU_RESULT;
    int64_t y_height = pooled ? height / 2 : height, y_width = pooled ? width / 2 : width;
    int64_t size = y_height * y_width * outputs, map = y_height * ((y_width + LANES - 1) / LANES * LANES);
    float *own = planes + g_top * line + g_left;
    int64_t count = ((height - 1) * line + width + LANES - 1) / LANES, across = 0;
    if (width <= LANES && line >= LANES && height < count) { /* a vector for each row: zeros follow the row */
        across = 1;
        count = height;
    }
    uint8_t blank[MOST_BLANK];
    int skip = to_weight && channels == 1 && kw <= LANES && line % LANES == 0 && together * plane / LANES <= MOST_BLANK &&
               NAME(all_finite)(gradient, n * size);
    NAME(Backward) b = {0,        planes,  own,  skip ? blank : 0, 0,      channels, outputs, kh, kw,
                        x_height, x_width, line, plane,            g_plane, count,    across};
    if (to_weight)
        memset(to_weight, 0, 4 * outputs * channels * kh * kw);
    if (to_bias)
        memset(to_bias, 0, 4 * outputs);
    for (int64_t first = 0; first < n; first += together) {
        b.images = n - first < together ? n - first : together;
        b.x = x_planes + first * channels * plane;
        for (int64_t image = 0; image < b.images; image++)
            NAME(gradient_planes)(gradient + (first + image) * size, y + (first + image) * size,
                                  places + (first + image) * outputs * map, own + image * outputs * g_plane, buffer,
                                  outputs, height, width, line, g_plane, kind);
        if (skip)
            NAME(find_blank)(b.x, b.images, plane, kw, blank);
        if (to_weight)
            NAME(planes_to_weight)(&b, to_weight);
        if (to_bias)
            NAME(planes_to_bias)(&b, to_bias);
        if (to_x)
            NAME(planes_to_x)(&b, packed, zeros, buffer, to_x + first * x_height * x_width * channels);
    }
    return 0;
}

/* Convolution by minimal filtering along both axes, by one of the algorithms in filters.h; included by kernels.h once for
   each, with its name in ALGORITHM and its SIDE, TAPS and POINTS.

   A tile of SIDE×SIDE results takes POINTS×POINTS multiplications for each pair of channels instead of (SIDE * TAPS)^2. They
   are sums over channels, hence POINTS×POINTS matrix products. Stride 1, one group, channels in multiples of LANES.

   `V`, `U`, `M` are called after Lavin and Gray (2015): transformed inputs [points][tiles][channels], transformed weights
   [points][channels][outputs], their products [points][tiles][outputs]; W [points][tiles][outputs] is the gradient of M. LANES
   floats are left between the planes of each, lest all of them meet in the same lines of the cache. Tiles are done some
   rows at a time, which stay in the cache. */

#define OWN(name) NAME(JOIN(ALGORITHM, name))
#define PATCH (SIDE + TAPS - 1)
#define PRODUCTS (POINTS * POINTS)
#define TILES_DOWN(height) (((height) + SIDE - 1) / SIDE)
#define UNROLLED _Pragma("GCC unroll 16")

/* Transform both axes of a tile: columns first, from rows of `from` vectors to rows of `to`. */
#define BOTH(transform, from, to, tile, result)                                                                        \
    do {                                                                                                               \
        V columns[(from) * (to)];                                                                                      \
        UNROLLED for (int q = 0; q < (from); q++) OWN(transform)((tile) + q, from, columns + q, from);                 \
        UNROLLED for (int p = 0; p < (to); p++) OWN(transform)(columns + p * (from), 1, (result) + p * (to), 1);       \
    } while (0)

/* The points of taps, `plane` floats apart. */
ALWAYS_INLINE void OWN(weights)(const V *g, float *u, int64_t plane)
{
    V points[PRODUCTS];
    BOTH(taps, TAPS, POINTS, g, points);
    for (int p = 0; p < PRODUCTS; p++)
        *(V *)(u + p * plane) = points[p];
}

/* U for weights [outputs][channels][TAPS][TAPS] in the orders [points][channels][outputs] and, turned, [points][outputs]
   [channels] (0: not wanted). Arguments: weights, U, turned U, a scratch array [taps][outputs * channels + LANES]; outputs,
   channels. */
EXPORT int64_t OWN(pack)(Arguments a)
{
    int64_t outputs = a[4], channels = a[5], size = outputs * channels, plane = size + LANES;
    for (int turned = 0; turned < 2; turned++) {
        float *u = POINTER(float, 1 + turned), *w = POINTER(float, 3);
        if (!u)
            continue;
        NAME(taps_first)(POINTER(const float, 0), w, outputs, channels, TAPS * TAPS, turned);
        for (int64_t i = 0; i < size; i += LANES) {
            V g[TAPS * TAPS];
            for (int k = 0; k < TAPS * TAPS; k++)
                g[k] = *(const V *)(w + k * plane + i);
            OWN(weights)(g, u + i, plane);
        }
    }
    return 0;
}

/* V for `rows` rows of tiles from row `first` of all images on; `patch` is a scratch array. */
static void OWN(inputs)(const NAME(Maps) *x, float *patch, float *v, int64_t v_plane, int64_t first, int64_t rows,
                        int64_t down, int64_t across)
{
    int64_t channels = x->channels;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t j = 0; j < across; j++, v += channels) {
            int64_t line;
            const float *from = NAME(pixels)(x, row / down, row % down * SIDE, j * SIDE, PATCH, patch, &line);
            for (int64_t c = 0; c < channels; c += LANES) {
                V d[PATCH * PATCH], points[PRODUCTS];
                UNROLLED for (int p = 0; p < PATCH; p++)
                    UNROLLED for (int q = 0; q < PATCH; q++) d[p * PATCH + q] = *(const V *)(from + p * line + q * channels + c);
                BOTH(input, PATCH, POINTS, d, points);
                for (int p = 0; p < PRODUCTS; p++)
                    *(V *)(v + p * v_plane + c) = points[p];
            }
        }
}

/* The results of as many tiles. */
static void OWN(outputs)(const float *m, int64_t m_plane, const float *bias, int relu, const NAME(Maps) *y, int64_t first,
                         int64_t rows, int64_t down, int64_t across)
{
    int64_t outputs = y->channels;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t j = 0; j < across * SIDE; j += SIDE, m += outputs)
            for (int64_t k = 0; k < outputs; k += LANES) {
                V points[PRODUCTS], tile[SIDE * SIDE], b = *(const V *)(bias + k);
                UNROLLED for (int p = 0; p < PRODUCTS; p++) points[p] = *(const V *)(m + p * m_plane + k);
                BOTH(output, POINTS, SIDE, points, tile);
                UNROLLED for (int p = 0; p < SIDE * SIDE; p++)
                {
                    tile[p] += b;
                    tile[p] = relu ? POSITIVE(tile[p]) : tile[p];
                }
                int64_t i = row % down * SIDE;
                float *to = y->data + ((row / down * y->height + i) * y->width + j) * outputs + k;
                for (int p = 0; p < SIDE && i + p < y->height; p++)
                    for (int q = 0; q < SIDE && j + q < y->width; q++)
                        *(V *)(to + (p * y->width + q) * outputs) = tile[SIDE * p + q];
            }
}

/* Arguments: x, U, bias, y, floats of scratch memory; n, height and width of x, channels, outputs, height and width of y, top,
   left, rows of tiles at a time, tiles in V and M (a multiple of ROWS), whether a ReLU follows. The scratch memory holds V, M
   and a patch. */
EXPORT int64_t OWN(forward)(Arguments a)
{
    const float *u = POINTER(const float, 1), *bias = POINTER(const float, 2);
    int64_t n = a[5], channels = a[8], outputs = a[9], rows = a[14], tiles = a[15];
    NAME(Maps) x = {POINTER(float, 0), a[6], a[7], channels, a[12], a[13]}, y = {POINTER(float, 3), a[10], a[11], outputs};
    int64_t down = TILES_DOWN(y.height), across = TILES_DOWN(y.width), plane = channels * outputs + LANES;
    int64_t v_plane = tiles * channels + LANES, m_plane = tiles * outputs + LANES;
    SCRATCH(v, 4);
    float *m = v + PRODUCTS * v_plane, *patch = m + PRODUCTS * m_plane;
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows, used = (some * across + ROWS - 1) / ROWS * ROWS;
        OWN(inputs)(&x, patch, v, v_plane, first, some, down, across);
        for (int p = 0; p < PRODUCTS; p++)
            NAME(product)(v + p * v_plane, channels, 1, u + p * plane, outputs, m + p * m_plane, outputs, used, channels,
                          outputs, 0);
        OWN(outputs)(m, m_plane, bias, (int)a[16], &y, first, some, down, across);
    }
    return 0;
}

/* W for as many tiles, and the sums of the gradient per channel (0: not wanted). */
static void OWN(gradients)(const NAME(Maps) *gradient, float *patch, float *w, int64_t w_plane, int64_t first,
                           int64_t rows, int64_t down, int64_t across, float *to_bias)
{
    int64_t outputs = gradient->channels;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t j = 0; j < across; j++, w += outputs) {
            int64_t line;
            const float *g = NAME(pixels)(gradient, row / down, row % down * SIDE, j * SIDE, SIDE, patch, &line);
            for (int64_t k = 0; k < outputs; k += LANES) {
                V tile[SIDE * SIDE], points[PRODUCTS], sum = {0};
                UNROLLED for (int p = 0; p < SIDE * SIDE; p++)
                {
                    tile[p] = *(const V *)(g + p / SIDE * line + p % SIDE * outputs + k);
                    sum += tile[p];
                }
                if (to_bias)
                    *(V *)(to_bias + k) += sum;
                BOTH(output_back, SIDE, POINTS, tile, points);
                for (int p = 0; p < PRODUCTS; p++)
                    *(V *)(w + p * w_plane + k) = points[p];
            }
        }
}

/* Add the gradients of V, back in terms of the input, to those of x. */
static void OWN(inputs_back)(const float *v, int64_t v_plane, const NAME(Maps) *to_x, int64_t first, int64_t rows,
                             int64_t down, int64_t across)
{
    int64_t channels = to_x->channels, height = to_x->height, width = to_x->width;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t column = 0; column < across; column++, v += channels) {
            int64_t i = row % down * SIDE - to_x->top, j = column * SIDE - to_x->left;
            float *to = to_x->data + ((row / down * height + i) * width + j) * channels;
            int inside = i >= 0 && j >= 0 && i + PATCH <= height && j + PATCH <= width;
            for (int64_t c = 0; c < channels; c += LANES) {
                V points[PRODUCTS], d[PATCH * PATCH];
                UNROLLED for (int p = 0; p < PRODUCTS; p++) points[p] = *(const V *)(v + p * v_plane + c);
                BOTH(input_back, POINTS, PATCH, points, d);
                for (int p = 0; p < PATCH; p++)
                    for (int q = 0; q < PATCH; q++)
                        if (inside || (i + p >= 0 && i + p < height && j + q >= 0 && j + q < width))
                            *(V *)(to + (p * width + q) * channels + c) += d[PATCH * p + q];
            }
        }
}

/* The gradients of weights [TAPS][TAPS][channels][outputs] from that of U. */
static void OWN(weights_back)(const float *to_u, int64_t size, float *to_weight)
{
    for (int64_t i = 0; i < size; i += LANES) {
        V points[PRODUCTS], g[TAPS * TAPS];
        for (int p = 0; p < PRODUCTS; p++)
            points[p] = *(const V *)(to_u + p * (size + LANES) + i);
        BOTH(taps_back, POINTS, TAPS, points, g);
        for (int p = 0; p < TAPS * TAPS; p++)
            *(V *)(to_weight + p * size + i) = g[p];
    }
}

/* The gradients of weights, in the order [TAPS][TAPS][channels][outputs], of the bias and of x (0: not wanted, for both).
   Arguments: x, gradient, turned U, gradients of the weights, the bias and x, floats of scratch memory; the numbers as above, but
   for the ReLU. The scratch memory holds V, W, a patch and U's gradient. */
EXPORT int64_t OWN(backward)(Arguments a)
{
    const float *turned = POINTER(const float, 2);
    float *to_bias = POINTER(float, 4);
    int64_t n = a[7], channels = a[10], outputs = a[11], rows = a[16], tiles = a[17], plane = channels * outputs + LANES;
    NAME(Maps) x = {POINTER(float, 0), a[8], a[9], channels, a[14], a[15]}, to_x = x;
    NAME(Maps) gradient = {POINTER(float, 1), a[12], a[13], outputs};
    int64_t down = TILES_DOWN(gradient.height), across = TILES_DOWN(gradient.width);
    int64_t v_plane = tiles * channels + LANES, w_plane = tiles * outputs + LANES;
    SCRATCH(v, 6);
    float *w = v + PRODUCTS * v_plane, *patch = w + PRODUCTS * w_plane;
    float *to_u = patch + PATCH * PATCH * (channels > outputs ? channels : outputs);
    to_x.data = POINTER(float, 5);
    if (to_bias)
        memset(to_bias, 0, 4 * outputs);
    if (to_x.data)
        memset(to_x.data, 0, 4 * n * x.height * x.width * channels);
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows, used = some * across;
        OWN(inputs)(&x, patch, v, v_plane, first, some, down, across);
        OWN(gradients)(&gradient, patch, w, w_plane, first, some, down, across, to_bias);
        for (int p = 0; p < PRODUCTS; p++) {
            NAME(product)(v + p * v_plane, 1, channels, w + p * w_plane, outputs, to_u + p * plane, outputs, channels,
                          used, outputs, first > 0);
            if (to_x.data) /* V is not needed any more */
                NAME(product)(w + p * w_plane, outputs, 1, turned + p * plane, channels, v + p * v_plane, channels,
                              (used + ROWS - 1) / ROWS * ROWS, outputs, channels, 0);
        }
        if (to_x.data)
            OWN(inputs_back)(v, v_plane, &to_x, first, some, down, across);
    }
    OWN(weights_back)(to_u, channels * outputs, POINTER(float, 3));
    return 0;
}

#undef OWN
#undef PATCH
#undef PRODUCTS
#undef TILES_DOWN
#undef UNROLLED
#undef BOTH

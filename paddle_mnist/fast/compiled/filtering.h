/* Convolution by minimal filtering along both axes, by one of the algorithms in filters.h; included by kernels.h once
   for each, with its name in ALGORITHM and its SIDE, TAPS and POINTS.

   A tile of SIDE×SIDE results takes POINTS×POINTS multiplications for each pair of channels instead of (SIDE * TAPS)^2.
   They are sums over channels, hence POINTS×POINTS matrix products. Stride 1, one group, channels in multiples of
   LANES.

   `V`, `U`, `M` are called after Lavin and Gray (2015): transformed inputs [points][tiles][channels], transformed
   weights [points][channels][outputs], their products [points][tiles][outputs]; W [points][tiles][outputs] is the
   gradient of M. LANES floats are left between the planes of each, lest all of them meet in the same lines of the
   cache. Tiles are done some rows at a time, which stay in the cache. */

#define OWN(name) NAME(JOIN(ALGORITHM, name))
#define PATCH (SIDE + TAPS - 1)
#define PRODUCTS (POINTS * POINTS)
#define HALF (SIDE / 2)
#define WINDOW(w) ((w) / HALF * 2 * SIDE + (w) % HALF * 2) /* where the w-th 2×2 of a tile begins */
#define TILES_ALONG(size) (((size) + SIDE - 1) / SIDE)
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
                    UNROLLED for (int q = 0; q < PATCH; q++)
                        d[p * PATCH + q] = *(const V *)(from + p * line + q * channels + c);
                BOTH(input, PATCH, POINTS, d, points);
                for (int p = 0; p < PRODUCTS; p++)
                    *(V *)(v + p * v_plane + c) = points[p];
            }
        }
}

/* The results of as many tiles: y, after the max pooling of 2×2 and the ReLU that `kind` names. `ties` (0: not wanted)
   has a byte for each 2×2 of the results of all tiles, `places` (0: not wanted) receives where each maximum was. */
static void OWN(outputs)(const float *m, int64_t m_plane, const float *bias, int kind, const uint8_t *ties,
                         const NAME(Maps) *y, uint8_t *places, int64_t first, int64_t rows, int64_t down, int64_t across)
{
    int pools = kind == POOL_RESULT || kind == POOL_RELU_RESULT, relu = kind == RELU_RESULT || kind == POOL_RELU_RESULT;
    int64_t outputs = y->channels, size = pools ? HALF : SIDE, line = across * HALF;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t column = 0; column < across; column++, m += outputs) {
            int64_t i = row % down * size, j = column * size, at = ((row / down * y->height + i) * y->width + j) * outputs;
            for (int64_t k = 0; k < outputs; k += LANES, at += LANES) {
                V points[PRODUCTS], tile[SIDE * SIDE], b = *(const V *)(bias + k);
                I place[HALF * HALF] = {0};
                UNROLLED for (int p = 0; p < PRODUCTS; p++) points[p] = *(const V *)(m + p * m_plane + k);
                BOTH(output, POINTS, SIDE, points, tile);
                UNROLLED for (int p = 0; p < SIDE * SIDE; p++) tile[p] += b;
                for (int w = 0; ties && w < HALF * HALF; w++) {
                    int own = ties[(row * HALF + w / HALF) * line + column * HALF + w % HALF];
                    if (own)
                        NAME(settle)(tile + WINDOW(w), SIDE, b, own);
                }
                for (int w = 0; pools && w < HALF * HALF; w++) { /* no later window begins before place w */
                    const V *own = tile + WINDOW(w);
                    tile[w] = NAME(maximum)(own[0], own[1], own[SIDE], own[SIDE + 1], place + w);
                }
                for (int p = 0; p < size && i + p < y->height; p++)
                    for (int q = 0; q < size && j + q < y->width; q++) {
                        int64_t to = at + (p * y->width + q) * outputs;
                        V value = tile[size * p + q];
                        *(V *)(y->data + to) = relu ? POSITIVE(value) : value;
                        if (pools && places)
                            NAME(to_bytes)(place[size * p + q], places + to);
                    }
            }
        }
}

/* Arguments: x, U, bias, y, places (0: not wanted), floats of scratch memory; n, height and width of x, channels,
   outputs, height and width of the convolution's result, top, left, rows of tiles at a time, tiles in V and M (a
   multiple of ROWS), kind of the result, whether to look for ties. The scratch memory holds V, M, a patch, and the
   ties. */
EXPORT int64_t OWN(forward)(Arguments a)
{
    const float *u = POINTER(const float, 1), *bias = POINTER(const float, 2);
    int64_t n = a[6], channels = a[9], outputs = a[10], height = a[11], width = a[12], rows = a[15], tiles = a[16];
    int kind = (int)a[17], halves = kind == POOL_RESULT || kind == POOL_RELU_RESULT ? 2 : 1;
    NAME(Maps) x = {POINTER(float, 0), a[7], a[8], channels, a[13], a[14]};
    NAME(Maps) y = {POINTER(float, 3), height / halves, width / halves, outputs};
    int64_t down = TILES_ALONG(height), across = TILES_ALONG(width), plane = channels * outputs + LANES;
    int64_t v_plane = tiles * channels + LANES, m_plane = tiles * outputs + LANES, windows = down * across * HALF * HALF;
    int64_t x_row = x.height * x.width * channels / down, y_row = y.height * y.width * outputs / down;
    SCRATCH(v, 5);
    float *m = v + PRODUCTS * v_plane, *patch = m + PRODUCTS * m_plane;
    uint8_t *ties = a[18] ? (uint8_t *)(patch + PATCH * PATCH * channels) : NULL;
    if (ties)
        memset(patch, 0, 4 * channels); /* the zeros around the maps */
    for (int64_t image = 0; ties && image < n; image++)
        NAME(find_ties)(&x, image, down * SIDE, across * SIDE, TAPS, patch, ties + n * windows, ties + image * windows);
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows, used = (some * across + ROWS - 1) / ROWS * ROWS;
        OWN(inputs)(&x, patch, v, v_plane, first, some, down, across);
        for (int p = 0; p < PRODUCTS; p++) {
            NAME(prefetch)(x.data + (first + rows) * x_row, rows * x_row, p, PRODUCTS);
            NAME(prefetch)(y.data + first * y_row, rows * y_row, p, PRODUCTS);
            NAME(product)(v + p * v_plane, channels, 1, u + p * plane, outputs, m + p * m_plane, outputs, used, channels,
                          outputs, 0);
        }
        OWN(outputs)(m, m_plane, bias, kind, ties, &y, POINTER(uint8_t, 4), first, some, down, across);
    }
    return 0;
}

/* W for as many tiles, from the gradient of y, and the sums of the result's gradient per channel (0: not wanted). `y` and
   `places` tell through which results gradients go back, as `kind` says. */
static void OWN(gradients)(const NAME(Maps) *gradient, const float *y, const uint8_t *places, int kind, float *w,
                           int64_t w_plane, int64_t first, int64_t rows, int64_t down, int64_t across, float *to_bias)
{
    int pools = kind == POOL_RESULT || kind == POOL_RELU_RESULT, relu = kind == RELU_RESULT || kind == POOL_RELU_RESULT;
    int64_t outputs = gradient->channels, size = pools ? HALF : SIDE;
    for (int64_t row = first; row < first + rows; row++)
        for (int64_t column = 0; column < across; column++, w += outputs) {
            int64_t i = row % down * size, j = column * size;
            int64_t at = ((row / down * gradient->height + i) * gradient->width + j) * outputs;
            int whole = i + size <= gradient->height && j + size <= gradient->width;
            for (int64_t k = 0; k < outputs; k += LANES, at += LANES) {
                V tile[SIDE * SIDE], points[PRODUCTS], sum = {0};
                UNROLLED for (int p = 0; p < SIDE * SIDE; p++) tile[p] = (V){0};
                for (int p = 0; p < size; p++)
                    for (int q = 0; q < size; q++) {
                        if (!whole && (i + p >= gradient->height || j + q >= gradient->width))
                            continue;
                        int64_t from = at + (p * gradient->width + q) * outputs;
                        V value = *(const V *)(gradient->data + from);
                        if (relu)
                            value = SELECT(*(const V *)(y + from) > 0, value, (V){0});
                        sum += value;
                        if (!pools) {
                            tile[p * SIDE + q] = value;
                            continue;
                        }
                        I place = NAME(from_bytes)(places + from);
                        for (int t = 0; t < 4; t++)
                            tile[2 * p * SIDE + 2 * q + t / 2 * SIDE + t % 2] = SELECT(place == t, value, (V){0});
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

/* The gradients of weights, in the order [TAPS][TAPS][channels][outputs], of the bias and of x (0: not wanted, for
   both). Arguments: x, the gradient of y, y, places, turned U, gradients of the weights, the bias and x, floats of
   scratch memory; the numbers as above, without the last one. The scratch memory holds V, W, a patch and U's gradient.
   */
EXPORT int64_t OWN(backward)(Arguments a)
{
    const float *y = POINTER(const float, 2), *turned = POINTER(const float, 4);
    const uint8_t *places = POINTER(const uint8_t, 3);
    float *to_bias = POINTER(float, 6);
    int64_t n = a[9], channels = a[12], outputs = a[13], height = a[14], width = a[15], rows = a[18], tiles = a[19];
    int kind = (int)a[20], halves = kind == POOL_RESULT || kind == POOL_RELU_RESULT ? 2 : 1;
    NAME(Maps) x = {POINTER(float, 0), a[10], a[11], channels, a[16], a[17]}, to_x = x;
    NAME(Maps) gradient = {POINTER(float, 1), height / halves, width / halves, outputs};
    int64_t down = TILES_ALONG(height), across = TILES_ALONG(width), plane = channels * outputs + LANES;
    int64_t v_plane = tiles * channels + LANES, w_plane = tiles * outputs + LANES, clean = 0;
    int64_t x_row = x.height * x.width * channels / down, y_row = gradient.height * gradient.width * outputs / down;
    SCRATCH(v, 8);
    float *w = v + PRODUCTS * v_plane, *patch = w + PRODUCTS * w_plane, *to_u = patch + PATCH * PATCH * channels;
    to_x.data = POINTER(float, 7);
    if (to_bias)
        memset(to_bias, 0, 4 * outputs);
    for (int64_t first = 0; first < n * down; first += rows) {
        int64_t some = n * down - first < rows ? n * down - first : rows, used = some * across;
        OWN(inputs)(&x, patch, v, v_plane, first, some, down, across);
        OWN(gradients)(&gradient, y, places, kind, w, w_plane, first, some, down, across, to_bias);
        for (int p = 0; p < PRODUCTS; p++) {
            NAME(prefetch)(x.data + (first + rows) * x_row, rows * x_row, p, PRODUCTS);
            NAME(prefetch)(gradient.data + (first + rows) * y_row, rows * y_row, p, PRODUCTS);
            NAME(product)(v + p * v_plane, 1, channels, w + p * w_plane, outputs, to_u + p * plane, outputs, channels,
                          used, outputs, first > 0);
            if (to_x.data) /* V is not needed any more */
                NAME(product)(w + p * w_plane, outputs, 1, turned + p * plane, channels, v + p * v_plane, channels,
                              (used + ROWS - 1) / ROWS * ROWS, outputs, channels, 0);
        }
        if (!to_x.data)
            continue;
        int64_t last = first + some - 1, below = last % down * SIDE - x.top + PATCH; /* the rows that tiles reach */
        int64_t reached = last / down * x.height + (last % down == down - 1 || below > x.height ? x.height : below);
        if (reached > clean)
            memset(to_x.data + clean * x.width * channels, 0, 4 * (reached - clean) * x.width * channels);
        clean = reached > clean ? reached : clean;
        OWN(inputs_back)(v, v_plane, &to_x, first, some, down, across);
    }
    OWN(weights_back)(to_u, channels * outputs, POINTER(float, 5));
    return 0;
}

#undef OWN
#undef PATCH
#undef PRODUCTS
#undef HALF
#undef WINDOW
#undef TILES_ALONG
#undef UNROLLED
#undef BOTH

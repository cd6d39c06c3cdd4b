/* Matrix products with many columns; included by kernels.h.

   The second factor is packed into panels of PANEL columns, which are read in order. A tile of at most TALL rows of the
   result and one panel stays in the registers while `count` products are added up.

   Zeros are not added: pictures of digits are mostly paper. Of MNIST's 784 pixels, half are blank in all of 14 images, and
   two fifths of all runs of 14 pixels are blank. For every TALL rows of the first factor a list says which steps count. A
   factor with infinities or NaN takes part whole, so that 0 times infinity is still NaN. */

#define PANEL (2 * LANES)
#if LANES == 16
#define TALL 14
#define TALL_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define TALL 6
#define TALL_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

/* A tile: c = start + a @ panel for the `count` steps in a list, `start` being a row (`start_row` is 0) or the tile
   itself. Element (r, i) of a is a[r * a_row + i * a_step]. */
ALWAYS_INLINE void NAME(panel_tile)(const float *a, int64_t a_row, int64_t a_step, const float *panel,
                                    const float *start, int64_t start_row, float *c, int64_t c_row,
                                    const int32_t *list, int64_t count, int relu, int rows)
{
    V first[TALL], second[TALL];
    _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
    {
        first[r] = *(const V *)(start + r * start_row);
        second[r] = *(const V *)(start + r * start_row + LANES);
    }
    for (int64_t k = 0; k < count; k++) {
        const float *from = a + list[k] * a_step, *line = panel + (int64_t)list[k] * PANEL;
        V p = *(const V *)line, q = *(const V *)(line + LANES);
        _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
        {
            first[r] += p * from[r * a_row];
            second[r] += q * from[r * a_row];
        }
    }
    _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
    {
        *(V *)(c + r * c_row) = relu ? NOT_NEGATIVE(first[r]) : first[r];
        *(V *)(c + r * c_row + LANES) = relu ? NOT_NEGATIVE(second[r]) : second[r];
    }
}

#define DEFINE_TILE(rows)                                                                                              \
    static void NAME(panel_tile_##rows)(const float *a, int64_t a_row, int64_t a_step, const float *panel,             \
                                        const float *start, int64_t start_row, float *c, int64_t c_row,                \
                                        const int32_t *list, int64_t count, int relu)                                  \
    {                                                                                                                  \
        NAME(panel_tile)(a, a_row, a_step, panel, start, start_row, c, c_row, list, count, relu, rows);                \
    }
TALL_ROWS(DEFINE_TILE)
#undef DEFINE_TILE

/* The same for `rows` rows and `columns` columns, both at most a tile's. */
static void NAME(panel_part)(const float *a, int64_t a_row, int64_t a_step, const float *panel, const float *start,
                             int64_t start_row, float *c, int64_t c_row, const int32_t *list, int64_t count, int relu,
                             int64_t rows, int64_t columns)
{
    float tile[TALL * PANEL] __attribute__((aligned(64)));
    float *to = c;
    int64_t to_row = c_row;
    if (columns < PANEL) { /* whole vectors would reach beyond the result */
        for (int64_t r = 0; r < rows; r++)
            memcpy(tile + r * PANEL, start + r * start_row, 4 * columns);
        start = to = tile;
        start_row = to_row = PANEL;
    }
    switch (rows) {
#define CALL(size)                                                                                                     \
    case size:                                                                                                         \
        NAME(panel_tile_##size)(a, a_row, a_step, panel, start, start_row, to, to_row, list, count, relu);             \
        break;
        TALL_ROWS(CALL)
#undef CALL
    }
    if (columns < PANEL)
        for (int64_t r = 0; r < rows; r++)
            memcpy(c + r * c_row, tile + r * PANEL, 4 * columns);
}

/* Products are added up in chunks of at most so many: the panel of one is on the stack. */
#define CHUNK 512
#define CHUNKS(count) (((count) + CHUNK - 1) / CHUNK)

/* Write the numbers from 0 to below `count` to a list: all steps. */
static void NAME(all_steps)(int64_t count, int32_t *list)
{
    for (int64_t i = 0; i < count; i++)
        list[i] = (int32_t)i;
}

/* List those of `count` columns of a in which any of `rows` rows is not zero; return how many they are. */
static int64_t NAME(used_columns)(const float *a, int64_t a_row, int64_t rows, int64_t count, int32_t *list)
{
    int64_t found = 0, i = 0;
    for (; i + LANES <= count; i += LANES) {
        I any = {0};
        for (int64_t r = 0; r < rows; r++)
            any |= *(const I *)(a + r * a_row + i);
        any = any << 1; /* drops the sign: -0 is zero */
        _Pragma("GCC unroll 16") for (int k = 0; k < LANES; k++)
        {
            list[found] = (int32_t)(i + k);
            found += any[k] != 0;
        }
    }
    for (; i < count; i++) {
        int any = 0;
        for (int64_t r = 0; r < rows; r++)
            any |= a[r * a_row + i] != 0;
        list[found] = (int32_t)i;
        found += any;
    }
    return found;
}

/* List those of `count` rows of a in which any of `columns` columns (at most TALL) is not zero; return how many. */
static int64_t NAME(used_rows)(const float *a, int64_t a_row, int64_t columns, int64_t count, int32_t *list)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        int any = 0;
        _Pragma("GCC unroll 16") for (int k = 0; k < TALL; k++) any |= k < columns && a[i * a_row + k] != 0;
        list[found] = (int32_t)i;
        found += any;
    }
    return found;
}

/* Copy `columns` (at most PANEL) columns and `count` rows to a panel; return whether all are finite. */
static int NAME(pack_panel)(const float *b, int64_t b_row, int64_t count, int64_t columns, float *panel)
{
    V zero = {0};
    if (columns == PANEL)
        for (int64_t i = 0; i < count; i++, b += b_row, panel += PANEL) {
            V p = *(const V *)b, q = *(const V *)(b + LANES);
            zero += p * 0.0f + q * 0.0f;
            *(V *)panel = p;
            *(V *)(panel + LANES) = q;
        }
    else
        for (int64_t i = 0; i < count; i++, b += b_row, panel += PANEL)
            for (int64_t j = 0; j < PANEL; j++) {
                panel[j] = j < columns ? b[j] : 0;
                zero[0] += panel[j] * 0.0f;
            }
    int finite = 1;
    for (int k = 0; k < LANES; k++)
        finite &= zero[k] == 0;
    return finite;
}

/* Copy `columns` rows and `count` columns, transposed, to a panel. */
static void NAME(pack_transposed)(const float *b, int64_t b_row, int64_t count, int64_t columns, float *panel)
{
    if (columns < PANEL)
        memset(panel, 0, 4 * count * PANEL);
    int64_t j = 0;
    for (; j + 8 <= columns; j += 8) {
        int64_t i = 0;
        for (; i + 8 <= count; i += 8)
            NAME(transpose)(b + j * b_row + i, b_row, panel + i * PANEL + j, PANEL);
        for (; i < count; i++)
            for (int64_t k = j; k < j + 8; k++)
                panel[i * PANEL + k] = b[k * b_row + i];
    }
    for (; j < columns; j++)
        for (int64_t i = 0; i < count; i++)
            panel[i * PANEL + j] = b[j * b_row + i];
}

/* Which steps count where x is a product's first factor, and where its transpose is.
   Arguments: x; n, inputs; a list [groups of n][inputs], of each chunk's steps from where it begins, and their numbers
   [groups][chunks]; a list [groups of inputs][n] and their numbers [groups] (or 0: not wanted). */
EXPORT int64_t NAME(wide_steps)(Arguments a)
{
    const float *x = POINTER(const float, 0);
    int64_t n = a[1], inputs = a[2], groups = (n + TALL - 1) / TALL, chunks = CHUNKS(inputs);
    int32_t *list = POINTER(int32_t, 3), *counts = POINTER(int32_t, 4);
    for (int64_t g = 0; g < groups; g++)
        for (int64_t k = 0; k < chunks; k++) {
            int64_t r = g * n / groups, some = (g + 1) * n / groups - r;
            int64_t from = k * inputs / chunks, count = (k + 1) * inputs / chunks - from;
            counts[g * chunks + k] =
                (int32_t)NAME(used_columns)(x + r * inputs + from, inputs, some, count, list + g * inputs + from);
        }
    list = POINTER(int32_t, 5), counts = POINTER(int32_t, 6), groups = (inputs + TALL - 1) / TALL;
    for (int64_t g = 0; list && g < groups; g++) {
        int64_t i = g * inputs / groups, some = (g + 1) * inputs / groups - i;
        counts[g] = (int32_t)NAME(used_rows)(x + i, inputs, some, n, list + g * n);
    }
    return 0;
}

/* y = bias + a @ b for columns `first` to `last` of y, and zero where a ReLU follows and it is not positive. With
   `transposed`, b is given as its transpose. `width` floats are a row of y. Lists say which steps count, as
   wide_steps makes them; without, all do. */
static void NAME(wide_product)(const float *a, int64_t a_row, const float *b, int64_t b_row, int transposed,
                               const float *bias, float *y, int64_t width, int64_t rows, int64_t inputs, int64_t first,
                               int64_t last, int relu, const int32_t *lists, const int32_t *counts)
{
    float panel[CHUNK * PANEL] __attribute__((aligned(64))), row[PANEL] __attribute__((aligned(64)));
    int64_t chunks = CHUNKS(inputs), groups = (rows + TALL - 1) / TALL;
    int32_t all[CHUNK];
    NAME(all_steps)(CHUNK, all);
    for (int64_t j = first; j < last; j += PANEL) {
        int64_t columns = last - j < PANEL ? last - j : PANEL;
        memset(row, 0, sizeof row);
        if (bias)
            memcpy(row, bias + j, 4 * columns);
        for (int64_t k = 0; k < chunks; k++) {
            int64_t from = k * inputs / chunks, count = (k + 1) * inputs / chunks - from;
            int listed = lists != 0;
            if (transposed)
                NAME(pack_transposed)(b + j * b_row + from, b_row, count, columns, panel);
            else
                listed &= NAME(pack_panel)(b + from * b_row + j, b_row, count, columns, panel);
            for (int64_t g = 0; g < groups; g++) {
                int64_t r = g * rows / groups, some = (g + 1) * rows / groups - r;
                float *c = y + r * width + j;
                NAME(panel_part)(a + r * a_row + from, a_row, 1, panel, k ? c : row, k ? width : 0, c, width,
                                 listed ? lists + g * inputs + from : all, listed ? counts[g * chunks + k] : count,
                                 relu && k == chunks - 1, some, columns);
            }
        }
    }
}

/* y = x @ weights + bias. Arguments: x, weights, bias (or 0), y; n, inputs, outputs, first and last column, whether a
   ReLU follows; the first two arrays of wide_steps. */
EXPORT int64_t NAME(wide_forward)(Arguments a)
{
    int64_t n = a[4], inputs = a[5], outputs = a[6];
    NAME(wide_product)(POINTER(const float, 0), inputs, POINTER(const float, 1), outputs, 0, POINTER(const float, 2),
                       POINTER(float, 3), outputs, n, inputs, a[7], a[8], (int)a[9], POINTER(const int32_t, 10),
                       POINTER(const int32_t, 11));
    return 0;
}

/* The gradient of x: gradient @ transposed(weights). Arguments: gradient, weights, the result; n, inputs, outputs, first
   and last column of the result. */
EXPORT int64_t NAME(wide_to_x)(Arguments a)
{
    int64_t n = a[3], inputs = a[4], outputs = a[5];
    NAME(wide_product)(POINTER(const float, 0), outputs, POINTER(const float, 1), outputs, 1, 0, POINTER(float, 2),
                       inputs, n, outputs, a[6], a[7], 0, 0, 0);
    return 0;
}

/* The gradient of the weights, transposed(x) @ gradient, for columns `first` to `last`, row by row. Each row goes to a
   function, such as an optimizer's step, that has the row among its arguments as the second; without one, to an array.
   Arguments: where the address of x is, gradient, n + (n + TALL) * width with the columns rounded up to PANEL as width;
   n, inputs, outputs, first, last, the array (or 0); the last two arrays of wide_steps; the function, its number of
   arguments (at most MOST_ARGUMENTS), its arguments for the first row, by how much each one grows from row to row. */
EXPORT int64_t NAME(wide_to_weight)(Arguments a)
{
    const float *x = *POINTER(const float *, 0), *gradient = POINTER(const float, 1);
    float *result = POINTER(float, 8);
    SCRATCH(panels, 2);
    const int32_t *lists = POINTER(const int32_t, 9), *counts = POINTER(const int32_t, 10);
    int64_t n = a[3], inputs = a[4], outputs = a[5], first = a[6], last = a[7], own[MOST_ARGUMENTS];
    int64_t count = (last - first + PANEL - 1) / PANEL, groups = (inputs + TALL - 1) / TALL, width = count * PANEL;
    float *rows = panels + n * width, zeros[PANEL] __attribute__((aligned(64)));
    int32_t *all = (int32_t *)(rows + TALL * width);
    int finite = 1;
    memset(zeros, 0, sizeof zeros);
    NAME(all_steps)(n, all);
    if (!result)
        memcpy(own, a + 13, 8 * a[12]);
    for (int64_t p = 0, j = first; p < count; p++, j += PANEL)
        finite &= NAME(pack_panel)(gradient + j, outputs, n, last - j < PANEL ? last - j : PANEL, panels + p * n * PANEL);
    for (int64_t g = 0; g < groups; g++) {
        int64_t i = g * inputs / groups, some = (g + 1) * inputs / groups - i;
        for (int64_t p = 0, j = first; p < count; p++, j += PANEL)
            NAME(panel_part)(x + i, 1, inputs, panels + p * n * PANEL, zeros, 0,
                             result ? result + i * outputs + j : rows + p * PANEL, result ? outputs : width,
                             finite ? lists + g * n : all, finite ? counts[g] : n, 0, some,
                             last - j < PANEL ? last - j : PANEL);
        for (int64_t r = 0; r < some && !result; r++) {
            own[1] = (int64_t)(intptr_t)(rows + r * width);
            int64_t status = ((Function)(intptr_t)a[11])(own);
            if (status)
                return status;
            for (int64_t k = 0; k < a[12]; k++)
                own[k] += a[13 + a[12] + k];
        }
    }
    return 0;
}

#undef CHUNK
#undef CHUNKS
#undef PANEL
#undef TALL
#undef TALL_ROWS

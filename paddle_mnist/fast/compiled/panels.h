/* Matrix products with many columns; included by kernels.h.

   The second factor is packed into panels of PANEL columns, which are read in order. A tile of at most TALL rows of the
   result and one panel stays in the registers while `count` products are added up. */

#define PANEL (2 * LANES)
#if LANES == 16
#define TALL 14
#define TALL_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define TALL 6
#define TALL_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

/* A tile: c = start + a @ panel, `start` being a row (`c_row` of it 0) or the tile itself. Element (r, i) of a is
   a[r * a_row + i * a_step]. */
ALWAYS_INLINE void NAME(panel_tile)(const float *a, int64_t a_row, int64_t a_step, const float *panel,
                                    const float *start, int64_t start_row, float *c, int64_t c_row, int64_t count,
                                    int relu, int rows)
{
    V first[TALL], second[TALL];
    _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
    {
        first[r] = *(const V *)(start + r * start_row);
        second[r] = *(const V *)(start + r * start_row + LANES);
    }
    for (int64_t i = 0; i < count; i++, a += a_step, panel += PANEL) {
        V p = *(const V *)panel, q = *(const V *)(panel + LANES);
        _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
        {
            first[r] += p * a[r * a_row];
            second[r] += q * a[r * a_row];
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
                                        const float *start, int64_t start_row, float *c, int64_t c_row, int64_t count, \
                                        int relu)                                                                      \
    {                                                                                                                  \
        NAME(panel_tile)(a, a_row, a_step, panel, start, start_row, c, c_row, count, relu, rows);                      \
    }
TALL_ROWS(DEFINE_TILE)
#undef DEFINE_TILE

/* The same for `rows` rows and `columns` columns, both at most a tile's. */
static void NAME(panel_part)(const float *a, int64_t a_row, int64_t a_step, const float *panel, const float *start,
                             int64_t start_row, float *c, int64_t c_row, int64_t count, int relu, int64_t rows,
                             int64_t columns)
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
        NAME(panel_tile_##size)(a, a_row, a_step, panel, start, start_row, to, to_row, count, relu);                   \
        break;
        TALL_ROWS(CALL)
#undef CALL
    }
    if (columns < PANEL)
        for (int64_t r = 0; r < rows; r++)
            memcpy(c + r * c_row, tile + r * PANEL, 4 * columns);
}

/* Products are added up in chunks of at most so many: the panel of one is on the stack. */
enum { NAME(CHUNK) = 512 };

/* Copy `columns` (at most PANEL) columns and `count` rows to a panel. */
static void NAME(pack_panel)(const float *b, int64_t b_row, int64_t count, int64_t columns, float *panel)
{
    if (columns == PANEL)
        for (int64_t i = 0; i < count; i++, b += b_row, panel += PANEL) {
            *(V *)panel = *(const V *)b;
            *(V *)(panel + LANES) = *(const V *)(b + LANES);
        }
    else
        for (int64_t i = 0; i < count; i++, b += b_row, panel += PANEL)
            for (int64_t j = 0; j < PANEL; j++)
                panel[j] = j < columns ? b[j] : 0;
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

/* y = bias + a @ b for columns `first` to `last` of y, and zero where a ReLU follows and it is not positive. With
   `transposed`, b is given as its transpose. `width` floats are a row of y. */
static void NAME(wide_product)(const float *a, int64_t a_row, const float *b, int64_t b_row, int transposed,
                               const float *bias, float *y, int64_t width, int64_t rows, int64_t inputs, int64_t first,
                               int64_t last, int relu)
{
    float panel[NAME(CHUNK) * PANEL] __attribute__((aligned(64))), row[PANEL] __attribute__((aligned(64)));
    int64_t chunks = (inputs + NAME(CHUNK) - 1) / NAME(CHUNK), groups = (rows + TALL - 1) / TALL;
    for (int64_t j = first; j < last; j += PANEL) {
        int64_t columns = last - j < PANEL ? last - j : PANEL;
        memset(row, 0, sizeof row);
        if (bias)
            memcpy(row, bias + j, 4 * columns);
        for (int64_t k = 0; k < chunks; k++) {
            int64_t from = k * inputs / chunks, count = (k + 1) * inputs / chunks - from;
            if (transposed)
                NAME(pack_transposed)(b + j * b_row + from, b_row, count, columns, panel);
            else
                NAME(pack_panel)(b + from * b_row + j, b_row, count, columns, panel);
            for (int64_t g = 0; g < groups; g++) {
                int64_t r = g * rows / groups, some = (g + 1) * rows / groups - r;
                float *c = y + r * width + j;
                NAME(panel_part)(a + r * a_row + from, a_row, 1, panel, k ? c : row, k ? width : 0, c, width, count,
                                 relu && k == chunks - 1, some, columns);
            }
        }
    }
}

/* y = x @ weights + bias. Arguments: x, weights, bias (or 0), y; n, inputs, outputs, first and last column, whether a
   ReLU follows. */
EXPORT int64_t NAME(wide_forward)(Arguments a)
{
    int64_t n = a[4], inputs = a[5], outputs = a[6];
    NAME(wide_product)(POINTER(const float, 0), inputs, POINTER(const float, 1), outputs, 0, POINTER(const float, 2),
                       POINTER(float, 3), outputs, n, inputs, a[7], a[8], (int)a[9]);
    return 0;
}

/* The gradient of x: gradient @ transposed(weights). Arguments: gradient, weights, the result; n, inputs, outputs, first
   and last column of the result. */
EXPORT int64_t NAME(wide_to_x)(Arguments a)
{
    int64_t n = a[3], inputs = a[4], outputs = a[5];
    NAME(wide_product)(POINTER(const float, 0), outputs, POINTER(const float, 1), outputs, 1, 0, POINTER(float, 2),
                       inputs, n, outputs, a[6], a[7], 0);
    return 0;
}

/* The gradient of the weights, transposed(x) @ gradient, for columns `first` to `last`, row by row. Each row goes to a
   function, such as an optimizer's step, that has the row among its arguments as the second; without one, to an array.
   Arguments: where the address of x is, gradient, a scratch array [n + TALL][columns, rounded up to PANEL]; n, inputs, outputs, first, last, the
   array (or 0); the function, its number of arguments (at most MOST_ARGUMENTS), its arguments for the first row, by how
   much each one grows from row to row. */
EXPORT int64_t NAME(wide_to_weight)(Arguments a)
{
    const float *x = *POINTER(const float *, 0), *gradient = POINTER(const float, 1);
    float *panels = POINTER(float, 2), *result = POINTER(float, 8);
    int64_t n = a[3], inputs = a[4], outputs = a[5], first = a[6], last = a[7], own[MOST_ARGUMENTS];
    int64_t count = (last - first + PANEL - 1) / PANEL, groups = (inputs + TALL - 1) / TALL, width = count * PANEL;
    float *rows = panels + n * width, zeros[PANEL] __attribute__((aligned(64)));
    memset(zeros, 0, sizeof zeros);
    if (!result)
        memcpy(own, a + 11, 8 * a[10]);
    for (int64_t p = 0, j = first; p < count; p++, j += PANEL)
        NAME(pack_panel)(gradient + j, outputs, n, last - j < PANEL ? last - j : PANEL, panels + p * n * PANEL);
    for (int64_t g = 0; g < groups; g++) {
        int64_t i = g * inputs / groups, some = (g + 1) * inputs / groups - i;
        for (int64_t p = 0, j = first; p < count; p++, j += PANEL)
            NAME(panel_part)(x + i, 1, inputs, panels + p * n * PANEL, zeros, 0,
                             result ? result + i * outputs + j : rows + p * PANEL, result ? outputs : width, n, 0, some,
                             last - j < PANEL ? last - j : PANEL);
        for (int64_t r = 0; r < some && !result; r++) {
            own[1] = (int64_t)(intptr_t)(rows + r * width);
            int64_t status = ((Function)(intptr_t)a[9])(own);
            if (status)
                return status;
            for (int64_t k = 0; k < a[10]; k++)
                own[k] += a[11 + a[10] + k];
        }
    }
    return 0;
}

#undef PANEL
#undef TALL
#undef TALL_ROWS

/* Matrix products whose columns fill whole vectors; included by kernels.h. */

/* Rows that are computed together; with two vectors of columns each, they fit into the registers, of which AVX-512 has
   32 and others 16. With fewer sums at a time, additions would wait for each other. */
#if LANES == 16
#define ROWS 8
#else
#define ROWS 6
#endif

/* c (+)= a @ b for `rows` (1, ROWS / 2 or ROWS) rows and `halves` (2, 3 or 4) of half a vector of columns; element (r, i)
   of a is a[r * a_row + i * a_step]. */
ALWAYS_INLINE void NAME(product_tile)(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_row,
                                      float *c, int64_t c_row, int64_t count, int rows, int halves, int add)
{
    V first[ROWS], second[ROWS];
    H half[ROWS];
    _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
    {
        const float *own = c + r * c_row;
        first[r] = add ? *(const V *)own : (V){0};
        second[r] = add && halves == 4 ? *(const V *)(own + LANES) : (V){0};
        half[r] = add && halves == 3 ? *(const H *)(own + LANES) : (H){0};
    }
    for (int64_t i = 0; i < count; i++, a += a_step, b += b_row) {
        V b0 = *(const V *)b, b1 = halves == 4 ? *(const V *)(b + LANES) : (V){0};
        H b2 = halves == 3 ? *(const H *)(b + LANES) : (H){0};
        _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
        {
            first[r] += b0 * a[r * a_row];
            if (halves == 4)
                second[r] += b1 * a[r * a_row];
            if (halves == 3)
                half[r] += b2 * a[r * a_row];
        }
    }
    _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
    {
        float *own = c + r * c_row;
        *(V *)own = first[r];
        if (halves == 4)
            *(V *)(own + LANES) = second[r];
        if (halves == 3)
            *(H *)(own + LANES) = half[r];
    }
}

/* c (+)= a @ b. Where `columns` is no multiple of LANES, b and c have columns up to one; those of c are computed or not. */
ALWAYS_INLINE void NAME(product)(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_row, float *c,
                                 int64_t c_row, int64_t rows, int64_t count, int64_t columns, int add)
{
    for (int64_t j = 0; j < columns; j += 2 * LANES) {
        int64_t r = 0, left = columns - j;
#define TILE(rows, halves)                                                                                             \
    NAME(product_tile)(a + r * a_row, a_row, a_step, b + j, b_row, c + r * c_row + j, c_row, count, rows, halves, add)
#define TILES_OF(halves)                                                                                               \
    do {                                                                                                               \
        for (; r + ROWS <= rows; r += ROWS)                                                                            \
            TILE(ROWS, halves);                                                                                        \
        for (; r + ROWS / 2 <= rows; r += ROWS / 2)                                                                    \
            TILE(ROWS / 2, halves);                                                                                    \
        for (; r < rows; r++)                                                                                          \
            TILE(1, halves);                                                                                           \
    } while (0)
        if (left > LANES + LANES / 2)
            TILES_OF(4);
        else if (left > LANES)
            TILES_OF(3);
        else
            TILES_OF(2);
#undef TILES_OF
#undef TILE
    }
}

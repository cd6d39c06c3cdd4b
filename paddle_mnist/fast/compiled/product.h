/* Matrix products whose columns fill whole vectors; included by kernels.h. */

/* Rows that are computed together; with two vectors of columns each, they fit into the registers. */
#if LANES == 16
#define ROWS 8
#else
#define ROWS 4
#endif

/* c (+)= a @ b for `rows` (1, ROWS / 2 or ROWS) rows and `vectors` (1 or 2) vectors of columns; element (r, i) of a is
   a[r * a_row + i * a_step]. */
ALWAYS_INLINE void NAME(product_tile)(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_row,
                                      float *c, int64_t c_row, int64_t count, int rows, int vectors, int add)
{
    V first[ROWS], second[ROWS];
    for (int r = 0; r < rows; r++) {
        first[r] = add ? *(const V *)(c + r * c_row) : (V){0};
        second[r] = add && vectors == 2 ? *(const V *)(c + r * c_row + LANES) : (V){0};
    }
    for (int64_t i = 0; i < count; i++, a += a_step, b += b_row) {
        V b0 = *(const V *)b, b1 = vectors == 2 ? *(const V *)(b + LANES) : (V){0};
        _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++)
        {
            first[r] += b0 * a[r * a_row];
            if (vectors == 2)
                second[r] += b1 * a[r * a_row];
        }
    }
    for (int r = 0; r < rows; r++) {
        *(V *)(c + r * c_row) = first[r];
        if (vectors == 2)
            *(V *)(c + r * c_row + LANES) = second[r];
    }
}

/* c (+)= a @ b; `columns` in multiples of LANES. */
ALWAYS_INLINE void NAME(product)(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t b_row, float *c,
                                 int64_t c_row, int64_t rows, int64_t count, int64_t columns, int add)
{
    for (int64_t j = 0; j < columns; j += 2 * LANES) {
        int64_t r = 0;
#define TILE(rows, vectors)                                                                                            \
    NAME(product_tile)(a + r * a_row, a_row, a_step, b + j, b_row, c + r * c_row + j, c_row, count, rows, vectors, add)
        if (columns - j >= 2 * LANES) {
            for (; r + ROWS <= rows; r += ROWS)
                TILE(ROWS, 2);
            for (; r + ROWS / 2 <= rows; r += ROWS / 2)
                TILE(ROWS / 2, 2);
            for (; r < rows; r++)
                TILE(1, 2);
        } else {
            for (; r + ROWS <= rows; r += ROWS)
                TILE(ROWS, 1);
            for (; r + ROWS / 2 <= rows; r += ROWS / 2)
                TILE(ROWS / 2, 1);
            for (; r < rows; r++)
                TILE(1, 1);
        }
#undef TILE
    }
}

/* Equal results of a convolution by minimal filtering; included by kernels.h.

   On blank paper a result is the bias, and where a window of pixels is the same as the next one, so are the results.
   Minimal filtering rounds them by their places in a tile. Paddle's are equal to the bit, and a ReLU at zero or a max
   pooling decides by that where gradients go. tiles.h does the same for planes. */

ALWAYS_INLINE int NAME(all_lanes)(I mask)
{
    return NAME(lanes_sum)((V)(mask & (I)((V){0} + 1))) == LANES;
}

/* What is known of a pixel of `channels`, given the next ones. */
ALWAYS_INLINE uint8_t NAME(pixel_ties)(const float *pixel, const float *right, const float *below, int64_t channels)
{
    if (*pixel != 0 && *pixel != *right && *pixel != *below)
        return 0; /* as most are */
    I all[3] = {(I){0} - 1, (I){0} - 1, (I){0} - 1};
    for (int64_t c = 0; c < channels; c += LANES) {
        V own = *(const V *)(pixel + c);
        all[0] &= own == 0;
        all[1] &= own == *(const V *)(right + c);
        all[2] &= own == *(const V *)(below + c);
    }
    return (uint8_t)(IS_ZERO * NAME(all_lanes)(all[0]) | IS_RIGHT * NAME(all_lanes)(all[1]) |
                     IS_BELOW * NAME(all_lanes)(all[2]));
}

/* Which of height×width results of an image are equal: `ties` has a byte for each 2×2 of them, whose rows begin at the even
   ones. `known` are (height + taps) * (width + taps) bytes, `zeros` are x->channels floats. */
static void NAME(find_ties)(const NAME(Maps) *x, int64_t image, int64_t height, int64_t width, int64_t taps,
                            const float *zeros, uint8_t *known, uint8_t *ties)
{
    int64_t rows = height + taps, line = width + taps, channels = x->channels;
    const float *map = x->data + image * x->height * x->width * channels;
#define PIXEL(i, j)                                                                                                    \
    ((i) < 0 || (j) < 0 || (i) >= x->height || (j) >= x->width ? zeros : map + ((i) * x->width + (j)) * channels)
    for (int64_t p = 0; p < rows; p++)
        for (int64_t q = 0; q < line; q++) {
            int64_t i = p - x->top, j = q - x->left;
            known[p * line + q] = NAME(pixel_ties)(PIXEL(i, j), PIXEL(i, j + 1), PIXEL(i + 1, j), channels);
        }
#undef PIXEL
    for (int along = 0; along < 2; along++) /* from pixels to windows of taps×taps, by their first pixels */
        for (int64_t tap = 1, step = along ? line : 1; tap < taps; tap++)
            for (int64_t k = 0; k < rows * line - step; k++)
                known[k] &= known[k + step];
    for (int64_t i = 0; i < height; i += 2)
        for (int64_t j = 0; j < width; j += 2) {
            const uint8_t *own = known + i * line + j, *below = own + line;
            int zeros_below = (below[0] & IS_ZERO) << 2 | (below[1] & IS_ZERO) << 3;
            int is_zero = (own[0] & IS_ZERO) | (own[1] & IS_ZERO) << 1 | zeros_below;
            *ties++ = (uint8_t)(is_zero | (own[0] & IS_RIGHT ? TOP_EQUAL : 0) | (below[0] & IS_RIGHT ? BOTTOM_EQUAL : 0) |
                                (own[0] & IS_BELOW ? LEFT_EQUAL : 0) | (own[1] & IS_BELOW ? RIGHT_EQUAL : 0));
        }
}

/* Make 2×2 results equal, in rows of `side`. */
ALWAYS_INLINE void NAME(settle)(V *results, int side, V bias, int ties)
{
    V *top = results, *bottom = results + side;
    top[0] = ties & 1 ? bias : top[0];
    top[1] = ties & 2 ? bias : ties & TOP_EQUAL ? top[0] : top[1];
    bottom[0] = ties & 4 ? bias : ties & LEFT_EQUAL ? top[0] : bottom[0];
    bottom[1] = ties & 8 ? bias : ties & RIGHT_EQUAL ? top[1] : ties & BOTTOM_EQUAL ? bottom[0] : bottom[1];
}

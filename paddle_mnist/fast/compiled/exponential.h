/* Exponentials of vectors; included by kernels.h.

   exp(x) = 2^n exp(r), where n is x / ln 2 rounded, and |r| is at most half of ln 2. exp(r) is 1 + r + r² q(r); the
   polynomial q was fitted so that the relative error of exp(r) is at most 2^-28. The result is within one unit in the last
   place. It is infinite, zero or NaN where C's expf is. */

/* Added to a number below 2^22, it leaves that number, rounded, in the lowest bits. */
#define ROUNDING 12582912.0f
#define ROUNDING_BITS 0x4B400000

ALWAYS_INLINE V NAME(exponential)(V x)
{
    x = SELECT(x > 89.0f, (V){0} + 89.0f, x); /* neither comparison holds for NaN */
    x = SELECT(x < -104.0f, (V){0} - 104.0f, x);
    V rounded = x * 1.44269504f + ROUNDING, whole = rounded - ROUNDING;
    V r = x - whole * 0.693359375f + whole * 2.12194440e-4f; /* ln 2 in two parts; the first product is exact */
    V q = (((1.381432e-3f * r + 8.368852e-3f) * r + 4.16684e-2f) * r + 0.1666652f) * r + 0.49999994f;
    /* 2^n in two factors: for n from -150 to 128 both are in range, and only the last product is rounded. */
    I n = (I)rounded - ROUNDING_BITS, half = n >> 1, rest = n - half;
    return (r * r * q + r + 1.0f) * (V)((half + 127) << 23) * (V)((rest + 127) << 23);
}

#undef ROUNDING
#undef ROUNDING_BITS

/* y = 1 / (1 + exp(-x)). Arguments: x, y, count. */
EXPORT int64_t NAME(sigmoid_forward)(Arguments a)
{
    const float *x = POINTER(const float, 0);
    float *y = POINTER(float, 1);
    for (int64_t i = 0, count = a[2]; i < count; i += LANES) {
        int64_t some = count - i < LANES ? count - i : LANES;
        V values = {0};
        if (some == LANES)
            values = *(const V *)(x + i);
        else
            memcpy(&values, x + i, 4 * some);
        values = 1.0f / (1.0f + NAME(exponential)(-values));
        if (some == LANES)
            *(V *)(y + i) = values;
        else
            memcpy(y + i, &values, 4 * some);
    }
    return 0;
}

/* Arguments: y, gradient (changed in place), count. */
EXPORT int64_t NAME(sigmoid_backward)(Arguments a)
{
    const float *restrict y = POINTER(const float, 0);
    float *restrict gradient = POINTER(float, 1);
    for (int64_t i = 0, count = a[2]; i < count; i++)
        gradient[i] *= y[i] * (1 - y[i]);
    return 0;
}

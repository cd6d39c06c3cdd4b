/* The kernels for one set of instructions; see kernels.c. No include guard: it is included several times.

   Arrays of maps are float32 [n, height, width, channels], as everywhere in this package. */

typedef float NAME(Vector) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float NAME(Half) __attribute__((vector_size(2 * LANES), aligned(4), may_alias));
typedef int32_t NAME(Integers) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint8_t NAME(Bytes) __attribute__((vector_size(LANES), aligned(1), may_alias));
#define V NAME(Vector)
#define H NAME(Half)
#define I NAME(Integers)
#define B NAME(Bytes)
#define POINTER(type, i) ((type *)(intptr_t)a[i])

/* The even and the odd of two vectors of floats that follow one another, and two vectors from these. */
#if LANES == 16
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* Bytes to lanes, by an array: GCC would convert a vector lane by lane. */
ALWAYS_INLINE I NAME(from_bytes)(const uint8_t *bytes)
{
    int32_t lanes[LANES] __attribute__((aligned(4 * LANES)));
    for (int i = 0; i < LANES; i++)
        lanes[i] = bytes[i];
    return *(const I *)lanes;
}

/* The inverse: GCC has an instruction for it with AVX-512 only. */
ALWAYS_INLINE void NAME(to_bytes)(I lanes, uint8_t *bytes)
{
    int32_t own[LANES] __attribute__((aligned(4 * LANES)));
    *(I *)own = lanes;
    for (int i = 0; i < LANES; i++)
        bytes[i] = (uint8_t)own[i];
}

#include "product.h"

#include "convolution.h"
#include "dense.h"
#include "depthwise.h"
#include "elementwise.h"
#include "exponential.h"
#include "normalization.h"
#include "panels.h"
#include "updates.h"

#include "filters.h"
#include "maps.h"
#include "ties.h"

#define ALGORITHM f23
#define SIDE 2
#define TAPS 3
#define POINTS 4
#include "filtering.h"
#undef ALGORITHM
#undef SIDE
#undef POINTS

#define ALGORITHM f43
#define SIDE 4
#define POINTS 6
#include "filtering.h"
#undef ALGORITHM
#undef TAPS
#undef POINTS

#define ALGORITHM f45
#define TAPS 5
#define POINTS 11
#include "filtering.h"
#undef ALGORITHM
#undef SIDE
#undef TAPS
#undef POINTS

#include "tiles.h"

#undef V
#undef H
#undef I
#undef B
#undef EVEN
#undef ODD
#undef LOW
#undef HIGH
#undef POINTER
#undef ROWS

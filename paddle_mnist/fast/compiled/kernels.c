/* Kernels for blocks of images, compiled for several sets of instructions, and a loop that runs a list of them.

   Every kernel is a function of one array of 64-bit integers: addresses, sizes and offsets, in the order in which the
   function reads them. `run` calls one kernel after the other, so that Python is left, and its lock released, once for
   a whole list. Python finds the functions by their names through ctypes; the module itself has no members.

   kernels.h is included once for each set of instructions, with the names' suffix in SUFFIX. */

#include <Python.h>

#if !defined(__GNUC__)
#error "needs the vector extensions of GCC or Clang; without this module, NumPy and oneDNN do its work"
#endif

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef const int64_t *Arguments;
typedef int64_t (*Function)(Arguments);

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* --- lists of kernels ---------------------------------------------------------------------------------------------- */

/* Call each function with its arguments, `steps` being pairs of addresses; stop at a status other than 0. */
EXPORT int64_t run(Arguments steps, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t status = ((Function)(intptr_t)steps[2 * i])((Arguments)(intptr_t)steps[2 * i + 1]);
        if (status)
            return status;
    }
    return 0;
}

/* Copy equally large arrays to one, one after the other. Arguments: their addresses, the result, how many, bytes of
   each. */
EXPORT int64_t gather(Arguments a)
{
    for (int64_t i = 0; i < a[2]; i++)
        memcpy((char *)(intptr_t)a[1] + i * a[3], (const char *)(intptr_t)((Arguments)(intptr_t)a[0])[i], a[3]);
    return 0;
}

/* oneDNN's dnnl_primitive_execute(primitive, stream, count, arguments). */
EXPORT int64_t primitive(Arguments a)
{
    typedef int (*Execute)(void *, void *, int, void *);
    return ((Execute)(intptr_t)a[0])((void *)(intptr_t)a[1], (void *)(intptr_t)a[2], (int)a[3], (void *)(intptr_t)a[4]);
}

/* --- scratch memory ------------------------------------------------------------------------------------------------ */

/* What a kernel that has too little memory returns. */
enum { NO_MEMORY = -1 };

typedef struct {
    int64_t size;
    char *memory;
} Scratch;

static pthread_key_t scratch_key;

static void free_scratch(void *scratch)
{
    free(((Scratch *)scratch)->memory);
    free(scratch);
}

/* Return `size` floats for the kernel's own use until it returns, aligned to 64 bytes, or NULL. Each thread has its
   own, which stay in the cache of its core, and frees them when it ends. */
static float *scratch(int64_t size)
{
    Scratch *own = pthread_getspecific(scratch_key);
    if (!own) {
        own = calloc(1, sizeof *own);
        if (!own || pthread_setspecific(scratch_key, own))
            return NULL;
    }
    if (own->size < size) {
        free(own->memory);
        own->memory = malloc(4 * size + 64);
        own->size = own->memory ? size : 0;
    }
    return own->memory ? (float *)(((intptr_t)own->memory + 63) / 64 * 64) : NULL;
}

/* Give a kernel an array of as many floats as one of its arguments says. */
#define SCRATCH(name, i)                                                                                               \
    float *name = scratch(a[i]);                                                                                       \
    if (!name)                                                                                                         \
    return NO_MEMORY

/* The arguments of a function that another one calls, at most. */
enum { MOST_ARGUMENTS = 16 };

#include "board.h"

/* --- kernels ------------------------------------------------------------------------------------------------------- */

/* What follows a convolution in the same kernel: POOL is a max pooling of 2×2 windows. */
enum { PLAIN_RESULT, RELU_RESULT, POOL_RESULT, POOL_RELU_RESULT };

/* In ties.h: what is known of a pixel, or of the window of pixels that a result depends on. All are zero, they are the same
   as one column to the right, or as one row below. */
enum { IS_ZERO = 1, IS_RIGHT = 2, IS_BELOW = 4 };

/* Of 2×2 results: which are the bias (bits 0 to 3), and which equal the one on the left or above. */
enum { TOP_EQUAL = 16, BOTTOM_EQUAL = 32, LEFT_EQUAL = 64, RIGHT_EQUAL = 128 };

/* Vectors of images that are known to be blank or not, at most. */
enum { MOST_BLANK = 8192 };

/* Rows of a batch norm whose sums are taken in float32. */
enum { SUMMED = 64 };

#define JOIN_(name, suffix) name##_##suffix
#define JOIN(name, suffix) JOIN_(name, suffix)
#define NAME(name) JOIN(name, SUFFIX)

/* Where the mask is all ones a, where it is zero b. */
#define SELECT(mask, a, b) ((V)(((I)(a) & (mask)) | ((I)(b) & ~(mask))))

/* Load a value once, instead of with every instruction that reads it. */
#if defined(__x86_64__)
#define IN_REGISTER(value) __asm__("" : "+v"(value))
#else
#define IN_REGISTER(value)
#endif

/* The same, and zero where it is not positive. */
#define POSITIVE(a) ((V)((I)(a) & ((a) > 0)))

/* The same, but for NaN, which stays. */
#define NOT_NEGATIVE(a) ((V)((I)(a) & ~((a) < 0)))

typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));

/* LANES: floats in a vector. TILE: channels whose results are computed together, the largest first; with two vectors of
   pixels each, they have to fit into the registers. */
#if defined(__x86_64__) && defined(__linux__)

#define SUFFIX avx512
#define LANES 16
#define TILES(X) X(12) X(10) X(8) X(6) X(4) X(2)
#define TAP_TILES(X) X(5, 5) X(6, 4) X(8, 3) X(10, 2) X(12, 1)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#endif
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef SUFFIX
#undef LANES
#undef TILES
#undef TAP_TILES

#define SUFFIX avx2
#define LANES 8
#define TILES(X) X(6) X(5) X(4) X(3) X(2)
#define TAP_TILES(X) X(2, 5) X(2, 4) X(4, 3) X(5, 2) X(6, 1)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "kernels.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef SUFFIX
#undef LANES
#undef TILES
#undef TAP_TILES

#endif

#define SUFFIX any
#define LANES 4
#define TILES(X) X(6) X(5) X(4) X(3) X(2)
#define TAP_TILES(X) X(2, 5) X(2, 4) X(4, 3) X(5, 2) X(6, 1)
#include "kernels.h"

/* Return which of the sets this processor has: 2 for AVX-512, 1 for AVX2, 0 for none of them. */
EXPORT int64_t instructions(void)
{
#if defined(__x86_64__) && defined(__linux__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

/* Return the checksum of the sources, as setup.py and library.py compute it. */
EXPORT int64_t sources(void)
{
    return (int64_t)SOURCES;
}

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernels", "Functions for ctypes.", -1, NULL, NULL, NULL,
                                    NULL, NULL};

PyMODINIT_FUNC PyInit__kernels(void)
{
    if (pthread_key_create(&scratch_key, free_scratch))
        return PyErr_NoMemory();
    return PyModule_Create(&module);
}

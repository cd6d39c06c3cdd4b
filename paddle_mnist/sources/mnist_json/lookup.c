/* Look up the pixels in the text of a JSON file: a number that was met before is recognised by its bytes.

   MNIST's file has 55 million pixels, but only about 256 distinct texts of numbers. Python parses each of these once,
   strictly (tables.py), and `learn` puts it into a hash table of slots. `look_up` then goes through whole rows of
   pixels, finds each number in the table, and checks that commas and brackets come where a row of 784 needs them. Four
   pixels in five are paper, and most of these follow another one. So the text after a number is first compared with the
   number, its comma and its white space, and then, as white space may vary, with the number and its comma.

   At most WIDTH bytes after the text are read, and nothing is written beyond the pixels: the text ends in a zero byte,
   which equals no number, bracket or space. The interpreter's lock is released, so that another thread can
   decompress. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "number_end needs little-endian words; without this module, Python reads the file"
#endif

enum {
    PIXELS = 784,     /* in a row */
    WORDS = 4,        /* 64-bit words of a number's text */
    WIDTH = 8 * WORDS,
    SLOTS = 4096,     /* a power of two, and a multiple of 256 */
    PROBES = 8,       /* slots that a text may be in: a bound on the search, whatever the file */
    KNOWN = 256       /* is added to an identifier, so that identifier 0 differs from an empty slot */
};

typedef struct {
    uint64_t text[WORDS]; /* padded with zeros */
    uint64_t found;       /* KNOWN + identifier, or 0 */
} Slot;

/* WIDTH bytes of 255, then WIDTH zeros: the bytes that begin n before the middle are a mask for n bytes. */
static uint8_t ones_and_zeros[2 * WIDTH];

static inline uint64_t word(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline int same(const uint8_t *a, const uint8_t *b, size_t size)
{
    for (; size > 8; size -= 8, a += 8, b += 8)
        if (word(a) != word(b))
            return 0;
    return ((word(a) ^ word(b)) & word(ones_and_zeros + WIDTH - size)) == 0;
}

/* Return the end of a number's text: the first comma, closing bracket, space or lower byte. Eight bytes are tested
   together: the highest bit of each byte is set if it is the first such byte (those after it may be wrong). */
static inline const uint8_t *number_end(const uint8_t *at)
{
    const uint64_t each = 0x0101010101010101u, highest = each * 0x80;
    for (;; at += 8) {
        const uint64_t bytes = word(at), comma = bytes ^ each * ',', bracket = bytes ^ each * ']';
        const uint64_t ends =
            (((bytes - each * (' ' + 1)) & ~bytes) | ((comma - each) & ~comma) | ((bracket - each) & ~bracket)) & highest;
        if (ends) {
            const uint64_t first = (ends & (0 - ends)) >> 7; /* 1 in the byte that ends the number */
            return at + (first * 0x0001020304050607u >> 56); /* the index of that byte */
        }
    }
}

static inline const uint8_t *skip_space(const uint8_t *at)
{
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    return at;
}

/* As skip_space, but skips up to three spaces without a branch, which the processor would mispredict where their number
   varies. Where it does not vary, branches are faster. */
static inline const uint8_t *skip_uneven_space(const uint8_t *at)
{
    const int first = at[0] == ' ', second = first & (at[1] == ' '), third = second & (at[2] == ' ');
    return skip_space(at + first + second + third);
}

/* Return the slot that holds a number's text, or the empty slot for it, or NULL if there is neither. */
static inline Slot *find(Slot *table, const uint8_t *number, size_t size)
{
    static const uint64_t FACTORS[WORDS] = {
        0x9E3779B97F4A7C15u, 0xC2B2AE3D27D4EB4Fu, 0x165667B19E3779F9u, 0xD6E8FEB86659FD93u,
    };
    uint64_t text[WORDS], hash = 0;
    for (int i = 0; i < WORDS; i++) {
        text[i] = word(number + 8 * i) & word(ones_and_zeros + WIDTH - size + 8 * i);
        hash ^= text[i] * FACTORS[i];
    }
    hash = (hash ^ hash >> 32) * FACTORS[0] >> 40;
    for (int i = 0; i < PROBES; i++) {
        Slot *slot = table + (hash + i) % SLOTS;
        if (!slot->found || memcmp(slot->text, text, WIDTH) == 0)
            return slot;
    }
    return NULL;
}

/* Look up pixels until one is unknown or misplaced.

   Args:
       table: the slots.
       at: the beginning of a pixel; of a row's first pixel, its bracket.
       end: the end of the text, a zero byte.
       pixels: the output, identifiers.
       capacity: its size.
       done: the number of identifiers in it, before and after the call.

   Returns: the end, or the beginning of the pixel that is unknown or misplaced. */
static const uint8_t *read_rows(
    Slot *table, const uint8_t *at, const uint8_t *end, uint8_t *pixels, Py_ssize_t capacity, Py_ssize_t *done)
{
    Py_ssize_t n = *done;
    int uneven = 0; /* whether white space varies from number to number */
    while (at < end && n < capacity) {
        const uint8_t *number = at;
        const Py_ssize_t remaining = PIXELS - 1 - n % PIXELS; /* pixels of this row after this one */
        if (remaining == PIXELS - 1) {
            if (*at != '[')
                break;
            number = skip_space(at + 1);
        }
        const uint8_t *after = number_end(number);
        if (after - number > WIDTH)
            break;
        const Slot *slot = find(table, number, after - number);
        if (slot == NULL || !slot->found)
            break;
        const uint8_t pixel = (uint8_t)slot->found;

        after = skip_space(after);
        if (*after++ != (remaining ? ',' : ']'))
            break;
        const uint8_t *next = uneven ? skip_uneven_space(after) : skip_space(after);
        if (remaining) {
            Py_ssize_t left = remaining < capacity - n ? remaining : capacity - n;
            const size_t cell = after - number, period = next - number;
            for (; left > 1 && !uneven && same(next, number, period); left--) {
                pixels[n++] = pixel;
                next += period;
            }
            next = skip_space(next);
            for (; left > 1 && same(next, number, cell); left--) {
                pixels[n++] = pixel;
                next = skip_uneven_space(next + cell);
                uneven = 1;
            }
        } else if (next < end) {
            if (*next != ',')
                break;
            next = skip_space(next + 1);
            if (next == end)
                break;
        }
        pixels[n++] = pixel;
        at = next;
    }
    *done = n;
    return at;
}

PyDoc_STRVAR(look_up_doc,
"look_up(table, text, at, end, pixels, done)\n--\n\n"
"Look up pixels in the text of whole rows until one is unknown or misplaced.\n\n"
"Args:\n"
"    table: the numbers learnt, a ``bytearray`` of ``TABLE_SIZE`` bytes, zeros at first.\n"
"    text: rows of pixels, separated by commas, and at least ``WIDTH`` zeros from ``end`` on.\n"
"    at: the index of a pixel's first byte; of a row's first pixel, its bracket.\n"
"    end: the index of the text's end.\n"
"    pixels: the output, a writable array of bytes.\n"
"    done: the number of identifiers in it.\n\n"
"Returns:\n"
"    The number of identifiers in ``pixels``, and the index at which the look-up stopped: the end, or a pixel.\n\n"
"Raises:\n"
"    ValueError: the table has another size, an index is out of range, or no zeros follow the text.\n");

static PyObject *look_up(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer table, text, pixels;
    Py_ssize_t at, end, done;
    if (!PyArg_ParseTuple(args, "y*y*nnw*n", &table, &text, &at, &end, &pixels, &done))
        return NULL;
    PyObject *result = NULL;
    const uint8_t *bytes = text.buf;
    if (table.len != SLOTS * (Py_ssize_t)sizeof(Slot) || at < 0 || at > end || end > text.len - WIDTH || bytes[end] ||
        done < 0 || done > pixels.len) {
        PyErr_SetString(PyExc_ValueError, "look_up got a wrong table, text or index");
    } else {
        const uint8_t *stopped;
        Py_BEGIN_ALLOW_THREADS
        stopped = read_rows(table.buf, bytes + at, bytes + end, pixels.buf, pixels.len, &done);
        Py_END_ALLOW_THREADS
        result = Py_BuildValue("nn", done, (Py_ssize_t)(stopped - bytes));
    }
    PyBuffer_Release(&table);
    PyBuffer_Release(&text);
    PyBuffer_Release(&pixels);
    return result;
}

PyDoc_STRVAR(learn_doc,
"learn(table, number, identifier)\n--\n\n"
"Put a number's text and its pixel's identifier, 0 to 255, into a table; return whether it fitted.\n\n"
"Raises:\n"
"    ValueError: the table has another size.\n"
"    OverflowError: the identifier is not 0 to 255.\n");

static PyObject *learn(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer table, number;
    unsigned char identifier;
    if (!PyArg_ParseTuple(args, "w*y*b", &table, &number, &identifier))
        return NULL;
    PyObject *result = NULL;
    if (table.len != SLOTS * (Py_ssize_t)sizeof(Slot)) {
        PyErr_SetString(PyExc_ValueError, "learn got a table of a wrong size");
    } else {
        Slot *slot = NULL;
        uint8_t text[WIDTH] = {0};
        if (number.len <= WIDTH) {
            memcpy(text, number.buf, number.len);
            slot = find(table.buf, text, number.len);
        }
        if (slot != NULL) {
            memcpy(slot->text, text, WIDTH);
            slot->found = KNOWN + identifier;
        }
        result = PyBool_FromLong(slot != NULL);
    }
    PyBuffer_Release(&table);
    PyBuffer_Release(&number);
    return result;
}

static PyMethodDef methods[] = {
    {"look_up", look_up, METH_VARARGS, look_up_doc},
    {"learn", learn, METH_VARARGS, learn_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_lookup", "The look-up of pixels in the text of a JSON file.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__lookup(void)
{
    memset(ones_and_zeros, 255, WIDTH);
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL &&
        (PyModule_AddIntConstant(module, "TABLE_SIZE", SLOTS * (long)sizeof(Slot)) < 0 ||
         PyModule_AddIntMacro(module, WIDTH) < 0)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}

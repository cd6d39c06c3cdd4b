/* The look-up of pixels in the text of a JSON file: a number met before is known again by its bytes.

   A file of MNIST has 55 million pixels, but only some 256 different texts of numbers. Python parses each of these once,
   strictly (_number_table.py), and `learn` puts it into a table of slots. `look_up` then goes through whole rows of pixels,
   finds each number in the table, and checks that commas and brackets stand where a row of 784 needs them. Four pixels in
   five are paper, and nearly all of these follow another one: so the text behind a number is first compared with the
   number, its comma and its white space, and then, as white space may differ, with the number and its comma.

   Nothing is read beyond WIDTH bytes after the text, and nothing written beyond the pixels: the text ends in a zero byte,
   which no number, bracket or space equals. The interpreter's lock is let go of, so that another thread unpacks meanwhile. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "number_end takes the first byte for the lowest; without this module, NumPy reads the file"
#endif

enum {
    PIXELS = 784,     /* in a row */
    WORDS = 4,        /* 64-bit words of a number's text */
    WIDTH = 8 * WORDS,
    SLOTS = 4096,     /* a power of two, and many times 256 */
    PROBES = 8,       /* slots that one text may stand in: no file can make the search longer */
    KNOWN = 256       /* is added to an identifier, so that an empty slot, all zeros, is told from identifier 0 */
};

typedef struct {
    uint64_t text[WORDS]; /* with zeros after it */
    uint64_t found;       /* KNOWN + identifier, or 0 */
} Slot;

/* The bytes 255, WIDTH times, and after them WIDTH zeros: what begins n bytes before the middle masks n bytes. */
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

/* Return where a number's text ends: at the first space or other byte below it, comma or closing bracket. Eight bytes are
   looked at together: the highest bit of each byte is set if it is the first such byte (behind that, it may be wrong). */
static inline const uint8_t *number_end(const uint8_t *at)
{
    const uint64_t each = 0x0101010101010101u, highest = each * 0x80;
    for (;; at += 8) {
        const uint64_t bytes = word(at), comma = bytes ^ each * ',', bracket = bytes ^ each * ']';
        const uint64_t ends =
            (((bytes - each * (' ' + 1)) & ~bytes) | ((comma - each) & ~comma) | ((bracket - each) & ~bracket)) & highest;
        if (ends) {
            const uint64_t first = (ends & (0 - ends)) >> 7; /* 1 in the byte at which the number ends */
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

/* As skip_space, but up to three spaces are passed without a branch, at which the processor would guess wrongly where
   their number differs from time to time. Where it does not, guessing right is quicker. */
static inline const uint8_t *skip_uneven_space(const uint8_t *at)
{
    const int first = at[0] == ' ', second = first & (at[1] == ' '), third = second & (at[2] == ' ');
    return skip_space(at + first + second + third);
}

/* Return the slot that holds a number's text, or the empty one where it belongs, or NULL if there is neither. */
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

/* Look up pixels, as far as they are known and stand as they should.

   Args:
       table: the slots.
       at: where a pixel begins, the first one of a row with its bracket.
       end: where the text ends, with a zero byte.
       pixels: for the identifiers.
       room: how many there is room for.
       done: how many are there already, and on return, how many are there now.

   Returns: the end; or where the pixel begins that is not known or does not stand as it should. */
static const uint8_t *read_rows(
    Slot *table, const uint8_t *at, const uint8_t *end, uint8_t *pixels, Py_ssize_t room, Py_ssize_t *done)
{
    Py_ssize_t n = *done;
    int uneven = 0; /* whether white space was seen to differ from number to number */
    while (at < end && n < room) {
        const uint8_t *number = at;
        const Py_ssize_t behind = PIXELS - 1 - n % PIXELS; /* so many pixels of this row come after this one */
        if (behind == PIXELS - 1) {
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
        if (*after++ != (behind ? ',' : ']'))
            break;
        const uint8_t *next = uneven ? skip_uneven_space(after) : skip_space(after);
        if (behind) {
            Py_ssize_t left = behind < room - n ? behind : room - n;
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
"Look up pixels in the text of whole rows, as far as they are known and stand as they should.\n\n"
"Args:\n"
"    table: what was learned, a ``bytearray`` of ``TABLE_SIZE`` bytes, zeros at first.\n"
"    text: rows of pixels with commas between them; at ``end`` and after it, ``WIDTH`` zeros at least.\n"
"    at: where in it a pixel begins, the first one of a row with its bracket.\n"
"    end: where the text ends.\n"
"    pixels: where identifiers are put, a writable array of bytes.\n"
"    done: how many are there already.\n\n"
"Returns:\n"
"    How many are there now, and where the look-up stopped: at the end, or at a pixel.\n\n"
"Raises:\n"
"    ValueError: the table has another size, a place is outside, or no zeros follow the text.\n");

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
        PyErr_SetString(PyExc_ValueError, "the table, the text or the places in it are not what look_up needs");
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
"Put a number's text and its pixel's identifier, 0 to 255, into a table; return whether there was room for it.\n\n"
"Raises:\n"
"    ValueError: the table has another size.\n"
"    OverflowError: the identifier is outside 0 to 255.\n");

static PyObject *learn(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer table, number;
    unsigned char identifier;
    if (!PyArg_ParseTuple(args, "w*y*b", &table, &number, &identifier))
        return NULL;
    PyObject *result = NULL;
    if (table.len != SLOTS * (Py_ssize_t)sizeof(Slot)) {
        PyErr_SetString(PyExc_ValueError, "the table is not what learn needs");
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

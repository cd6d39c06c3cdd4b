/* How a leading thread shares work with helpers, without Python's lock; included by kernels.c.

   A board is an array of 64-bit integers that all threads see, each field in a line of the cache of its own. There is at
   most one job on it: lists of steps, which helpers do by themselves, or a call for help with work in Python. A helper
   counts itself among the READERS while it looks at a job; the leading thread waits for them before it puts up another
   one, so that what a helper reads does not change. */

enum { NUMBER, KIND, LISTS, TAKEN, COUNT, DONE, STATUS, READERS };
enum { NO_JOB, STEPS_JOB, PYTHON_JOB };
#define BOARD(field) (board + 8 * (field))
#define LOAD(place) __atomic_load_n(place, __ATOMIC_SEQ_CST)
#define STORE(place, value) __atomic_store_n(place, value, __ATOMIC_SEQ_CST)

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE()
#endif

/* Add `more` to a counter that threads share and return what it was before. */
EXPORT int64_t fetch_add(int64_t *counter, int64_t more)
{
    return __atomic_fetch_add(counter, more, __ATOMIC_SEQ_CST);
}

/* Wait until the counter is at least `least`, for at most `turns` turns; return whether it is. */
EXPORT int64_t wait_for(int64_t *counter, int64_t least, int64_t turns)
{
    for (int64_t i = 0; i < turns; i++) {
        if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) >= least)
            return 1;
        PAUSE();
    }
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE) >= least;
}

/* Do lists of steps that nobody has taken yet, beginning with list `first`. */
static void take_lists(int64_t *board, int64_t first)
{
    Arguments lists = (Arguments)(intptr_t)*BOARD(LISTS); /* pairs of an address of steps and their number */
    int64_t *taken = (int64_t *)(intptr_t)*BOARD(TAKEN), count = *BOARD(COUNT);
    for (int64_t k = 0; k < count; k++) {
        int64_t i = (first + k) % count;
        if (__atomic_exchange_n(taken + i, 1, __ATOMIC_ACQ_REL))
            continue;
        int64_t status = run((Arguments)(intptr_t)lists[2 * i], lists[2 * i + 1]);
        if (status)
            STORE(BOARD(STATUS), status);
        fetch_add(BOARD(DONE), 1);
    }
}

static void post(int64_t *board, int64_t kind, int64_t count)
{
    *BOARD(COUNT) = count;
    STORE(BOARD(DONE), 0);
    STORE(BOARD(STATUS), 0);
    STORE(BOARD(KIND), kind);
    fetch_add(BOARD(NUMBER), 1);
}

/* Take the job off the board once it is done and nobody reads it; return whether that was so within `turns` turns. */
EXPORT int64_t board_close(int64_t *board, int64_t turns)
{
    if (!wait_for(BOARD(DONE), *BOARD(COUNT), turns))
        return 0;
    STORE(BOARD(KIND), NO_JOB);
    for (int64_t i = 0; i < turns; i++) {
        if (!LOAD(BOARD(READERS)))
            return 1;
        PAUSE();
    }
    return 0;
}

/* Put up lists of steps, take part in them, and close the job; see `board_close`. `taken` are `count` numbers. */
EXPORT int64_t board_lead(int64_t *board, int64_t lists, int64_t *taken, int64_t count, int64_t turns)
{
    memset(taken, 0, 8 * count);
    *BOARD(LISTS) = lists;
    *BOARD(TAKEN) = (int64_t)(intptr_t)taken;
    post(board, STEPS_JOB, count);
    take_lists(board, 0);
    return board_close(board, turns);
}

/* Call for help with work in Python. */
EXPORT int64_t board_call(int64_t *board)
{
    post(board, PYTHON_JOB, 0);
    return 0;
}

/* Take part, as one of `threads`, in every job after number `seen`. Return the number of the last one if it calls for
   help in Python, and its complement if none has come for `turns` turns. */
EXPORT int64_t board_follow(int64_t *board, int64_t thread, int64_t threads, int64_t seen, int64_t turns)
{
    while (wait_for(BOARD(NUMBER), seen + 1, turns)) {
        fetch_add(BOARD(READERS), 1);
        seen = LOAD(BOARD(NUMBER));
        int64_t kind = LOAD(BOARD(KIND));
        if (kind == STEPS_JOB && thread < *BOARD(COUNT)) /* else there is less work than threads */
            take_lists(board, thread * *BOARD(COUNT) / threads);
        fetch_add(BOARD(READERS), -1);
        if (kind == PYTHON_JOB)
            return seen;
    }
    return ~seen;
}

#undef BOARD
#undef LOAD
#undef STORE
#undef PAUSE

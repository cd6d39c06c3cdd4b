/* Minimal filtering along one axis (Winograd 1980), for filtering.h and tiles.h; included by kernels.h.

   SIDE results of TAPS taps take POINTS multiplications instead of SIDE * TAPS: pixels and taps are transformed, multiplied
   element by element, and transformed to the results. Each algorithm is three linear functions, and their transposes
   (`_back`) for the way back; elements are `step` apart, and `to_step` in the result. */

/* --- F(2, 3): 4 multiplications instead of 6 (Lavin and Gray 2015) -------------------------------------------------- */

/* 4 pixels to 4 points. */
ALWAYS_INLINE void NAME(f23_input)(const V *d, int step, V *t, int to_step)
{
    V d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    t[0] = d0 - d2;
    t[to_step] = d1 + d2;
    t[2 * to_step] = d2 - d1;
    t[3 * to_step] = d1 - d3;
}

ALWAYS_INLINE void NAME(f23_input_back)(const V *t, int step, V *d, int to_step)
{
    V t0 = t[0], t1 = t[step], t2 = t[2 * step], t3 = t[3 * step];
    d[0] = t0;
    d[to_step] = t1 - t2 + t3;
    d[2 * to_step] = t1 + t2 - t0;
    d[3 * to_step] = -t3;
}

/* 4 points of the products to 2 results. */
ALWAYS_INLINE void NAME(f23_output)(const V *m, int step, V *y, int to_step)
{
    V m1 = m[step], m2 = m[2 * step];
    y[0] = m[0] + m1 + m2;
    y[to_step] = m1 - m2 - m[3 * step];
}

ALWAYS_INLINE void NAME(f23_output_back)(const V *y, int step, V *m, int to_step)
{
    V y0 = y[0], y1 = y[step];
    m[0] = y0;
    m[to_step] = y0 + y1;
    m[2 * to_step] = y0 - y1;
    m[3 * to_step] = -y1;
}

/* 3 taps to 4 points. */
ALWAYS_INLINE void NAME(f23_taps)(const V *g, int step, V *u, int to_step)
{
    V g0 = g[0], g1 = g[step], g2 = g[2 * step];
    u[0] = g0;
    u[to_step] = 0.5f * (g0 + g1 + g2);
    u[2 * to_step] = 0.5f * (g0 - g1 + g2);
    u[3 * to_step] = g2;
}

ALWAYS_INLINE void NAME(f23_taps_back)(const V *u, int step, V *g, int to_step)
{
    V half = 0.5f * (u[step] + u[2 * step]);
    g[0] = u[0] + half;
    g[to_step] = 0.5f * (u[step] - u[2 * step]);
    g[2 * to_step] = half + u[3 * step];
}

/* --- F(4, 3): 6 multiplications instead of 12, by polynomials at 0, 1, -1, 1/2, -2 and infinity ---------------------- */

/* With 2 in the place of 1/2 the largest error is twice as large (Barabasz et al. 2020 compare points). */

/* 6 pixels to 6 points. */
ALWAYS_INLINE void NAME(f43_input)(const V *d, int step, V *t, int to_step)
{
    V d2 = d[2 * step], d3 = d[3 * step], a = d3 - d[step], b = d[4 * step] - d2;
    t[0] = d[0] - d2 + b + 1.5f * a;
    t[to_step] = b + a + 1.5f * (d3 + d2);
    t[2 * to_step] = b - a + 1.5f * (d3 - d2);
    t[3 * to_step] = b + 2 * a;
    t[4 * to_step] = b - 0.5f * a;
    t[5 * to_step] = d[5 * step] - d3 - a + 1.5f * b;
}

ALWAYS_INLINE void NAME(f43_input_back)(const V *t, int step, V *d, int to_step)
{
    V t0 = t[0], t1 = t[step], t2 = t[2 * step], t3 = t[3 * step], t4 = t[4 * step], t5 = t[5 * step];
    V a = 1.5f * t0 + t1 - t2 + 2 * t3 - 0.5f * t4 - t5, b = t0 + t1 + t2 + t3 + t4 + 1.5f * t5;
    d[0] = t0;
    d[to_step] = -a;
    d[2 * to_step] = 1.5f * (t1 - t2) - t0 - b;
    d[3 * to_step] = 1.5f * (t1 + t2) - t5 + a;
    d[4 * to_step] = b;
    d[5 * to_step] = t5;
}

/* 6 points of the products to 4 results. */
ALWAYS_INLINE void NAME(f43_output)(const V *m, int step, V *y, int to_step)
{
    V m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step], sum = m1 + m2, difference = m1 - m2;
    y[0] = m[0] + sum + m3 + m4;
    y[to_step] = difference + 0.5f * m3 - 2 * m4;
    y[2 * to_step] = sum + 0.25f * m3 + 4 * m4;
    y[3 * to_step] = difference + 0.125f * m3 - 8 * m4 + m[5 * step];
}

ALWAYS_INLINE void NAME(f43_output_back)(const V *y, int step, V *m, int to_step)
{
    V y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step], even = y0 + y2, odd = y1 + y3;
    m[0] = y0;
    m[to_step] = even + odd;
    m[2 * to_step] = even - odd;
    m[3 * to_step] = y0 + 0.5f * (y1 + 0.5f * (y2 + 0.5f * y3));
    m[4 * to_step] = y0 - 2 * (y1 - 2 * (y2 - 2 * y3));
    m[5 * to_step] = y3;
}

/* 3 taps to 6 points. */
ALWAYS_INLINE void NAME(f43_taps)(const V *g, int step, V *u, int to_step)
{
    V g0 = g[0], g1 = g[step], g2 = g[2 * step];
    u[0] = g0;
    u[to_step] = (g0 + g2 + g1) * (1 / 3.0f);
    u[2 * to_step] = (g1 - g0 - g2) * (1 / 3.0f);
    u[3 * to_step] = (g0 + 0.5f * (g1 + 0.5f * g2)) * (-16 / 15.0f);
    u[4 * to_step] = (g0 - 2 * (g1 - 2 * g2)) * (1 / 15.0f);
    u[5 * to_step] = g2;
}

ALWAYS_INLINE void NAME(f43_taps_back)(const V *u, int step, V *g, int to_step)
{
    V u1 = u[step] * (1 / 3.0f), u2 = u[2 * step] * (1 / 3.0f), difference = u1 - u2;
    V u3 = u[3 * step] * (-16 / 15.0f), u4 = u[4 * step] * (1 / 15.0f);
    g[0] = u[0] + difference + u3 + u4;
    g[to_step] = u1 + u2 + 0.5f * u3 - 2 * u4;
    g[2 * to_step] = difference + 0.25f * u3 + 4 * u4 + u[5 * step];
}

/* --- F(4, 5), nested: 11 multiplications instead of 20 --------------------------------------------------------------- */

/* Pairs of results and pairs of taps are one F(2, 3), each of whose four products is an F(2, 2) of three
   multiplications, or of two where one tap is left. These are sums, differences and halves only, so that little is lost
   to rounding, unlike with one F(4, 5) of 8 multiplications. */

/* 8 pixels to 11 points. */
ALWAYS_INLINE void NAME(f45_input)(const V *d, int step, V *t, int to_step)
{
#define D(i) d[(i) * step]
    V a0 = D(0) - D(4), a1 = D(1) - D(5), a2 = D(2) - D(6), b0 = D(2) + D(4), b1 = D(3) + D(5), b2 = D(4) + D(6);
    V c0 = D(4) - D(2), c1 = D(5) - D(3), c2 = D(6) - D(4), e0 = D(2) - D(6), e1 = D(3) - D(7);
#undef D
    const V points[11] = {a0 - a1, a1, a1 - a2, b0 - b1, b1, b1 - b2, c0 - c1, c1, c1 - c2, e0 - e1, e1};
    _Pragma("GCC unroll 11") for (int i = 0; i < 11; i++) t[i * to_step] = points[i];
}

ALWAYS_INLINE void NAME(f45_input_back)(const V *t, int step, V *d, int to_step)
{
#define T(i) t[(i) * step]
    V a0 = T(0), a1 = T(1) + T(2) - T(0), a2 = T(2), b0 = T(3), b1 = T(4) + T(5) - T(3), b2 = T(5); /* a2, b2: negative */
    V c0 = T(6), c1 = T(7) + T(8) - T(6), c2 = T(8), e0 = T(9), e1 = T(10) - T(9);
#undef T
    const V pixels[8] = {a0, a1, b0 - a2 - c0 + e0, b1 - c1 + e1, b0 - b2 - a0 + c0 + c2, b1 - a1 + c1, a2 - b2 - c2 - e0,
                         -e1};
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) d[i * to_step] = pixels[i];
}

/* 11 points of the products to 4 results. */
ALWAYS_INLINE void NAME(f45_output)(const V *m, int step, V *y, int to_step)
{
#define M(i) m[(i) * step]
    V a0 = M(0) + M(1), a1 = M(1) - M(2), b0 = M(3) + M(4), b1 = M(4) - M(5), c0 = M(6) + M(7), c1 = M(7) - M(8);
    V e1 = M(10), e0 = M(9) + e1;
#undef M
    const V results[4] = {a0 + b0 + c0, a1 + b1 + c1, b0 - c0 - e0, b1 - c1 - e1};
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) y[i * to_step] = results[i];
}

ALWAYS_INLINE void NAME(f45_output_back)(const V *y, int step, V *m, int to_step)
{
    V y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
    V b0 = y0 + y2, b1 = y1 + y3, c0 = y0 - y2, c1 = y1 - y3;
    const V points[11] = {y0, y0 + y1, -y1, b0, b0 + b1, -b1, c0, c0 + c1, -c1, -y2, -y2 - y3};
    _Pragma("GCC unroll 11") for (int i = 0; i < 11; i++) m[i * to_step] = points[i];
}

/* 5 taps to 11 points. */
ALWAYS_INLINE void NAME(f45_taps)(const V *g, int step, V *u, int to_step)
{
#define G(i) g[(i) * step]
    V even = G(0) + G(4), s0 = 0.5f * (even + G(2)), s1 = 0.5f * (G(1) + G(3));
    V r0 = 0.5f * (even - G(2)), r1 = 0.5f * (G(1) - G(3));
    const V points[11] = {G(0), G(0) + G(1), G(1), s0, s0 + s1, s1, r0, r0 + r1, r1, G(4), G(4)};
#undef G
    _Pragma("GCC unroll 11") for (int i = 0; i < 11; i++) u[i * to_step] = points[i];
}

ALWAYS_INLINE void NAME(f45_taps_back)(const V *u, int step, V *g, int to_step)
{
#define U(i) u[(i) * step]
    V s0 = 0.5f * (U(3) + U(4)), s1 = 0.5f * (U(4) + U(5)), r0 = 0.5f * (U(6) + U(7)), r1 = 0.5f * (U(7) + U(8));
    const V taps[5] = {U(0) + U(1) + s0 + r0, U(1) + U(2) + s1 + r1, s0 - r0, s1 - r1, s0 + r0 + U(9) + U(10)};
#undef U
    _Pragma("GCC unroll 5") for (int i = 0; i < 5; i++) g[i * to_step] = taps[i];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Floats of three sizes in four rounding modes: arithmetic, conversions, flags, texts. */
#include "next.h"

#include <fenv.h>
#include <float.h>
#include <math.h>

static const int modes[] = { FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO };
static const double specials[] = { 0.0,
				   -0.0,
				   1,
				   -1,
				   0.5,
				   1.5,
				   2.5,
				   DBL_MIN,
				   -DBL_MAX,
				   DBL_TRUE_MIN,
				   DBL_EPSILON,
				   INFINITY,
				   -INFINITY,
				   NAN,
				   0x1p31,
				   -0x1p31,
				   0x1p63,
				   0x1p64,
				   0x1.fffffep127,
				   1e-40 };

#define N_SPECIALS (sizeof(specials) / sizeof(specials[0]))

static double number(void)
{
	uint64_t bits = next();
	double d;

	if (bits % 8 == 0)
		return specials[bits / 8 % N_SPECIALS];
	if (bits % 8 < 4) /* of a size that conversions take */
		return (double)(int64_t)(bits >> (bits % 61)) / 1024;
	memcpy(&d, &bits, 8);
	return d;
}

/* The value but for the sign and payload of NaNs, which depend on the order of operands. */
static void sum_double(double d)
{
	if (isnan(d))
		SUM('n');
	else
		SUM(d);
}

static void sum_long(long double d)
{
	if (isnan(d))
		SUM('n');
	else
		sum(&d, 10);
}

static void sum_flags(void)
{
	SUM(fetestexcept(FE_ALL_EXCEPT));
	feclearexcept(FE_ALL_EXCEPT);
}

static void singles(volatile float a, volatile float b)
{
	sum_double(a + b);
	sum_double(a - b);
	sum_double(a * b);
	sum_double(a / b);
	sum_double(sqrtf(a));
	sum_double(rintf(b));
	SUM((a < b) | (a > b) << 1 | (a == b) << 2 | (a != b) << 3 | (a <= b) << 4);
}

static void doubles(volatile double a, volatile double b)
{
	sum_double(a + b);
	sum_double(a - b);
	sum_double(a * b);
	sum_double(a / b);
	sum_double(sqrt(b));
	sum_double(rint(a));
	sum_double(floor(a));
	sum_double(ceil(b));
	sum_double(trunc(b));
	sum_double(nextafter(a, b));
	sum_double((float)a);
	SUM(a < b);
	SUM(isunordered(a, b));
	SUM(isless(b, a));
	SUM(fpclassify(a));
}

static void longs(volatile long double a, volatile long double b)
{
	int exponent;

	sum_long(a + b);
	sum_long(a - b);
	sum_long(a * b);
	sum_long(a / b);
	sum_long(sqrtl(a));
	sum_long(rintl(b));
	sum_long(fmodl(a, b));
	sum_long(remainderl(b, a));
	sum_long(floorl(a));
	sum_long(scalbnl(b, 17));
	sum_long(frexpl(isfinite(a) ? a : 1, &exponent));
	SUM(exponent);
	sum_double((double)a);
	sum_double((float)b);
	SUM(a < b);
	SUM(fpclassify(b));
}

/* In range only: out of it the result is the compiler's choice. */
static void to_integers(volatile double d, volatile long double l)
{
	if (fabs(d) < 0x1p31) {
		SUM((int32_t)d);
		SUM((int32_t)(float)d);
	}
	if (fabs(d) < 0x1p62) {
		SUM((int64_t)d);
		SUM(lrint(d));
		SUM(llrint(d));
	}
	if (fabsl(l) < 0x1p62L) {
		SUM((int64_t)l);
		SUM(lrintl(l));
	}
	if (d >= 0 && d < 0x1p63)
		SUM((uint64_t)d);
}

static void from_integers(volatile uint64_t n)
{
	sum_double((double)(int64_t)n);
	sum_double((double)n);
	sum_double((float)(int32_t)n);
	sum_double((float)n);
	sum_long((long double)n);
	sum_long((long double)(int64_t)n);
}

static void texts(double d)
{
	char s[64];

	snprintf(s, sizeof(s), "%.17g %.3e %a", d, d, d);
	sum(s, strlen(s));
	sum_double(strtod(s, NULL));
	snprintf(s, sizeof(s), "%.21Lg %La", (long double)d / 3, (long double)d / 3);
	sum(s, strlen(s));
	sum_long(strtold(s, NULL));
}

static void functions(double d)
{
	double x = fabs(d) < 1e6 ? d : 0.7;

	sum_double(sin(x));
	sum_double(cos(x));
	sum_double(exp(-fabs(x)));
	sum_double(log(fabs(x) + 1));
	sum_double(pow(fabs(x), 0.3));
	sum_double(atan(x));
	sum_double(tanh(x));
	sum_double(cbrt(x));
	sum_double(hypot(x, 3));
	sum_double(erf(x));
	sum_double(lgamma(fabs(x) + 0.1));
	sum_double(fma(x, x, -0.1));
}

int main(void)
{
	for (unsigned int m = 0; m < 4; m++) {
		char name[32];

		fesetround(modes[m]);
		for (int i = 0; i < 500 * scale(); i++) {
			double a = number(), b = number();

			singles((float)a, (float)b);
			sum_flags();
			doubles(a, b);
			sum_flags();
			longs((long double)a * (1 + LDBL_EPSILON), b);
			sum_flags();
			to_integers(a, b);
			from_integers(next());
			if (i % 8 == 0) {
				texts(a);
				functions(b);
			}
		}
		snprintf(name, sizeof(name), "mode %u", m);
		sum_show(name);
	}
	return 0;
}

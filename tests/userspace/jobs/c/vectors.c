/* SPDX-License-Identifier: Apache-2.0 */
/* SSE to SSE4.2 and MMX by their intrinsics, and the compiler's own vectors. */
#include "next.h"

#include <nmmintrin.h>

#define TARGET __attribute__((target("sse4.2,popcnt,cx16")))

union v {
	__m128i i;
	__m128 s;
	__m128d d;
	uint64_t q[2];
};

static union v random_v(void)
{
	union v v = { .q = { next(), next() } };

	return v;
}

/* Floats of moderate size: no NaN, whose payload depends on the order of operands. */
static union v random_s(void)
{
	union v v;

	v.s = _mm_set_ps((float)(int32_t)next() / 3, (float)(int16_t)next(),
			 (float)(int32_t)next() / 7e9f, (float)(int8_t)next());
	return v;
}

static union v random_d(void)
{
	union v v;

	v.d = _mm_set_pd((double)(int64_t)next() / 3e9, (double)(int32_t)next() / 7);
	return v;
}

#define I(x)                              \
	do {                              \
		union v r = { .i = (x) }; \
		SUM(r.q[0]);              \
		SUM(r.q[1]);              \
	} while (0)
#define S(x)                              \
	do {                              \
		union v r = { .s = (x) }; \
		SUM(r.q[0]);              \
		SUM(r.q[1]);              \
	} while (0)
#define D(x)                              \
	do {                              \
		union v r = { .d = (x) }; \
		SUM(r.q[0]);              \
		SUM(r.q[1]);              \
	} while (0)

TARGET static void integers(__m128i a, __m128i b, __m128i n)
{
	I(_mm_add_epi8(a, b));
	I(_mm_adds_epi8(a, b));
	I(_mm_adds_epu16(a, b));
	I(_mm_sub_epi64(a, b));
	I(_mm_subs_epu8(a, b));
	I(_mm_avg_epu8(a, b));
	I(_mm_avg_epu16(a, b));
	I(_mm_sad_epu8(a, b));
	I(_mm_madd_epi16(a, b));
	I(_mm_maddubs_epi16(a, b));
	I(_mm_mulhi_epu16(a, b));
	I(_mm_mul_epu32(a, b));
	I(_mm_mulhrs_epi16(a, b));
	I(_mm_mullo_epi32(a, b));
	I(_mm_mul_epi32(a, b));
	I(_mm_mullo_epi16(a, b));
	I(_mm_min_epi8(a, b));
	I(_mm_max_epu16(a, b));
	I(_mm_min_epu32(a, b));
	I(_mm_max_epi32(a, b));
	I(_mm_cmpeq_epi8(a, b));
	I(_mm_cmpgt_epi16(a, b));
	I(_mm_cmpgt_epi64(a, b));
	I(_mm_cmpeq_epi64(a, a));
	I(_mm_sll_epi16(a, n));
	I(_mm_srl_epi32(a, n));
	I(_mm_sra_epi32(a, n));
	I(_mm_slli_si128(a, 5));
	I(_mm_srli_epi64(a, 13));
	I(_mm_srai_epi16(a, 3));
	I(_mm_srli_si128(a, 11));
	I(_mm_alignr_epi8(a, b, 7));
	I(_mm_packs_epi16(a, b));
	I(_mm_packus_epi16(a, b));
	I(_mm_packs_epi32(a, b));
	I(_mm_packus_epi32(a, b));
	I(_mm_unpacklo_epi8(a, b));
	I(_mm_unpackhi_epi16(a, b));
	I(_mm_unpacklo_epi64(a, b));
	I(_mm_shuffle_epi8(a, b));
	I(_mm_shuffle_epi32(a, 0x1b));
	I(_mm_shufflehi_epi16(a, 0x6c));
	I(_mm_sign_epi8(a, b));
	I(_mm_abs_epi32(a));
	I(_mm_hadd_epi16(a, b));
	I(_mm_hsubs_epi16(a, b));
	I(_mm_blendv_epi8(a, b, n));
	I(_mm_blend_epi16(a, b, 0x35));
	I(_mm_mpsadbw_epu8(a, b, 5));
	I(_mm_minpos_epu16(a));
	I(_mm_cvtepu8_epi32(a));
	I(_mm_cvtepi16_epi64(a));
	I(_mm_cvtepi32_epi64(b));
	I(_mm_insert_epi8(a, 77, 9));
	I(_mm_insert_epi64(a, -3, 1));
	SUM(_mm_extract_epi16(a, 3));
	SUM(_mm_movemask_epi8(a));
	SUM(_mm_testz_si128(a, b));
	SUM(_mm_testc_si128(a, b));
}

TARGET static void strings(__m128i a, __m128i b)
{
	I(_mm_cmpistrm(a, b, _SIDD_UBYTE_OPS | _SIDD_CMP_EQUAL_ANY | _SIDD_UNIT_MASK));
	I(_mm_cmpestrm(a, 9, b, 13, _SIDD_SWORD_OPS | _SIDD_CMP_RANGES));
	SUM(_mm_cmpistri(a, b, _SIDD_UBYTE_OPS | _SIDD_CMP_EQUAL_EACH | _SIDD_NEGATIVE_POLARITY));
	SUM(_mm_cmpestri(a, 5, b, 16,
			 _SIDD_UBYTE_OPS | _SIDD_CMP_EQUAL_ORDERED | _SIDD_MOST_SIGNIFICANT));
	SUM(_mm_cmpistrz(a, b, _SIDD_UWORD_OPS));
	SUM(_mm_cmpistrc(a, b, _SIDD_SBYTE_OPS | _SIDD_CMP_RANGES));
	SUM(_mm_crc32_u64(_mm_cvtsi128_si64(a), _mm_cvtsi128_si64(b)));
	SUM(_mm_crc32_u8((uint32_t)_mm_cvtsi128_si32(a), 0x5a));
	SUM(_mm_popcnt_u64(_mm_cvtsi128_si64(b)));
}

TARGET static void singles(__m128 a, __m128 b)
{
	S(_mm_add_ps(a, b));
	S(_mm_mul_ps(a, b));
	S(_mm_div_ps(a, b));
	S(_mm_sqrt_ps(_mm_mul_ps(a, a)));
	S(_mm_min_ps(a, b));
	S(_mm_max_ss(a, b));
	S(_mm_cmplt_ps(a, b));
	S(_mm_cmpunord_ss(a, b));
	S(_mm_shuffle_ps(a, b, 0x93));
	S(_mm_unpackhi_ps(a, b));
	S(_mm_movehl_ps(a, b));
	S(_mm_hadd_ps(a, b));
	S(_mm_addsub_ps(a, b));
	S(_mm_dp_ps(a, b, 0xb7));
	S(_mm_blendv_ps(a, b, b));
	S(_mm_insert_ps(a, b, 0x9c));
	S(_mm_floor_ps(a));
	S(_mm_ceil_ps(b));
	S(_mm_round_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
	S(_mm_movehdup_ps(a));
	S(_mm_andnot_ps(a, b));
	I(_mm_cvtps_epi32(a));
	I(_mm_cvttps_epi32(b));
	D(_mm_cvtps_pd(a));
	SUM(_mm_comilt_ss(a, b));
	SUM(_mm_movemask_ps(b));
	SUM(_mm_cvttss_si64(a));
}

TARGET static void doubles(__m128d a, __m128d b)
{
	D(_mm_add_pd(a, b));
	D(_mm_sub_sd(a, b));
	D(_mm_div_pd(a, b));
	D(_mm_sqrt_sd(a, _mm_mul_pd(b, b)));
	D(_mm_min_sd(a, b));
	D(_mm_max_pd(a, b));
	D(_mm_cmpnle_pd(a, b));
	D(_mm_shuffle_pd(a, b, 1));
	D(_mm_hsub_pd(a, b));
	D(_mm_addsub_pd(a, b));
	D(_mm_dp_pd(a, b, 0x31));
	D(_mm_blend_pd(a, b, 2));
	D(_mm_round_sd(a, b, _MM_FROUND_NINT));
	D(_mm_movedup_pd(a));
	D(_mm_xor_pd(a, b));
	S(_mm_cvtpd_ps(a));
	I(_mm_cvtpd_epi32(a));
	D(_mm_cvtepi32_pd(_mm_castpd_si128(b)));
	SUM(_mm_comieq_sd(a, b));
	SUM(_mm_cvtsd_si64(a));
	SUM(_mm_movemask_pd(a));
}

static void mmx(uint64_t x, uint64_t y)
{
	__m64 a = (__m64)x, b = (__m64)y;

	SUM((uint64_t)_mm_adds_pi16(a, b));
	SUM((uint64_t)_mm_madd_pi16(a, b));
	SUM((uint64_t)_mm_packs_pu16(a, b));
	SUM((uint64_t)_mm_sll_pi32(a, (__m64)(y & 31)));
	SUM((uint64_t)_mm_unpacklo_pi8(a, b));
	SUM((uint64_t)_mm_cmpgt_pi32(a, b));
	SUM((uint64_t)_mm_shuffle_pi16(a, 0x4e));
	SUM((uint64_t)_mm_sad_pu8(a, b));
	_mm_empty();
}

/* What the compiler makes vectors of by itself. */
static void loops(int turns)
{
	static float x[1003], y[1003], z[1003];
	static int16_t s[1003], t[1003];

	for (int i = 0; i < 1003; i++) {
		x[i] = (float)(int32_t)next() / 65536;
		y[i] = (float)(int16_t)next();
		s[i] = (int16_t)next();
	}
	for (int turn = 0; turn < turns; turn++) {
		for (int i = 0; i < 1003; i++)
			z[i] = x[i] * y[i] + (y[i] > 0 ? x[i] : -1);
		for (int i = 0; i < 1003; i++)
			t[i] = (int16_t)(s[i] * 3 + (t[i] >> 2) + (s[i] > t[i]));
		for (int i = 1; i < 1003; i++)
			y[i] = z[i - 1] / 65536 + 1;
	}
	sum(z, sizeof(z));
	sum(t, sizeof(t));
}

int main(void)
{
	for (int i = 0; i < 200 * scale(); i++) {
		integers(random_v().i, random_v().i, _mm_set_epi64x(0, (long long)(next() % 20)));
		strings(random_v().i, i % 2 ? random_v().i : _mm_set1_epi8((char)next()));
		singles(random_s().s, random_s().s);
		doubles(random_d().d, random_d().d);
		mmx(next(), next());
	}
	sum_show("intrinsics");
	loops(20 * scale());
	sum_show("loops");
	return 0;
}

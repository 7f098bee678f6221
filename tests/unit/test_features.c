/* SPDX-License-Identifier: Apache-2.0 */
/* The list of features is whole, and its names and texts fit wherever they are written. */
#include "lib/features/feature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* A word of a command line, of JSON and of a manual page alike. */
static void assert_name(const char *name)
{
	assert_non_null(name);
	assert_in_range(strlen(name), 2, 15);
	assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
}

/* One line of printable ASCII that breaks no table, no JSON and no manual page. */
static void assert_text(const char *text)
{
	assert_non_null(text);
	assert_in_range(strlen(text), 3, 85);
	assert_true(*text != '.' && *text != '\'');
	for (; *text; text++)
		assert_true(*text >= ' ' && *text <= '~' && !strchr("\"\\|<>*_`", *text));
}

static void test_claims_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CLAIMS; i++) {
		assert_name(claims[i].name);
		assert_text(claims[i].means);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(claims[i].name, claims[k].name);
	}
}

static void test_features_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FEATURES; i++) {
		const struct feature *f = &features[i];

		assert_name(f->name);
		assert_text(f->what);
		assert_text(f->process);
		assert_text(f->surface);
		assert_int_equal(f->gives_up >> N_CLAIMS, 0);
		if (f->note)
			assert_text(f->note);
	}
}

/* Neighbours are given up by nothing: there is no such choice. Containment is by one, of what another's
 * program serves. */
static void test_what_is_given_up_has_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FEATURES; i++) {
		const struct feature *f = &features[i];

		if (f->gives_up || f->status == FEATURE_EXPERIMENTAL)
			assert_non_null(f->note);
		assert_int_equal(feature_gives_up(f, CLAIM_CONTAINMENT),
				 i == FEATURE_FOREIGN_DISK || i == FEATURE_FOREIGN_NET);
		assert_false(feature_gives_up(f, CLAIM_NEIGHBOURS));
	}
	assert_true(feature_gives_up(&features[FEATURE_RAW_TERMINAL], CLAIM_TERMINAL));
	assert_false(feature_gives_up(&features[FEATURE_SAFE_TERMINAL], CLAIM_TERMINAL));
}

/* What `--accel auto` may come to needs no leave. */
static void test_both_accelerators_are_supported(void **state)
{
	(void)state;
	assert_int_equal(features[FEATURE_KVM].status, FEATURE_SUPPORTED);
	assert_int_equal(features[FEATURE_SOFT].status, FEATURE_SUPPORTED);
}

static void test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FEATURES; i++) {
		const char *name = features[i].name;

		assert_ptr_equal(feature_find(name, strlen(name)), &features[i]);
	}
	assert_ptr_equal(feature_find("kvm,soft", 3), &features[FEATURE_KVM]);
	assert_null(feature_find("kvm", 2));
	assert_null(feature_find("kvmm", 4));
	assert_null(feature_find("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_are_whole),
		cmocka_unit_test(test_features_are_whole),
		cmocka_unit_test(test_what_is_given_up_has_a_reason),
		cmocka_unit_test(test_both_accelerators_are_supported),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers of single values. 0, or -EINVAL with *ret untouched. */
#ifndef BULKHEAD_OPTIONS_VALUES_H
#define BULKHEAD_OPTIONS_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of a text. */
struct span {
	const char *at;
	size_t len;
};

struct span span_of(const char *text);
bool span_is(struct span s, const char *text);
/* Takes what is before the first c off *rest, and the c; all of it when there is no c. */
struct span span_cut(struct span *rest, char c);

/* on or off */
[[nodiscard]] int value_onoff(struct span s, bool *ret);
/* Decimal digits between min and max. */
[[nodiscard]] int value_number(struct span s, uint64_t min, uint64_t max, uint64_t *ret);
/* The same with K, M or G behind it, of 1024; bytes without. */
[[nodiscard]] int value_size(struct span s, uint64_t min, uint64_t max, uint64_t *ret);
/* Six bytes in hexadecimal, two digits each, with colons between them: an Ethernet address, neither zero nor
 * of a group. The first is the most significant. */
[[nodiscard]] int value_mac(struct span s, uint64_t *ret);
/* The index of s among n words. */
[[nodiscard]] int value_choice(struct span s, const char *const *words, size_t n,
			       unsigned int *ret);

#endif

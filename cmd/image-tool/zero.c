/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes are zeroes; see zero.h. */
#include "cmd/image-tool/zero.h"

#include <stdint.h>
#include <string.h>

#define STEP 256U

/* Without a branch for each, so that the compiler may use its widest registers. */
static bool step_is_zero(const uint8_t *at)
{
	uint64_t word[STEP / 8], any = 0;

	memcpy(word, at, STEP);
	for (size_t i = 0; i < STEP / 8; i++)
		any |= word[i];
	return !any;
}

static bool zero_is(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	/* most blocks that hold anything hold it at once */
	for (; len >= STEP; at += STEP, len -= STEP)
		if (!step_is_zero(at))
			return false;
	for (; len; at++, len--)
		if (*at)
			return false;
	return true;
}

size_t zero_run(const void *bytes, size_t len, size_t block, bool *ret_zero)
{
	const uint8_t *at = bytes;
	size_t done = len < block ? len : block;

	*ret_zero = zero_is(at, done);
	while (done < len) {
		size_t n = len - done < block ? len - done : block;

		if (zero_is(at + done, n) != *ret_zero)
			break;
		done += n;
	}
	return done;
}

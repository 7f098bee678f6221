/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket; see bucket.h. */
#include "lib/base/bucket.h"

struct bucket bucket_full(uint32_t size, uint64_t every_ns, uint64_t now_ns)
{
	return (struct bucket){
		.size = size, .every_ns = every_ns, .left = size, .since_ns = now_ns
	};
}

/* A full one gathers nothing: the next interval begins when one is taken. */
static void refill(struct bucket *b, uint64_t now_ns)
{
	uint64_t more = now_ns > b->since_ns ? (now_ns - b->since_ns) / b->every_ns : 0;

	if (more >= b->size - b->left) {
		b->left = b->size;
		b->since_ns = now_ns > b->since_ns ? now_ns : b->since_ns;
	} else {
		b->left += (uint32_t)more;
		b->since_ns += more * b->every_ns;
	}
}

bool bucket_has(struct bucket *b, uint64_t now_ns)
{
	refill(b, now_ns);
	return b->left > 0;
}

bool bucket_take(struct bucket *b, uint64_t now_ns)
{
	if (!bucket_has(b, now_ns))
		return false;
	b->left--;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A user's subordinate ids; see subid.h. */
#include "lib/sandbox/subid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct piece {
	const char *at;
	size_t len;
};

/* What comes before the next `end`, or before the text's end; takes both off the text. False when
 * nothing is left. */
static bool next_piece(struct piece *text, char end, struct piece *ret)
{
	const char *stop;

	if (!text->at)
		return false;
	stop = text->len ? memchr(text->at, end, text->len) : NULL;
	*ret = (struct piece){ text->at, stop ? (size_t)(stop - text->at) : text->len };
	text->at = stop ? stop + 1 : NULL;
	text->len -= ret->len + (stop != NULL);
	return true;
}

/* Digits alone: no sign, no space, no other base. */
static bool to_number(const struct piece *p, uint32_t *ret)
{
	uint64_t n = 0;

	if (p->len == 0 || p->len > 10)
		return false;
	for (size_t i = 0; i < p->len; i++) {
		if (p->at[i] < '0' || p->at[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(p->at[i] - '0');
	}
	if (n > UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static bool is_text(const struct piece *p, const char *text)
{
	return p->len == strlen(text) && memcmp(p->at, text, p->len) == 0;
}

/* ---- passwd ---- */

static bool is_entry_of(struct piece line, uid_t uid, struct piece *ret_name)
{
	struct piece password, number;
	uint32_t n;

	return next_piece(&line, ':', ret_name) && ret_name->len > 0 &&
	       next_piece(&line, ':', &password) && next_piece(&line, ':', &number) &&
	       to_number(&number, &n) && n == uid;
}

int subid_user_name(const char *text, size_t len, uid_t uid, char *ret, size_t cap)
{
	struct piece all = { text, len }, line, name;

	while (next_piece(&all, '\n', &line)) {
		if (!is_entry_of(line, uid, &name))
			continue;
		if (name.len >= cap || memchr(name.at, '\0', name.len))
			return -ENOENT;
		memcpy(ret, name.at, name.len);
		ret[name.len] = '\0';
		return 0;
	}
	return -ENOENT;
}

/* ---- subuid, subgid ---- */

static bool is_user(const struct piece *who, const char *name, uid_t uid)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", uid);
	return (name && is_text(who, name)) || is_text(who, number);
}

static bool may_be_taken(const struct subid_range *r, uint32_t own)
{
	return r->count > 0 && r->first >= SUBID_LEAST && r->count <= UINT32_MAX - r->first &&
	       (own < r->first || own - r->first >= r->count);
}

static bool parse_line(struct piece line, const char *name, uid_t uid, struct subid_range *ret)
{
	struct piece who, first, count;

	return next_piece(&line, ':', &who) && who.len > 0 && is_user(&who, name, uid) &&
	       next_piece(&line, ':', &first) && next_piece(&line, ':', &count) && !line.at &&
	       to_number(&first, &ret->first) && to_number(&count, &ret->count);
}

static bool overlaps(const struct subid_ranges *all, const struct subid_range *r)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct subid_range *o = &all->range[i];

		if (o->first < r->first + r->count && r->first < o->first + o->count)
			return true;
	}
	return false;
}

void subid_parse(const char *text, size_t len, const char *name, uid_t uid, uint32_t own,
		 struct subid_ranges *ret)
{
	struct piece all = { text, len }, line;
	struct subid_range r;

	ret->n = 0;
	while (ret->n < SUBID_MAX_RANGES && next_piece(&all, '\n', &line))
		if (parse_line(line, name, uid, &r) && may_be_taken(&r, own) && !overlaps(ret, &r))
			ret->range[ret->n++] = r;
}

/* ---- blocks ---- */

static uint64_t first_block(const struct subid_range *r)
{
	return ((uint64_t)r->first + SUBID_BLOCK - 1) / SUBID_BLOCK;
}

static uint32_t blocks_of(const struct subid_range *r, uint32_t used)
{
	uint64_t first = first_block(r) * SUBID_BLOCK, end = (uint64_t)r->first + r->count;

	return end < first + used ? 0 : (uint32_t)((end - first - used) / SUBID_BLOCK + 1);
}

_Static_assert(SUBID_MAX_RANGES <= SUBID_BLOCK, "all blocks of all ranges can be counted");

uint32_t subid_count_blocks(const struct subid_ranges *r, uint32_t used)
{
	uint32_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += blocks_of(&r->range[i], used);
	return n;
}

uint32_t subid_block(const struct subid_ranges *r, uint32_t used, uint32_t i)
{
	size_t k = 0;

	for (; k + 1 < r->n && i >= blocks_of(&r->range[k], used); k++)
		i -= blocks_of(&r->range[k], used);
	return (uint32_t)(first_block(&r->range[k]) + i) * SUBID_BLOCK;
}

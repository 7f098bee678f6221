/* SPDX-License-Identifier: Apache-2.0 */
/* Decoded blocks; see cache.h. */
#include "cmd/vmm/accel/soft/cache.h"

#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/dma.h"
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/soft_mem.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct block {
	uint64_t key; /* physical address, and code mode + 1; 0: none */
	const struct soft_insn *first;
	struct soft_page *page;
	uint32_t version;
};

/* A page that blocks were looked for in, since the ways to code were last forgotten. */
struct fetch {
	uint64_t generation; /* of these: soft_cache.fetch_generation; 0: none */
	uint64_t tag;	     /* linear page | mmu */
	uint64_t gpa;
	const uint8_t *host;
	struct soft_page *page;
};

/* A kernel's way of one packet through its network takes some 150 pages. */
#define FETCHES 512
#define LIVE_PAGES 256
#define WAYS 2 /* blocks whose keys have one hash */

/* A page that some fetch has been for since then. */
struct live {
	struct soft_page *page;
	const uint8_t *host;
	uint64_t gpa;
};

struct soft_cache {
	struct block blocks[SOFT_CACHE_BLOCKS / WAYS][WAYS]; /* the one made last comes first */
	size_t n_insns;
	uint64_t fetch_generation;
	struct fetch fetches[FETCHES];
	size_t n_live;
	struct live live[LIVE_PAGES]; /* some more than once */
	struct soft_insn across[2];   /* an instruction on two pages: decoded anew each time */
	struct soft_insn insns[SOFT_CACHE_INSNS + 2 * SOFT_BLOCK_MAX];
};

static_assert(sizeof(struct soft_cache) <= SOFT_CACHE_BYTES, "what docs/soft-cpu.md says");

static enum soft_code_mode code_mode(const struct soft_cpu *c)
{
	return c->long64 ? CODE_64 : c->code32 ? CODE_32 : CODE_16;
}

int soft_cache_create(struct soft_cpu *c)
{
	/* pages that are never used cost nothing */
	void *p = mmap(NULL, sizeof(struct soft_cache), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	c->cache = p;
	soft_cache_clear(c);
	return 0;
}

void soft_cache_free(struct soft_cpu *c)
{
	if (c->cache)
		munmap(c->cache, sizeof(*c->cache));
	c->cache = NULL;
}

void soft_cache_clear(struct soft_cpu *c)
{
	if (c->cache->n_insns) /* else there is no block, and a new cache's pages stay untouched */
		memset(c->cache->blocks, 0, sizeof(c->cache->blocks));
	c->cache->n_insns = 0;
	c->code_generation = 0; /* blocks are gone: no key may live on */
	soft_fetch_flush(c);
}

void soft_fetch_flush(struct soft_cpu *c)
{
	soft_jumps_forget(c);
	c->cache->fetch_generation++;
	c->cache->n_live = 0;
}

void soft_code_recheck(struct soft_cpu *c)
{
	const struct soft_cache *cache = c->cache;

	for (size_t i = 0; i < cache->n_live; i++)
		soft_dma_check(c->vm, cache->live[i].page, cache->live[i].host, cache->live[i].gpa);
	soft_dma_settle(c->vm);
}

static void note_live(struct soft_cpu *c, const struct fetch *f)
{
	struct soft_cache *cache = c->cache;

	if (cache->n_live == LIVE_PAGES)
		soft_fetch_flush(c);
	cache->live[cache->n_live++] = (struct live){ f->page, f->host, f->gpa };
}

void soft_serialise(struct soft_cpu *c)
{
	soft_dma_possible(c->vm);
	soft_fetch_flush(c);
}

/* What jumps[].page points to when there is no block: its version never matches. */
static const struct soft_page no_page = { .version = 1 };

/* Keys carry a generation of 12 bits above the address; 0 and 0xfff stand in no live key, so that
 * no address makes an empty entry match. */
void soft_jumps_forget(struct soft_cpu *c)
{
	uint64_t mode = code_mode(c) | (c->mmu == MMU_USER ? 4 : 0);

	c->code_generation = (c->code_generation + 1) & 0xfff;
	if (c->code_generation == 0 || c->code_generation == 0xfff || c->code_generation == 1) {
		c->code_generation = 1;
		for (size_t i = 0; i < SOFT_JUMPS; i++)
			c->jumps[i] = (struct soft_jump){ .key = UINT64_MAX, .page = &no_page };
	}
	c->code_key = (uint64_t)(c->code_generation << 4 | mode) << 48;
}

void soft_jumps_mode(struct soft_cpu *c)
{
	uint64_t mode = code_mode(c) | (c->mmu == MMU_USER ? 4 : 0);

	if (!c->long64) /* the code segment's base and limit count too */
		soft_jumps_forget(c);
	else
		c->code_key = (uint64_t)(c->code_generation << 4 | mode) << 48;
}

static uint64_t linear_rip(struct soft_cpu *c)
{
	if (c->long64) {
		if ((uint64_t)((int64_t)(c->rip << 16) >> 16) != c->rip)
			soft_raise_error(c, EX_GP, 0);
		return c->rip;
	}
	if (c->rip > c->seg[S_CS].limit)
		soft_raise_error(c, EX_GP, 0);
	return (uint32_t)(c->seg[S_CS].base + c->rip);
}

static const struct fetch *fetch_page(struct soft_cpu *c, uint64_t linear)
{
	uint64_t tag = (linear & ~0xfffULL) | c->mmu;
	struct fetch *f = &c->cache->fetches[(linear >> 12) % FETCHES];

	if (f->tag == tag && f->generation == c->cache->fetch_generation)
		return f;
	f->generation = 0; /* a fault may leave from here */
	f->host = soft_fetch_page(c, linear, &f->gpa);
	f->page = soft_page_of_host(c->vm, f->host);
	soft_dma_check(c->vm, f->page, f->host, f->gpa);
	soft_dma_settle(c->vm);
	note_live(c, f);
	f->tag = tag;
	f->generation = c->cache->fetch_generation;
	return f;
}

/* An instruction that begins on this page and ends on the next. */
static enum soft_decode decode_across(struct soft_cpu *c, uint64_t linear, const uint8_t *here,
				      size_t n, struct soft_insn *ret)
{
	uint8_t bytes[SOFT_INSN_MAX];
	uint64_t gpa;
	const uint8_t *next = soft_fetch_page(c, (linear | 0xfff) + 1, &gpa);
	struct soft_page *page = soft_page_of_host(c->vm, next);

	(void)soft_page_make_code(c, page);
	memcpy(bytes, here, n);
	memcpy(bytes + n, next, SOFT_INSN_MAX - n);
	return soft_decode(code_mode(c), bytes, sizeof(bytes), ret);
}

/* Decodes from linear on. An instruction that crosses pages is a block of its own that is used once:
 * its second page may be mapped elsewhere next time. */
static const struct soft_insn *decode_block(struct soft_cpu *c, const struct fetch *f,
					    uint64_t linear, bool *ret_keep)
{
	struct soft_insn *first = &c->cache->insns[c->cache->n_insns];
	struct soft_insn *i = first;
	size_t at = linear & 0xfff;
	enum soft_decode r = DECODE_OK;

	*ret_keep = true;
	while (r == DECODE_OK && i - first < SOFT_BLOCK_MAX) {
		r = soft_decode(code_mode(c), f->host + at, 4096 - at, i);
		if (r == DECODE_SHORT) {
			if (i != first)
				break; /* comes as the next block */
			i = c->cache->across;
			(void)decode_across(c, linear, f->host + at, 4096 - at, i);
			i->next = (uint16_t)(at + i->len);
			i[1] = (struct soft_insn){ .fn = op_leave };
			*ret_keep = false;
			return i;
		}
		at += i->len;
		i->next = (uint16_t)at;
		soft_link_prepare(i);
		i++;
		if (at >= 4096)
			break;
	}
	soft_mark_flags(first, (size_t)(i - first));
	*i++ = (struct soft_insn){ .fn = op_leave };
	c->cache->n_insns += (size_t)(i - first);
	return first;
}

/* Enters a block, and lets soft_follow find it from now on. */
static const struct soft_insn *enter(struct soft_cpu *c, const struct block *b)
{
	c->jumps[SOFT_JUMP_SLOT(c->rip)] =
		(struct soft_jump){ c->rip ^ c->code_key, b->first, b->page, b->version };
	soft_enter(c, b->first, b->page, b->version);
	return b->first;
}

static struct block *blocks_of(struct soft_cpu *c, uint64_t key)
{
	return c->cache->blocks[(key * 0x9e3779b97f4a7c15) >> 32 & (SOFT_CACHE_BLOCKS / WAYS - 1)];
}

static const struct block *find_block(const struct block set[WAYS], uint64_t key, uint32_t version)
{
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].key == key && set[i].version == version)
			return &set[i];
	return NULL;
}

static const struct block *keep_block(struct block set[WAYS], const struct block *b)
{
	if (set[0].key != b->key)
		set[1] = set[0];
	set[0] = *b;
	return &set[0];
}
static_assert(WAYS == 2);

const struct soft_insn *soft_block_at(struct soft_cpu *c)
{
	uint64_t linear = linear_rip(c);
	const struct fetch *f = fetch_page(c, linear);
	uint64_t key = ((f->gpa & ~0xfffULL) | (linear & 0xfff)) << 2 | (code_mode(c) + 1U);
	struct block *set = blocks_of(c, key);
	uint32_t version = atomic_load_explicit(&f->page->version, memory_order_acquire);
	const struct block *b = find_block(set, key, version);
	const struct soft_insn *first;
	bool keep;

	if (b)
		return enter(c, b);
	if (c->cache->n_insns >= SOFT_CACHE_INSNS) {
		soft_cache_clear(c);
		return soft_block_at(c);
	}
	version = soft_page_make_code(c, f->page);
	first = decode_block(c, f, linear, &keep);
	if (!keep) {
		soft_enter(c, first, f->page, version);
		return first;
	}
	return enter(c, keep_block(set, &(struct block){ key, first, f->page, version }));
}

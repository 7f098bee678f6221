/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's state outside of its process; see page.h. */
#include "cmd/dev-console/page.h"

#include "cmd/dev-console/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define IMAGE struct console_image
#define DONE_BITS 0x1ffffffU

static const struct state_field fields[] = {
	UART_STATE(IMAGE, uart),
	VIRTIO_CONSOLE_STATE(IMAGE, virtio),
	STATE_BITS(IMAGE, done, DONE_BITS),
	STATE_ANY(IMAGE, out_tail),
	STATE_ANY(IMAGE, in_head),
	STATE_BOOL(IMAGE, peer),
};

static const char *check(const void *image)
{
	return uart_image_check(&((const IMAGE *)image)->uart);
}

_Static_assert(sizeof(struct console_page) <= CONSOLE_STATE_SIZE, "what its supervisor makes");

const struct state_schema console_schema = {
	.name = "dev-console",
	.version = 1,
	.size = sizeof(IMAGE),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
	.check = check,
};

int console_page_map(int fd, struct console_page **ret)
{
	void *page = NULL;
	int r = fd_map_shared(fd, sizeof(**ret), &page);

	if (r == 0)
		*ret = page;
	return r;
}

/* A slot has room for all of it: test_console_page holds that. */
void console_page_begin(struct console_page *p)
{
	for (size_t i = 0; i < 2; i++)
		(void)!state_save_header(&console_schema, p->slots[i], sizeof(p->slots[i]));
}

void console_page_keep(struct console_page *p, const IMAGE *image)
{
	uint64_t next = atomic_load_explicit(&p->sequence, memory_order_relaxed) + 1;

	next += next == 0; /* a predecessor's lie */
	(void)!state_save_fields(&console_schema, image, p->slots[next & 1] + STATE_HEADER_LEN,
				 sizeof(p->slots[0]) - STATE_HEADER_LEN);
	atomic_store_explicit(&p->sequence, next, memory_order_release);
}

int console_page_load(const struct console_page *p, IMAGE *ret, char why[STATE_WHY_MAX])
{
	uint64_t sequence = atomic_load(&p->sequence);
	uint8_t slot[CONSOLE_SLOT_LEN];
	int r;

	if (!sequence)
		return 0;
	memcpy(slot, p->slots[sequence & 1], sizeof(slot));
	r = state_load(&console_schema, slot, state_wire_len(&console_schema), ret, why);
	return r < 0 ? r : 1;
}

void console_page_clear(struct console_page *p)
{
	atomic_store(&p->sequence, 0);
	memset(p->slots, 0, sizeof(p->slots));
	memset(&p->stream, 0, sizeof(p->stream));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's state outside of its process; see page.h. */
#include "cmd/dev-console/page.h"

#include "cmd/dev-console/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

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

void console_page_begin(struct console_page *p)
{
	kept_begin(&p->kept, &console_schema);
}

void console_page_keep(struct console_page *p, const IMAGE *image)
{
	kept_keep(&p->kept, &console_schema, image);
}

int console_page_load(const struct console_page *p, IMAGE *ret, char why[STATE_WHY_MAX])
{
	return kept_load(&p->kept, &console_schema, ret, why);
}

void console_page_clear(struct console_page *p)
{
	kept_clear(&p->kept);
	memset(&p->stream, 0, sizeof(p->stream));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the firmware's platform; see registers.h. */
#include "cmd/dev-firmware/registers.h"

#include "lib/base/cleanup.h"
#include "lib/base/log.h"

#include <string.h>

#define IMAGE struct registers_image
#define NS_PER_S 1000000000U

/* ---- what outlives the process ---- */

static const struct state_field fields[] = {
	STATE_ANY(IMAGE, number),
	STATE_ANY(IMAGE, id),
	STATE_BOOL(IMAGE, is_read),
	STATE_RANGE(IMAGE, index, 0, CMOS_INDEX_MASK),
	STATE_RANGE(IMAGE, offset, 0, FWCFG_IMAGE_SIZE),
	STATE_RANGE(IMAGE, before, 0, FWCFG_IMAGE_SIZE),
	STATE_ANYS(IMAGE, cmos),
};

const struct state_schema registers_schema = {
	.name = "dev-firmware",
	.version = 1,
	.size = sizeof(IMAGE),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
};

static void keep(struct registers *r)
{
	IMAGE image = { .number = r->items.number,
			.id = r->id,
			.is_read = r->is_read,
			.index = r->cmos.index,
			.offset = r->items.offset,
			.before = r->before };

	memcpy(image.cmos, r->cmos.ram, sizeof(image.cmos));
	kept_keep(r->kept, &registers_schema, &image);
}

static void reset(struct registers *r)
{
	items_select(&r->items, FWCFG_SIGNATURE);
	cmos_reset(&r->cmos, r->items.image + FWCFG_CMOS_AT);
	r->is_read = false;
	r->id = 0;
	r->before = 0;
}

static void take(struct registers *r, const IMAGE *image)
{
	r->items.number = image->number;
	r->items.offset = image->offset;
	r->is_read = image->is_read;
	r->id = image->id;
	r->before = image->before;
	r->cmos.index = image->index;
	memcpy(r->cmos.ram, image->cmos, sizeof(image->cmos));
}

/* As after power-on, where nothing is kept or nothing that can be. */
static void begin(struct registers *r)
{
	char why[STATE_WHY_MAX];
	IMAGE image;
	int kept = kept_load(r->kept, &registers_schema, &image, why);

	if (kept < 0) {
		log_warning("what is kept of the registers cannot be (%s): they start anew", why);
		kept_clear(r->kept);
	}
	kept_begin(r->kept, &registers_schema);
	reset(r);
	if (kept > 0)
		take(r, &image);
}

/* ---- registers ---- */

static uint64_t timer(const struct registers *r)
{
	const uint64_t ns = r->clock(CLOCK_MONOTONIC);

	return (ns / NS_PER_S * PM_TIMER_HZ + ns % NS_PER_S * PM_TIMER_HZ / NS_PER_S) &
	       PM_TIMER_MASK;
}

static uint64_t on_read(void *owner, uint32_t region, uint64_t offset, unsigned int width)
{
	struct registers *r = owner;

	if (region != 0)
		return 0; /* nothing is known to be done */
	if (offset == FWREGS_TIMER && width == 4)
		return timer(r);
	if (offset == FWREGS_CMOS + 1 && width == 1)
		return cmos_read(&r->cmos, r->clock(CLOCK_REALTIME));
	return UINT64_MAX;
}

/* One that its client sends again, since it has not heard the answer, is the same access. */
static bool on_read_run(void *owner, uint32_t region, uint64_t offset, uint8_t *data, uint32_t len)
{
	struct registers *r = owner;

	if (region != 0 || offset != FWREGS_DATA || len == 0)
		return false;
	if (r->is_read && r->id == r->vfu.id)
		r->items.offset = r->before;
	r->before = r->items.offset;
	r->is_read = true;
	r->id = r->vfu.id;
	items_read(&r->items, data, len);
	keep(r);
	return true;
}

static void on_write(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	struct registers *r = owner;

	if (region != 0)
		return;
	if (offset == FWREGS_SELECTOR && width == 2) {
		items_select(&r->items, (uint16_t)value);
		r->is_read = false;
	} else if (offset == FWREGS_CMOS && width == 1) {
		r->cmos.index = value & CMOS_INDEX_MASK;
	} else if (offset == FWREGS_CMOS + 1 && width == 1) {
		cmos_write(&r->cmos, (uint8_t)value);
	}
	keep(r);
}

static void on_reset(void *owner)
{
	reset(owner);
	keep(owner);
}

static const struct vfu_ops ops = { .read = on_read,
				    .write = on_write,
				    .read_run = on_read_run,
				    .reset = on_reset };

int registers_open(struct registers *r, const uint8_t *image, struct kept *kept,
		   registers_clock clock, struct loop *loop, int sock)
{
	r->clock = clock;
	r->kept = kept;
	r->items = (struct items){ .image = image };
	begin(r);
	r->regions[0] =
		(struct vfu_region){ .size = FWREGS_SIZE, .widths = 1 | 2 | 4, .page_fd = -1 };
	r->regions[VFU_DONE_REGION] =
		(struct vfu_region){ .size = VFU_DONE_SIZE, .widths = 4, .page_fd = -1 };
	r->spec = (struct vfu_spec){ .regions = r->regions, .n_regions = ARRAY_SIZE(r->regions) };
	return vfu_server_open(&r->vfu, &r->spec, &ops, r, loop, sock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The flash's commands; see flash.h. */
#include "cmd/dev-flash/flash.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define IMAGE struct flash_image

enum {
	CMD_PROGRAM = 0x10,
	CMD_ERASE = 0x20,
	CMD_PROGRAM_TOO = 0x40,
	CMD_CLEAR_STATUS = 0x50,
	CMD_READ_STATUS = 0x70,
	CMD_CONFIRM = 0xd0,
};
#define STATUS_READY 0x80
#define REST_SECONDS 1

/* ---- what outlives the process ---- */

static const struct state_field fields[] = {
	STATE_RANGE(IMAGE, mode, FLASH_ARRAY, FLASH_MODES - 1),
	STATE_ANY(IMAGE, status),
	STATE_ANY(IMAGE, under),
	STATE_BOOL(IMAGE, has_done),
	STATE_ANY(IMAGE, done),
	STATE_RANGE(IMAGE, at, 0, FLASH_SIZE_MAX - 1),
};

const struct state_schema flash_schema = {
	.name = "dev-flash",
	.version = 1,
	.size = sizeof(IMAGE),
	.fields = fields,
	.n_fields = ARRAY_SIZE(fields),
};

static void keep(struct flash *f)
{
	kept_keep(f->kept, &flash_schema, &f->now);
}

/* ---- the file ---- */

static void complain(struct flash *f, int error)
{
	if (error < 0 && error != -EAGAIN)
		log_gated(&f->failures, LOG_LEVEL_WARNING,
			  "the firmware's variables are not in their file yet: %s",
			  strerrordesc_np(-error));
}

static void rest(struct flash *f)
{
	const struct itimerspec t = { .it_value = { .tv_sec = REST_SECONDS } };

	f->resting = timerfd_settime(f->timer_fd, 0, &t, NULL) == 0;
}

/* The view is the array only in that mode. */
static const uint8_t *array(const struct flash *f)
{
	return f->now.mode == FLASH_ARRAY ? f->view : NULL;
}

static void tick(struct flash *f)
{
	complain(f, store_tick(f->store, array(f)));
	rest(f);
}

/* Never read: it is edge-triggered, and set anew. */
static int on_timer(struct loop_source *src, uint32_t events)
{
	struct flash *f = src->owner;

	(void)events;
	f->resting = false;
	if (store_wants_tick(f->store))
		tick(f);
	return 0;
}

/* Whoever waits has his answer by now. */
static void on_settle(void *owner)
{
	struct flash *f = owner;

	if (!f->resting && store_wants_tick(f->store))
		tick(f);
}

/* ---- commands ---- */

static enum flash_mode command(struct flash *f, uint8_t value)
{
	switch (value) {
	case CMD_PROGRAM:
	case CMD_PROGRAM_TOO:
		return FLASH_PROGRAM;
	case CMD_ERASE:
		return FLASH_ERASE;
	case CMD_READ_STATUS:
		return FLASH_STATUS;
	case CMD_CLEAR_STATUS:
		f->now.status = 0;
		return FLASH_ARRAY;
	default:
		return FLASH_ARRAY;
	}
}

static enum flash_mode program(struct flash *f, uint32_t at, uint8_t value)
{
	f->view[at] = value;
	store_touch(f->store, at);
	f->now.status |= STATUS_READY;
	return FLASH_STATUS;
}

static enum flash_mode erase(struct flash *f, uint32_t at, uint8_t value)
{
	if (value != CMD_CONFIRM)
		return FLASH_ARRAY;
	memset(f->view + at / FLASH_SECTOR * FLASH_SECTOR, 0xff, FLASH_SECTOR);
	store_touch(f->store, at);
	f->now.status |= STATUS_READY;
	return FLASH_STATUS;
}

static void show_array(struct flash *f)
{
	if (f->now.mode != FLASH_ARRAY)
		f->view[f->now.at] = f->now.under;
}

static void show_status(struct flash *f)
{
	if (f->now.mode != FLASH_ARRAY)
		f->view[f->now.at] = f->now.status;
}

/*
 * The order is what makes it good to be cut off anywhere: until it is kept that the write was carried out, doing it again
 * comes to the same.
 */
static void on_write(void *owner, uint32_t region, uint64_t offset, unsigned int width,
		     uint64_t value)
{
	struct flash *f = owner;
	const uint32_t at = (uint32_t)offset;
	const uint8_t byte = (uint8_t)value;
	enum flash_mode mode;

	(void)width;
	if (region != 0)
		return;
	show_array(f);
	if (f->now.mode == FLASH_PROGRAM)
		mode = program(f, at, byte);
	else if (f->now.mode == FLASH_ERASE)
		mode = erase(f, at, byte);
	else
		mode = command(f, byte);
	f->now.mode = (uint8_t)mode;
	f->now.at = at;
	f->now.under = f->view[at];
	f->now.done = f->vfu.id;
	f->now.has_done = true;
	if (mode == FLASH_ARRAY)
		complain(f, store_commit(f->store, f->view));
	keep(f);
	show_status(f);
}

static uint64_t on_read(void *owner, uint32_t region, uint64_t offset, unsigned int width)
{
	const struct flash *f = owner;

	(void)width;
	if (region == VFU_DONE_REGION)
		return f->now.has_done ? VFU_DONE_ANY | f->now.done : 0;
	return f->view[offset];
}

static void on_reset(void *owner)
{
	struct flash *f = owner;

	show_array(f);
	f->now = (IMAGE){ .status = STATUS_READY };
	complain(f, store_commit(f->store, f->view));
	keep(f);
}

static const struct vfu_ops ops = { .read = on_read,
				    .write = on_write,
				    .reset = on_reset,
				    .settle = on_settle };

/* ---- begin and end ---- */

int flash_open(struct flash *f, struct store *store, uint8_t *view, struct kept *kept, int timer_fd,
	       struct loop *loop, int sock)
{
	int r;

	f->store = store;
	f->view = view;
	f->kept = kept;
	f->timer_fd = timer_fd;
	f->resting = false;
	f->failures = LOG_GATE(4);
	f->now = (IMAGE){ .status = STATUS_READY };
	f->regions[0] = (struct vfu_region){ .size = store->size, .widths = 1, .page_fd = -1 };
	f->regions[VFU_DONE_REGION] =
		(struct vfu_region){ .size = VFU_DONE_SIZE, .widths = 4, .page_fd = -1 };
	f->spec = (struct vfu_spec){ .regions = f->regions, .n_regions = ARRAY_SIZE(f->regions) };
	r = loop_add(loop, &f->timer, timer_fd, EPOLLIN | EPOLLET, on_timer, f);
	return r < 0 ? r : vfu_server_open(&f->vfu, &f->spec, &ops, f, loop, sock);
}

/* A predecessor's: true. */
static bool take(struct flash *f)
{
	char why[STATE_WHY_MAX];
	IMAGE image;
	int r = kept_load(f->kept, &flash_schema, &image, why);

	if (r > 0 && image.at < f->store->size) {
		f->now = image;
		return true;
	}
	if (r != 0)
		log_warning("what is kept of the flash cannot be (%s): it is as in its file",
			    r < 0 ? why : "at");
	kept_clear(f->kept);
	return false;
}

/* What a predecessor had programmed, it may not have committed. */
void flash_begin(struct flash *f)
{
	const bool goes_on = take(f);

	kept_begin(f->kept, &flash_schema);
	if (goes_on) {
		show_array(f);
		store_touch_all(f->store);
		complain(f, store_commit(f->store, f->view));
	} else {
		memcpy(f->view, f->store->saved, f->store->size);
	}
	keep(f);
	show_status(f);
	on_settle(f);
}

void flash_finish(struct flash *f)
{
	int r;

	show_array(f);
	f->now.mode = FLASH_ARRAY;
	r = store_tick(f->store, f->view);
	if (r == 0)
		r = store_close(f->store);
	complain(f, r);
}

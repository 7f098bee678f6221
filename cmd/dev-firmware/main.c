/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-firmware: serves the registers that a PC's firmware needs over vfio-user. It has neither guest RAM nor
 * DMA.
 * Trust: registers HOSTILE, vmm HOSTILE, argv trusted.
 * Holds: 3 control, 4 vfio-user socket, 5 the page that keeps its state, which a predecessor left HOSTILE, 6 what
 *	firmware is told, which nobody can change.
 */
#include "cmd/dev-firmware/policy.h"
#include "cmd/dev-firmware/registers.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/devkit/args.h"
#include "lib/devkit/process.h"

#include <errno.h>
#include <sys/mman.h>

#define NAME "dev-firmware"

static struct process process;
static struct registers registers;

static uint64_t now_ns(clockid_t id)
{
	struct timespec t = { 0 };

	(void)clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* The vmm writes it about now, and seals it before it speaks with this process: a shared mapping would keep it
 * from that. */
static int map_items(const uint8_t **ret)
{
	int r = fd_check_size(FIRMWARE_FD_ITEMS, FWCFG_IMAGE_SIZE);
	void *p;

	if (r < 0)
		return r;
	p = mmap(NULL, FWCFG_IMAGE_SIZE, PROT_READ, MAP_PRIVATE, FIRMWARE_FD_ITEMS, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

static int prepare(const char **ret_what)
{
	const uint8_t *items = NULL;
	void *state = NULL;
	int r;

	*ret_what = "items";
	r = map_items(&items);
	if (r < 0)
		return r;
	*ret_what = "state page";
	r = fd_map_shared(FIRMWARE_FD_STATE, sizeof(struct kept), &state);
	if (r < 0)
		return r;
	*ret_what = "vfio-user";
	return registers_open(&registers, items, state, now_ns, &process.loop,
			      FIRMWARE_FD_VFIO_USER);
}

int main(int argc, char **argv)
{
	const char *what = "argument";
	int r;

	r = args_parse(&firmware_kind, argc, argv, NULL, &what); /* 1 words only */
	if (r == 0)
		r = process_open(&process, &firmware_declared, &what); /* 2 close others */
	if (r == 0)
		r = prepare(&what); /* 3 no hostile byte */
	if (r == 0)
		r = process_enter(&process, &firmware_policy, &what); /* 4 no way back */
	if (r < 0)
		return process_fail(NAME, what, r);
	registers.vfu.ret_why = &process.why;
	return process_serve(&process); /* 5 hostile from here */
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware below 4 GiB; see firmware.h. */
#include "cmd/vmm/boot/firmware.h"

#include "cmd/vmm/boot/file.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/fwcfg/flash.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static_assert(FIRMWARE_END - FIRMWARE_MAX - FLASH_SIZE_MAX >= KVM_TSS_START + 3 * KIB(4));

int firmware_add(struct machine *m, uint64_t size)
{
	void *p;
	int r;

	if (size == 0)
		return 0;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	r = m->ops->add_rom(m->accel, FIRMWARE_END - size, p, size);
	if (r < 0) {
		munmap(p, size);
		return r;
	}
	m->firmware = (struct firmware){ .bytes = p, .size = size };
	return 0;
}

int firmware_add_flash(struct machine *m, uint64_t size, int fd)
{
	_cleanup_(closep) int own = size ? fd : -1;
	void *p;
	int r;

	if (size == 0)
		return 0;
	r = fd_check_size(own, size);
	if (r < 0)
		return r;
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, own, 0);
	if (p == MAP_FAILED)
		return -errno;
	r = m->ops->add_rom(m->accel, FIRMWARE_END - m->firmware.size - size, p, size);
	if (r < 0) {
		munmap(p, size);
		return r;
	}
	machine_unlogged(m, true); /* its device writes there, beside RAM and so beside the log */
	m->firmware.flash = size;
	return 0;
}

/* The file may have changed since its size was looked at. */
static int read_whole(const struct firmware *f, int fd)
{
	struct boot_file file;
	int r = boot_file_open(fd, &file);

	if (r == 0 && file.size != f->size)
		return -ENODATA;
	return r < 0 ? r : boot_file_read(&file, 0, f->bytes, f->size);
}

static int fail(const struct firmware *f, int error, const char **ret_why)
{
	static char why[128];

	if (error == -ENODATA)
		snprintf(why, sizeof(why), "firmware: no longer has the %llu bytes that it had",
			 (unsigned long long)f->size);
	else
		snprintf(why, sizeof(why), "firmware: cannot be read: %s", strerrordesc_np(-error));
	*ret_why = why;
	return error;
}

int firmware_load(struct machine *m, int fd, const char **ret_why)
{
	struct firmware *f = &m->firmware;
	const uint64_t low = f->size < FIRMWARE_LOW_MAX ? f->size : FIRMWARE_LOW_MAX;
	int r = f->loaded ? 0 : read_whole(f, fd);

	if (r < 0)
		return fail(f, r, ret_why);
	f->loaded = true;
	return guest_write(&m->mem, GPA(FIRMWARE_LOW_END - low), f->bytes + f->size - low, low);
}

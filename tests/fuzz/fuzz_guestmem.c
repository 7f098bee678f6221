/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory under any run of operations, against a small model: which regions may be, which
 * ranges are RAM, and that each byte read or written is the file's byte that the regions name.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

#include "lib/guestmem/guestmem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096U
#define FILE_PAGES 8U
#define FILE_LEN (FILE_PAGES * PAGE)
#define BUF_LEN (3 * PAGE)

typedef unsigned __int128 wide;

struct model_region {
	uint64_t gpa, size, uaddr, offset;
};

static struct {
	int fd;
	uint8_t *ram;		/* the file as it is */
	uint8_t want[FILE_LEN]; /* and as it should be */
	struct guestmem mem;
	struct model_region region[GUESTMEM_MAX_REGIONS];
	size_t n;
} w = { .fd = -1 };

/* Pages at both ends of the address space, so that ranges touch, straddle and wrap. */
static uint64_t take_page(void)
{
	uint8_t v = take();
	uint64_t page = v & 15;

	return v & 0x80 ? -(16 - page) * PAGE : page * PAGE;
}

static uint64_t take_address(void)
{
	uint64_t page = take_page();
	uint8_t low = take();

	/* near the page's ends mostly */
	return page + (low & 0x80 ? PAGE - 1 - (low & 15) : low & 63);
}

static uint64_t take_len(void)
{
	uint8_t v = take();

	if (v == 0xff)
		return UINT64_MAX - take();
	return v & 0x80 ? (v & 3) * PAGE + (take() & 31) : v;
}

/* ---- the model ---- */

static bool meet(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return (wide)a < (wide)b + b_len && (wide)b < (wide)a + a_len;
}

static bool may_add(const struct model_region *r)
{
	const wide end = (wide)1 << 64;

	if (!r->size || r->gpa % PAGE || r->size % PAGE || r->uaddr % PAGE || r->offset % PAGE)
		return false;
	if ((wide)r->gpa + r->size >= end || (wide)r->uaddr + r->size >= end ||
	    (wide)r->offset + r->size > FILE_LEN || w.n == GUESTMEM_MAX_REGIONS)
		return false;
	for (size_t i = 0; i < w.n; i++)
		if (meet(r->gpa, r->size, w.region[i].gpa, w.region[i].size) ||
		    meet(r->uaddr, r->size, w.region[i].uaddr, w.region[i].size))
			return false;
	return true;
}

/* The byte of the file behind a guest address, or -1. */
static int64_t file_at(wide gpa)
{
	for (size_t i = 0; i < w.n; i++)
		if (gpa >= w.region[i].gpa && gpa < (wide)w.region[i].gpa + w.region[i].size)
			return (int64_t)(w.region[i].offset + (uint64_t)(gpa - w.region[i].gpa));
	return -1;
}

static bool is_ram(uint64_t gpa, uint64_t len)
{
	/* more than all regions together cannot be; and all are whole pages */
	if (len > (uint64_t)GUESTMEM_MAX_REGIONS * FILE_LEN)
		return false;
	for (wide at = gpa; at < (wide)gpa + len; at = (at / PAGE + 1) * PAGE)
		if (file_at(at) < 0)
			return false;
	return true;
}

/* ---- operations ---- */

static void op_add(void)
{
	struct model_region r = { .gpa = take_page(), .uaddr = take_page() };
	uint8_t shape = take();
	int got;

	r.size = (uint64_t)(shape & 7) * PAGE;
	r.offset = (uint64_t)(shape >> 3 & 7) * PAGE;
	if (shape & 0x40)
		r.size = -r.size;
	if (shape & 0x80) {
		uint64_t *fields[] = { &r.gpa, &r.size, &r.uaddr, &r.offset };

		*fields[shape & 3] += take();
	}
	got = guestmem_add(&w.mem, GPA(r.gpa), r.size, r.uaddr, w.fd, r.offset);
	require((got == 0) == may_add(&r));
	if (got == 0)
		w.region[w.n++] = r;
}

static void op_remove(void)
{
	uint8_t which = take();
	struct model_region r;

	if (!w.n)
		return;
	r = w.region[which % w.n];
	if (which & 0x80) {
		require(guestmem_remove(&w.mem, GPA(r.gpa), r.size, r.uaddr ^ PAGE) == -ENOENT);
		return;
	}
	require(guestmem_remove(&w.mem, GPA(r.gpa), r.size, r.uaddr) == 0);
	w.region[which % w.n] = w.region[--w.n];
}

static void op_read(void)
{
	static uint8_t buf[BUF_LEN];
	uint64_t gpa = take_address(), len = take_len();
	bool ram = is_ram(gpa, len);

	if (ram && len > sizeof(buf))
		return;
	require(guest_read(&w.mem, GPA(gpa), buf, len) == (ram ? 0 : -EFAULT));
	for (uint64_t i = 0; ram && i < len; i++)
		require(buf[i] == w.want[file_at((wide)gpa + i)]);
}

static void op_write(bool zero)
{
	static uint8_t buf[BUF_LEN];
	uint64_t gpa = take_address(), len = take_len();
	uint8_t salt = zero ? 0 : take();
	bool ram = is_ram(gpa, len);
	int r;

	if (ram && len > sizeof(buf))
		return;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(salt * i + salt);
	r = zero ? guest_zero(&w.mem, GPA(gpa), len) : guest_write(&w.mem, GPA(gpa), buf, len);
	require(r == (ram ? 0 : -EFAULT));
	for (uint64_t i = 0; ram && i < len; i++)
		w.want[file_at((wide)gpa + i)] = buf[i];
}

static void op_word(bool store)
{
	uint64_t gpa = take_address();
	int64_t at = gpa % 2 ? -1 : file_at(gpa);
	uint16_t v = 0x4242;

	if (store) {
		v = (uint16_t)(take() << 8 | take());
		require(guest_store16(&w.mem, GPA(gpa), v) == (at < 0 ? -EFAULT : 0));
		if (at >= 0) {
			w.want[at] = (uint8_t)v;
			w.want[at + 1] = (uint8_t)(v >> 8);
		}
		return;
	}
	require(guest_load16(&w.mem, GPA(gpa), &v) == (at < 0 ? -EFAULT : 0));
	require(v == (at < 0 ? 0x4242 : w.want[at] | w.want[at + 1] << 8));
}

static void check_pieces(uint64_t gpa, const struct iovec *iov, size_t n, uint64_t len)
{
	wide at = gpa;

	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = iov[i].iov_base;

		require(iov[i].iov_len > 0);
		for (size_t k = 0; k < iov[i].iov_len; k++)
			require(p[k] == w.want[file_at(at + k)]);
		at += iov[i].iov_len;
	}
	require(at == (wide)gpa + len);
}

static void op_iov(void)
{
	struct iovec iov[8];
	uint64_t gpa = take_address(), len = take_len();
	size_t max = take() & 7, start = take() & 7, n = start;
	bool ram = is_ram(gpa, len);
	int r;

	if (start > max)
		return;
	r = guest_iov(&w.mem, GPA(gpa), len, iov, &n, max);
	require(r == -EFAULT ? !ram : ram);
	require(n <= max && (r == 0 || n == start));
	if (r == 0)
		check_pieces(gpa, iov + start, n - start, len);
}

static void op_uaddr(void)
{
	uint64_t uaddr = take_address(), len = take_len();
	gpa_t got = GPA(0x4242);
	const struct model_region *in_region = NULL;
	int r = guestmem_from_uaddr(&w.mem, uaddr, len, &got);

	for (size_t i = 0; i < w.n; i++)
		if (uaddr >= w.region[i].uaddr &&
		    (wide)uaddr < (wide)w.region[i].uaddr + w.region[i].size)
			in_region = &w.region[i];
	if (in_region && (wide)uaddr + len <= (wide)in_region->uaddr + in_region->size)
		require(r == 0 && got.v == in_region->gpa + (uaddr - in_region->uaddr));
	else
		require(r == -EFAULT && got.v == 0x4242);
}

static void step(void)
{
	switch (take() % 8) {
	case 0:
		op_add();
		break;
	case 1:
		op_remove();
		break;
	case 2:
		op_read();
		break;
	case 3:
		op_write(false);
		break;
	case 4:
		op_write(true);
		break;
	case 5:
		op_word(take() & 1);
		break;
	case 6:
		op_iov();
		break;
	default:
		op_uaddr();
	}
}

static void start(void)
{
	if (w.fd < 0) {
		w.fd = memfd_create("fuzz", MFD_CLOEXEC);
		require(w.fd >= 0 && ftruncate(w.fd, FILE_LEN) == 0);
		w.ram = mmap(NULL, FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, w.fd, 0);
		require(w.ram != MAP_FAILED);
	}
	for (size_t i = 0; i < FILE_LEN; i++)
		w.want[i] = (uint8_t)(i * 7 + i / PAGE);
	memcpy(w.ram, w.want, FILE_LEN);
	guestmem_init(&w.mem);
	w.n = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in.data = data;
	in.left = size < 512 ? size : 512;
	start();
	while (in.left)
		step();
	require(memcmp(w.ram, w.want, FILE_LEN) == 0);
	guestmem_clear(&w.mem);
	return 0;
}

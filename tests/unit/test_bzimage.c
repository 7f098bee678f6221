/* SPDX-License-Identifier: Apache-2.0 */
/* bzImages, right and hostile: where everything lies, and which field each refusal names. */
#include "tests/unit/bootenv.h"
#include "tests/unit/unit.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define RAM MIB(64)
#define HDR(field) (0x1f1 + offsetof(struct setup_header, field))
#define WIDTH(field) sizeof(((struct setup_header *)0)->field)

static struct boot_params zero_page(const struct bootenv *e)
{
	struct boot_params p;

	assert_int_equal(guest_read(&e->mem, GPA(ZERO_PAGE_START), &p, sizeof(p)), 0);
	return p;
}

static uint8_t byte_at(const struct bootenv *e, uint64_t gpa)
{
	uint8_t b;

	assert_int_equal(guest_read(&e->mem, GPA(gpa), &b, 1), 0);
	return b;
}

static uint64_t word_at(const struct bootenv *e, uint64_t gpa)
{
	uint64_t v;

	assert_int_equal(guest_read(&e->mem, GPA(gpa), &v, 8), 0);
	return v;
}

static void a_right_kernel_is_loaded(void **state)
{
	struct bootenv e;
	struct boot_params p;
	uint8_t image[BZ_LEN];
	char cmdline[16];

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_bzimage(image);
	e.src.cmdline = "console=ttyS0";
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 5000), 0);
	assert_null(e.why);
	assert_int_equal(e.cpu.rip, BZ_START + 0x200);
	assert_int_equal(e.cpu.rsi, ZERO_PAGE_START);
	assert_int_equal(byte_at(&e, BZ_START), 0x90);
	assert_int_equal(byte_at(&e, BZ_START + BZ_CODE_LEN - 1), 0x90);
	assert_int_equal(byte_at(&e, BZ_START + BZ_CODE_LEN), 0);
	p = zero_page(&e);
	assert_int_equal(p.hdr.type_of_loader, 0xff);
	assert_int_equal(p.hdr.header, 0x53726448);
	assert_int_equal(p.acpi_rsdp_addr, ACPI_START);
	assert_int_equal(guest_read(&e.mem, GPA(p.hdr.cmd_line_ptr), cmdline, 14), 0);
	assert_string_equal(cmdline, "console=ttyS0");
	assert_int_equal(p.hdr.ramdisk_size, 5000);
	assert_int_equal(p.hdr.ramdisk_image, RAM - 8192);
	assert_int_equal(byte_at(&e, p.hdr.ramdisk_image), 0xa5);
	assert_int_equal(byte_at(&e, p.hdr.ramdisk_image + 4999), 0xa5);
	bootenv_close(&e);
}

/* 64-bit mode with 4 GiB mapped one to one, flat segments. */
static void the_cpu_enters_in_long_mode(void **state)
{
	struct bootenv e;
	uint8_t image[BZ_LEN];
	uint64_t pdpt, pd;

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_bzimage(image);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), 0);
	assert_int_equal(e.cpu.cr0 & 0x80000001, 0x80000001);
	assert_int_equal(e.cpu.cr4, 0x20);
	assert_int_equal(e.cpu.efer, 0x500);
	assert_true(e.cpu.cs.l && !e.cpu.cs.db && e.cpu.cs.selector == 0x10);
	assert_true(e.cpu.ds.selector == 0x18 && e.cpu.ds.limit == UINT32_MAX);
	assert_int_equal(word_at(&e, e.cpu.gdt_base + 0x10), 0x00af9b000000ffff);
	assert_int_equal(word_at(&e, e.cpu.gdt_base + 0x18), 0x00cf93000000ffff);
	assert_int_equal(word_at(&e, e.cpu.gdt_base + 0x20), 0x00008b0000000067);
	for (uint64_t address = 0; address < GIB(4); address += MIB(2)) {
		pdpt = word_at(&e, e.cpu.cr3) & ~0xfffULL;
		pd = word_at(&e, pdpt + address / GIB(1) * 8) & ~0xfffULL;
		assert_int_equal(word_at(&e, pd + address % GIB(1) / MIB(2) * 8), address | 0x83);
	}
	bootenv_close(&e);
}

static void check_map(const struct boot_params *p, uint64_t ram)
{
	uint64_t end = 0, total = 0;
	bool ecam = false, acpi = false;

	assert_true(p->e820_entries > 0 && p->e820_entries < E820_MAX_ENTRIES_ZEROPAGE);
	for (unsigned int i = 0; i < p->e820_entries; i++) {
		const struct boot_e820_entry *m = &p->e820_table[i];

		assert_true(m->addr >= end);
		end = m->addr + m->size;
		if (m->type == 1)
			total += m->size;
		ecam |= m->type == 2 && m->addr == ECAM_START && m->size == ECAM_SIZE;
		acpi |= m->type == 3 && m->addr == ACPI_START && end == ACPI_END;
	}
	assert_true(ecam && acpi);
	assert_int_equal(total, ram - (MIB(1) - EBDA_START));
}

static void the_memory_map_is_all_of_ram(void **state)
{
	static const uint64_t sizes[] = { MIB(64),	 MIB(64) + 4096, GIB(3) - 4096, GIB(3),
					  GIB(3) + 4096, GIB(5),	 GIB(64) };
	uint8_t image[BZ_LEN];

	(void)state;
	bootenv_bzimage(image);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bootenv e;
		struct boot_params p;

		bootenv_open(&e, sizes[i]);
		assert_int_equal(bootenv_load(&e, image, sizeof(image), 4096), 0);
		p = zero_page(&e);
		check_map(&p, sizes[i]);
		if (sizes[i] >= GIB(3)) /* as high as the kernel allows */
			assert_int_equal(p.hdr.ramdisk_image, 0x7ffff000);
		bootenv_close(&e);
	}
}

struct field_row {
	const char *name; /* must be in the message */
	size_t at;
	size_t width;
	uint64_t value;
	int expected;
};

#define ROW(field, v, r)                               \
	{                                              \
#field, HDR(field), WIDTH(field), v, r \
	}

static const struct field_row field_rows[] = {
	ROW(boot_flag, 0, -ENOEXEC),
	ROW(boot_flag, 0xaa54, -ENOEXEC),
	ROW(boot_flag, 0xffff, -ENOEXEC),
	ROW(version, 0, -ENOEXEC),
	ROW(version, 0x20b, -ENOEXEC),
	ROW(version, 0x20c, 0),
	ROW(version, 0xffff, 0),
	ROW(loadflags, 0, -ENOEXEC),
	ROW(loadflags, 0xfe, -ENOEXEC),
	ROW(loadflags, 0xff, 0),
	ROW(xloadflags, 0, -ENOEXEC),
	ROW(xloadflags, 0xfffe, -ENOEXEC),
	ROW(xloadflags, 0xffff, 0),
	ROW(jump, 0x00eb, -ENOEXEC),
	ROW(jump, 0x65eb, -ENOEXEC),
	ROW(jump, 0x66eb, 0),
	ROW(jump, 0xffeb, 0),
	/* 0 stands for 4: the code moves, and less is left than syssize says */
	{ "syssize", HDR(setup_sects), 1, 0, -ENOEXEC },
	ROW(setup_sects, 9, -ENOEXEC),
	ROW(setup_sects, 255, -ENOEXEC),
	ROW(syssize, 0, -ENOEXEC),
	ROW(syssize, 0x20, -ENOEXEC),
	ROW(syssize, 0x21, 0),
	ROW(syssize, BZ_CODE_LEN / 16 + 1, -ENOEXEC),
	ROW(syssize, 0x80000000, -ENOEXEC),
	ROW(syssize, UINT32_MAX, -ENOEXEC),
	ROW(kernel_alignment, 0, -ENOEXEC),
	ROW(kernel_alignment, 1, -ENOEXEC),
	ROW(kernel_alignment, 0x800, -ENOEXEC),
	ROW(kernel_alignment, 0x1000, 0),
	ROW(kernel_alignment, 0x1001, -ENOEXEC),
	ROW(kernel_alignment, 0x80000000, -ENOEXEC),
	ROW(kernel_alignment, UINT32_MAX, -ENOEXEC),
	{ "RAM", HDR(kernel_alignment), 4, 0x40000000, -ENOMEM },
	ROW(pref_address, 0, 0),
	ROW(pref_address, 0xfffff, 0),
	{ "RAM", HDR(pref_address), 8, RAM - BZ_INIT_SIZE + 1, -ENOMEM },
	{ "RAM", HDR(pref_address), 8, LOW_RAM_MAX - 1, -ENOMEM },
	ROW(pref_address, LOW_RAM_MAX, -ENOEXEC),
	ROW(pref_address, GIB(4), -ENOEXEC),
	ROW(pref_address, UINT64_MAX, -ENOEXEC),
	ROW(init_size, 0, -ENOEXEC),
	ROW(init_size, BZ_CODE_LEN - 1, -ENOEXEC),
	ROW(init_size, BZ_CODE_LEN, 0),
	{ "RAM", HDR(init_size), 4, RAM - BZ_START + 1, -ENOMEM },
	{ "RAM", HDR(init_size), 4, UINT32_MAX, -ENOMEM },
	ROW(cmdline_size, 0, -E2BIG),
	ROW(cmdline_size, 3, -E2BIG),
	ROW(cmdline_size, 4, 0),
	ROW(cmdline_size, UINT32_MAX, 0),
	ROW(initrd_addr_max, 0, -EFBIG),
	ROW(initrd_addr_max, BZ_START + BZ_INIT_SIZE + 4094, -EFBIG),
	ROW(initrd_addr_max, BZ_START + BZ_INIT_SIZE + 4095, 0),
	ROW(initrd_addr_max, UINT32_MAX, 0),
	/* what a loader must not take from the file */
	ROW(setup_data, UINT64_MAX, 0),
	ROW(cmd_line_ptr, UINT32_MAX, 0),
	ROW(ramdisk_image, UINT32_MAX, 0),
	ROW(payload_offset, UINT32_MAX, 0),
	ROW(payload_length, UINT32_MAX, 0),
	ROW(handover_offset, UINT32_MAX, 0),
	ROW(kernel_info_offset, UINT32_MAX, 0),
};

static void each_field_at_its_limits(void **state)
{
	uint8_t image[BZ_LEN];
	struct boot_params p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++) {
		const struct field_row *row = &field_rows[i];
		struct bootenv e;
		int r;

		bootenv_open(&e, RAM);
		e.src.cmdline = "four";
		bootenv_bzimage(image);
		memcpy(image + row->at, &row->value, row->width);
		e.cpu.rip = 0x1234;
		r = bootenv_load(&e, image, sizeof(image), 4096);
		if (r != row->expected)
			fail_msg("%s = %#llx: %d, expected %d (%s)", row->name,
				 (unsigned long long)row->value, r, row->expected,
				 e.why ? e.why : "");
		if (r < 0 && (!e.why || !strstr(e.why, row->name)))
			fail_msg("%s is not named: %s", row->name, e.why ? e.why : "no message");
		if (r < 0) {
			assert_int_equal(e.cpu.rip, 0x1234);
		} else {
			p = zero_page(&e);
			assert_int_equal(p.hdr.setup_data, 0);
			assert_int_equal(p.hdr.cmd_line_ptr, CMDLINE_START);
			assert_in_range(p.hdr.ramdisk_image, BZ_START, RAM - 4096);
		}
		bootenv_close(&e);
	}
}

/* A network boot program, say, whose header is as short as its protocol is old. */
static void an_old_protocol_is_named(void **state)
{
	uint8_t image[BZ_LEN];
	struct bootenv e;

	(void)state;
	bootenv_bzimage(image);
	image[HDR(jump) + 1] = 0x2a; /* the length of the header */
	image[HDR(version)] = 0x03;
	image[HDR(version) + 1] = 0x02;
	bootenv_open(&e, RAM);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), -ENOEXEC);
	assert_string_equal(
		e.why, "kernel: its boot protocol is version 2.03, and this VM needs 2.12: say a "
		       "bzImage of a 64-bit Linux (3.8 or later), or an ELF file with a PVH entry");
	bootenv_close(&e);
}

static void one_that_cannot_move_stays_where_it_says(void **state)
{
	static const struct {
		uint64_t pref;
		int expected;
	} rows[] = {
		{ 0xfffff, -ENOEXEC },
		{ 0x100000, 0 },
		{ 0x123456, 0 },
		{ RAM - BZ_INIT_SIZE, 0 },
		{ RAM - BZ_INIT_SIZE + 1, -ENOMEM },
	};
	uint8_t image[BZ_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bootenv e;

		bootenv_open(&e, RAM);
		bootenv_bzimage(image);
		image[HDR(relocatable_kernel)] = 0;
		memset(image + HDR(kernel_alignment), 0, 4);
		memcpy(image + HDR(pref_address), &rows[i].pref, 8);
		assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), rows[i].expected);
		if (rows[i].expected == 0)
			assert_int_equal(e.cpu.rip, rows[i].pref + 0x200);
		bootenv_close(&e);
	}
}

/* Only a cut within the last paragraph is no error: syssize is rounded up. */
static void every_truncation_is_an_error(void **state)
{
	uint8_t image[BZ_LEN];
	struct bootenv e;

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_bzimage(image);
	for (size_t len = 0; len <= BZ_LEN; len += len < 2048 ? 1 : 7) {
		int r = bootenv_load(&e, image, len, 0);

		assert_int_equal(r, len > BZ_LEN - 16 ? 0 : -ENOEXEC);
		assert_true(r == 0 || e.why);
	}
	bootenv_close(&e);
}

static void too_large_an_initrd_says_what_is_needed(void **state)
{
	const size_t room = RAM - (BZ_START + BZ_INIT_SIZE);
	uint8_t image[BZ_LEN];
	struct bootenv e;

	(void)state;
	bootenv_bzimage(image);
	bootenv_open(&e, RAM);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), room), 0);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), room + 1), -ENOMEM);
	assert_non_null(strstr(e.why, "65 MiB"));
	assert_int_equal(bootenv_load(&e, image, sizeof(image), RAM + 1), -ENOMEM);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), GIB(16)), -ENOMEM);
	bootenv_close(&e);
}

static void the_command_line_has_a_limit(void **state)
{
	char cmdline[CMDLINE_MAX + 1];
	uint8_t image[BZ_LEN];
	struct bootenv e;

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_bzimage(image);
	memset(cmdline, 'x', sizeof(cmdline));
	cmdline[CMDLINE_MAX] = 0;
	e.src.cmdline = cmdline;
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), -E2BIG);
	assert_non_null(strstr(e.why, "2047"));
	cmdline[CMDLINE_MAX - 1] = 0;
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), 0);
	bootenv_close(&e);
}

static void what_is_no_file_is_refused(void **state)
{
	uint8_t image[BZ_LEN];
	struct bootenv e;
	int pipe_fds[2];

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_bzimage(image);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	e.src.kernel_fd = pipe_fds[0];
	assert_int_equal(boot_load(&e.mem, &e.src, &e.cpu, &e.why), -EINVAL);
	e.src.kernel_fd = bootenv_file(image, sizeof(image));
	e.src.initrd_fd = pipe_fds[0];
	assert_int_equal(boot_load(&e.mem, &e.src, &e.cpu, &e.why), -EINVAL);
	assert_non_null(strstr(e.why, "initrd"));
	e.src.initrd_fd = bootenv_file("", 0);
	assert_int_equal(boot_load(&e.mem, &e.src, &e.cpu, &e.why), -EINVAL);
	close_pair(pipe_fds);
	bootenv_close(&e);
}

/* Random headers: an answer, and nothing beyond guest memory. */
static void random_headers_get_an_answer(void **state)
{
	uint8_t image[BZ_LEN];
	uint64_t seed = 7;
	struct bootenv e;
	unsigned int loaded = 0;

	(void)state;
	bootenv_open(&e, RAM);
	for (unsigned int i = 0; i < 20000; i++) {
		bootenv_bzimage(image);
		for (unsigned int n = 1 + next_random(&seed) % 4; n > 0; n--)
			image[0x1f1 + next_random(&seed) % sizeof(struct setup_header)] =
				(uint8_t)next_random(&seed);
		if (bootenv_load(&e, image, sizeof(image), 4096) == 0)
			loaded++;
		else
			assert_non_null(e.why);
	}
	assert_in_range(loaded, 1, 19999);
	bootenv_close(&e);
}

/* The demo guest's kernel, where `make guest` has brought it. */
static void a_distribution_kernel_is_loaded(void **state)
{
	const char *path = getenv("BULKHEAD_TEST_VMLINUZ");
	struct bootenv e;

	(void)state;
	bootenv_open(&e, MIB(256));
	e.src.kernel_fd = open(path ? path : "", O_RDONLY | O_CLOEXEC);
	if (e.src.kernel_fd < 0) {
		bootenv_close(&e);
		skip();
	}
	e.src.cmdline = "console=ttyS0";
	if (boot_load(&e.mem, &e.src, &e.cpu, &e.why) < 0)
		fail_msg("%s", e.why);
	assert_int_equal(e.cpu.rip & 0xfff, 0x200);
	bootenv_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_kernel_is_loaded),
		cmocka_unit_test(the_cpu_enters_in_long_mode),
		cmocka_unit_test(the_memory_map_is_all_of_ram),
		cmocka_unit_test(each_field_at_its_limits),
		cmocka_unit_test(an_old_protocol_is_named),
		cmocka_unit_test(one_that_cannot_move_stays_where_it_says),
		cmocka_unit_test(every_truncation_is_an_error),
		cmocka_unit_test(too_large_an_initrd_says_what_is_needed),
		cmocka_unit_test(the_command_line_has_a_limit),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(random_headers_get_an_answer),
		cmocka_unit_test(a_distribution_kernel_is_loaded),
	};

	return cmocka_run_group_tests_name("bzimage", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* PVH kernels, right and hostile: every number of the ELF file at its limits. */
#include "tests/unit/bootenv.h"
#include "tests/unit/unit.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define RAM MIB(64)
#define EH(field) offsetof(Elf64_Ehdr, field), sizeof(((Elf64_Ehdr *)0)->field)
#define PH(i, field)                                                          \
	ELF_PHDR_AT + (i) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field), \
		sizeof(((Elf64_Phdr *)0)->field)
#define IDENT(i) (i), 1
#define NOTE(n) ELF_NOTES_AT + 20 * (n)

struct row {
	const char *name; /* must be in the message */
	size_t at;
	size_t width;
	uint64_t value;
	int expected;
};

static uint64_t number_at(const struct bootenv *e, uint64_t gpa, size_t width)
{
	uint64_t v = 0;

	assert_int_equal(guest_read(&e->mem, GPA(gpa), &v, width), 0);
	return v;
}

static void a_right_kernel_is_loaded(void **state)
{
	uint8_t image[ELF_LEN];
	struct bootenv e;

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_elf(image);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), 0);
	assert_int_equal(e.cpu.rip, ELF_ENTRY);
	assert_int_equal(e.cpu.rbx, PVH_INFO_START);
	assert_int_equal(e.cpu.cr0 & 0x80000001, 1);
	assert_int_equal(e.cpu.efer, 0);
	assert_true(e.cpu.cs.db && !e.cpu.cs.l && e.cpu.cs.limit == UINT32_MAX);
	assert_int_equal(number_at(&e, 0x100000, 1), 0xcc);
	assert_int_equal(number_at(&e, 0x1001ff, 2), 0x00cc);
	assert_int_equal(number_at(&e, 0x200000, 1), 0xdd);
	assert_int_equal(number_at(&e, 0x2003ff, 2), 0x00dd);
	bootenv_close(&e);
}

/* Offsets are those of public/arch-x86/hvm/start_info.h. */
static void the_start_info_is_right(void **state)
{
	uint8_t image[ELF_LEN];
	struct bootenv e;
	uint64_t info = PVH_INFO_START, modules, map, total = 0;
	char cmdline[4];

	(void)state;
	bootenv_open(&e, GIB(3) + MIB(64));
	e.src.cmdline = "hey";
	bootenv_elf(image);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 5000), 0);
	assert_int_equal(number_at(&e, info, 4), 0x336ec578);
	assert_int_equal(number_at(&e, info + 4, 4), 1);
	assert_int_equal(number_at(&e, info + 12, 4), 1);
	modules = number_at(&e, info + 16, 8);
	assert_int_equal(number_at(&e, modules, 8), GIB(3) - 8192);
	assert_int_equal(number_at(&e, modules + 8, 8), 5000);
	assert_int_equal(number_at(&e, GIB(3) - 8192, 1), 0xa5);
	assert_int_equal(guest_read(&e.mem, GPA(number_at(&e, info + 24, 8)), cmdline, 4), 0);
	assert_string_equal(cmdline, "hey");
	assert_int_equal(number_at(&e, info + 32, 8), ACPI_START);
	map = number_at(&e, info + 40, 8);
	for (uint64_t i = 0; i < number_at(&e, info + 48, 4); i++)
		if (number_at(&e, map + i * 24 + 16, 4) == 1)
			total += number_at(&e, map + i * 24 + 8, 8);
	assert_int_equal(total, GIB(3) + MIB(64) - (MIB(1) - EBDA_START));
	assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), 0);
	assert_int_equal(number_at(&e, info + 12, 4), 0);
	bootenv_close(&e);
}

static const struct row rows[] = {
	{ "HdrS", IDENT(0), 0x7e, -ENOEXEC },
	{ "EI_CLASS", IDENT(EI_CLASS), ELFCLASS32, -ENOEXEC },
	{ "EI_CLASS", IDENT(EI_CLASS), 0, -ENOEXEC },
	{ "EI_DATA", IDENT(EI_DATA), ELFDATA2MSB, -ENOEXEC },
	{ "e_version", IDENT(EI_VERSION), 0, -ENOEXEC },
	{ "e_version", EH(e_version), 2, -ENOEXEC },
	{ "e_type", EH(e_type), ET_DYN, -ENOEXEC },
	{ "e_type", EH(e_type), ET_CORE, -ENOEXEC },
	{ "e_machine", EH(e_machine), EM_386, -ENOEXEC },
	{ "e_machine", EH(e_machine), UINT16_MAX, -ENOEXEC },
	{ "e_phentsize", EH(e_phentsize), 0, -ENOEXEC },
	{ "e_phentsize", EH(e_phentsize), sizeof(Elf64_Phdr) - 1, -ENOEXEC },
	{ "e_phentsize", EH(e_phentsize), UINT16_MAX, -ENOEXEC },
	{ "e_phnum", EH(e_phnum), 0, -ENOEXEC },
	{ "e_phnum", EH(e_phnum), 65, -ENOEXEC },
	{ "e_phnum", EH(e_phnum), UINT16_MAX, -ENOEXEC },
	{ "PHYS32_ENTRY", EH(e_phnum), 2, -ENOEXEC },
	{ "", EH(e_phnum), 16, 0 }, /* the rest are PT_NULL */
	{ "e_phoff", EH(e_phoff), ELF_LEN, -ENOEXEC },
	{ "e_phoff", EH(e_phoff), ELF_LEN - 3 * sizeof(Elf64_Phdr) + 1, -ENOEXEC },
	{ "e_phoff", EH(e_phoff), UINT64_MAX, -ENOEXEC },
	{ "e_phoff", EH(e_phoff), UINT64_MAX - 167, -ENOEXEC },
	{ "PT_LOAD", EH(e_phoff), ELF_LEN - 3 * sizeof(Elf64_Phdr), -ENOEXEC },
	/* sections, entry and flags mean nothing here */
	{ "", EH(e_entry), UINT64_MAX, 0 },
	{ "", EH(e_shoff), UINT64_MAX, 0 },
	{ "", EH(e_shnum), UINT16_MAX, 0 },
	{ "", EH(e_flags), UINT32_MAX, 0 },
	{ "p_filesz", PH(0, p_filesz), 0x1001, -ENOEXEC },
	{ "p_filesz", PH(0, p_filesz), UINT64_MAX, -ENOEXEC },
	{ "p_offset", PH(0, p_filesz), 0x1000, -ENOEXEC },
	{ "", PH(0, p_filesz), 0xc00, 0 },
	{ "p_offset", PH(0, p_filesz), 0xc01, -ENOEXEC },
	{ "", PH(0, p_filesz), 0, 0 },
	{ "p_offset", PH(0, p_offset), ELF_LEN, -ENOEXEC },
	{ "p_offset", PH(0, p_offset), ELF_LEN - 0x1ff, -ENOEXEC },
	{ "", PH(0, p_offset), ELF_LEN - 0x200, 0 },
	{ "p_offset", PH(0, p_offset), UINT64_MAX, -ENOEXEC },
	{ "p_offset", PH(0, p_offset), UINT64_MAX - 0x1ff, -ENOEXEC },
	{ "p_paddr", PH(1, p_paddr), 0, -ENOEXEC },
	{ "p_paddr", PH(1, p_paddr), HIGH_LOAD_START - 1, -ENOEXEC },
	{ "RAM", PH(1, p_paddr), RAM, -ENOMEM },
	{ "RAM", PH(1, p_paddr), RAM - 0x3ff, -ENOMEM },
	{ "", PH(1, p_paddr), RAM - 0x400, 0 },
	{ "RAM", PH(1, p_paddr), LOW_RAM_MAX - 0x400, -ENOMEM },
	{ "p_paddr", PH(1, p_paddr), LOW_RAM_MAX - 0x3ff, -ENOEXEC },
	{ "p_paddr", PH(1, p_paddr), LOW_RAM_MAX, -ENOEXEC },
	{ "p_paddr", PH(1, p_paddr), GIB(4), -ENOEXEC },
	{ "p_paddr", PH(1, p_paddr), UINT64_MAX, -ENOEXEC },
	{ "p_paddr", PH(1, p_paddr), UINT64_MAX - 0x3ff, -ENOEXEC },
	{ "overlap", PH(1, p_paddr), 0x100000, -ENOEXEC },
	{ "overlap", PH(1, p_paddr), 0x100fff, -ENOEXEC },
	{ "", PH(1, p_paddr), 0x101000, 0 },
	{ "RAM", PH(1, p_memsz), RAM, -ENOMEM },
	{ "p_memsz", PH(1, p_memsz), LOW_RAM_MAX, -ENOEXEC },
	{ "p_memsz", PH(1, p_memsz), UINT64_MAX, -ENOEXEC },
	{ "p_memsz", PH(1, p_memsz), UINT64_MAX - 0x200000, -ENOEXEC },
	{ "overlap", PH(0, p_memsz), 0x100001, -ENOEXEC },
	{ "", PH(0, p_memsz), 0x100000, 0 },
	{ "", PH(1, p_memsz), 0, 0 }, /* nothing to load */
	{ "PHYS32_ENTRY", PH(2, p_type), PT_NULL, -ENOEXEC },
	{ "notes", PH(2, p_filesz), KIB(64) + 1, -ENOEXEC },
	{ "notes", PH(2, p_filesz), UINT64_MAX, -ENOEXEC },
	{ "notes", PH(2, p_filesz), ELF_LEN - ELF_NOTES_AT + 1, -ENOEXEC },
	{ "PHYS32_ENTRY", PH(2, p_filesz), 0, -ENOEXEC },
	{ "PHYS32_ENTRY", PH(2, p_filesz), 20, -ENOEXEC },
	{ "PHYS32_ENTRY", PH(2, p_filesz), 31, -ENOEXEC },
	{ "n_namesz", PH(2, p_filesz), 32, -ENOEXEC },
	{ "n_namesz", PH(2, p_filesz), 39, -ENOEXEC },
	{ "", PH(2, p_align), 0, 0 },
	{ "", PH(2, p_align), UINT64_MAX, 0 },
	{ "notes", PH(2, p_offset), UINT64_MAX, -ENOEXEC },
	{ "notes", PH(2, p_offset), ELF_LEN - 39, -ENOEXEC },
	{ "n_namesz", NOTE(0), 4, UINT32_MAX, -ENOEXEC },
	{ "n_namesz", NOTE(0), 4, 29, -ENOEXEC },
	{ "n_descsz", NOTE(0) + 4, 4, UINT32_MAX, -ENOEXEC },
	{ "n_descsz", NOTE(0) + 4, 4, UINT32_MAX - 3, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(0) + 4, 4, 24, -ENOEXEC }, /* swallows the other */
	{ "n_descsz", NOTE(0) + 4, 4, 25, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(1), 4, 3, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(1) + 4, 4, 0, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(1) + 4, 4, 3, -ENOEXEC },
	{ "n_descsz", NOTE(1) + 4, 4, 5, -ENOEXEC },
	{ "n_descsz", NOTE(1) + 4, 4, 8, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(1) + 8, 4, 17, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(1) + 12, 4, 0x016e6558, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(1) + 16, 4, 0, -ENOEXEC },
	{ "PHYS32_ENTRY", NOTE(1) + 16, 4, 0xfffff, -ENOEXEC },
	{ "", NOTE(1) + 16, 4, 0x100000, 0 },
	{ "", NOTE(1) + 16, 4, 0x100fff, 0 },
	{ "PHYS32_ENTRY", NOTE(1) + 16, 4, 0x101000, -ENOEXEC },
	{ "", NOTE(1) + 16, 4, 0x2003ff, 0 },
	{ "PHYS32_ENTRY", NOTE(1) + 16, 4, UINT32_MAX, -ENOEXEC },
};

static void each_number_at_its_limits(void **state)
{
	uint8_t image[ELF_LEN];
	struct bootenv e;

	(void)state;
	bootenv_open(&e, RAM);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		int r;

		bootenv_elf(image);
		memcpy(image + row->at, &row->value, row->width);
		e.cpu.rip = 0x1234;
		r = bootenv_load(&e, image, sizeof(image), 0);
		if (r != row->expected)
			fail_msg("row %zu, %s = %#llx: %d, expected %d (%s)", i, row->name,
				 (unsigned long long)row->value, r, row->expected,
				 e.why ? e.why : "");
		if (r < 0 && (!e.why || !strstr(e.why, row->name)))
			fail_msg("row %zu: %s is not named: %s", i, row->name,
				 e.why ? e.why : "no message");
		if (r < 0)
			assert_int_equal(e.cpu.rip, 0x1234);
	}
	bootenv_close(&e);
}

/* A note of 8 bytes (as Linux writes it on x86-64) counts as well as one of 4. */
static void an_entry_of_8_bytes(void **state)
{
	const uint64_t filesz = 44, wide[2] = { 0x100020, 0x1000100000 };
	const uint32_t descsz = 8;
	uint8_t image[ELF_LEN];
	struct bootenv e;

	(void)state;
	bootenv_open(&e, RAM);
	for (unsigned int i = 0; i < 2; i++) {
		bootenv_elf(image);
		memcpy(image + ELF_PHDR_AT + 2 * sizeof(Elf64_Phdr) +
			       offsetof(Elf64_Phdr, p_filesz),
		       &filesz, 8);
		memcpy(image + NOTE(1) + 4, &descsz, 4);
		memcpy(image + NOTE(1) + 16, &wide[i], 8);
		assert_int_equal(bootenv_load(&e, image, sizeof(image), 0), i ? -ENOEXEC : 0);
	}
	bootenv_close(&e);
}

static void every_truncation_is_an_error(void **state)
{
	uint8_t image[ELF_LEN];
	struct bootenv e;

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_elf(image);
	for (size_t len = 0; len <= ELF_LEN; len++) {
		int r = bootenv_load(&e, image, len, 0);

		assert_int_equal(r, len >= ELF_NOTES_AT + 40 ? 0 : -ENOEXEC);
		assert_true(r == 0 || e.why);
	}
	bootenv_close(&e);
}

static void the_initrd_stays_clear_of_the_kernel(void **state)
{
	const size_t room = RAM - 0x201000; /* page-aligned */
	uint8_t image[ELF_LEN];
	struct bootenv e;

	(void)state;
	bootenv_open(&e, RAM);
	bootenv_elf(image);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), room), 0);
	assert_int_equal(bootenv_load(&e, image, sizeof(image), room + 1), -ENOMEM);
	assert_non_null(strstr(e.why, "MiB"));
	bootenv_close(&e);
}

static void random_damage_gets_an_answer(void **state)
{
	uint8_t image[ELF_LEN];
	uint64_t seed = 11;
	struct bootenv e;
	unsigned int loaded = 0;

	(void)state;
	bootenv_open(&e, RAM);
	for (unsigned int i = 0; i < 20000; i++) {
		bootenv_elf(image);
		for (unsigned int n = 1 + next_random(&seed) % 4; n > 0; n--) {
			size_t at = next_random(&seed) % (232 + 40);

			image[at < 232 ? at : ELF_NOTES_AT + at - 232] =
				(uint8_t)next_random(&seed);
		}
		if (bootenv_load(&e, image, sizeof(image), 0) == 0)
			loaded++;
		else
			assert_non_null(e.why);
	}
	assert_in_range(loaded, 1, 19999);
	bootenv_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_kernel_is_loaded),
		cmocka_unit_test(the_start_info_is_right),
		cmocka_unit_test(each_number_at_its_limits),
		cmocka_unit_test(an_entry_of_8_bytes),
		cmocka_unit_test(every_truncation_is_an_error),
		cmocka_unit_test(the_initrd_stays_clear_of_the_kernel),
		cmocka_unit_test(random_damage_gets_an_answer),
	};

	return cmocka_run_group_tests_name("elf_pvh", tests, NULL, NULL);
}

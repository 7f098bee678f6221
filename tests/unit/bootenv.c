/* SPDX-License-Identifier: Apache-2.0 */
/* See bootenv.h. */
#include "tests/unit/bootenv.h"

#include "lib/base/cleanup.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

void bootenv_open(struct bootenv *e, uint64_t ram_size)
{
	uint64_t low = ram_size < LOW_RAM_MAX ? ram_size : LOW_RAM_MAX;

	*e = (struct bootenv){ .src = { .kernel_fd = -1,
					.initrd_fd = -1,
					.cmdline = "",
					.ram_size = ram_size,
					.n_vcpus = 1,
					.serial = true } };
	e->ram_fd = memfd_create("ram", MFD_CLOEXEC);
	must(e->ram_fd >= 0 && ftruncate(e->ram_fd, (off_t)ram_size) == 0);
	guestmem_init(&e->mem);
	must(guestmem_add(&e->mem, GPA(0), low, 0, e->ram_fd, 0) == 0);
	if (ram_size > low)
		must(guestmem_add(&e->mem, GPA(HIGH_RAM_START), ram_size - low, HIGH_RAM_START,
				  e->ram_fd, low) == 0);
}

void bootenv_close(struct bootenv *e)
{
	guestmem_clear(&e->mem);
	closep(&e->ram_fd);
	closep(&e->src.kernel_fd);
	closep(&e->src.initrd_fd);
}

int bootenv_file(const void *data, size_t len)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	must(fd >= 0 && pwrite(fd, data, len, 0) == (ssize_t)len);
	return fd;
}

static int initrd_file(size_t len)
{
	int fd = memfd_create("initrd", MFD_CLOEXEC);
	const uint8_t a5 = 0xa5;

	must(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
	must(pwrite(fd, &a5, 1, 0) == 1 && pwrite(fd, &a5, 1, (off_t)len - 1) == 1);
	return fd;
}

int bootenv_load(struct bootenv *e, const void *kernel, size_t len, size_t initrd_len)
{
	closep(&e->src.kernel_fd);
	closep(&e->src.initrd_fd);
	e->src.kernel_fd = bootenv_file(kernel, len);
	if (initrd_len > 0)
		e->src.initrd_fd = initrd_file(initrd_len);
	e->why = NULL;
	return boot_load(&e->mem, &e->src, &e->cpu, &e->why);
}

void bootenv_bzimage(uint8_t out[BZ_LEN])
{
	const struct setup_header h = {
		.setup_sects = BZ_CODE_AT / 512 - 1,
		.syssize = BZ_CODE_LEN / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb, /* the header ends at 0x202 + 0x6a */
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = CMDLINE_MAX - 1,
		.pref_address = BZ_START,
		.init_size = BZ_INIT_SIZE,
	};

	memset(out, 0, BZ_LEN);
	memcpy(out + offsetof(struct boot_params, hdr), &h, sizeof(h));
	memset(out + BZ_CODE_AT, 0x90, BZ_CODE_LEN);
}

void bootenv_elf(uint8_t out[ELF_LEN])
{
	const Elf64_Ehdr eh = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = ELF_PHDR_AT,
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	const Elf64_Phdr ph[] = {
		{ .p_type = PT_LOAD,
		  .p_offset = ELF_TEXT_AT,
		  .p_paddr = 0x100000,
		  .p_filesz = 0x200,
		  .p_memsz = 0x1000 },
		{ .p_type = PT_LOAD,
		  .p_offset = ELF_DATA_AT,
		  .p_paddr = 0x200000,
		  .p_filesz = 0x400,
		  .p_memsz = 0x400 },
		{ .p_type = PT_NOTE, .p_offset = ELF_NOTES_AT, .p_filesz = 40, .p_align = 4 },
	};
	const struct {
		Elf64_Nhdr other;
		char other_name[4];
		uint32_t other_desc;
		Elf64_Nhdr entry;
		char name[4];
		uint32_t desc;
	} notes = {
		{ 4, 3, 1 }, "GNU", 0, { 4, 4, 18 }, "Xen", ELF_ENTRY,
	};

	memset(out, 0, ELF_LEN);
	memcpy(out, &eh, sizeof(eh));
	memcpy(out + ELF_PHDR_AT, ph, sizeof(ph));
	memset(out + ELF_TEXT_AT, 0xcc, 0x200);
	memset(out + ELF_DATA_AT, 0xdd, 0x400);
	memcpy(out + ELF_NOTES_AT, &notes, sizeof(notes));
}

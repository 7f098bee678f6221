/* SPDX-License-Identifier: Apache-2.0 */
/* bzImage by Linux's 64-bit boot protocol, Documentation/arch/x86/boot.rst. */
#include "cmd/vmm/boot/internal.h"

#include "cmd/vmm/layout.h"
#include "lib/base/checked.h"

#include <asm/bootparam.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#define HEADER_AT 0x1f1
#define HEADER_END_BYTE 0x201 /* the header ends at 0x202 plus this byte */
#define HEADER_END_BASE 0x202
#define HEADER_MIN_END 0x268 /* protocol 2.12: up to handover_offset */
#define BOOT_FLAG 0xaa55
#define HEADER_MAGIC 0x53726448 /* "HdrS" */
#define VERSION_MIN 0x20c
#define LOADED_HIGH_FLAG 0x01
#define SECTOR 512
#define SETUP_SECTS_DEFAULT 4
#define ENTRY_64 0x200 /* from the start of the protected-mode code */
#define LOADER_UNDEFINED 0xff
#define VIDEO_NORMAL 0xffff
#define ALIGNMENT_MAX GIB(1)

static_assert(offsetof(struct boot_params, hdr) == HEADER_AT);
static_assert(sizeof(struct boot_params) == KIB(4));
static_assert(HEADER_AT + sizeof(struct setup_header) <= BZIMAGE_HEAD_LEN);
static_assert(GDT_START + 0x40 <= PVH_INFO_START);
static_assert(ZERO_PAGE_START + sizeof(struct boot_params) <= BOOT_PAGE_TABLES);
static_assert(BOOT_PAGE_TABLES + 6 * KIB(4) <= CMDLINE_START);
static_assert(CMDLINE_START + CMDLINE_MAX <= EBDA_START && ACPI_END <= HIGH_LOAD_START);

/* Where everything goes, once the header was found right. */
struct bzimage_plan {
	uint64_t code_offset; /* in the file */
	uint64_t code_len;
	uint64_t start; /* in guest RAM */
	uint64_t end;	/* what the kernel uses before it knows the memory map */
};

bool bzimage_probe(const uint8_t head[BZIMAGE_HEAD_LEN])
{
	return memcmp(head + HEADER_END_BASE, "HdrS", 4) == 0;
}

/* First of all: what else a header has depends on it. */
static int check_version(const struct boot_loader *l, const uint8_t head[BZIMAGE_HEAD_LEN])
{
	const uint8_t *version = head + HEADER_AT + offsetof(struct setup_header, version);

	if ((version[1] << 8 | version[0]) >= VERSION_MIN)
		return 0;
	return boot_fail(
		l, -ENOEXEC,
		"kernel: its boot protocol is version %u.%02u, and this VM needs 2.12: say a "
		"bzImage of a 64-bit Linux (3.8 or later), or an ELF file with a PVH entry",
		version[1], version[0]);
}

/* The header as far as this kernel's goes; what it does not have is zero. */
static int copy_header(const struct boot_loader *l, const uint8_t head[BZIMAGE_HEAD_LEN],
		       struct setup_header *ret)
{
	size_t end = HEADER_END_BASE + (size_t)head[HEADER_END_BYTE];
	size_t len = end - HEADER_AT;

	if (end < HEADER_MIN_END)
		return boot_fail(l, -ENOEXEC,
				 "kernel: jump: the setup header ends at %#zx, must be %#x or more",
				 end, HEADER_MIN_END);
	if (end > l->kernel.size)
		return boot_fail(l, -ENOEXEC, "kernel: the file ends within the setup header");
	*ret = (struct setup_header){ 0 };
	memcpy(ret, head + HEADER_AT, len < sizeof(*ret) ? len : sizeof(*ret));
	return 0;
}

static int check_kind(const struct boot_loader *l, const struct setup_header *h)
{
	if (h->boot_flag != BOOT_FLAG)
		return boot_fail(l, -ENOEXEC, "kernel: boot_flag is %#x, must be %#x", h->boot_flag,
				 BOOT_FLAG);
	if (h->header != HEADER_MAGIC)
		return boot_fail(l, -ENOEXEC, "kernel: header is %#x, must be %#x", h->header,
				 HEADER_MAGIC);
	if (!(h->loadflags & LOADED_HIGH_FLAG))
		return boot_fail(
			l, -ENOEXEC,
			"kernel: loadflags lacks LOADED_HIGH: a zImage, must be a bzImage");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return boot_fail(l, -ENOEXEC,
				 "kernel: xloadflags lacks XLF_KERNEL_64: must be a 64-bit kernel");
	return 0;
}

static int plan_file(const struct boot_loader *l, const struct setup_header *h,
		     struct bzimage_plan *p)
{
	uint64_t sects = h->setup_sects ? h->setup_sects : SETUP_SECTS_DEFAULT;
	uint64_t want = (uint64_t)h->syssize * 16;
	uint64_t have;

	p->code_offset = (sects + 1) * SECTOR;
	if (p->code_offset >= l->kernel.size)
		return boot_fail(l, -ENOEXEC,
				 "kernel: setup_sects is %llu, but the file has only %llu sectors",
				 (unsigned long long)sects,
				 (unsigned long long)(l->kernel.size / SECTOR));
	have = l->kernel.size - p->code_offset;
	if (want <= ENTRY_64)
		return boot_fail(l, -ENOEXEC, "kernel: syssize is %u: no room for the 64-bit entry",
				 h->syssize);
	/* syssize counts paragraphs of 16 bytes and is rounded up. */
	if (want >= have + 16)
		return boot_fail(l, -ENOEXEC,
				 "kernel: syssize says %llu bytes, the file is cut off after %llu",
				 (unsigned long long)want, (unsigned long long)have);
	p->code_len = want < have ? want : have;
	return 0;
}

static int check_alignment(const struct boot_loader *l, const struct setup_header *h)
{
	uint64_t align = h->kernel_alignment;

	if (h->relocatable_kernel &&
	    (align < KIB(4) || align > ALIGNMENT_MAX || (align & (align - 1))))
		return boot_fail(l, -ENOEXEC,
				 "kernel: kernel_alignment is %#llx, must be a power of two from "
				 "4 KiB to 1 GiB",
				 (unsigned long long)align);
	if (!h->relocatable_kernel && h->pref_address < HIGH_LOAD_START)
		return boot_fail(l, -ENOEXEC,
				 "kernel: pref_address is %#llx, must be %#llx or more",
				 (unsigned long long)h->pref_address,
				 (unsigned long long)HIGH_LOAD_START);
	if (h->pref_address >= LOW_RAM_MAX)
		return boot_fail(l, -ENOEXEC, "kernel: pref_address is %#llx, must be below %#llx",
				 (unsigned long long)h->pref_address,
				 (unsigned long long)LOW_RAM_MAX);
	return 0;
}

/* A relocatable kernel that is loaded below pref_address moves itself there all the same. */
static int plan_memory(const struct boot_loader *l, const struct setup_header *h,
		       struct bzimage_plan *p)
{
	uint64_t mask = h->relocatable_kernel ? (uint64_t)h->kernel_alignment - 1 : 0;
	uint64_t pref = h->pref_address < HIGH_LOAD_START ? HIGH_LOAD_START : h->pref_address;
	int r = check_alignment(l, h);

	if (r < 0)
		return r;
	if (h->init_size < p->code_len)
		return boot_fail(l, -ENOEXEC,
				 "kernel: init_size is %u, must be at least syssize's %llu bytes",
				 h->init_size, (unsigned long long)p->code_len);
	p->start = (pref + mask) & ~mask;
	p->end = p->start + h->init_size; /* below 4 GiB + 4 GiB */
	if (p->end > l->low_ram_end)
		return boot_fail(l, -ENOMEM,
				 "too little RAM: the kernel (init_size) needs %llu MiB below "
				 "3 GiB, the guest has %llu MiB there",
				 (unsigned long long)((p->end + MIB(1) - 1) >> 20),
				 (unsigned long long)(l->low_ram_end >> 20));
	return 0;
}

static int check_cmdline(const struct boot_loader *l, const struct setup_header *h)
{
	size_t len = strlen(l->src->cmdline);

	if (len > h->cmdline_size)
		return boot_fail(l, -E2BIG,
				 "command line: %zu bytes, this kernel takes at most %u "
				 "(cmdline_size)",
				 len, h->cmdline_size);
	return 0;
}

static void fill_header(struct setup_header *h, const struct bzimage_plan *p,
			const struct boot_range *initrd)
{
	h->type_of_loader = LOADER_UNDEFINED;
	h->ext_loader_type = 0;
	h->ext_loader_ver = 0;
	h->vid_mode = VIDEO_NORMAL;
	h->code32_start = (uint32_t)p->start;
	h->ramdisk_image = (uint32_t)initrd->start;
	h->ramdisk_size = (uint32_t)initrd->len;
	h->cmd_line_ptr = CMDLINE_START;
	h->hardware_subarch = 0;
	h->hardware_subarch_data = 0;
	h->setup_data = 0;
}

static int write_zero_page(const struct boot_loader *l, const struct setup_header *h)
{
	struct boot_params params = { .hdr = *h, .acpi_rsdp_addr = l->rsdp.v };
	struct memmap_entry map[MEMMAP_MAX];
	size_t n = memmap_build(l->src->ram_size, map);

	for (size_t i = 0; i < n; i++)
		params.e820_table[i] = (struct boot_e820_entry){ .addr = map[i].start,
								 .size = map[i].len,
								 .type = map[i].type };
	params.e820_entries = (uint8_t)n;
	return guest_write(l->mem, GPA(ZERO_PAGE_START), &params, sizeof(params));
}

static int enter(const struct boot_loader *l, const struct bzimage_plan *p,
		 struct cpu_boot_state *ret)
{
	struct cpu_boot_state cpu = {
		.rip = p->start + ENTRY_64,
		.rsp = ZERO_PAGE_START,
		.rsi = ZERO_PAGE_START,
		.rflags = 2,
	};
	int r = cpu_state_long64(l->mem, &cpu);

	if (r < 0)
		return r;
	*ret = cpu;
	return 0;
}

int bzimage_load(const struct boot_loader *l, const uint8_t head[BZIMAGE_HEAD_LEN],
		 struct cpu_boot_state *ret)
{
	struct setup_header h = { 0 };
	struct bzimage_plan p = { 0 };
	struct boot_range initrd = { 0 };
	int r = check_version(l, head);

	if (r == 0)
		r = copy_header(l, head, &h);
	if (r == 0)
		r = check_kind(l, &h);
	if (r == 0)
		r = plan_file(l, &h, &p);
	if (r == 0)
		r = plan_memory(l, &h, &p);
	if (r == 0)
		r = check_cmdline(l, &h);
	if (r == 0)
		r = boot_load_initrd(l, p.end, h.initrd_addr_max, &initrd);
	if (r < 0)
		return r;
	r = boot_file_load(&l->kernel, p.code_offset, l->mem, GPA(p.start), p.code_len);
	if (r < 0)
		return boot_fail(l, r, "kernel: cannot be read: %s", strerrordesc_np(-r));
	fill_header(&h, &p, &initrd);
	r = write_zero_page(l, &h);
	if (r == 0)
		r = enter(l, &p, ret);
	if (r < 0)
		return boot_fail(l, r, "kernel: boot parameters: %s", strerrordesc_np(-r));
	return 0;
}

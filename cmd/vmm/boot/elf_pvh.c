/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF kernels with a PVH note. ELF-64 Object File Format 1.5; Xen docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h.
 */
#include "cmd/vmm/boot/internal.h"

#include "cmd/vmm/layout.h"
#include "lib/base/checked.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#define PHDRS_MAX 64
#define NOTES_LEN_MAX KIB(64) /* of one PT_NOTE segment */
#define NOTE_NAME "Xen"
#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define START_MAGIC 0x336ec578
#define START_VERSION 1

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct start_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct start_memmap {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

/* What is written at PVH_INFO_START. */
struct start_page {
	struct start_info info;
	struct start_module initrd;
	struct start_memmap memmap[MEMMAP_MAX];
};

static_assert(sizeof(struct start_info) == 56);
static_assert(sizeof(struct start_memmap) == 24);
static_assert(PVH_INFO_START + sizeof(struct start_page) <= ZERO_PAGE_START);
static_assert(sizeof(Elf64_Ehdr) <= BZIMAGE_HEAD_LEN);

struct elf {
	const struct boot_loader *l;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[PHDRS_MAX]; /* the one copy that was read */
	size_t n;
	uint64_t entry;
	uint64_t end; /* of the highest segment in guest RAM */
};

bool elf_probe(const uint8_t head[BZIMAGE_HEAD_LEN])
{
	return memcmp(head, ELFMAG, SELFMAG) == 0;
}

static int check_ident(const struct elf *e)
{
	const Elf64_Ehdr *eh = &e->eh;

	if (eh->e_ident[EI_CLASS] != ELFCLASS64)
		return boot_fail(e->l, -ENOEXEC, "kernel: EI_CLASS is %u, must be %u (64-bit)",
				 eh->e_ident[EI_CLASS], ELFCLASS64);
	if (eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return boot_fail(e->l, -ENOEXEC,
				 "kernel: EI_DATA is %u, must be %u (little-endian)",
				 eh->e_ident[EI_DATA], ELFDATA2LSB);
	if (eh->e_ident[EI_VERSION] != EV_CURRENT || eh->e_version != EV_CURRENT)
		return boot_fail(e->l, -ENOEXEC, "kernel: e_version must be %u", EV_CURRENT);
	if (eh->e_type != ET_EXEC)
		return boot_fail(e->l, -ENOEXEC, "kernel: e_type is %u, must be %u (ET_EXEC)",
				 eh->e_type, ET_EXEC);
	if (eh->e_machine != EM_X86_64)
		return boot_fail(e->l, -ENOEXEC, "kernel: e_machine is %u, must be %u (x86-64)",
				 eh->e_machine, EM_X86_64);
	return 0;
}

static int read_headers(struct elf *e, const uint8_t head[BZIMAGE_HEAD_LEN])
{
	int r;

	memcpy(&e->eh, head, sizeof(e->eh));
	if (e->l->kernel.size < sizeof(e->eh))
		return boot_fail(e->l, -ENOEXEC, "kernel: the file ends within the ELF header");
	r = check_ident(e);
	if (r < 0)
		return r;
	if (e->eh.e_phentsize != sizeof(Elf64_Phdr))
		return boot_fail(e->l, -ENOEXEC, "kernel: e_phentsize is %u, must be %zu",
				 e->eh.e_phentsize, sizeof(Elf64_Phdr));
	if (e->eh.e_phnum == 0 || e->eh.e_phnum > PHDRS_MAX)
		return boot_fail(e->l, -ENOEXEC, "kernel: e_phnum is %u, must be 1 to %u",
				 e->eh.e_phnum, PHDRS_MAX);
	e->n = e->eh.e_phnum;
	if (!range_within(e->eh.e_phoff, e->n * sizeof(Elf64_Phdr), e->l->kernel.size))
		return boot_fail(e->l, -ENOEXEC,
				 "kernel: e_phoff is %#llx: the program headers end past the file",
				 (unsigned long long)e->eh.e_phoff);
	r = boot_file_read(&e->l->kernel, e->eh.e_phoff, e->ph, e->n * sizeof(Elf64_Phdr));
	if (r < 0)
		return boot_fail(e->l, r, "kernel: cannot be read: %s", strerrordesc_np(-r));
	return 0;
}

static bool is_loaded(const Elf64_Phdr *ph)
{
	return ph->p_type == PT_LOAD && ph->p_memsz > 0;
}

static int check_segment(struct elf *e, size_t i)
{
	const Elf64_Phdr *ph = &e->ph[i];
	uint64_t end;

	if (ph->p_filesz > ph->p_memsz)
		return boot_fail(e->l, -ENOEXEC,
				 "kernel: segment %zu: p_filesz is %#llx, must be at most p_memsz",
				 i, (unsigned long long)ph->p_filesz);
	if (!range_within(ph->p_offset, ph->p_filesz, e->l->kernel.size))
		return boot_fail(e->l, -ENOEXEC,
				 "kernel: segment %zu: p_offset and p_filesz end past the file", i);
	if (ph->p_paddr < HIGH_LOAD_START)
		return boot_fail(e->l, -ENOEXEC,
				 "kernel: segment %zu: p_paddr is %#llx, must be %#llx or more", i,
				 (unsigned long long)ph->p_paddr,
				 (unsigned long long)HIGH_LOAD_START);
	if (!u64_add(ph->p_paddr, ph->p_memsz, &end) || end > LOW_RAM_MAX)
		return boot_fail(e->l, -ENOEXEC,
				 "kernel: segment %zu: p_paddr and p_memsz end past %#llx", i,
				 (unsigned long long)LOW_RAM_MAX);
	if (end > e->l->low_ram_end)
		return boot_fail(
			e->l, -ENOMEM,
			"too little RAM: the kernel's segment %zu needs %llu MiB, the guest "
			"has %llu MiB",
			i, (unsigned long long)((end + MIB(1) - 1) >> 20),
			(unsigned long long)(e->l->low_ram_end >> 20));
	if (end > e->end)
		e->end = end;
	return 0;
}

static int check_overlap(const struct elf *e, size_t i)
{
	const Elf64_Phdr *a = &e->ph[i];

	for (size_t k = 0; k < i; k++) {
		const Elf64_Phdr *b = &e->ph[k];

		if (is_loaded(b) && a->p_paddr < b->p_paddr + b->p_memsz &&
		    b->p_paddr < a->p_paddr + a->p_memsz)
			return boot_fail(e->l, -ENOEXEC,
					 "kernel: segments %zu and %zu overlap in p_paddr", k, i);
	}
	return 0;
}

static int check_segments(struct elf *e)
{
	for (size_t i = 0; i < e->n; i++) {
		int r;

		if (!is_loaded(&e->ph[i]))
			continue;
		r = check_segment(e, i);
		if (r == 0)
			r = check_overlap(e, i);
		if (r < 0)
			return r;
	}
	if (e->end == 0)
		return boot_fail(e->l, -ENOEXEC, "kernel: no segment to load (PT_LOAD)");
	return 0;
}

/* ---- notes ---- */

static int take_entry(struct elf *e, uint64_t desc_at, uint32_t desc_len)
{
	uint64_t entry = 0;
	int r;

	if (desc_len != 4 && desc_len != 8)
		return boot_fail(e->l, -ENOEXEC,
				 "kernel: XEN_ELFNOTE_PHYS32_ENTRY: n_descsz is %u, must be 4 or 8",
				 desc_len);
	r = boot_file_read(&e->l->kernel, desc_at, &entry, desc_len);
	if (r < 0)
		return boot_fail(e->l, r, "kernel: cannot be read: %s", strerrordesc_np(-r));
	for (size_t i = 0; i < e->n; i++) {
		const Elf64_Phdr *ph = &e->ph[i];

		if (is_loaded(ph) && entry >= ph->p_paddr && entry - ph->p_paddr < ph->p_memsz) {
			e->entry = entry;
			return 1;
		}
	}
	return boot_fail(e->l, -ENOEXEC,
			 "kernel: XEN_ELFNOTE_PHYS32_ENTRY is %#llx, must lie in a loaded segment",
			 (unsigned long long)entry);
}

static uint64_t align_note(uint64_t at, uint64_t align)
{
	return (at + align - 1) & ~(align - 1);
}

static bool is_phys32_entry(const struct elf *e, const Elf64_Nhdr *nh, uint64_t name_at)
{
	char name[sizeof(NOTE_NAME)];

	if (nh->n_type != XEN_ELFNOTE_PHYS32_ENTRY || nh->n_namesz != sizeof(NOTE_NAME))
		return false;
	return boot_file_read(&e->l->kernel, name_at, name, sizeof(name)) == 0 &&
	       memcmp(name, NOTE_NAME, sizeof(name)) == 0;
}

/* 1: found, 0: not in this segment. All sums stay far below 2^64: offsets are within a file that
 * exists, sizes are of 32 bits. */
static int scan_notes(struct elf *e, const Elf64_Phdr *ph)
{
	uint64_t align = ph->p_align == 8 ? 8 : 4;
	uint64_t at = ph->p_offset, end = ph->p_offset + ph->p_filesz;

	while (end - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		uint64_t name_at = at + sizeof(nh), desc_at, next;
		int r = boot_file_read(&e->l->kernel, at, &nh, sizeof(nh));

		if (r < 0)
			return boot_fail(e->l, r, "kernel: cannot be read: %s",
					 strerrordesc_np(-r));
		desc_at = name_at + align_note(nh.n_namesz, align);
		if (desc_at + nh.n_descsz > end)
			return boot_fail(
				e->l, -ENOEXEC,
				"kernel: note at %#llx: n_namesz %u and n_descsz %u end past "
				"its segment",
				(unsigned long long)at, nh.n_namesz, nh.n_descsz);
		if (is_phys32_entry(e, &nh, name_at))
			return take_entry(e, desc_at, nh.n_descsz);
		next = desc_at + align_note(nh.n_descsz, align);
		if (next >= end)
			break;
		at = next;
	}
	return 0;
}

static int find_entry(struct elf *e)
{
	for (size_t i = 0; i < e->n; i++) {
		const Elf64_Phdr *ph = &e->ph[i];
		int r;

		if (ph->p_type != PT_NOTE)
			continue;
		if (ph->p_filesz > NOTES_LEN_MAX ||
		    !range_within(ph->p_offset, ph->p_filesz, e->l->kernel.size))
			return boot_fail(
				e->l, -ENOEXEC,
				"kernel: notes (segment %zu): must lie within the file and "
				"be at most %llu bytes",
				i, (unsigned long long)NOTES_LEN_MAX);
		r = scan_notes(e, ph);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return boot_fail(
		e->l, -ENOEXEC,
		"kernel: no XEN_ELFNOTE_PHYS32_ENTRY note: an ELF kernel must be built for "
		"PVH (CONFIG_PVH)");
}

/* ---- loading ---- */

/* What a segment's memory has beyond its file is zero already, as all RAM is. */
static int load_segments(const struct elf *e)
{
	for (size_t i = 0; i < e->n; i++) {
		const Elf64_Phdr *ph = &e->ph[i];
		int r;

		if (!is_loaded(ph))
			continue;
		r = boot_file_load(&e->l->kernel, ph->p_offset, e->l->mem, GPA(ph->p_paddr),
				   ph->p_filesz);
		if (r < 0)
			return boot_fail(e->l, r, "kernel: cannot be read: %s",
					 strerrordesc_np(-r));
	}
	return 0;
}

static int write_start_info(const struct elf *e, const struct boot_range *initrd)
{
	const uint64_t base = PVH_INFO_START;
	struct start_page page = {
		.info = {
			.magic = START_MAGIC,
			.version = START_VERSION,
			.nr_modules = initrd->len > 0,
			.modlist_paddr =
				initrd->len > 0 ? base + offsetof(struct start_page, initrd) : 0,
			.cmdline_paddr = CMDLINE_START,
			.rsdp_paddr = e->l->rsdp.v,
			.memmap_paddr = base + offsetof(struct start_page, memmap),
		},
		.initrd = { .paddr = initrd->start, .size = initrd->len },
	};
	struct memmap_entry map[MEMMAP_MAX];
	size_t n = memmap_build(e->l->src->ram_size, map);

	for (size_t i = 0; i < n; i++)
		page.memmap[i] = (struct start_memmap){ .addr = map[i].start,
							.size = map[i].len,
							.type = map[i].type };
	page.info.memmap_entries = (uint32_t)n;
	return guest_write(e->l->mem, GPA(base), &page, sizeof(page));
}

static int enter(const struct elf *e, struct cpu_boot_state *ret)
{
	struct cpu_boot_state cpu = { .rip = e->entry, .rbx = PVH_INFO_START, .rflags = 2 };
	int r = cpu_state_flat32(e->l->mem, &cpu);

	if (r < 0)
		return r;
	*ret = cpu;
	return 0;
}

int elf_pvh_load(const struct boot_loader *l, const uint8_t head[BZIMAGE_HEAD_LEN],
		 struct cpu_boot_state *ret)
{
	struct elf e = { .l = l };
	struct boot_range initrd = { 0 };
	int r = read_headers(&e, head);

	if (r == 0)
		r = check_segments(&e);
	if (r == 0)
		r = find_entry(&e);
	if (r == 0)
		r = boot_load_initrd(l, e.end, UINT32_MAX, &initrd);
	if (r == 0)
		r = load_segments(&e);
	if (r < 0)
		return r;
	r = write_start_info(&e, &initrd);
	if (r == 0)
		r = enter(&e, ret);
	if (r < 0)
		return boot_fail(l, r, "kernel: start info: %s", strerrordesc_np(-r));
	return 0;
}

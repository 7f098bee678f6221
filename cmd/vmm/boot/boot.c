/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a kernel; see boot.h. */
#include "cmd/vmm/boot/boot.h"

#include "cmd/vmm/boot/acpi.h"
#include "cmd/vmm/boot/identity.h"
#include "cmd/vmm/boot/internal.h"
#include "cmd/vmm/layout.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PAGE_MASK (~(KIB(4) - 1))

int boot_fail(const struct boot_loader *l, int err, const char *fmt, ...)
{
	static char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	*l->ret_why = why;
	return err;
}

static uint64_t mib_up(uint64_t bytes)
{
	return (bytes >> 20) + !!(bytes & (MIB(1) - 1));
}

int boot_load_initrd(const struct boot_loader *l, uint64_t kernel_end, uint64_t addr_max,
		     struct boot_range *ret)
{
	uint64_t size = l->initrd.size;
	uint64_t top = l->low_ram_end;
	uint64_t start, needed;
	int r;

	*ret = (struct boot_range){ 0 };
	if (size == 0)
		return 0;
	if (addr_max < top - 1)
		top = addr_max + 1;
	start = size <= top ? (top - size) & PAGE_MASK : 0;
	if (start < kernel_end && top < l->low_ram_end)
		return boot_fail(l, -EFBIG,
				 "initrd: %llu MiB do not fit between the kernel's end and its "
				 "initrd_addr_max, %#llx",
				 (unsigned long long)mib_up(size), (unsigned long long)addr_max);
	needed = mib_up(kernel_end) + mib_up(size);
	if (start < kernel_end)
		return boot_fail(l, -ENOMEM,
				 "too little RAM: kernel and initrd need %llu MiB below 3 GiB, "
				 "the guest has %llu MiB there",
				 (unsigned long long)needed,
				 (unsigned long long)(l->low_ram_end >> 20));
	r = boot_file_load(&l->initrd, 0, l->mem, GPA(start), size);
	if (r < 0)
		return boot_fail(l, r, "initrd: cannot be read: %s", strerrordesc_np(-r));
	*ret = (struct boot_range){ start, size };
	return 0;
}

static int open_files(struct boot_loader *l)
{
	int r = boot_file_open(l->src->kernel_fd, &l->kernel);

	if (r < 0)
		return boot_fail(l, r, "kernel: must be a regular file");
	if (l->src->initrd_fd < 0)
		return 0;
	r = boot_file_open(l->src->initrd_fd, &l->initrd);
	if (r < 0)
		return boot_fail(l, r, "initrd: must be a regular file");
	if (l->initrd.size == 0)
		return boot_fail(l, -EINVAL, "initrd: is empty");
	return 0;
}

/*
 * There is no firmware, but there is what stands at its reset vector: a kernel on hardware-reduced
 * ACPI without EFI restarts by a jump there in real mode.
 */
static int write_reset_vector(const struct guestmem *mem)
{
	static const uint8_t code[] = {
		/* clang-format off */
		0xb0, RESET_VALUE,                         /* mov al, RESET_VALUE */
		0xba, PORT_RESET & 0xff, PORT_RESET >> 8,  /* mov dx, PORT_RESET */
		0xee,                                      /* out dx, al */
		0xf4,                                      /* hlt */
		0xeb, 0xfd,                                /* jmp hlt */
		/* clang-format on */
	};

	return guest_write(mem, GPA(RESET_VECTOR), code, sizeof(code));
}

/* Everything that does not depend on the kernel. */
static int load_common(struct boot_loader *l)
{
	const struct acpi_config acpi = { .n_vcpus = l->src->n_vcpus,
					  .serial = l->src->serial,
					  .tpm = l->src->tpm,
					  .pci_start = PCI_MMIO32_START,
					  .pci_end = PCI_MMIO32_END };
	size_t len = strlen(l->src->cmdline);
	int r;

	if (len >= CMDLINE_MAX)
		return boot_fail(l, -E2BIG, "command line: %zu bytes, at most %llu", len,
				 (unsigned long long)CMDLINE_MAX - 1);
	r = guest_write(l->mem, GPA(CMDLINE_START), l->src->cmdline, len + 1);
	if (r == 0)
		r = acpi_build(l->mem, &acpi, &l->rsdp);
	if (r == 0 && l->src->smbios)
		r = identity_load(l->mem, l->src->smbios);
	if (r == 0)
		r = write_reset_vector(l->mem);
	if (r < 0)
		return boot_fail(l, r, "command line, ACPI and SMBIOS tables: %s",
				 strerrordesc_np(-r));
	return 0;
}

int boot_load(const struct guestmem *mem, const struct boot_source *src, struct cpu_boot_state *ret,
	      const char **ret_why)
{
	struct boot_loader l = {
		.mem = mem,
		.src = src,
		.low_ram_end = src->ram_size < LOW_RAM_MAX ? src->ram_size : LOW_RAM_MAX,
		.ret_why = ret_why,
	};
	uint8_t head[BZIMAGE_HEAD_LEN] = { 0 };
	int r;

	if (src->ram_size <= HIGH_LOAD_START)
		return boot_fail(&l, -ENOMEM, "too little RAM: more than 1 MiB is needed");
	r = open_files(&l);
	if (r < 0)
		return r;
	/* The one look at the header: what follows decides by this copy. */
	r = boot_file_read(&l.kernel, 0, head,
			   l.kernel.size < sizeof(head) ? l.kernel.size : sizeof(head));
	if (r < 0)
		return boot_fail(&l, r, "kernel: cannot be read: %s", strerrordesc_np(-r));
	if (!elf_probe(head) && !bzimage_probe(head))
		return boot_fail(&l, -ENOEXEC,
				 "kernel: neither a bzImage (\"HdrS\" at 0x202) nor an ELF file");
	r = load_common(&l);
	if (r < 0)
		return r;
	return elf_probe(head) ? elf_pvh_load(&l, head, ret) : bzimage_load(&l, head, ret);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soft_speed LOOPS [KERNEL]: instructions per second of the interpreter on the loops of
 * soft_loops.c. They are counted by single steps over a few rounds, then timed.
 */
#include "cmd/vmm/accel/soft/decode.h"
#include "cmd/vmm/accel/soft/seg.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RAM_SIZE (16U << 20)
#define GPA_TABLES 0x1000U
#define STACK_TOP 0x800000U

static const char *const kernels[] = { "sieve",	      "hash", "copy words", "rep movsb",
				       "call/return", "sort", "chase",	    "length" };

static struct accel vm;
static struct soft_cpu *cpu;
static uint64_t entry;

/* Identity by pages of 4 KiB, writable by all. */
static void make_tables(uint8_t *ram)
{
	uint64_t *pml4 = (uint64_t *)(void *)(ram + GPA_TABLES), *pdpt = pml4 + 512,
		 *pd = pdpt + 512;
	uint64_t *pt = pd + 512;

	pml4[0] = (GPA_TABLES + 0x1000) | 7;
	pdpt[0] = (GPA_TABLES + 0x2000) | 7;
	for (unsigned int i = 0; i < RAM_SIZE >> 21; i++)
		pd[i] = (GPA_TABLES + 0x3000 + i * 0x1000) | 7;
	for (unsigned int i = 0; i < RAM_SIZE >> 12; i++)
		pt[i] = i << 12 | 7;
}

static void load(const char *path, uint8_t *ram)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	const uint8_t *file;
	const Elf64_Ehdr *eh;
	const Elf64_Phdr *ph;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED)
		err(1, "%s", path);
	eh = (const Elf64_Ehdr *)(const void *)file;
	ph = (const Elf64_Phdr *)(const void *)(file + eh->e_phoff);
	entry = eh->e_entry;
	for (unsigned int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr + ph[i].p_memsz <= RAM_SIZE)
			memcpy(ram + ph[i].p_vaddr, file + ph[i].p_offset, ph[i].p_filesz);
}

static void make_machine(const char *path)
{
	uint8_t *ram =
		mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ram == MAP_FAILED)
		err(1, "mmap");
	vm = (struct accel){ .n_vcpus = 1, .n_ram = 1 };
	vm.ram[0] = (struct soft_ram){ .size = RAM_SIZE, .host = ram };
	vm.ram[0].pages = calloc(RAM_SIZE >> 12, sizeof(struct soft_page));
	make_tables(ram);
	load(path, ram);
	cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~63UL);
	memset(cpu, 0, sizeof(*cpu));
	cpu->vm = &vm;
	vm.cpus[0] = cpu;
	soft_decode_init();
	if (soft_cache_create(cpu) < 0)
		errx(1, "no cache");
}

static void reset(unsigned int kernel, uint64_t times)
{
	const uint16_t data = SEG_P | SEG_S | SEG_RW | SEG_ACCESSED | SEG_DB | SEG_G;

	for (unsigned int s = 0; s < 6; s++)
		cpu->seg[s] = (struct soft_segment){ 0x10, data, UINT32_MAX, 0 };
	cpu->seg[S_CS].attr = (uint16_t)((data & ~SEG_DB) | SEG_CODE | SEG_L);
	cpu->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	cpu->cr3 = GPA_TABLES;
	cpu->cr4 = CR4_PAE | CR4_OSFXSR;
	cpu->efer = EFER_LME | EFER_LMA | EFER_NXE;
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[R_SP] = STACK_TOP;
	cpu->gpr[R_DI] = kernel;
	cpu->gpr[R_SI] = times;
	cpu->rip = entry;
	cpu->halted = false;
	soft_flags_set(cpu, 2);
	soft_tlb_flush(cpu, true);
	soft_mode_changed(cpu);
}

/* Until HLT; the number of instructions when counting. */
static uint64_t run(unsigned int kernel, uint64_t times, bool count)
{
	uint64_t n = 0;

	reset(kernel, times);
	cpu->single_step = count;
	while (!cpu->halted) {
		if (soft_execute(cpu))
			errx(1, "exception %u at %llx", cpu->fault.vector,
			     (unsigned long long)cpu->rip);
		if (atomic_exchange(&cpu->wake, 0) & WAKE_CODE)
			soft_tlb_drop_code(cpu);
		n++;
	}
	return n;
}

/* Of this thread, in ns: others may be busy. */
static uint64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void measure(unsigned int kernel)
{
	double base = (double)run(kernel, 0, true);
	double each = ((double)run(kernel, 2, true) - base) / 2;
	uint64_t times = (uint64_t)(2e7 / each) + 1, start;
	double best = 1e99;

	if (kernel == 3)
		times = 20000;
	for (unsigned int k = 0; k < 3; k++) {
		double s;

		start = cpu_time();
		(void)run(kernel, times, false);
		s = (double)(cpu_time() - start);
		best = s < best ? s : best;
	}
	printf("%-12s %8.0f instructions a round, %7.1f MIPS, %9.1f ns a round\n", kernels[kernel],
	       each, (base + each * (double)times) / best * 1e3, best / (double)times);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: soft_speed LOOPS [KERNEL]");
	make_machine(argv[1]);
	for (unsigned int k = 0; k < 8; k++)
		if (argc < 3 || k == strtoul(argv[2], NULL, 0))
			measure(k);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that claim to be ELF files: loaded within RAM, or refused with a line for the user. */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/bootenv.h"

#include <string.h>

#define KERNEL_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bootenv e;
	uint8_t kernel[KERNEL_MAX];
	int r;

	if (size < 4 || size > sizeof(kernel))
		return 0;
	memcpy(kernel, data, size);
	memcpy(kernel, "\177ELF", 4);
	bootenv_open(&e, MIB(64));
	r = bootenv_load(&e, kernel, size, 4096);
	require(r < 0 ? e.why && *e.why : e.cpu.rip >= MIB(1) && e.cpu.rip < MIB(64));
	bootenv_close(&e);
	return 0;
}

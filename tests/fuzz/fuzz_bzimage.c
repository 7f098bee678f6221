/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that claim to be a bzImage: loaded within RAM, or refused with a line for the user. */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/bootenv.h"

#include <string.h>

#define KERNEL_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bootenv e;
	uint8_t kernel[KERNEL_MAX];
	int r;

	if (size < 0x206 || size > sizeof(kernel))
		return 0;
	memcpy(kernel, data, size);
	memcpy(kernel + 0x202, "HdrS", 4);
	bootenv_open(&e, MIB(64));
	e.src.cmdline = "console=ttyS0";
	r = bootenv_load(&e, kernel, size, 4096);
	require(r < 0 ? e.why && *e.why : e.cpu.rip >= MIB(1) && e.cpu.rip < MIB(64));
	bootenv_close(&e);
	return 0;
}

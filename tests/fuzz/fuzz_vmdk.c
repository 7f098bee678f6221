/* SPDX-License-Identifier: Apache-2.0 */
/* VMDK images; see fuzz_import.h. */
#include "tests/fuzz/fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_import(IMPORT_VMDK, IMPORT_VMDK_STREAM, data, size);
}

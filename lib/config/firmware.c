/* SPDX-License-Identifier: Apache-2.0 */
/* Debian's firmware; see firmware.h. */
#include "lib/config/firmware.h"

#include "lib/base/cleanup.h"
#include "lib/config/config.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *word, *file, *package;
} known[] = {
	{ "uefi", CONFIG_FIRMWARE_DEFAULT, "ovmf" },
	{ "bios", CONFIG_FIRMWARE_BIOS, "seabios" },
};

const char *firmware_file(const char *said)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(said, known[i].word) == 0)
			return known[i].file;
	return said;
}

const char *firmware_package(const char *file)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(file, known[i].file) == 0)
			return known[i].package;
	return NULL;
}

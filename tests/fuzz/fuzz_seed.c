/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs of image-seed, each behind a byte that says which (its low bits) and two with its length. What is written of
 * short forms is printable ASCII in lines of a few forms, whatever is in a key or a hash; the disk is whole.
 */
#include "cmd/image-seed/iso.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define BLOCK 2048U

static const char *const forms[] = { "#cloud-config\n",
				     "users:\n",
				     "  - name: \"ada\"\n",
				     "    shell: \"/bin/bash\"\n",
				     "    sudo: \"",
				     "    lock_passwd: false\n",
				     "    hashed_passwd: \"$",
				     "    ssh_authorized_keys:\n",
				     "    - \"s",
				     "    - \"e",
				     "ssh_authorized_keys:\n",
				     "- \"s",
				     "- \"e" };

static int count(void *owner, const void *bytes, size_t len)
{
	(void)bytes;
	*(size_t *)owner += len;
	return 0;
}

static bool is_form(const uint8_t *line, size_t len)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (len >= strlen(forms[i]) && memcmp(line, forms[i], strlen(forms[i])) == 0)
			return true;
	return false;
}

static void check_lines(const uint8_t *at, size_t len)
{
	for (size_t n; len; at += n, len -= n) {
		const uint8_t *end = memchr(at, '\n', len);
		unsigned int quotes = 0;

		require(end);
		n = (size_t)(end - at) + 1;
		require(is_form(at, n));
		for (size_t i = 0; i + 1 < n; i++) {
			require(at[i] >= ' ' && at[i] <= '~');
			quotes += at[i] == '"';
		}
		require(quotes == 0 || (quotes == 2 && end[-1] == '"'));
	}
}

static void check_disk(const struct seed_files *files)
{
	const char *why;
	size_t len = 0;

	require(iso_prepare() == 0);
	require(iso_write(files, count, &len, &why) == 0);
	require(len % BLOCK == 0 && len <= SEED_DISK_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seed_files files;
	struct seed_job job = { .vm = "vm_1" };
	struct seed_inputs in = { 0 };
	char why[400] = "";

	while (size >= 3) {
		const unsigned int i = data[0] % SEED_INPUTS;
		size_t len = data[1] | (size_t)data[2] << 8;

		if (data[0] & 0x80)
			job.user = "ada";
		data += 3;
		size -= 3;
		len = len < size ? len : size;
		len = len < seed_input_max(i) ? len : seed_input_max(i);
		job.inputs[i] = "f";
		in.of[i] = (struct seed_bytes){ data, len };
		data += len;
		size -= len;
	}
	if (seed_make(&job, &in, &files, why, sizeof(why)) < 0) {
		require(*why);
		return 0;
	}
	require(files.of[SEED_FILE_USER].at && files.of[SEED_FILE_META].at);
	if (!in.of[SEED_USER_DATA].at)
		check_lines(files.of[SEED_FILE_USER].at, files.of[SEED_FILE_USER].len);
	check_disk(&files);
	return 0;
}

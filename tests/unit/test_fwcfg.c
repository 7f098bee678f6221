/* SPDX-License-Identifier: Apache-2.0 */
/* The image of what firmware is told: images that lie, one that is full, and one as the vmm writes it. */
#include "lib/fwcfg/fwcfg.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static uint8_t image[FWCFG_IMAGE_SIZE];
static const uint8_t cmos[FWCFG_CMOS_LEN] = { [0x34] = 0x12 };

static void put(size_t at, unsigned int width, uint32_t v)
{
	for (unsigned int i = 0; i < width; i++)
		image[at + i] = (uint8_t)(v >> (8 * i));
}

/* One row, of that number. */
static void lie(uint32_t n, uint32_t offset, uint32_t len, uint16_t zero)
{
	memset(image, 0, sizeof(image));
	put(0, 4, FWCFG_MAGIC);
	put(4, 4, n);
	put(FWCFG_ROWS_AT, 2, 7);
	put(FWCFG_ROWS_AT + 2, 2, zero);
	put(FWCFG_ROWS_AT + 4, 4, offset);
	put(FWCFG_ROWS_AT + 8, 4, len);
}

static void images_that_lie(void **state)
{
	static const struct {
		uint32_t n, offset, len;
		uint16_t zero;
		int r;
	} lies[] = {
		{ 1, FWCFG_DATA_AT, 1, 0, 0 },
		{ 1, FWCFG_DATA_AT, FWCFG_IMAGE_SIZE - FWCFG_DATA_AT, 0, 0 },
		{ 1, FWCFG_IMAGE_SIZE, 0, 0, 0 },
		{ 1, FWCFG_DATA_AT, FWCFG_IMAGE_SIZE - FWCFG_DATA_AT + 1, 0, -EBADMSG },
		{ 1, FWCFG_DATA_AT - 1, 1, 0, -EBADMSG },
		{ 1, 0, 1, 0, -EBADMSG },
		{ 1, FWCFG_IMAGE_SIZE, 1, 0, -EBADMSG },
		{ 1, FWCFG_IMAGE_SIZE + 1, 0, 0, -EBADMSG },
		{ 1, UINT32_MAX, 2, 0, -EBADMSG },
		{ 1, FWCFG_DATA_AT, UINT32_MAX, 0, -EBADMSG },
		{ 1, UINT32_MAX, UINT32_MAX, 0, -EBADMSG },
		{ 1, FWCFG_DATA_AT, 1, 1, -EBADMSG },
		{ 0, FWCFG_DATA_AT, 1, 0, -ENOENT },
		{ FWCFG_ROWS_MAX, FWCFG_DATA_AT, 1, 0, 0 },
		{ FWCFG_ROWS_MAX + 1, FWCFG_DATA_AT, 1, 0, -EBADMSG },
		{ UINT32_MAX, FWCFG_DATA_AT, 1, 0, -EBADMSG },
	};
	struct fwcfg_item item = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		lie(lies[i].n, lies[i].offset, lies[i].len, lies[i].zero);
		item = (struct fwcfg_item){ 1, 2 };
		assert_int_equal(fwcfg_find(image, 7, &item), lies[i].r);
		assert_int_equal(item.offset, lies[i].r ? 1 : lies[i].offset);
		assert_int_equal(item.len, lies[i].r ? 2 : lies[i].len);
	}
	put(0, 4, FWCFG_MAGIC + 1);
	assert_int_equal(fwcfg_find(image, 7, &item), -EBADMSG);
	memset(image, 0, sizeof(image));
	assert_int_equal(fwcfg_find(image, 0, &item), -EBADMSG);
}

static void what_does_not_fit_is_refused(void **state)
{
	static uint8_t large[FWCFG_IMAGE_SIZE];
	char name[FWCFG_NAME_LEN + 1];
	struct fwcfg_writer w;

	(void)state;
	memset(image, 0, sizeof(image));
	fwcfg_begin(&w, image, cmos);
	fwcfg_add(&w, 1, large, sizeof(large));
	fwcfg_add(&w, 2, large, 1); /* the error stays */
	assert_int_equal(fwcfg_finish(&w), -ENOSPC);
	fwcfg_begin(&w, image, cmos);
	for (uint16_t i = 0; i < FWCFG_ROWS_MAX; i++)
		fwcfg_add(&w, i, "x", 1);
	assert_int_equal(fwcfg_finish(&w), -ENOSPC); /* the directory is one more */
	memset(name, 'n', sizeof(name));
	for (size_t len = FWCFG_NAME_LEN - 1; len <= FWCFG_NAME_LEN; len++) {
		name[len] = '\0';
		fwcfg_begin(&w, image, cmos);
		fwcfg_add_file(&w, name, "x", 1);
		assert_int_equal(fwcfg_finish(&w), len < FWCFG_NAME_LEN ? 0 : -ENOSPC);
		name[len] = 'n';
	}
}

/* To the last that there is room for, beside every item that is no file. */
static void as_many_files_as_there_is_room_for(void **state)
{
	const uint16_t others = FWCFG_ROWS_MAX - FWCFG_FILES_MAX - 1; /* and the directory */
	struct fwcfg_item item;
	struct fwcfg_writer w;

	(void)state;
	for (unsigned int n = FWCFG_FILES_MAX; n <= FWCFG_FILES_MAX + 1; n++) {
		memset(image, 0, sizeof(image));
		fwcfg_begin(&w, image, cmos);
		for (uint16_t i = 0; i < others; i++)
			fwcfg_add(&w, i, "x", 1);
		for (unsigned int i = 0; i < n; i++)
			fwcfg_add_file(&w, "file", &"abcdefghijklmnopq"[i], 1);
		assert_int_equal(fwcfg_finish(&w), n <= FWCFG_FILES_MAX ? 0 : -ENOSPC);
		if (n > FWCFG_FILES_MAX)
			break;
		for (uint16_t i = 0; i < n; i++) {
			assert_int_equal(fwcfg_find(image, FWCFG_FILE_FIRST + i, &item), 0);
			assert_int_equal(image[item.offset], 'a' + i);
		}
		assert_int_equal(fwcfg_find(image, FWCFG_DIRECTORY, &item), 0);
		assert_int_equal(item.len, 4 + n * (8 + FWCFG_NAME_LEN));
		assert_int_equal(image[item.offset + 3], n);
	}
}

static void what_was_added_is_found(void **state)
{
	static const uint8_t entry[] = { 0, 0, 0, 1, 0, 0, 0, 3, 0, 0x20, 0, 0, 'e', 't', 'c', 0 };
	struct fwcfg_item item;
	struct fwcfg_writer w;

	(void)state;
	memset(image, 0, sizeof(image));
	fwcfg_begin(&w, image, cmos);
	fwcfg_add(&w, FWCFG_SIGNATURE, "QEMU", 4);
	fwcfg_add(&w, 5, "", 0);
	fwcfg_add_file(&w, "etc", "abc", 3);
	assert_int_equal(fwcfg_finish(&w), 0);
	assert_memory_equal(image + FWCFG_CMOS_AT, cmos, sizeof(cmos));
	assert_int_equal(fwcfg_find(image, FWCFG_SIGNATURE, &item), 0);
	assert_int_equal(item.len, 4);
	assert_memory_equal(image + item.offset, "QEMU", 4);
	assert_int_equal(fwcfg_find(image, 5, &item), 0);
	assert_int_equal(item.len, 0);
	assert_int_equal(fwcfg_find(image, FWCFG_FILE_FIRST, &item), 0);
	assert_memory_equal(image + item.offset, "abc", 3);
	assert_int_equal(fwcfg_find(image, FWCFG_DIRECTORY, &item), 0);
	assert_int_equal(item.len, 4 + 8 + FWCFG_NAME_LEN);
	assert_memory_equal(image + item.offset, entry, sizeof(entry));
	assert_int_equal(fwcfg_find(image, 6, &item), -ENOENT);
	assert_int_equal(fwcfg_find(image, UINT16_MAX, &item), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_that_lie),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(as_many_files_as_there_is_room_for),
		cmocka_unit_test(what_was_added_is_found),
	};

	return cmocka_run_group_tests_name("fwcfg", tests, NULL, NULL);
}

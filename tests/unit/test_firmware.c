/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware: where it goes, files that are not what they were, and what a reset finds. */
#include "cmd/vmm/boot/firmware.h"

#include "tests/unit/testvmm.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define IMAGE MIB(1)

static struct machine m;
static struct accel accel;

static int make_file(size_t size, uint8_t add)
{
	static uint8_t bytes[IMAGE];
	int fd = memfd_create("firmware", MFD_CLOEXEC);

	assert_true(fd >= 0 && size <= sizeof(bytes));
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i % 251 + add);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	return fd;
}

static int begin(void **state)
{
	(void)state;
	memset(&accel, 0, sizeof(accel));
	test_machine_open(&m, &accel);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (m.firmware.bytes)
		munmap(m.firmware.bytes, m.firmware.size);
	test_machine_close(&m);
	return 0;
}

static void none_is_none(void **state)
{
	(void)state;
	assert_int_equal(firmware_add(&m, 0), 0);
	assert_null(m.firmware.bytes);
	assert_null(accel.rom);
}

static void check_low(uint64_t size, uint64_t len)
{
	static uint8_t low[FIRMWARE_LOW_MAX];

	assert_int_equal(guest_read(&m.mem, GPA(MIB(1) - len), low, len), 0);
	assert_memory_equal(low, accel.rom + size - len, len);
}

static void it_ends_at_4_gib_and_below_1_mib(void **state)
{
	const char *why = NULL;
	uint8_t before = 1;
	int fd = make_file(IMAGE, 0);

	(void)state;
	assert_int_equal(firmware_add(&m, IMAGE), 0);
	assert_int_equal(accel.rom_gpa + IMAGE, 1ULL << 32);
	assert_int_equal(accel.rom_size, IMAGE);
	assert_int_equal(firmware_load(&m, fd, &why), 0);
	for (size_t i = 0; i < IMAGE; i++)
		assert_int_equal(accel.rom[i], i % 251);
	check_low(IMAGE, KIB(128));
	assert_int_equal(guest_read(&m.mem, GPA(MIB(1) - KIB(128) - 1), &before, 1), 0);
	assert_int_equal(before, 0);
	close(fd);
}

static void a_small_one_is_there_whole(void **state)
{
	const char *why = NULL;
	int fd = make_file(KIB(64), 0);

	(void)state;
	assert_int_equal(firmware_add(&m, KIB(64)), 0);
	assert_int_equal(firmware_load(&m, fd, &why), 0);
	check_low(KIB(64), KIB(64));
	close(fd);
}

/* Whoever may write the file does not change a machine that runs. */
static void a_reset_has_what_power_on_had(void **state)
{
	static const uint8_t other[16] = { 0xee };
	const char *why = NULL;
	int fd = make_file(KIB(64), 0);

	(void)state;
	assert_int_equal(firmware_add(&m, KIB(64)), 0);
	assert_int_equal(firmware_load(&m, fd, &why), 0);
	assert_int_equal(pwrite(fd, other, sizeof(other), 0), sizeof(other));
	assert_int_equal(guest_write(&m.mem, GPA(MIB(1) - KIB(64)), other, sizeof(other)), 0);
	assert_int_equal(firmware_load(&m, fd, &why), 0);
	assert_int_equal(accel.rom[0], 0);
	check_low(KIB(64), KIB(64));
	close(fd);
}

static void files_that_are_not_what_they_were(void **state)
{
	static const size_t sizes[] = { 0, KIB(64) - 1, KIB(64) + 1, KIB(128) };
	const char *why = NULL;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(firmware_add(&m, KIB(64)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int fd = make_file(sizes[i], 0);

		assert_int_equal(firmware_load(&m, fd, &why), -ENODATA);
		assert_string_equal(why, "firmware: no longer has the 65536 bytes that it had");
		close(fd);
	}
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(firmware_load(&m, pipe_fds[0], &why), -EINVAL);
	assert_string_equal(why, "firmware: cannot be read: Invalid argument");
	assert_false(m.firmware.loaded);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(none_is_none, begin, end),
		cmocka_unit_test_setup_teardown(it_ends_at_4_gib_and_below_1_mib, begin, end),
		cmocka_unit_test_setup_teardown(a_small_one_is_there_whole, begin, end),
		cmocka_unit_test_setup_teardown(a_reset_has_what_power_on_had, begin, end),
		cmocka_unit_test_setup_teardown(files_that_are_not_what_they_were, begin, end),
	};

	return cmocka_run_group_tests_name("firmware", tests, NULL, NULL);
}

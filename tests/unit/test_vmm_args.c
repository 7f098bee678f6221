/* SPDX-License-Identifier: Apache-2.0 */
/* The vmm's words: bounds, unknown words, too many devices. */
#include "cmd/vmm/args.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int parse_one(const char *word, struct vmm_args *ret)
{
	char *argv[] = { (char *)"vmm", (char *)"--memory=67108864", (char *)word, NULL };
	const char *bad = NULL;
	int r = vmm_args_parse(3, argv, ret, &bad);

	if (r < 0)
		assert_string_equal(bad, word);
	return r;
}

static void bad_words_are_named(void **state)
{
	static const char *const bad[] = {
		/* clang-format off */
		"--cpus=0", "--cpus=17", "--cpus=", "--cpus=-1", "--cpus=1x", "--cpus= 1",
		"--memory=0", "--memory=67108863", "--memory=67108865", "--memory=99999999999999999999",
		"--on-reboot=continue", "--on-panic=restart", "--serial=4", "--serial=1024",
		"--virtio=disk", "--virtio=disk:", "--virtio=disk:7", "--virtio=:2:0:1:1:60:0:7",
		"--virtio=disk:2:0:1:1:60:0:-7", "--virtio=disk:2:0:1:1:60:0:4",
		"--virtio=disk:2:0:1:1:60:0:1024", "--virtio=disk:2:0:1:1:60:0:7:",
		"--virtio=disk:2:0:1:1:60:0:7:7", "--virtio=disk:2:0:1:1:60:0:", "--virtio=disk:2::1:1:60:0:7",
		"--virtio=disk:0:0:1:1:60:0:7", "--virtio=disk:64:0:1:1:60:0:7",
		"--virtio=disk:2:0x1000000:1:1:60:0:7", "--virtio=disk:2:0:65:1:60:0:7",
		"--virtio=disk:2:0:1:65:60:0:7", "--virtio=disk:2:0:1:1:257:0:7",
		"--virtio=disk:2:0:1:1:60:0x10000000000000000:7",
		"--virtio=a-name-of-16-chs:2:0:1:1:60:0:7", "--what=1", "",
		"cpus=1", "--firmware=0", "--firmware=4096", "--firmware=65537", "--firmware=8392704",
		"--firmware=64K", "--firmware=",
		/* clang-format on */
	};
	struct vmm_args a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_one(bad[i], &a), -EINVAL);
}

static void good_words_are_taken(void **state)
{
	struct vmm_args a;

	(void)state;
	assert_int_equal(parse_one("--cpus=16", &a), 0);
	assert_int_equal(a.n_vcpus, 16);
	assert_int_equal(a.memory, 64 << 20);
	assert_int_equal(a.serial_fd, -1);
	assert_int_equal(a.firmware, 0);
	assert_int_equal(parse_one("--firmware=65536", &a), 0);
	assert_int_equal(a.firmware, 64 << 10);
	assert_int_equal(parse_one("--firmware=8388608", &a), 0);
	assert_int_equal(a.firmware, 8 << 20);
	assert_int_equal(parse_one("--virtio=rng:4:0xff00:2:1:60:0x1f:9", &a), 0);
	assert_int_equal(a.n_virtio, 1);
	assert_string_equal(a.virtio[0].type.name, "rng");
	assert_int_equal(a.virtio[0].type.type, 4);
	assert_int_equal(a.virtio[0].type.class_code, 0xff00);
	assert_int_equal(a.virtio[0].type.n_queues, 2);
	assert_int_equal(a.virtio[0].type.queues_min, 1);
	assert_int_equal(a.virtio[0].type.config_len, 60);
	assert_int_equal(a.virtio[0].type.features, 0x1f);
	assert_int_equal(a.virtio[0].fd, 9);
}

/* What is said of a device that comes while the guest runs: no descriptor's number. */
static void a_type_is_whole(void **state)
{
	static const char *const bad[] = {
		"",
		"rng",
		"rng:4:0xff00:2:1:60",
		"rng:4:0xff00:2:1:60:",
		"rng:4:0xff00:2:1:60:0x1f:",
		"rng:4:0xff00:2:1:60:0x1f:9",
		"rng:0:0xff00:2:1:60:0x1f",
		":4:0xff00:2:1:60:0x1f",
	};
	struct vmm_virtio d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(vmm_virtio_parse(&d, bad[i]), -EINVAL);
	assert_int_equal(vmm_virtio_parse(&d, "rng:4:0xff00:2:1:60:0x1f"), 0);
	assert_string_equal(d.name, "rng");
	assert_int_equal(d.type.features, 0x1f);
	assert_int_equal(d.fd, -1);
}

static void memory_must_be_said(void **state)
{
	char *argv[] = { (char *)"vmm", NULL };
	const char *bad = NULL;
	struct vmm_args a;

	(void)state;
	assert_int_equal(vmm_args_parse(1, argv, &a, &bad), -EINVAL);
	assert_string_equal(bad, "--memory=");
}

static void one_device_too_many(void **state)
{
	char *argv[VMM_MAX_VIRTIO + 3] = { (char *)"vmm", (char *)"--memory=67108864" };
	const char *bad = NULL;
	struct vmm_args a;
	int n = 2;

	(void)state;
	while (n < VMM_MAX_VIRTIO + 2)
		argv[n++] = (char *)"--virtio=disk:2:0:1:1:60:0:7";
	assert_int_equal(vmm_args_parse(n, argv, &a, &bad), 0);
	assert_int_equal(a.n_virtio, VMM_MAX_VIRTIO);
	argv[n++] = (char *)"--virtio=rng:4:0:1:1:60:0:7";
	assert_int_equal(vmm_args_parse(n, argv, &a, &bad), -EINVAL);
	assert_string_equal(bad, "--virtio=rng:4:0:1:1:60:0:7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_words_are_named), cmocka_unit_test(good_words_are_taken),
		cmocka_unit_test(a_type_is_whole),     cmocka_unit_test(memory_must_be_said),
		cmocka_unit_test(one_device_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

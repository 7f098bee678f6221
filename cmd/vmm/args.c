/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the vmm's words; see args.h. */
#include "cmd/vmm/args.h"

#include "cmd/vmm/layout.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <string.h>

static int parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || *end || v < min || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int parse_fd(const char *s, int *ret)
{
	uint64_t v;
	int r = parse_number(s, 5, 1023, &v);

	if (r == 0)
		*ret = (int)v;
	return r;
}

static int set_cpus(struct vmm_args *a, const char *v)
{
	uint64_t n;
	int r = parse_number(v, 1, VCPUS_MAX, &n);

	if (r == 0)
		a->n_vcpus = (unsigned int)n;
	return r;
}

static int set_memory(struct vmm_args *a, const char *v)
{
	uint64_t bytes;
	int r = parse_number(v, RAM_MIN, RAM_MAX, &bytes);

	if (r < 0 || bytes % 4096)
		return -EINVAL;
	a->memory = bytes;
	return 0;
}

static int set_cmdline(struct vmm_args *a, const char *v)
{
	if (strlen(v) >= CMDLINE_MAX)
		return -EINVAL;
	a->cmdline = v;
	return 0;
}

static int set_accel(struct vmm_args *a, const char *v)
{
	if (strcmp(v, "kvm") != 0 && strcmp(v, "soft") != 0)
		return -EINVAL;
	a->soft = v[0] == 's';
	return 0;
}

static int set_on_reboot(struct vmm_args *a, const char *v)
{
	if (strcmp(v, "restart") != 0 && strcmp(v, "stop") != 0)
		return -EINVAL;
	a->on_reboot = v[0] == 'r' ? VMM_RESTART : VMM_STOP;
	return 0;
}

static int set_on_panic(struct vmm_args *a, const char *v)
{
	if (strcmp(v, "stop") != 0 && strcmp(v, "continue") != 0)
		return -EINVAL;
	a->on_panic = v[0] == 's' ? VMM_STOP : VMM_CONTINUE;
	return 0;
}

static int set_serial(struct vmm_args *a, const char *v)
{
	return parse_fd(v, &a->serial_fd);
}

static const struct {
	const char *prefix;
	const char *name;
	unsigned int type;
} virtio_types[] = {
	{ "blk:", "virtio-blk", 2 },
	{ "console:", "virtio-console", 3 },
	{ "rng:", "virtio-rng", 4 },
};

static int add_virtio(struct vmm_args *a, const char *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(virtio_types); i++) {
		size_t len = strlen(virtio_types[i].prefix);
		struct vmm_virtio *d = &a->virtio[a->n_virtio];

		if (strncmp(v, virtio_types[i].prefix, len) != 0)
			continue;
		if (a->n_virtio == VMM_MAX_VIRTIO || parse_fd(v + len, &d->fd) < 0)
			return -EINVAL;
		d->type = virtio_types[i].type;
		d->name = virtio_types[i].name;
		a->n_virtio++;
		return 0;
	}
	return -EINVAL;
}

static int ignore(struct vmm_args *a, const char *v)
{
	(void)a;
	(void)v;
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct vmm_args *a, const char *value);
} words[] = {
	{ "--name=", ignore }, /* for whoever looks at the process list */
	{ "--accel=", set_accel },
	{ "--cpus=", set_cpus },
	{ "--memory=", set_memory },
	{ "--cmdline=", set_cmdline },
	{ "--on-reboot=", set_on_reboot },
	{ "--on-panic=", set_on_panic },
	{ "--serial=", set_serial },
	{ "--virtio=", add_virtio },
};

static int parse_word(struct vmm_args *a, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(words[i].key);

		if (!strncmp(word, words[i].key, len))
			return words[i].set(a, word + len);
	}
	return -EINVAL;
}

int vmm_args_parse(int argc, char **argv, struct vmm_args *ret, const char **ret_bad)
{
	struct vmm_args a = { .n_vcpus = 1, .cmdline = "", .on_panic = VMM_STOP, .serial_fd = -1 };

	for (int i = 1; i < argc; i++) {
		if (parse_word(&a, argv[i]) == 0)
			continue;
		*ret_bad = argv[i];
		return -EINVAL;
	}
	if (!a.memory) {
		*ret_bad = "--memory=";
		return -EINVAL;
	}
	*ret = a;
	return 0;
}

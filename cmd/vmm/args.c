/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the vmm's words; see args.h. */
#include "cmd/vmm/args.h"

#include "cmd/vmm/layout.h"
#include "lib/base/cleanup.h"
#include "lib/fwcfg/flash.h"

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

static int set_firmware(struct vmm_args *a, const char *v)
{
	uint64_t bytes;
	int r = parse_number(v, FIRMWARE_MIN, FIRMWARE_MAX, &bytes);

	if (r < 0 || bytes % 4096)
		return -EINVAL;
	a->firmware = bytes;
	return 0;
}

static int add_boot(struct vmm_args *a, const char *v)
{
	uint64_t index;

	if (a->n_boot == VMM_MAX_VIRTIO || parse_number(v, 0, VMM_MAX_VIRTIO - 1, &index) < 0)
		return -EINVAL;
	a->boot[a->n_boot++] = (unsigned int)index;
	return 0;
}

static int set_accel(struct vmm_args *a, const char *v)
{
	if (strcmp(v, "kvm") != 0 && strcmp(v, "soft") != 0)
		return -EINVAL;
	a->soft = v[0] == 's';
	return 0;
}

static int set_hyperv(struct vmm_args *a, const char *v)
{
	if (strcmp(v, "on") != 0)
		return -EINVAL;
	a->hyperv = true;
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

static int set_registers(struct vmm_args *a, const char *v)
{
	return parse_fd(v, &a->registers_fd);
}

static int set_tpm(struct vmm_args *a, const char *v)
{
	return parse_fd(v, &a->tpm_fd);
}

/* The next of the numbers that colons end. */
static int cut_number(const char **at, uint64_t max, uint64_t *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(*at, &end, 0);
	if (errno || *ret > max || (*end != ':' && *end != '\0'))
		return -EINVAL;
	*at = *end ? end + 1 : end;
	return 0;
}

/* BYTES:FD */
static int set_flash(struct vmm_args *a, const char *v)
{
	uint64_t bytes, fd;

	if (cut_number(&v, FLASH_SIZE_MAX, &bytes) < 0 || cut_number(&v, 1023, &fd) < 0 || *v ||
	    bytes == 0 || bytes % FLASH_SECTOR || fd < 5)
		return -EINVAL;
	a->flash = bytes;
	a->flash_fd = (int)fd;
	return 0;
}

/* Up to the features; *at is left behind them. */
static int cut_type(struct vmm_virtio *d, const char **at)
{
	const char *v = *at;
	size_t len = strcspn(v, ":");
	uint64_t n[6];
	static const uint64_t max[] = { 63,
					0xffffff,
					VMM_VIRTIO_QUEUES_MAX,
					VMM_VIRTIO_QUEUES_MAX,
					VMM_VIRTIO_CONFIG_MAX,
					UINT64_MAX };

	if (len == 0 || len >= sizeof(d->name) || v[len] != ':')
		return -EINVAL;
	memcpy(d->name, v, len);
	d->name[len] = '\0';
	v += len + 1;
	for (size_t i = 0; i < ARRAY_SIZE(n); i++)
		if (cut_number(&v, max[i], &n[i]) < 0)
			return -EINVAL;
	if (n[0] == 0)
		return -EINVAL;
	d->type = (struct virtio_type){ .type = (unsigned int)n[0],
					.name = d->name,
					.class_code = (uint32_t)n[1],
					.n_queues = (unsigned int)n[2],
					.queues_min = (unsigned int)n[3],
					.config_len = (uint32_t)n[4],
					.features = n[5] };
	d->fd = -1;
	*at = v;
	return 0;
}

static bool at_end(const char *v)
{
	return *v == '\0' && v[-1] != ':';
}

int vmm_virtio_parse(struct vmm_virtio *d, const char *text)
{
	return cut_type(d, &text) == 0 && at_end(text) ? 0 : -EINVAL;
}

/* ...:FD */
static int parse_virtio(struct vmm_virtio *d, const char *v)
{
	uint64_t fd;

	if (cut_type(d, &v) < 0 || cut_number(&v, 1023, &fd) < 0 || !at_end(v) || fd < 5)
		return -EINVAL;
	d->fd = (int)fd;
	return 0;
}

static int add_virtio(struct vmm_args *a, const char *v)
{
	if (a->n_virtio == VMM_MAX_VIRTIO || parse_virtio(&a->virtio[a->n_virtio], v) < 0)
		return -EINVAL;
	a->n_virtio++;
	return 0;
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
	{ "--firmware=", set_firmware },
	{ "--boot=", add_boot },
	{ "--hyperv=", set_hyperv },
	{ "--on-reboot=", set_on_reboot },
	{ "--on-panic=", set_on_panic },
	{ "--serial=", set_serial },
	{ "--registers=", set_registers },
	{ "--flash=", set_flash },
	{ "--tpm=", set_tpm },
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
	*ret = (struct vmm_args){ .n_vcpus = 1,
				  .cmdline = "",
				  .on_panic = VMM_STOP,
				  .serial_fd = -1,
				  .registers_fd = -1,
				  .flash_fd = -1,
				  .tpm_fd = -1 };
	for (int i = 1; i < argc; i++) {
		if (parse_word(ret, argv[i]) == 0)
			continue;
		*ret_bad = argv[i];
		return -EINVAL;
	}
	if (ret->memory)
		return 0;
	*ret_bad = "--memory=";
	return -EINVAL;
}

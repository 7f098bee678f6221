/* SPDX-License-Identifier: Apache-2.0 */
/* The names that flags and file share; see keys.h. */
#include "lib/config/keys.h"

#include "lib/base/cleanup.h"
#include "lib/config/values.h"

#include <errno.h>
#include <string.h>

static int set_path(const char *value, const char **field)
{
	if (!*value || strlen(value) > CONFIG_PATH_MAX)
		return -EINVAL;
	*field = value;
	return 0;
}

static int set_config(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return set_path(value, &c->config);
}

static bool is_alnum(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
}

static int set_name(struct vm_config *c, const char *value, const char **ret_why)
{
	size_t len = strlen(value);

	(void)ret_why;
	if (len < 1 || len > CONFIG_NAME_MAX || !is_alnum(value[0]))
		return -EINVAL;
	for (size_t i = 1; i < len; i++)
		if (!is_alnum(value[i]) && !strchr("._-", value[i]))
			return -EINVAL;
	c->name = value;
	return 0;
}

static int set_kernel(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return set_path(value, &c->kernel);
}

static int set_initrd(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return set_path(value, &c->initrd);
}

static int set_cmdline(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	if (strlen(value) > CONFIG_CMDLINE_MAX)
		return -EINVAL;
	c->cmdline = value;
	return 0;
}

static int set_memory(struct vm_config *c, const char *value, const char **ret_why)
{
	uint64_t bytes;

	(void)ret_why;
	if (value_size(span_of(value), CONFIG_MEMORY_MIN, CONFIG_MEMORY_MAX, &bytes) < 0 ||
	    bytes % 4096)
		return -EINVAL;
	c->memory = bytes;
	return 0;
}

static int set_huge_pages(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return value_onoff(span_of(value), &c->huge_pages);
}

static int set_cpus(struct vm_config *c, const char *value, const char **ret_why)
{
	uint64_t n;

	(void)ret_why;
	if (value_number(span_of(value), 1, CONFIG_CPUS_MAX, &n) < 0)
		return -EINVAL;
	c->cpus = (uint32_t)n;
	return 0;
}

#define NO_FILE_WORD                                                                             \
	"the image comes first and without file=: say FILE,format=raw (./file=X if it is called so)"

/* One of a disk's words; *is_raw says that the format was said. */
static int set_disk_word(struct config_disk *d, struct span word, bool *is_raw,
			 const char **ret_why)
{
	struct span value = word;
	struct span key = span_cut(&value, '=');
	uint64_t n;

	if (span_is(key, "format")) {
		*is_raw = span_is(value, "raw");
		*ret_why = "the format must be raw";
		return *is_raw ? 0 : -EINVAL;
	}
	if (span_is(key, "readonly")) {
		*ret_why = "readonly must be on or off";
		return value_onoff(value, &d->readonly);
	}
	if (span_is(key, "queues")) {
		*ret_why = "queues must be 1 to 16";
		if (value_number(value, 1, CONFIG_MAX_QUEUES, &n) < 0)
			return -EINVAL;
		d->queues = (uint32_t)n;
		return 0;
	}
	*ret_why = span_is(key, "file") ?
			   NO_FILE_WORD :
			   "a disk has format=, readonly= and queues= (and no comma in its name)";
	return -EINVAL;
}

static int add_disk(struct vm_config *c, const char *value, const char **ret_why)
{
	struct span rest = span_of(value);
	struct span path = span_cut(&rest, ',');
	struct config_disk d = { .path = path.at, .path_len = path.len };
	bool is_raw = false;

	d.queues = 1;
	if (path.len >= 5 && memcmp(path.at, "file=", 5) == 0) { /* a habit from QEMU */
		*ret_why = NO_FILE_WORD;
		return -EINVAL;
	}
	if (path.len == 0 || path.len > CONFIG_PATH_MAX)
		return -EINVAL;
	if (c->n_disks == CONFIG_MAX_DISKS) {
		*ret_why = "at most 8 disks";
		return -EINVAL;
	}
	while (rest.len)
		if (set_disk_word(&d, span_cut(&rest, ','), &is_raw, ret_why) < 0)
			return -EINVAL;
	if (!is_raw) {
		*ret_why = "the format is never guessed: say FILE,format=raw";
		return -EINVAL;
	}
	c->disks[c->n_disks++] = d;
	return 0;
}

static int set_rng(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return value_onoff(span_of(value), &c->rng);
}

static int set_rng_rate(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return value_size(span_of(value), 1, 1ULL << 30, &c->rng_rate);
}

static int set_console(struct vm_config *c, const char *value, const char **ret_why)
{
	static const char *const words[] = { "auto", "safe", "raw", "none" };
	unsigned int i;

	(void)ret_why;
	if (value_choice(span_of(value), words, ARRAY_SIZE(words), &i) < 0)
		return -EINVAL;
	c->console = (enum config_console)i;
	return 0;
}

static int set_input(struct vm_config *c, const char *value, const char **ret_why)
{
	static const char *const words[] = { "serial", "virtio" };
	unsigned int i;

	(void)ret_why;
	if (value_choice(span_of(value), words, ARRAY_SIZE(words), &i) < 0)
		return -EINVAL;
	c->input = (enum config_input)i;
	return 0;
}

static int set_detach(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return value_onoff(span_of(value), &c->detach);
}

static int set_stop_timeout(struct vm_config *c, const char *value, const char **ret_why)
{
	uint64_t n = 0;

	(void)ret_why;
	if (!span_is(span_of(value), "none") &&
	    value_number(span_of(value), 1, CONFIG_STOP_TIMEOUT_MAX, &n) < 0)
		return -EINVAL;
	c->stop_timeout_s = (uint32_t)n;
	return 0;
}

static int set_on_reboot(struct vm_config *c, const char *value, const char **ret_why)
{
	static const char *const words[] = { "restart", "stop" };
	unsigned int i;

	(void)ret_why;
	if (value_choice(span_of(value), words, ARRAY_SIZE(words), &i) < 0)
		return -EINVAL;
	c->on_reboot = i ? ACTION_STOP : ACTION_RESTART;
	return 0;
}

static int set_on_panic(struct vm_config *c, const char *value, const char **ret_why)
{
	static const char *const words[] = { "stop", "continue" };
	unsigned int i;

	(void)ret_why;
	if (value_choice(span_of(value), words, ARRAY_SIZE(words), &i) < 0)
		return -EINVAL;
	c->on_panic = i ? ACTION_CONTINUE : ACTION_STOP;
	return 0;
}

static int set_accel(struct vm_config *c, const char *value, const char **ret_why)
{
	static const char *const words[] = { "auto", "kvm", "soft" };
	unsigned int i;

	(void)ret_why;
	if (value_choice(span_of(value), words, ARRAY_SIZE(words), &i) < 0)
		return -EINVAL;
	c->accel = (enum config_accel)i;
	return 0;
}

static int add_allowed(struct vm_config *c, const char *value, const char **ret_why)
{
	struct span rest = span_of(value);
	uint64_t allowed = 0;

	(void)ret_why;
	do {
		struct span name = span_cut(&rest, ',');
		const struct feature *f = feature_find(name.at, name.len);

		if (!f)
			return -EINVAL;
		allowed |= 1ULL << (f - features);
	} while (rest.len);
	c->allowed |= allowed;
	return 0;
}

static int set_verbose(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return value_onoff(span_of(value), &c->verbose);
}

static int set_cgroup(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return *value == '/' ? set_path(value, &c->cgroup) : -EINVAL;
}

static int set_strict(struct vm_config *c, const char *value, const char **ret_why)
{
	(void)ret_why;
	return value_onoff(span_of(value), &c->strict);
}

#define ON_OFF "say on or off"

const struct config_key config_keys[] = {
	{ "config", set_config, "say the file's name", .words_only = true },
	{ "name", set_name, "say 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first" },
	{ "kernel", set_kernel, "say the file's name" },
	{ "initrd", set_initrd, "say the file's name" },
	{ "cmdline", set_cmdline, "say at most 2047 bytes" },
	{ "memory", set_memory, "say 64M to 64G, a multiple of 4K" },
	{ "huge-pages", set_huge_pages, ON_OFF, .is_switch = true },
	{ "cpus", set_cpus, "say 1 to 16" },
	{ "disk", add_disk, "say FILE,format=raw[,readonly=on][,queues=N]", .adds_up = true },
	{ "rng", set_rng, ON_OFF, .is_switch = true },
	{ "rng-rate", set_rng_rate, "say bytes a second, 1 to 1G" },
	{ "console", set_console, "say auto, safe, raw or none" },
	{ "console-input", set_input, "say serial or virtio" },
	{ "detach", set_detach, ON_OFF, .is_switch = true },
	{ "stop-timeout", set_stop_timeout, "say seconds, 1 to 86400, or none" },
	{ "on-reboot", set_on_reboot, "say restart or stop" },
	{ "on-panic", set_on_panic, "say stop or continue" },
	{ "accel", set_accel, "say auto, kvm or soft" },
	{ "allow", add_allowed, "say names that bulkhead features lists", .adds_up = true },
	{ "limit-memory", set_limit_memory, "say 16M to 1024G, or none" },
	{ "limit-tasks", set_limit_tasks, "say 1 to 100000, or none" },
	{ "limit-cpu", set_limit_cpu, "say percents of one CPU, 1% to 6400%, or none" },
	{ "limit-io", set_limit_io, "say rbps=SIZE, wbps=SIZE, riops=N or wiops=N, or several" },
	{ "cgroup", set_cgroup, "say a directory below /sys/fs/cgroup" },
	{ "strict", set_strict, ON_OFF, .is_switch = true },
	{ "verbose", set_verbose, ON_OFF, .is_switch = true },
};

const size_t n_config_keys = ARRAY_SIZE(config_keys);
_Static_assert(ARRAY_SIZE(config_keys) <= 64 && N_FEATURES <= 64, "a bit for each");

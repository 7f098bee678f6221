/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own options, each declared once; see keys.h. */
#include "lib/config/keys.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIELD(name) OPTION_FIELD(struct vm_config, name)
#define LIMIT(name)                                                                   \
	.offset = offsetof(struct vm_config, limits.name), .width = sizeof(uint64_t), \
	.none = CONFIG_LIMIT_NONE, .flags = OPTION_NONE

static bool is_alnum(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
}

bool config_name_fits(const char *name, size_t len)
{
	if (len < 1 || len > CONFIG_NAME_MAX || !is_alnum(name[0]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_alnum(name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

static int set_name(void *owner, const char *value, const char **ret_why)
{
	struct vm_config *c = owner;

	(void)ret_why;
	if (!config_name_fits(value, strlen(value)))
		return -EINVAL;
	c->name = value;
	return 0;
}

unsigned int config_boot(const struct vm_config *c, unsigned int i)
{
	struct span rest = span_of(c->boot ? c->boot : "");
	uint64_t number = 0;

	while (rest.len) {
		struct span disk = span_cut(&rest, ',');

		if (i-- > 0)
			continue;
		disk = (struct span){ disk.at + 4, disk.len - 4 };
		return value_number(disk, 1, CONFIG_DEVICES_MAX, &number) < 0 ?
			       0 :
			       (unsigned int)number;
	}
	return 0;
}

/* disk2,disk1: each once. */
static int set_boot(void *owner, const char *value, const char **ret_why)
{
	struct vm_config *c = owner, said = { .boot = value };
	struct span rest = span_of(value);
	unsigned int n = 0;

	(void)ret_why;
	do {
		const struct span disk = span_cut(&rest, ',');

		if (disk.len < 5 || memcmp(disk.at, "disk", 4) != 0 || !config_boot(&said, n))
			return -EINVAL;
		for (unsigned int i = 0; i < n; i++)
			if (config_boot(&said, i) == config_boot(&said, n))
				return -EINVAL;
		n++;
	} while (rest.len);
	c->boot = value;
	return 0;
}

static int add_allowed(void *owner, const char *value, const char **ret_why)
{
	struct vm_config *c = owner;
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

/* One word for all. */
static bool put_allowed(const void *owner, unsigned int piece, char *out, size_t cap)
{
	const struct vm_config *c = owner;
	size_t at = 0;

	for (size_t i = 0; piece == 0 && i < N_FEATURES && at < cap; i++)
		if (c->allowed >> i & 1)
			at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? "," : "",
					       features[i].name);
	return at;
}
_Static_assert(N_FEATURES <= 64, "a bit for each");

static const char *const consoles[] = { "auto", "safe", "raw", "none", NULL };
static const char *const accels[] = { "auto", "kvm", "soft", NULL };
static const char *const on_reboots[] = { "restart", "stop", NULL };
static const char *const io_words[] = { "rbps=", "wbps=", "riops=", "wiops=", NULL };
static const char *const seed_words[] = { "user-data=", "meta-data=", "network-config=", NULL };
static const char *const on_panics[] = { "stop", "continue", NULL };
static const char *const on_crashes[] = { "restart", "stop", "pause", NULL };
static const char *const on_storage_errors[] = { "retry", "report", "stop", NULL };

/* In the order of the enums that they are stored as. */
const struct option config_machine[] = {
	{ .name = "kernel",
	  .type = OPTION_PATH,
	  FIELD(kernel),
	  .min = 1,
	  .max = CONFIG_PATH_MAX,
	  .value = "FILE",
	  .help = "bzImage or ELF (PVH)" },
	{ .name = "firmware",
	  .type = OPTION_PATH,
	  FIELD(firmware),
	  .min = 1,
	  .max = CONFIG_PATH_MAX,
	  .value = "FILE|uefi|bios",
	  .help = "OVMF or SeaBIOS; without a kernel: uefi" },
	{ .name = "boot",
	  .type = OPTION_TEXT,
	  FIELD(boot),
	  .set = set_boot,
	  .value = "diskN,...",
	  .help = "which disks firmware tries first",
	  .right = "disk1, disk2 or so, each once, with commas between them" },
	{ .name = "initrd",
	  .type = OPTION_PATH,
	  FIELD(initrd),
	  .min = 1,
	  .max = CONFIG_PATH_MAX,
	  .value = "FILE" },
	{ .name = "cmdline",
	  .type = OPTION_TEXT,
	  FIELD(cmdline),
	  .max = CONFIG_CMDLINE_MAX,
	  .initial = CONFIG_CMDLINE_DEFAULT,
	  .value = "TEXT" },
	{ .name = "memory",
	  .type = OPTION_SIZE,
	  FIELD(memory),
	  .min = CONFIG_MEMORY_MIN,
	  .max = CONFIG_MEMORY_MAX,
	  .multiple = 4096,
	  .initial = "256M",
	  .value = "SIZE" },
	{ .name = "huge-pages",
	  .type = OPTION_ONOFF,
	  FIELD(huge_pages),
	  .initial = "on",
	  .flags = OPTION_SWITCH,
	  .help = "less memory at first, a slower guest" },
	{ .name = "cpus",
	  .type = OPTION_NUMBER,
	  FIELD(cpus),
	  .min = 1,
	  .max = CONFIG_CPUS_MAX,
	  .initial = "1",
	  .value = "N" },
	{ .name = "name",
	  .type = OPTION_TEXT,
	  FIELD(name),
	  .set = set_name,
	  .value = "NAME",
	  .help = "vm and a number",
	  .right = "1 to 64 letters, digits, '.', '_' or '-', a letter or digit first" },
	{ .name = "config",
	  .type = OPTION_PATH,
	  FIELD(config),
	  .min = 1,
	  .max = CONFIG_PATH_MAX,
	  .value = "FILE",
	  .flags = OPTION_WORDS_ONLY,
	  .help = "lines `NAME = VALUE` of these same names; # comments" },
	{ .name = "console",
	  .type = OPTION_CHOICE,
	  FIELD(console),
	  .choices = consoles,
	  .initial = "auto",
	  .help = "auto filters for a terminal" },
	{ .name = "detach",
	  .type = OPTION_ONOFF,
	  FIELD(detach),
	  .initial = "off",
	  .flags = OPTION_SWITCH,
	  .help = "return once the guest runs; see bulkhead console" },
	{ .name = "stop-timeout",
	  .type = OPTION_NUMBER,
	  FIELD(stop_timeout_s),
	  .min = 1,
	  .max = CONFIG_STOP_TIMEOUT_MAX,
	  .initial = "90",
	  .unit = "seconds",
	  .none = 0,
	  .flags = OPTION_NONE,
	  .help = "to power off in" },
	{ .name = "on-reboot",
	  .type = OPTION_CHOICE,
	  FIELD(on_reboot),
	  .choices = on_reboots,
	  .initial = "restart" },
	{ .name = "on-panic",
	  .type = OPTION_CHOICE,
	  FIELD(on_panic),
	  .choices = on_panics,
	  .initial = "stop" },
	{ .name = "on-crash",
	  .type = OPTION_CHOICE,
	  FIELD(on_crash),
	  .choices = on_crashes,
	  .initial = "restart",
	  .help = "when a device's process dies" },
	{ .name = "on-storage-error",
	  .type = OPTION_CHOICE,
	  FIELD(on_storage_error),
	  .choices = on_storage_errors,
	  .initial = "retry",
	  .help = "while a disk's server is away" },
	{ .name = "storage-timeout",
	  .type = OPTION_NUMBER,
	  FIELD(storage_timeout_s),
	  .min = 1,
	  .max = CONFIG_STORAGE_TIMEOUT_MAX,
	  .initial = "30",
	  .unit = "seconds",
	  .help = "that it may be away before" },
	{ .name = "accel",
	  .type = OPTION_CHOICE,
	  FIELD(accel),
	  .choices = accels,
	  .initial = "auto",
	  .help = "auto takes kvm where it is real" },
	{ .name = "hyperv",
	  .type = OPTION_ONOFF,
	  FIELD(hyperv),
	  .initial = "off",
	  .flags = OPTION_SWITCH,
	  .help = "Hyper-V's clock and timers, for Windows; on KVM" },
	{ .name = "allow",
	  .type = OPTION_OWN,
	  .set = add_allowed,
	  .put = put_allowed,
	  .flags = OPTION_ADDS_UP,
	  .value = "NAME",
	  .right = "names that bulkhead features lists",
	  .help = "an experimental one of `bulkhead features`" },
	{ .name = "secret",
	  .type = OPTION_OWN,
	  .set = config_add_secret,
	  .put = config_put_secret,
	  .flags = OPTION_ADDS_UP,
	  .value = "NAME=FILE",
	  .right = "NAME=FILE, NAME of letters, digits, '.', '_' or '-'",
	  .help = "a key, for disks that say its NAME" },
	{ .name = "uuid",
	  .type = OPTION_OWN,
	  .set = config_set_uuid,
	  .put = config_put_uuid,
	  .value = "UUID",
	  .right = "32 hexadecimal digits as 8-4-4-4-12, neither all 0 nor all f",
	  .help = "the guest's, in its SMBIOS tables" },
	{ .name = "serial",
	  .type = OPTION_OWN,
	  .set = config_set_serial,
	  .put = config_put_serial,
	  .value = "TEXT",
	  .right = "1 to 64 printable ASCII characters, no blank at an end",
	  .help = "its serial number there" },
	{ .name = "oem-string",
	  .type = OPTION_OWN,
	  .set = config_add_oem_string,
	  .put = config_put_oem_string,
	  .flags = OPTION_ADDS_UP,
	  .value = "TEXT",
	  .right = "1 to 1024 printable ASCII characters, no blank at an end",
	  .help = "for the guest's programs, there; no secret" },
	{ .name = "credential",
	  .type = OPTION_OWN,
	  .set = config_add_credential,
	  .put = config_put_credential,
	  .flags = OPTION_ADDS_UP,
	  .value = "NAME=FILE",
	  .right = "NAME=FILE, NAME of letters, digits, '.', '_' or '-'",
	  .help = "a secret for systemd in the guest" },
	{ .name = "cloud-init",
	  .type = OPTION_OWN,
	  .set = config_set_cloud_init,
	  .choices = seed_words,
	  .flags = OPTION_COMMANDS,
	  .value = "user-data=FILE[,meta-data=FILE][,network-config=FILE]",
	  .right = "user-data=FILE, and ,meta-data=FILE or ,network-config=FILE behind it" },
	{ .name = "ssh-key",
	  .type = OPTION_OWN,
	  .set = config_add_ssh_key,
	  .flags = OPTION_COMMANDS | OPTION_ADDS_UP,
	  .value = "FILE",
	  .right = "a file of public keys, as id_ed25519.pub",
	  .help = "instead: a .pub file, for cloud-init in the guest" },
	{ .name = "user",
	  .type = OPTION_OWN,
	  .set = config_set_user,
	  .flags = OPTION_COMMANDS,
	  .value = "NAME",
	  .right = "1 to 32 lower-case letters, digits, '_' or '-', no digit or '-' first",
	  .help = "whose key it is; the image's own user" },
	{ .name = "hostname",
	  .type = OPTION_OWN,
	  .set = config_set_hostname,
	  .flags = OPTION_COMMANDS,
	  .value = "NAME",
	  .right = "up to 64 letters, digits and '-', with dots between, no '-' at an end",
	  .help = "the guest's; that of the VM" },
	{ .name = "password-hash",
	  .type = OPTION_OWN,
	  .set = config_set_password_hash,
	  .flags = OPTION_COMMANDS,
	  .value = "HASH",
	  .right = "a hash of crypt(3), as mkpasswd makes it",
	  .help = "of that user's password, by crypt(3)" },
	{ .name = "password-hash-file",
	  .type = OPTION_PATH,
	  OPTION_FIELD(struct vm_config, seed.password_hash_file),
	  .min = 1,
	  .max = CONFIG_PATH_MAX,
	  .flags = OPTION_COMMANDS,
	  .value = "FILE",
	  .help = "which has it" },
	{ .name = "limit-memory",
	  .type = OPTION_SIZE,
	  LIMIT(memory),
	  .min = 16ULL << 20,
	  .max = 1ULL << 40,
	  .value = "SIZE",
	  .help = "guest RAM and all processes" },
	{ .name = "limit-tasks",
	  .type = OPTION_NUMBER,
	  LIMIT(tasks),
	  .min = 1,
	  .max = 100000,
	  .value = "N",
	  .help = "processes and threads" },
	{ .name = "limit-cpu",
	  .type = OPTION_PERCENT,
	  LIMIT(cpu_percent),
	  .min = 1,
	  .max = 6400,
	  .initial = "none",
	  .unit = "percents of one CPU" },
	{ .name = "limit-io",
	  .type = OPTION_OWN,
	  .set = set_limit_io,
	  .put = put_limit_io,
	  .choices = io_words,
	  .value = "WHAT=N,...",
	  .help = "a second: rbps=, wbps= in bytes, riops=, wiops=",
	  .right = "rbps=SIZE, wbps=SIZE, riops=N or wiops=N, or several" },
	{ .name = "cgroup",
	  .type = OPTION_PATH,
	  FIELD(cgroup),
	  .min = 1,
	  .max = CONFIG_PATH_MAX,
	  .value = "DIR",
	  .flags = OPTION_ABSOLUTE,
	  .right = "a directory below /sys/fs/cgroup",
	  .help = "where the VM's control group goes" },
	{ .name = "strict",
	  .type = OPTION_ONOFF,
	  FIELD(strict),
	  .initial = "off",
	  .flags = OPTION_SWITCH,
	  .help = "rather no VM than one without a guarantee" },
	{ .name = "verbose",
	  .type = OPTION_ONOFF,
	  FIELD(verbose),
	  .initial = "off",
	  .flags = OPTION_SWITCH,
	  .help = "say more, and how long the start took" },
};
const size_t n_config_machine = ARRAY_SIZE(config_machine);

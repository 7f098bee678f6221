/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM is to be: the flags of `bulkhead run` and the configuration file, which has the same
 * names. Words are `--key=value` or `--key value`; a file has a line `key = value` each, `#` starts
 * a comment line. Flags win over the file, whichever comes first; disks add up.
 *
 * No I/O and no allocation: texts in the result point into the words or the file's text, which must
 * outlive it.
 */
#ifndef BULKHEAD_CONFIG_CONFIG_H
#define BULKHEAD_CONFIG_CONFIG_H

#include "lib/features/feature.h"
#include "lib/kinds/kind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_DEVICES_MAX 128	     /* of a VM, of all kinds */
#define CONFIG_SPARES 8		     /* devices that may be attached to a VM beside them */
#define CONFIG_FOREIGN "vhost-user=" /* before the name of a socket, in the place of a file's */
#define CONFIG_NAME_MAX 64	     /* bytes, without NUL */
#define CONFIG_CMDLINE_MAX 2047	     /* bytes, without NUL */
/* A kernel that panics restarts at once, and is known to have panicked (lib/base/cmdline.h). */
#define CONFIG_CMDLINE_DEFAULT "console=ttyS0 panic=-1 reboot=panic_warm"
#define CONFIG_PATH_MAX 4095
#define CONFIG_SECRETS_MAX 64
#define CONFIG_SSH_KEYS_MAX 16
#define CONFIG_SERIAL_MAX 64 /* bytes, without NUL */
#define CONFIG_OEM_STRINGS_MAX 32
#define CONFIG_OEM_STRING_MAX 1024 /* bytes, without NUL */
#define CONFIG_CREDENTIALS_MAX 32
#define CONFIG_CREDENTIAL_MAX 2944U	  /* bytes of one's file; systemd reads no more of one */
#define CONFIG_SEED_DISK_MAX (2ULL << 20) /* bytes of what cloud-init reads in the guest */
#define CONFIG_MEMORY_MIN (64ULL << 20)
#define CONFIG_FIRMWARE_DEFAULT "/usr/share/OVMF/OVMF_CODE_4M.fd" /* Debian's package ovmf */
#define CONFIG_FIRMWARE_BIOS "/usr/share/seabios/bios-256k.bin"	  /* Debian's package seabios */
#define CONFIG_FIRMWARE_MIN (64U << 10)
#define CONFIG_FIRMWARE_MAX (8U << 20)
#define CONFIG_MEMORY_MAX (64ULL << 30)
#define CONFIG_CPUS_MAX 16
#define CONFIG_STOP_TIMEOUT_MAX 86400 /* seconds */
#define CONFIG_STORAGE_TIMEOUT_MAX 86400
#define CONFIG_FILE_MAX 65536U /* bytes of a configuration file */

enum config_console { CONSOLE_AUTO, CONSOLE_SAFE, CONSOLE_RAW, CONSOLE_NONE };
enum config_on_reboot { REBOOT_RESTART, REBOOT_STOP };
enum config_on_panic { PANIC_STOP, PANIC_CONTINUE };
enum config_on_crash { CRASH_RESTART, CRASH_STOP, CRASH_PAUSE };
enum config_on_storage_error { STORAGE_ERROR_RETRY, STORAGE_ERROR_REPORT, STORAGE_ERROR_STOP };
enum config_accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_SOFT };

/* A limit of the VM's control group. */
#define CONFIG_LIMIT_DEFAULT 0ULL
#define CONFIG_LIMIT_NONE UINT64_MAX

struct config_limits {
	uint64_t memory;      /* bytes, or DEFAULT: guest RAM and what running it takes; or NONE */
	uint64_t tasks;	      /* processes and threads, or DEFAULT: as many as there are; or NONE */
	uint64_t cpu_percent; /* of one CPU, or NONE, the default */
	/* bytes and operations a second on each host disk that an image is on, or NONE */
	uint64_t rbps, wbps, riops, wiops;
};

/* The name of a file: not NUL-terminated; NULL: there is none. */
struct config_file {
	const char *path;
	size_t path_len;
};

/* A file with a key, or certificates, that disks say by a name: texts as in config_file, path NUL-terminated. */
struct config_secret {
	const char *name;
	size_t name_len;
	const char *path;
};

/* What cloud-init in the guest is to find, by files, or in short; NULL: not said. */
enum config_seed_file {
	CONFIG_SEED_USER_DATA,
	CONFIG_SEED_META_DATA,
	CONFIG_SEED_NETWORK_CONFIG,
	CONFIG_SEED_FILES,
};

struct config_seed {
	struct config_file files[CONFIG_SEED_FILES];
	size_t n_keys;
	const char *keys[CONFIG_SSH_KEYS_MAX]; /* names of files */
	const char *user;
	const char *hostname;
	const char *password_hash;	/* private; never in a message */
	const char *password_hash_file; /* which has it */
};

/* What the guest reads of itself in SMBIOS tables. */
struct config_identity {
	uint8_t uuid[16];   /* as RFC 4122 has it; all zeros: none */
	const char *serial; /* NULL: none */
	size_t n_oem;
	const char *oem[CONFIG_OEM_STRINGS_MAX];
	size_t n_credentials;
	struct config_secret credentials[CONFIG_CREDENTIALS_MAX]; /* systemd's, by files */
};

/* One device: what its process will be told. */
struct config_device {
	const struct device_kind *kind;
	bool off; /* of a KIND_SWITCH or KIND_FIRMWARE: it is not there */
	bool foreign; /* vhost-user=SOCKET: another's back end serves it, and the path is its socket's */
	bool remote; /* the path is the address of somebody's server */
	bool made; /* the command has made what it serves, of what the configuration says: config_add_seed */
	const char *path; /* of its file; not NUL-terminated: path_len bytes */
	size_t path_len;
	struct config_file
		to; /* what is said of its way, "N" or the name of what it is joined to; likewise */
	struct config_file more[KIND_FILES_MAX - 1];	       /* beside it; lib/kinds/kind.h */
	_Alignas(8) unsigned char options[KIND_OPTIONS_BYTES]; /* as the kind's options say */
};

/* A bit per name that may be said. */
struct config_said {
	uint64_t bits[4];
};

struct vm_config {
	const char *config;   /* the configuration file's name, or NULL */
	const char *name;     /* NULL: the caller chooses */
	const char *kernel;   /* NULL: not said */
	const char *firmware; /* in its place; NULL: not said */
	const char *boot;     /* disks that firmware tries first, "disk2,disk1"; NULL: not said */
	const char *initrd;   /* NULL: none */
	const char *cmdline;
	uint64_t memory; /* bytes, a multiple of 4096 */
	bool huge_pages; /* of 2 MiB for the guest's RAM, where the host has them */
	bool hyperv;	 /* the guest finds Hyper-V's interface */
	uint32_t cpus;
	size_t n_devices;
	enum config_console console;
	bool detach;
	uint32_t stop_timeout_s; /* for a guest to power off once it was asked to; 0: no bound */
	enum config_on_reboot on_reboot;
	enum config_on_panic on_panic;
	enum config_on_crash on_crash;		       /* of a device's process */
	enum config_on_storage_error on_storage_error; /* of a server that a disk is of */
	uint32_t storage_timeout_s;		       /* until then it is none */
	enum config_accel accel;
	size_t n_secrets;
	uint64_t allowed; /* features that may be used though experimental: a bit per feature_id */
	struct config_seed seed;
	struct config_identity identity;
	struct config_limits limits;
	const char *cgroup; /* where the VM's control group goes; NULL: found by itself */
	bool strict;	    /* rather no VM than one without a guarantee */
	bool verbose;
	struct config_said from_words; /* private: what a word set */
	struct config_said from_file;  /* private: the same for the file */
	/* Nothing is in these beyond their numbers. The devices: in the order of kinds_all, then as they were
	 * said, which is that of their names in the guest. */
	struct config_device devices[CONFIG_DEVICES_MAX];
	struct config_secret secrets[CONFIG_SECRETS_MAX];
};

/* One line for the user: what is wrong, where, and what would be right. */
struct config_error {
	char text[400];
};

/* Sets every default. */
void config_init(struct vm_config *c);
/* Takes the words argv[0] to argv[argc - 1]. 0, or -EINVAL with *ret_error. */
[[nodiscard]] int config_parse_words(struct vm_config *c, int argc, char *const *argv,
				     struct config_error *ret_error);
/*
 * Takes a file's text, which is changed: values become NUL-terminated in place. text has room for
 * len + 1 bytes. name is the file's, for messages. As config_parse_words.
 */
[[nodiscard]] int config_parse_text(struct vm_config *c, char *text, size_t len, const char *name,
				    struct config_error *ret_error);
/* How many processes of a kind there are; NULL: how many devices of all kinds that serve a file have one of ours. */
size_t config_count(const struct vm_config *c, const struct device_kind *kind);
/* How many devices of a kind have a process of ours, whichever. */
size_t config_count_own(const struct vm_config *c, const struct device_kind *kind);
/* The same, whoever serves them. */
size_t config_count_all(const struct vm_config *c, const struct device_kind *kind);
/*
 * Where neither kernel nor firmware was said, but a disk: firmware that boots it. Where neither word nor file said anything
 * of a kind: what stands for all of it then, as a network card for the user's
 * network. For the first of those who read the configuration: config_render says it. As config_parse_words.
 */
[[nodiscard]] int config_add_unsaid(struct vm_config *c, struct config_error *ret_error);
/* Whether any device is a server's. */
bool config_has_server(const struct vm_config *c);
/* Whether the device's guest reaches sockets of the host. */
bool config_reaches(const struct config_device *d);
/* Whether any device is a server's or reaches the host's sockets, so that there is a dialer. */
bool config_dials(const struct vm_config *c);
/* The kind of the process of ours that serves it. */
const struct device_kind *config_server(const struct config_device *d);
/* What the dialer opens for that process, or NULL. */
const char *config_opens(const struct config_device *d);
/* The kind of the storage process that has the device's files in its place, or NULL. */
const struct device_kind *config_behind(const struct config_device *d);
/* Its processes that have ids of their own: the supervisor, the vmm and the devices, also those that may be
 * attached later. */
unsigned int config_processes(const struct vm_config *c);
/* How many devices may be attached while it runs: without a launcher none. */
unsigned int config_spares(const struct vm_config *c);
/*
 * One device by itself, for a VM that runs: "FILE,OPTION=VALUE,...", without FILE for a kind that serves
 * none and how it is joined for one that is; or the same without FILE, unless that is the address of its server. 0, or
 * -EINVAL with why, which has room for what is said. ret->path and ret->to point into value, or text.
 */
[[nodiscard]] int config_device_parse(const struct device_kind *kind, const char *value,
				      struct config_device *ret, char *why, size_t cap);
[[nodiscard]] int config_device_options(const struct device_kind *kind, const char *text,
					struct config_device *ret, char *why, size_t cap);
/* Whether something is opened that it is joined to, as its way says. */
static inline bool config_is_linked(const struct config_device *d)
{
	const struct kind_way *w = d->foreign || d->off ? NULL : kind_way(d->kind, d->options);

	return w && w->opens != KIND_OPENS_NOTHING;
}
/* Whether that is opened so: a passt, a tap. */
static inline bool config_is_on(const struct config_device *d, enum kind_opens opens)
{
	return config_is_linked(d) && kind_way(d->kind, d->options)->opens == opens;
}
/* Whether the command opens it at a VM's start; a passt or swtpm is started by the supervisor, in the VM's control group. And how many
 * descriptors those before it in the configuration have, which is where its first one is among all of the command's. */
static inline bool config_is_handed(const struct config_device *d)
{
	return config_is_linked(d) && !kind_way_is_started(kind_way(d->kind, d->options));
}
size_t config_link_number(const struct vm_config *c, size_t i);
static inline unsigned int config_link_fds(const struct config_device *d)
{
	return config_is_handed(d) ? kind_link_fds(d->kind, d->options) : 0;
}
/* The flash memory of firmware's variables, or NULL. */
const struct config_device *config_flash(const struct vm_config *c);
/* Whether it has a disk, whoever serves it. */
bool config_has_disk(const struct vm_config *c);
/* The i-th disk of `boot`, from 0 on: its number among the disks, from 1 on; 0: there are no more. */
unsigned int config_boot(const struct vm_config *c, unsigned int i);
/* Whether it is a disk, whoever serves it. */
bool config_is_disk(const struct config_device *d);
/* How many devices are joined to what opens so: to a passt, to an swtpm. */
size_t config_count_opened(const struct vm_config *c, enum kind_opens opens);
static inline bool config_readonly(const struct config_device *d)
{
	return d->options[d->kind->file.readonly_at];
}
/* Its i-th file: 0 is the one that it serves, the others are beside it. */
static inline struct config_file config_device_file(const struct config_device *d, unsigned int i)
{
	return i ? d->more[i - 1] : (struct config_file){ d->path, d->path_len };
}
/* The same, where a secret is said its file; a path of NULL: there is none, or no such secret. */
struct config_file config_file_of(const struct vm_config *c, const struct config_device *d,
				  unsigned int i);
/* Whether that is not written: what is said of the device, or what such a file is for. */
bool config_file_readonly(const struct config_device *d, unsigned int i);
/* Whether cloud-init is to find anything. */
bool config_has_seed(const struct vm_config *c);
/*
 * The disk with it, behind all others that are there: what is on it is made by the command, which alone knows of what.
 * As config_parse_words.
 */
[[nodiscard]] int config_add_seed(struct vm_config *c, struct config_error *ret_error);
/* Whether reading or writing is limited. */
bool config_limits_io(const struct config_limits *l);
/* What only the whole shows: a kernel is there, or firmware. As config_parse_words. */
[[nodiscard]] int config_check(const struct vm_config *c, struct config_error *ret_error);

/* What the configuration alone does not say. */
struct config_facts {
	bool soft;	  /* the software CPU runs the guest */
	bool on_terminal; /* the console's output goes to a terminal */
};

/* Whether it uses a feature of which there is something to say: one that is not simply supported. */
bool config_uses(const struct vm_config *c, const struct config_facts *f, enum feature_id id);
/* The same of one device that is attached: 0, or -EINVAL with why. */
[[nodiscard]] int config_check_attached(const struct vm_config *c, const struct config_device *d,
					char *why, size_t cap);
/* What it uses must be more than experimental, or allowed by name. As config_parse_words. */
[[nodiscard]] int config_check_allowed(const struct vm_config *c, const struct config_facts *f,
				       struct config_error *ret_error);

/* Room for config_render: each name once, and each device with a path. */
#define CONFIG_WORDS_MAX                                                             \
	(64 + CONFIG_SECRETS_MAX + CONFIG_OEM_STRINGS_MAX + CONFIG_CREDENTIALS_MAX + \
	 2 * CONFIG_DEVICES_MAX)
#define CONFIG_WORDS_BYTES                                                   \
	((CONFIG_DEVICES_MAX + CONFIG_SECRETS_MAX + CONFIG_OEM_STRINGS_MAX + \
	  CONFIG_CREDENTIALS_MAX + 8) *                                      \
	 (CONFIG_PATH_MAX + 256))

/*
 * The words that say the whole configuration again (without --config), for another process:
 * argv is filled and NULL-terminated, texts lie in buf. Returns their number, or -E2BIG.
 */
[[nodiscard]] int config_render(const struct vm_config *c, char *argv[CONFIG_WORDS_MAX], char *buf,
				size_t cap);

#endif

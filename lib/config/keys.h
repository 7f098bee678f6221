/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that flags and file share: the machine's own options, and those that the kinds of devices
 * bring. One list of keys, in the order in which help and render say them.
 */
#ifndef BULKHEAD_CONFIG_KEYS_H
#define BULKHEAD_CONFIG_KEYS_H

#include "lib/config/config.h"

#define CONFIG_KEY_NAME_MAX 48

enum config_key_type {
	KEY_MACHINE, /* an option of struct vm_config */
	KEY_DEVICE,  /* WORD of a kind: its device, or one of them */
	KEY_OF_KIND, /* WORD-OPTION of a kind that a VM has at most one of */
};

struct config_key {
	char name[CONFIG_KEY_NAME_MAX];
	size_t index;
	enum config_key_type type;
	const struct option *option;	/* MACHINE, OF_KIND */
	const struct device_kind *kind; /* DEVICE, OF_KIND */
};

/* The key at an index from 0 up, or false: there are no more. */
[[nodiscard]] bool config_key_at(size_t index, struct config_key *ret);
bool config_key_is_switch(const struct config_key *key);
bool config_key_adds_up(const struct config_key *key);
/* What its value is: "on or off", "FILE,format=raw[,readonly=on]". */
void config_key_range(const struct config_key *key, char *out, size_t cap);
/* What would be right, for the error: "say on or off". */
void config_key_right(const struct config_key *key, char *out, size_t cap);

/* machine.c */
extern const struct option config_machine[];
extern const size_t n_config_machine;

[[nodiscard]] bool config_name_fits(const char *name, size_t len);

/* secret.c */
[[nodiscard]] int config_add_secret(void *c, const char *value, const char **ret_why);
[[nodiscard]] bool config_put_secret(const void *c, unsigned int i, char *out, size_t cap);
/* Every one that a device says is there. As config_parse_words. */
[[nodiscard]] int config_check_secrets(const struct vm_config *c, struct config_error *ret_error);

/* seed.c */
[[nodiscard]] int config_set_cloud_init(void *c, const char *value, const char **ret_why);
[[nodiscard]] int config_add_ssh_key(void *c, const char *value, const char **ret_why);
[[nodiscard]] int config_set_user(void *c, const char *value, const char **ret_why);
[[nodiscard]] int config_set_hostname(void *c, const char *value, const char **ret_why);
[[nodiscard]] int config_set_password_hash(void *c, const char *value, const char **ret_why);
/* What is said of it goes together. As config_parse_words. */
[[nodiscard]] int config_check_seed(const struct vm_config *c, struct config_error *ret_error);

/* identity.c */
[[nodiscard]] int config_set_uuid(void *c, const char *value, const char **ret_why);
[[nodiscard]] bool config_put_uuid(const void *c, unsigned int i, char *out, size_t cap);
[[nodiscard]] int config_set_serial(void *c, const char *value, const char **ret_why);
[[nodiscard]] bool config_put_serial(const void *c, unsigned int i, char *out, size_t cap);
[[nodiscard]] int config_add_oem_string(void *c, const char *value, const char **ret_why);
[[nodiscard]] bool config_put_oem_string(const void *c, unsigned int i, char *out, size_t cap);
[[nodiscard]] int config_add_credential(void *c, const char *value, const char **ret_why);
[[nodiscard]] bool config_put_credential(const void *c, unsigned int i, char *out, size_t cap);

/* limits.c */
[[nodiscard]] int set_limit_io(void *c, const char *value, const char **ret_why);
[[nodiscard]] bool put_limit_io(const void *c, unsigned int i, char *out, size_t cap);

/* ---- devices.c ---- */

/* The devices that a VM has when nothing is said. */
void devices_init(struct vm_config *c);
/* Some come with what else is said. */
void devices_settle(struct vm_config *c);
/* Takes a value of KEY_DEVICE: a switch, or one more. As option_set; why has room for what is said. */
[[nodiscard]] int devices_set(struct vm_config *c, const struct device_kind *kind,
			      const char *value, char *why, size_t cap);
/* Whether there is room for that many more, a process each. */
bool devices_fit(const struct vm_config *c, unsigned int more);
/* Behind those of its kind; there is room. */
void devices_insert(struct vm_config *c, const struct config_device *d);
/* The one device of a kind that a VM has at most one of. */
struct config_device *devices_single(struct vm_config *c, const struct device_kind *kind);

#endif

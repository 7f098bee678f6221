/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An option, declared once: its name, what its value may be, its default and its help. Parsing it,
 * saying it again to another process, the line for a wrong value, help and completion come from the
 * declaration. Values go to and come from a field of the owner's struct. Pure: no I/O, no allocation.
 */
#ifndef BULKHEAD_OPTIONS_OPTION_H
#define BULKHEAD_OPTIONS_OPTION_H

#include "lib/options/values.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_ONOFF,	/* on or off, to a bool */
	OPTION_NUMBER,	/* decimal digits, to an integer */
	OPTION_SIZE,	/* the same with K, M, G or T, of bytes */
	OPTION_PERCENT, /* the same with % */
	OPTION_MAC, /* an Ethernet address of one station, as 52:54:00:12:34:56, to 48 bits of an integer */
	OPTION_CHOICE, /* one of `choices`, its index to an integer */
	OPTION_TEXT,   /* printable ASCII of min to max bytes, to a const char * into the words */
	OPTION_PATH,   /* a file's name, not empty, of at most max bytes; likewise */
	OPTION_OWN,    /* what set and put say */
};

enum {
	OPTION_SWITCH = 1,	/* `--NAME` alone means on */
	OPTION_ADDS_UP = 2,	/* may be said more than once */
	OPTION_WORDS_ONLY = 4,	/* not in a configuration file */
	OPTION_REQUIRED = 8,	/* of a device: never guessed */
	OPTION_NOT_PASSED = 16, /* not an argument of the device's process */
	OPTION_INNER = 32,	/* an argument of the process alone: no user says it */
	OPTION_ABSOLUTE = 64,	/* a path from the root */
	OPTION_NONE = 128,	/* `none` is a value, stored as `none` */
	OPTION_COMMANDS =
		256, /* the command alone uses it, and tells its supervisor nothing of it */
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset, width; /* OPTION_FIELD */
	uint64_t min, max;
	uint64_t multiple; /* of what it must be one; 0: of nothing */
	uint64_t none;
	unsigned int flags;
	const char *const *choices; /* NULL at the end */
	/* CHOICE: up to that many, each a byte of the field: its index and 1, or 0 behind the last; said
	 * again, or with commas. 0: it is one */
	unsigned int list;
	const char *initial; /* the default, as it is said; NULL: none */
	const char *value;   /* stands for it in help: "SIZE"; NULL: the default does */
	const char *unit;    /* "seconds" */
	const char *help;    /* beside what the rest says already; or NULL */
	const char *right;   /* what would be right, where the rest does not say it */
	const char *
		made; /* INNER: its value is this and the device's number among its kind; or NULL */
	/* OWN: set and put are of what is there in the owner's struct */
	size_t own_at;
	int (*set)(void *owner, const char *value, const char **ret_why);
	/* OWN: the next piece of its value, from 0 up, or false: no more */
	bool (*put)(const void *owner, unsigned int i, char *out, size_t cap);
};

#define OPTION_FIELD(type, field) \
	.offset = offsetof(type, field), .width = sizeof(((type *)0)->field)

/* Takes a value. 0, or -EINVAL; *ret_why may then say more than option_right. */
[[nodiscard]] int option_set(const struct option *o, void *owner, const char *value,
			     const char **ret_why);
#define OPTION_OWN_MAX 127U /* bytes of an OPTION_OWN in a piece of a text */
/* The same of a piece of a text; not for the types that keep a text. */
[[nodiscard]] int option_set_span(const struct option *o, void *owner, struct span value,
				  const char **ret_why);
/* Its default, or what it is without one: 0, NULL. */
void option_init(const struct option *o, void *owner);
/* Its value as it is said, cut at cap: false when there is none to be said. Not for OPTION_OWN. */
[[nodiscard]] bool option_get(const struct option *o, const void *owner, char *out, size_t cap);
/* The i-th piece, from 0 on, of what is to be said of it, whatever its type; false: there is none. */
[[nodiscard]] bool option_say(const struct option *o, const void *owner, unsigned int i, char *out,
			      size_t cap);
/* How many there are of a list. */
unsigned int option_count(const struct option *o, const void *owner);
/* What its values are: "1 to 16", "on or off", "auto, kvm or soft"; "" if the type does not say. */
void option_range(const struct option *o, char *out, size_t cap);
/* What would be right: "say 1 to 16". */
void option_right(const struct option *o, char *out, size_t cap);

#endif

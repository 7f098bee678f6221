/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state contract: what an object that a guest can see saves, loads and resets, and in what form.
 *
 * An object's state is an image: a plain struct without pointers. Its schema is a table of fields,
 * each with what it may hold, and a check of what they may hold together. Saved bytes are HOSTILE:
 * whoever wrote them may have been taken over. So state is built aside: state_load fills an image
 * only, and an object takes an image as a whole or not at all.
 *
 * Wire, little-endian: magic, hash of the schema (4 bytes each), version (2), 0 (2), length of what
 * follows (4); then every element of every field at its width, in the schema's order. The hash is
 * over the schema's name and its fields' names, widths and counts, so that bytes of another schema
 * are told from damaged ones.
 *
 * No allocation, no I/O, no logging.
 */
#ifndef BULKHEAD_STATE_STATE_H
#define BULKHEAD_STATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_HEADER_LEN 16U
#define STATE_IMAGE_MAX 16384U /* bytes of an image, and of its wire form */
#define STATE_WHY_MAX 160

struct state_field {
	const char *name;
	uint32_t offset; /* in the image */
	uint8_t width;	 /* of one element: 1, 2, 4 or 8 bytes */
	uint32_t count;	 /* elements */
	uint64_t min, max;
	uint64_t mask; /* the bits that may be set */
};

#define STATE_WIDTH(type, member) sizeof(((type *)0)->member)
#define STATE_ROW(type, member, lowest, highest, bits)                                             \
	{                                                                                          \
		.name = #member, .offset = offsetof(type, member),                                 \
		.width = STATE_WIDTH(type, member), .count = 1, .min = (lowest), .max = (highest), \
		.mask = (bits)                                                                     \
	}
#define STATE_ROWS(type, member, lowest, highest, bits)                            \
	{                                                                          \
		.name = #member, .offset = offsetof(type, member),                 \
		.width = STATE_WIDTH(type, member[0]),                             \
		.count = STATE_WIDTH(type, member) / STATE_WIDTH(type, member[0]), \
		.min = (lowest), .max = (highest), .mask = (bits)                  \
	}
/* One number, or an array of them: any value; lowest to highest; any of those bits; false or true. */
#define STATE_ANY(type, member) STATE_ROW(type, member, 0, UINT64_MAX, UINT64_MAX)
#define STATE_RANGE(type, member, lowest, highest) \
	STATE_ROW(type, member, lowest, highest, UINT64_MAX)
#define STATE_BITS(type, member, bits) STATE_ROW(type, member, 0, UINT64_MAX, bits)
#define STATE_BOOL(type, member) STATE_ROW(type, member, 0, 1, 1)
#define STATE_ANYS(type, member) STATE_ROWS(type, member, 0, UINT64_MAX, UINT64_MAX)
#define STATE_RANGES(type, member, lowest, highest) \
	STATE_ROWS(type, member, lowest, highest, UINT64_MAX)
#define STATE_BITSES(type, member, bits) STATE_ROWS(type, member, 0, UINT64_MAX, bits)
#define STATE_BOOLS(type, member) STATE_ROWS(type, member, 0, 1, 1)

struct state_schema {
	const char *name;
	uint16_t version;
	size_t size; /* bytes of the image, at most STATE_IMAGE_MAX */
	const struct state_field *fields;
	size_t n_fields;
	/* Fields against each other, each of them legal by itself: NULL, or what is wrong. May be
	 * NULL. */
	const char *(*check)(const void *image);
};

/* How many bytes state_save writes. */
[[nodiscard]] size_t state_wire_len(const struct state_schema *s);
/* For who saves often: the header, which is the same each time, and what follows it. The length, or
 * -EMSGSIZE: more than cap. */
[[nodiscard]] int state_save_header(const struct state_schema *s, void *wire, size_t cap);
[[nodiscard]] int state_save_fields(const struct state_schema *s, const void *image, void *wire,
				    size_t cap);
/* Both. */
[[nodiscard]] int state_save(const struct state_schema *s, const void *image, void *wire,
			     size_t cap);
/*
 * Fills an image of s->size bytes from exactly len bytes. 0; or, with the image zeroed and a line for
 * the user that names the field in why: -EPROTONOSUPPORT for another schema or version, -EBADMSG.
 */
[[nodiscard]] int state_load(const struct state_schema *s, const void *wire, size_t len,
			     void *image, char why[STATE_WHY_MAX]);

/*
 * A kind of object: one row. Each member has its meaning for a machine that does not run; what must
 * stop first, quiesce stops.
 */
struct state_ops {
	const char *name;
	const struct state_schema *schema; /* NULL: nothing of it outlives a reset */
	/* To power-on. 0 or a negative errno. */
	int (*reset)(void *object);
	/* What goes on without the guest stops, so that save sees all of it. -EAGAIN: not now, as a process is
	 * away that has part of it. NULL: nothing does. */
	int (*quiesce)(void *object);
	void (*save)(const void *object, void *image);
	/* The image is legal by the schema. Takes it as a whole, or returns -EINVAL with *ret_why:
	 * it is of an object that was made otherwise. */
	int (*load)(void *object, const void *image, const char **ret_why);
	/* What quiesce has stopped, or would have before it was saved, goes on; once all objects and guest
	 * RAM are there. NULL: nothing does. */
	int (*resume)(void *object);
};

struct state_object {
	const struct state_ops *ops;
	void *object;
};

/* The last object first, as what was made later is wired to what was there; all of them also after a
 * failure. The first error. */
[[nodiscard]] int state_reset_all(const struct state_object *objects, size_t n);
/* The first object first; ends at the first error. */
[[nodiscard]] int state_resume_all(const struct state_object *objects, size_t n);
/* One object's bytes: quiesce, save. The length or a negative errno. */
[[nodiscard]] int state_object_save(const struct state_object *o, void *wire, size_t cap);
/* As state_load, and then into the object; its own refusal is -EINVAL. The object is as it was after
 * any failure. */
[[nodiscard]] int state_object_load(const struct state_object *o, const void *wire, size_t len,
				    char why[STATE_WHY_MAX]);

#endif

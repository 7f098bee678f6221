/* SPDX-License-Identifier: Apache-2.0 */
/* Images to bytes and back; see state.h. */
#include "lib/state/state.h"

#include "lib/base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAGIC 0x54534842U /* "BHST" */

/* FNV-1a, 32 bits: it tells schemas apart, nothing more. */
static uint32_t hash_text(uint32_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * 16777619U;
	while (*text++);
	return hash;
}

static uint32_t hash_number(uint32_t hash, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		hash = (hash ^ (uint8_t)(number >> (8 * i))) * 16777619U;
	return hash;
}

static uint32_t schema_hash(const struct state_schema *s)
{
	uint32_t hash = hash_text(2166136261U, s->name);

	for (size_t i = 0; i < s->n_fields; i++) {
		hash = hash_text(hash, s->fields[i].name);
		hash = hash_number(hash, s->fields[i].width);
		hash = hash_number(hash, s->fields[i].count);
	}
	return hash;
}

static uint32_t body_len(const struct state_schema *s)
{
	uint32_t len = 0;

	for (size_t i = 0; i < s->n_fields; i++)
		len += s->fields[i].width * s->fields[i].count;
	return len;
}

size_t state_wire_len(const struct state_schema *s)
{
	return STATE_HEADER_LEN + body_len(s);
}

/* ---- elements ---- */

static uint64_t get_element(struct bytes_reader *r, unsigned int width)
{
	switch (width) {
	case 1:
		return bytes_get8(r);
	case 2:
		return bytes_get16(r);
	case 4:
		return bytes_get32(r);
	default:
		return bytes_get64(r);
	}
}

/* x86-64 is little-endian: a number's bytes are those of the wire. The usual sizes are said for speed. */
static void copy_numbers(uint8_t *to, const uint8_t *from, size_t len)
{
	switch (len) {
	case 1:
		*to = *from;
		break;
	case 2:
		memcpy(to, from, 2);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	case 8:
		memcpy(to, from, 8);
		break;
	default:
		memcpy(to, from, len);
	}
}

static void image_put(void *image, const struct state_field *f, uint32_t i, uint64_t v)
{
	memcpy((uint8_t *)image + f->offset + (size_t)i * f->width, &v, f->width);
}

/* ---- save ---- */

int state_save_header(const struct state_schema *s, void *wire, size_t cap)
{
	struct bytes_writer w = bytes_writer(wire, cap);

	bytes_put32(&w, MAGIC);
	bytes_put32(&w, schema_hash(s));
	bytes_put16(&w, s->version);
	bytes_put16(&w, 0);
	bytes_put32(&w, body_len(s));
	return bytes_written(&w);
}

int state_save_fields(const struct state_schema *s, const void *image, void *wire, size_t cap)
{
	size_t at = 0;

	for (size_t i = 0; i < s->n_fields; i++) {
		const struct state_field *f = &s->fields[i];
		size_t len = (size_t)f->width * f->count;

		if (len > cap - at)
			return -EMSGSIZE;
		copy_numbers((uint8_t *)wire + at, (const uint8_t *)image + f->offset, len);
		at += len;
	}
	return (int)at;
}

int state_save(const struct state_schema *s, const void *image, void *wire, size_t cap)
{
	int header = state_save_header(s, wire, cap), fields;

	if (header < 0)
		return header;
	fields = state_save_fields(s, image, (uint8_t *)wire + header, cap - (size_t)header);
	return fields < 0 ? fields : header + fields;
}

/* ---- load ---- */

__attribute__((format(printf, 3, 4))) static int refuse(char why[STATE_WHY_MAX], int error,
							const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, STATE_WHY_MAX, fmt, ap);
	va_end(ap);
	return error;
}

static int load_header(const struct state_schema *s, struct bytes_reader *r,
		       char why[STATE_WHY_MAX])
{
	uint32_t magic = bytes_get32(r), hash = bytes_get32(r);
	uint16_t version = bytes_get16(r), zero = bytes_get16(r);
	uint32_t len = bytes_get32(r);

	if (r->failed)
		return refuse(why, -EBADMSG, "state of %s: shorter than its header", s->name);
	if (magic != MAGIC || zero)
		return refuse(why, -EBADMSG, "state of %s: not a saved state", s->name);
	if (version != s->version)
		return refuse(why, -EPROTONOSUPPORT, "state of %s: version %u, known is %u",
			      s->name, version, s->version);
	if (hash != schema_hash(s))
		return refuse(why, -EPROTONOSUPPORT, "state of %s: of another kind of object",
			      s->name);
	if (len != body_len(s) || len != bytes_left(r))
		return refuse(why, -EBADMSG, "state of %s: %zu bytes instead of %u", s->name,
			      bytes_left(r), body_len(s));
	return 0;
}

static bool legal(const struct state_field *f, uint64_t v)
{
	return v >= f->min && v <= f->max && !(v & ~f->mask);
}

static int load_field(const struct state_schema *s, const struct state_field *f,
		      struct bytes_reader *r, void *image, char why[STATE_WHY_MAX])
{
	for (uint32_t i = 0; i < f->count; i++) {
		uint64_t v = get_element(r, f->width);

		if (legal(f, v))
			image_put(image, f, i, v);
		else if (f->count == 1)
			return refuse(why, -EBADMSG, "state of %s: %s is 0x%llx", s->name, f->name,
				      (unsigned long long)v);
		else
			return refuse(why, -EBADMSG, "state of %s: %s[%u] is 0x%llx", s->name,
				      f->name, i, (unsigned long long)v);
	}
	return 0;
}

static int load_fields(const struct state_schema *s, struct bytes_reader *r, void *image,
		       char why[STATE_WHY_MAX])
{
	const char *wrong;
	int error = 0;

	for (size_t i = 0; i < s->n_fields && error == 0; i++)
		error = load_field(s, &s->fields[i], r, image, why);
	if (error < 0)
		return error;
	wrong = s->check ? s->check(image) : NULL;
	return wrong ? refuse(why, -EBADMSG, "state of %s: %s", s->name, wrong) : 0;
}

int state_load(const struct state_schema *s, const void *wire, size_t len, void *image,
	       char why[STATE_WHY_MAX])
{
	struct bytes_reader r = bytes_reader(wire, len);
	int error;

	memset(image, 0, s->size);
	error = load_header(s, &r, why);
	if (error == 0)
		error = load_fields(s, &r, image, why);
	if (error < 0)
		memset(image, 0, s->size);
	return error;
}

/* ---- objects ---- */

int state_reset_all(const struct state_object *objects, size_t n)
{
	int first = 0;

	while (n--) {
		int r = objects[n].ops->reset(objects[n].object);

		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

int state_resume_all(const struct state_object *objects, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		if (objects[i].ops->resume)
			r = objects[i].ops->resume(objects[i].object);
	return r;
}

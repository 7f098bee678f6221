/* SPDX-License-Identifier: Apache-2.0 */
/* The control protocol's codec: pure, no I/O; see control.h. */
#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"
#include "lib/control/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HEADER_LEN 8

/* What a message of a type carries beside its header. */
struct shape {
	enum control_type type;
	bool number;
	bool size; /* the number is a control_size */
	bool text;
	bool info;
	uint8_t n_fds;
};

static const struct shape shapes[] = {
	{ .type = CTL_READY },
	{ .type = CTL_LOG, .number = true, .text = true },
	{ .type = CTL_EVENT, .number = true },
	{ .type = CTL_DENIED, .number = true },
	{ .type = CTL_FAILED, .text = true },
	{ .type = CTL_BUSY, .number = true },
	{ .type = CTL_PLUGGED, .number = true },
	{ .type = CTL_NOT_PLUGGED, .text = true },
	{ .type = CTL_UNPLUGGED, .number = true },
	{ .type = CTL_CONFIG_CHANGED },
	{ .type = CTL_LOST, .number = true },
	{ .type = CTL_FOUND, .number = true },
	{ .type = CTL_AWAY, .text = true },
	{ .type = CTL_BACK },
	{ .type = CTL_ANNOUNCED },
	{ .type = CTL_POWER_BUTTON },
	{ .type = CTL_CONSOLE, .n_fds = 1 },
	{ .type = CTL_CONSOLE_SIZE, .number = true, .size = true },
	{ .type = CTL_CHANNEL, .number = true, .n_fds = 1 },
	{ .type = CTL_PLUG, .number = true, .text = true, .n_fds = 1 },
	{ .type = CTL_UNPLUG, .number = true },
	{ .type = CTL_PAUSE, .number = true },
	{ .type = CTL_CONTINUE },
	{ .type = CTL_LINK, .number = true },
	{ .type = CTL_CONFIG, .number = true },
	{ .type = CTL_TPM, .number = true },
	{ .type = CTL_QUERY },
	{ .type = CTL_STOP, .number = true },
	{ .type = CTL_ATTACH },
	{ .type = CTL_RELEASE },
	{ .type = CTL_SIZE, .number = true, .size = true },
	{ .type = CTL_ADD, .text = true },
	{ .type = CTL_ADD_FILE, .text = true, .n_fds = 1 },
	{ .type = CTL_REMOVE, .text = true },
	{ .type = CTL_RESUME },
	{ .type = CTL_RESIZE, .n_fds = 1 },
	{ .type = CTL_RESIZED, .number = true },
	{ .type = CTL_ADD_BESIDE, .number = true, .n_fds = 1 },
	{ .type = CTL_SET_LINK, .number = true, .text = true },
	{ .type = CTL_GOES_ON },
	{ .type = CTL_INFO, .info = true },
	{ .type = CTL_ATTACHED, .n_fds = 1 },
	{ .type = CTL_REFUSED, .text = true },
	{ .type = CTL_DONE },
	{ .type = CTL_STARTED },
	{ .type = CTL_ENDED, .number = true, .text = true },
	{ .type = CTL_ENDING },
	{ .type = CTL_ADDED, .number = true, .text = true },
	{ .type = CTL_RESIZING, .text = true },
};

static const struct shape *shape_of(unsigned int type)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (shapes[i].type == type)
			return &shapes[i];
	return NULL;
}

size_t control_n_fds(enum control_type type)
{
	const struct shape *s = shape_of(type);

	return s ? s->n_fds : 0;
}

static bool number_fits(const struct shape *s, uint32_t number)
{
	return !s->size || (control_columns(number) && control_rows(number));
}

static void put_info(struct bytes_writer *w, const struct control_info *info)
{
	bytes_put(w, info->name, CTL_NAME_MAX);
	bytes_put32(w, info->pid);
	bytes_put32(w, info->cpus);
	bytes_put64(w, info->memory);
	bytes_put64(w, info->uptime_s);
	bytes_put32(w, info->state);
	bytes_put32(w, info->processes);
	bytes_put32(w, info->soft);
	bytes_put32(w, info->restarts);
	bytes_put(w, info->attached, CTL_ATTACHED_MAX);
	bytes_put(w, info->why, CTL_WHY_MAX);
}

static void make_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
}

static void get_info(struct bytes_reader *r, struct control_info *info)
{
	bytes_get(r, info->name, CTL_NAME_MAX);
	make_printable(info->name, strnlen(info->name, CTL_NAME_MAX));
	info->pid = bytes_get32(r);
	info->cpus = bytes_get32(r);
	info->memory = bytes_get64(r);
	info->uptime_s = bytes_get64(r);
	info->state = bytes_get32(r);
	info->processes = bytes_get32(r);
	info->soft = bytes_get32(r);
	info->restarts = bytes_get32(r);
	bytes_get(r, info->attached, CTL_ATTACHED_MAX);
	make_printable(info->attached, strnlen(info->attached, CTL_ATTACHED_MAX));
	bytes_get(r, info->why, CTL_WHY_MAX);
	make_printable(info->why, strnlen(info->why, CTL_WHY_MAX));
}

int control_encode(const struct control_msg *m, void *out, size_t cap)
{
	uint8_t payload[CTL_WIRE_MAX - HEADER_LEN];
	struct bytes_writer body = bytes_writer(payload, sizeof(payload));
	struct bytes_writer w = bytes_writer(out, cap);
	const struct shape *s = shape_of(m->type);
	int len;

	if (!s || (s->text && m->text_len > CTL_TEXT_MAX) || !number_fits(s, m->number))
		return -EINVAL;
	if (s->number)
		bytes_put32(&body, m->number);
	if (s->info)
		put_info(&body, &m->info);
	if (s->text)
		bytes_put(&body, m->text, m->text_len);
	len = bytes_written(&body);
	if (len < 0)
		return len;
	bytes_put16(&w, (uint16_t)m->type);
	bytes_put16(&w, 0);
	bytes_put32(&w, (uint32_t)len);
	bytes_put(&w, payload, (size_t)len);
	return bytes_written(&w);
}

int control_decode(const void *data, size_t len, struct control_msg *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	unsigned int type = bytes_get16(&r);
	unsigned int reserved = bytes_get16(&r);
	uint32_t body_len = bytes_get32(&r);
	const struct shape *s = shape_of(type);
	struct control_msg m = { .type = (enum control_type)type };
	int err;

	if (r.failed || reserved || !s || body_len != bytes_left(&r))
		return -EBADMSG;
	if (s->number)
		m.number = bytes_get32(&r);
	if (!number_fits(s, m.number))
		return -EBADMSG;
	if (s->info)
		get_info(&r, &m.info);
	if (s->text) {
		m.text_len = bytes_left(&r);
		if (m.text_len > CTL_TEXT_MAX)
			return -EBADMSG;
		bytes_get(&r, m.text, m.text_len);
		make_printable(m.text, m.text_len);
	}
	err = bytes_finish(&r);
	if (err < 0)
		return err;
	*ret = m;
	return 0;
}

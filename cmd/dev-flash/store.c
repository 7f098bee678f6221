/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the variables; see store.h. */
#include "cmd/dev-flash/store.h"

#include "cmd/dev-flash/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int store_alloc(struct store *s, const struct store_io *io, uint64_t file_size)
{
	bool has_log;
	const uint64_t size = flash_size(file_size, &has_log);

	if (!size)
		return -EINVAL;
	*s = (struct store){ .io = *io, .size = (uint32_t)size, .has_log = has_log };
	s->saved = malloc(size);
	s->buffer = malloc(FLASH_LOG_LEN(size));
	if (s->saved && s->buffer)
		return 0;
	store_free(s);
	return -ENOMEM;
}

void store_free(struct store *s)
{
	free(s->saved);
	free(s->buffer);
	s->saved = s->buffer = NULL;
}

/* ---- all of it, or an error ---- */

static int read_all(const struct store *s, uint8_t *to, size_t len, uint64_t at)
{
	while (len) {
		const ssize_t n = s->io.read(s->io.owner, to, len, at);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_all(const struct store *s, const uint8_t *from, size_t len, uint64_t at)
{
	while (len) {
		const ssize_t n = s->io.write(s->io.owner, from, len, at);

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		from += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- the two halves of the file ---- */

int store_read(struct store *s)
{
	const size_t log_len = FLASH_LOG_LEN(s->size);
	int r = read_all(s, s->saved, s->size, 0);

	if (r < 0 || !s->has_log)
		return r;
	r = read_all(s, s->buffer, log_len, s->size);
	if (r < 0)
		return r;
	s->log_len = log_replay(s->buffer, log_len, s->saved, s->size, s->logged);
	/* Behind a record that is not whole may be whole ones, of which nobody may hear once there is one in its
	 * place: this log takes no more. */
	s->unsynced = s->full = true;
	return 0;
}

static int sync_log(struct store *s)
{
	int r = s->unsynced ? s->io.sync(s->io.owner) : 0;

	if (r == 0)
		s->unsynced = false;
	return r;
}

static int write_logged(const struct store *s)
{
	int r = 0;

	for (uint32_t i = 0; i < s->size / FLASH_SECTOR && r == 0; i++)
		if (sector_is_set(s->logged, i))
			r = write_all(s, s->saved + i * FLASH_SECTOR, FLASH_SECTOR,
				      i * FLASH_SECTOR);
	return r;
}

/* The store on the disk has all that the log has before the log goes. */
static int settle(struct store *s)
{
	int r = sync_log(s);

	if (r == 0)
		r = write_logged(s);
	if (r == 0)
		r = s->io.sync(s->io.owner);
	if (r == 0)
		r = s->io.truncate(s->io.owner, s->size);
	if (r < 0)
		return r;
	s->log_len = 0;
	s->has_log = false;
	r = s->io.sync(s->io.owner); /* nothing of it may be behind what the next log has */
	if (r < 0)
		return r;
	memset(s->logged, 0, sizeof(s->logged));
	s->full = false;
	return 0;
}

/* ---- in service ---- */

void store_touch(struct store *s, uint32_t offset)
{
	sector_set(s->touched, (uint32_t)(offset / FLASH_SECTOR));
}

void store_touch_all(struct store *s)
{
	for (uint32_t i = 0; i < s->size / FLASH_SECTOR; i++)
		sector_set(s->touched, i);
}

/* What is behind the end of a file reads as zeros, which are no record. */
static int make_log(struct store *s)
{
	int r = s->has_log ? 0 : s->io.truncate(s->io.owner, s->size + FLASH_LOG_LEN(s->size));

	s->has_log = r == 0;
	return r;
}

/* A write that was cut short is written over by the next. */
static int append(struct store *s, const uint8_t *now, int len)
{
	int r = make_log(s);

	if (r == 0)
		r = write_all(s, s->buffer, (size_t)len, s->size + s->log_len);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < s->size / FLASH_SECTOR; i++) {
		const uint64_t at = i * FLASH_SECTOR;

		if (!sector_is_set(s->touched, i) ||
		    memcmp(s->saved + at, now + at, FLASH_SECTOR) == 0)
			continue;
		memcpy(s->saved + at, now + at, FLASH_SECTOR);
		sector_set(s->logged, i);
	}
	memset(s->touched, 0, sizeof(s->touched));
	s->log_len += (uint64_t)len;
	s->unsynced = true;
	return 0;
}

int store_commit(struct store *s, const uint8_t *now)
{
	const uint64_t room = FLASH_LOG_LEN(s->size) - s->log_len;
	int len = s->full ? -ENOSPC : log_make(s->saved, now, s->size, s->touched, s->buffer, room);

	if (len == -ENOSPC) {
		s->full = true;
		return -EAGAIN;
	}
	if (len > 0)
		return append(s, now, len);
	memset(s->touched, 0, sizeof(s->touched));
	return len;
}

int store_tick(struct store *s, const uint8_t *now)
{
	int r = s->full ? settle(s) : 0;

	if (r == 0 && now)
		r = store_commit(s, now);
	if (r == -EAGAIN) { /* the log is full now */
		r = settle(s);
		if (r == 0)
			r = store_commit(s, now);
	}
	return r < 0 ? r : sync_log(s);
}

bool store_wants_tick(const struct store *s)
{
	return s->unsynced || s->full;
}

int store_close(struct store *s)
{
	return s->has_log || s->full ? settle(s) : 0;
}

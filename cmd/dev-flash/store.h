/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a firmware's variables: the store, and while it is in use a log of changes behind it (log.h). At whatever
 * write the host or the process is cut off, the file has the store as it was at one of the instants at which it was
 * committed, and none in between:
 *
 *   commit   appends a record of what differs from what the file has; a record is whole or not there. It does not wait
 *	      for the disk, and is there for whoever opens the file from then on.
 *   tick     once a second at most: what was committed reaches the disk. When the log is full: it does, then it is
 *	      done to the store, which reaches the disk, then the log goes. So a guest cannot make the host write more than
 *	      some MiB a second, and the file has two sizes and no other.
 *   close    the log is done to the store and goes: the file is as firmware's tools know it.
 *
 * The calls of the file are handed in, so that a test can cut them off anywhere.
 */
#ifndef BULKHEAD_CMD_DEV_FLASH_STORE_H
#define BULKHEAD_CMD_DEV_FLASH_STORE_H

#include "lib/fwcfg/flash.h"

#include <stddef.h>
#include <sys/types.h>

#define STORE_SECTORS_BYTES (FLASH_SIZE_MAX / FLASH_SECTOR / 8)

/* As pread, pwrite, fdatasync and ftruncate; 0 or bytes, or a negative errno. */
struct store_io {
	ssize_t (*read)(void *owner, void *to, size_t len, uint64_t at);
	ssize_t (*write)(void *owner, const void *from, size_t len, uint64_t at);
	int (*sync)(void *owner);
	int (*truncate)(void *owner, uint64_t size);
	void *owner;
};

struct store {
	struct store_io io;
	uint32_t size;			      /* bytes of the store */
	uint8_t *saved;			      /* as the file has it, with its log done */
	uint8_t *buffer;		      /* FLASH_LOG_LEN(size) bytes */
	uint64_t log_len;		      /* bytes of records in the log */
	bool has_log;			      /* the file has room for it */
	bool unsynced;			      /* records that may not have reached the disk */
	bool full;			      /* a commit waits for a tick */
	uint8_t touched[STORE_SECTORS_BYTES]; /* may differ from `saved` */
	uint8_t logged[STORE_SECTORS_BYTES];  /* differ from what is before the log */
};

/* Memory for a store in a file of that size, before the sandbox. -EINVAL: it has another; -ENOMEM. */
[[nodiscard]] int store_alloc(struct store *s, const struct store_io *io, uint64_t file_size);
/* Reads the file, HOSTILE: s->saved. 0; -EIO, or the error of reading. */
[[nodiscard]] int store_read(struct store *s);
void store_touch(struct store *s, uint32_t offset);
void store_touch_all(struct store *s);
/* now: s->size bytes, which differ from what the file has where they were touched. 0; -EAGAIN: the log is full, and a tick
 * does it; or the error of writing, after which it can be tried again. */
[[nodiscard]] int store_commit(struct store *s, const uint8_t *now);
/* now: to commit what waits, NULL: it cannot be now. 0 or the first error; what was not done is, at the next tick. */
[[nodiscard]] int store_tick(struct store *s, const uint8_t *now);
/* Whether a tick has anything to do. */
bool store_wants_tick(const struct store *s);
/* Behind the last commit. */
[[nodiscard]] int store_close(struct store *s);
void store_free(struct store *s);

#endif

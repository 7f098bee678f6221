/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the launcher answers, one message for each that it was sent (ask.h). Little-endian: u8 part, u8
 * result, u16 reserved (0), i32 reason, then text. The descriptors beside it are by the result:
 *
 *	ANSWER_STARTED  a pidfd, the control channel, and one end of each of its channels to the vmm
 *	ANSWER_FAILED   a pidfd of what has ended, if a process was made; reason a negative errno, text
 *			the step
 *	ANSWER_REFUSED  none; reason an enum bounds_refusal
 *	ANSWER_FORGOTTEN  none; the part is a spare one again
 *	ANSWER_FOUND    none; the part that serves the file; text: its disk's size in bytes, as its first process
 *			noted it, or nothing where none is noted
 *	ANSWER_UNFOUND  none; part 0; reason an enum answer_unfound
 */
#ifndef BULKHEAD_SUPERVISOR_ANSWER_H
#define BULKHEAD_SUPERVISOR_ANSWER_H

#include <stddef.h>
#include <stdint.h>

enum answer_result {
	ANSWER_STARTED = 1,
	ANSWER_FAILED = 2,
	ANSWER_REFUSED = 3,
	ANSWER_FORGOTTEN = 4,
	ANSWER_FOUND = 5,
	ANSWER_UNFOUND = 6,
};

enum answer_unfound {
	ANSWER_NO_PART, /* no part serves the file */
	ANSWER_BESIDE,	/* one does, but not with just those files beside it that it could change */
	ANSWER_UNFOUND_N
};

#define ANSWER_TEXT_MAX 56
#define ANSWER_WIRE_MAX (8 + ANSWER_TEXT_MAX)
#define ANSWER_MAX_FDS 4 /* two channels to the vmm at most */

struct answer {
	uint8_t part;
	enum answer_result result;
	int32_t reason;
	char text[ANSWER_TEXT_MAX + 1]; /* printable after decode */
};

/* Bytes written to out, or -EMSGSIZE. A text that is too long is cut. */
[[nodiscard]] int answer_encode(const struct answer *a, void *out, size_t cap);
/* n_fds: descriptors that came with it. 0, or -EBADMSG. */
[[nodiscard]] int answer_decode(const void *data, size_t len, size_t n_fds, struct answer *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor asks of its launcher, one message each. u8 what, u8 part, u8 kind, u8 number, then text:
 *
 *	ASK_AGAIN   the part has ended, and is to be started as before; kind, number 0, no text
 *	ASK_NEW     a spare part is to be started, as a process of that kind (of kinds_all), the
 *		    number-th of a VM's, from 0 on, with these options (lib/config); for a kind that
 *		    serves a file its descriptor comes with it
 *	ASK_FORGET  such a part has ended, and is to be a spare one again; as ASK_AGAIN
 *	ASK_FIND    which part serves the file whose descriptor comes with it, to read and write; part 0, the
 *		    rest as ASK_AGAIN
 *	ASK_BESIDE  the descriptor of a file beside the one that comes with the next ASK_NEW or ASK_FIND: number says which,
 *		    from 1 on; part, kind 0, no text; it has no answer
 *	ASK_BEHIND  as ASK_NEW, with the same kind and options: the storage process behind that device, to which its
 *		    files come in the device's place
 *	ASK_LARGER  as ASK_AGAIN, of the part that was found last: its file was made larger by its user
 */
#ifndef BULKHEAD_SUPERVISOR_ASK_H
#define BULKHEAD_SUPERVISOR_ASK_H

#include <stddef.h>
#include <stdint.h>

enum ask_what {
	ASK_AGAIN = 1,
	ASK_NEW = 2,
	ASK_FORGET = 3,
	ASK_FIND = 4,
	ASK_LARGER = 5,
	ASK_BESIDE = 6,
	ASK_BEHIND = 7
};

#define ASK_TEXT_MAX 360
#define ASK_WIRE_MAX (4 + ASK_TEXT_MAX)

struct ask {
	enum ask_what what;
	uint8_t part, kind, number;
	char text[ASK_TEXT_MAX + 1];
};

/* Bytes written to out, or -EMSGSIZE. */
[[nodiscard]] int ask_encode(const struct ask *a, void *out, size_t cap);
/* n_fds: descriptors that came with it. 0, or -EBADMSG. */
[[nodiscard]] int ask_decode(const void *data, size_t len, size_t n_fds, struct ask *ret);

#endif

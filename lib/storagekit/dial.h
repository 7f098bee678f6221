/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a storage process and its dialer say to one another, on a SOCK_SEQPACKET. The process sends one byte, whichever:
 * "once more". The dialer answers with two, and with a socket that is connected to the process's one server, or is
 * about to be: how many addresses the server has, which are tried in turn, and 0; or with no socket and the error.
 *
 * A device whose guest reaches several sockets of the host chooses: its byte is the place of one in its list, and the
 * answer's first byte is that place + 1, not their number. So a process whose predecessor died with a question open
 * knows which answer is its own.
 */
#ifndef BULKHEAD_STORAGEKIT_DIAL_H
#define BULKHEAD_STORAGEKIT_DIAL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define DIAL_ADDRESSES_MAX 8U /* of one server */
#define DIAL_ANSWER_LEN 2U

struct dial_answer {
	unsigned int addresses; /* 1 to DIAL_ADDRESSES_MAX; or place + 1 */
	int error;		/* 0, or a negative errno above -256 */
};

static inline void dial_encode(const struct dial_answer *a, uint8_t out[DIAL_ANSWER_LEN])
{
	out[0] = (uint8_t)a->addresses;
	out[1] = (uint8_t)-a->error;
}

/* 0, or -EBADMSG; with an error comes no socket, without one socket. */
[[nodiscard]] static inline int dial_decode(const uint8_t *data, size_t len, size_t n_fds,
					    struct dial_answer *ret)
{
	if (len != DIAL_ANSWER_LEN || data[0] == 0 || data[0] > DIAL_ADDRESSES_MAX ||
	    n_fds != (data[1] ? 0U : 1U))
		return -EBADMSG;
	*ret = (struct dial_answer){ data[0], -data[1] };
	return 0;
}

#endif

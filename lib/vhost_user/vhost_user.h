/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user: the codec, pure (codec.c), and its I/O apart from it (channel.c).
 * Specification: "Vhost-user Protocol", QEMU docs/interop/vhost-user.rst. Names and numbers are its.
 */
#ifndef BULKHEAD_VHOST_USER_VHOST_USER_H
#define BULKHEAD_VHOST_USER_VHOST_USER_H

#include "lib/base/fd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum vu_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_SET_DEVICE_STATE_FD = 42,
	VHOST_USER_CHECK_DEVICE_STATE = 43,
};

/* Bits of GET/SET_FEATURES */
#define VHOST_F_LOG_ALL 26
#define VHOST_USER_F_PROTOCOL_FEATURES 30

enum vu_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
	VHOST_USER_PROTOCOL_F_DEVICE_STATE = 19,
};

#define VU_VERSION 1U /* flags, bits 0 and 1 */
#define VU_FLAG_REPLY (1U << 2)
#define VU_FLAG_NEED_REPLY (1U << 3)

#define VU_HEADER_LEN 12
#define VU_MAX_REGIONS 8   /* of SET_MEM_TABLE */
#define VU_MAX_CONFIG 256  /* bytes of configuration space */
#define VU_PAYLOAD_MAX 512 /* bytes; a larger size field is an error of the peer */
#define VU_VRING_IDX_MASK 0xffU
#define VU_VRING_NOFD (1U << 8) /* of SET_VRING_KICK, CALL and ERR */
/* SET_DEVICE_STATE_FD: direction and phase; of its reply, whether there is no descriptor */
#define VU_TRANSFER_SAVE 0U
#define VU_TRANSFER_LOAD 1U
#define VU_TRANSFER_STOPPED 0U
#define VU_TRANSFER_NOFD (1U << 8)
#define VU_VRING_LOG (1U << 0) /* VHOST_VRING_F_LOG: the flags of SET_VRING_ADDR */

struct vu_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uaddr;
	uint64_t mmap_offset;
};

struct vu_msg {
	uint32_t request; /* enum vu_request; decode refuses what it does not know */
	bool reply;
	bool need_reply;
	union {
		uint64_t u64; /* features, fds' index word, status… */
		struct {
			uint32_t index;
			uint32_t num;
		} state; /* vring state */
		struct {
			uint32_t index;
			uint32_t flags;
			uint64_t desc; /* front-end addresses */
			uint64_t used;
			uint64_t avail;
			uint64_t log;
		} addr;
		struct {
			uint32_t n; /* 1 to VU_MAX_REGIONS */
			struct vu_region region[VU_MAX_REGIONS];
		} mem;
		struct vu_region mem_reg; /* ADD_MEM_REG, REM_MEM_REG */
		struct {
			uint32_t offset;
			uint32_t size;	/* at most VU_MAX_CONFIG; of a reply, 0 says error */
			uint32_t flags; /* bits 0 and 1 */
			uint8_t data[VU_MAX_CONFIG];
		} config;
		struct {
			uint64_t size;
			uint64_t offset;
		} log; /* bytes of the descriptor's file */
		struct {
			uint64_t size; /* bytes; of a reply, 0 says that there is none */
			uint64_t offset;
			uint16_t n_queues;
			uint16_t queue_size;
		} inflight;
		struct {
			uint32_t direction;
			uint32_t phase;
		} transfer;
	};
};

struct vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* bytes of payload that follow */
};

/*
 * -EBADMSG: version other than 1, reserved flag bits, size above VU_PAYLOAD_MAX.
 * A request number that is not in the enum gives -EOPNOTSUPP with *ret filled, so that the caller
 * can skip the payload and answer or close.
 */
[[nodiscard]] int vu_decode_header(const uint8_t wire[VU_HEADER_LEN], struct vu_header *ret);
/*
 * Exact sizes: what the request, and whether it is a reply, call for; -EBADMSG otherwise, also for
 * reserved bits of a ring's index word. A reply to a NEED_REPLY request that has no reply of its
 * own is a u64 (0: success). Padding is ignored.
 */
[[nodiscard]] int vu_decode(const struct vu_header *h, const uint8_t *payload, size_t len,
			    struct vu_msg *ret);
/* Bytes written (header and payload), or -EMSGSIZE, -EINVAL. */
[[nodiscard]] int vu_encode(const struct vu_msg *m, uint8_t *out, size_t cap);
/* Whether the request has a reply of its own whatever its flags say: GET_*, the two of the device's state, and SET_LOG_BASE of a
 * session that has LOG_SHMFD, without which nobody may send it. */
[[nodiscard]] bool vu_has_reply(uint32_t request);
/* The number of descriptors that a decoded message must come with (KICK with NOFD: 0; the reply to
 * GET_INFLIGHT_FD: 1; that to SET_DEVICE_STATE_FD: 1 unless it says that there is none). */
[[nodiscard]] size_t vu_n_fds(const struct vu_msg *m);

/* ---- I/O ---- */

/*
 * Receives one whole message with exactly its descriptors (the caller closes them). Returns 1,
 * 0 when the peer closed between messages, -EAGAIN when a non-blocking socket has none,
 * -EOPNOTSUPP (message skipped, ret->request and ret->need_reply valid), or -EBADMSG (ret->request is
 * what the header says; untouched when the header is not whole). The one
 * descriptor that older front ends send with REM_MEM_REG is closed here. Waits for the rest of a
 * message that has begun, a second at most for each piece.
 */
[[nodiscard]] int vu_recv(int sock, struct vu_msg *ret, int fds[MSG_MAX_FDS], size_t *ret_n_fds);
/* -EINVAL when n_fds is not what the message comes with; otherwise as msg_send. */
[[nodiscard]] int vu_send(int sock, const struct vu_msg *m, const int *fds, size_t n_fds);

#endif

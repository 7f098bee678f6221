/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Network Block Device protocol, both sides: the codec, pure. "The NBD protocol", doc/proto.md of the
 * NBD project; names and numbers are its. The handshake's order is hand.h; what is exchanged here is
 * fixed newstyle negotiation and simple replies.
 *
 * Every decode takes exactly the bytes of its message: -EBADMSG for fewer, more, or another magic.
 */
#ifndef BULKHEAD_NBD_NBD_H
#define BULKHEAD_NBD_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- negotiation ---- */

#define NBD_HELLO_LEN 18U /* NBDMAGIC, IHAVEOPT, flags */
#define NBD_CLIENT_FLAGS_LEN 4U
#define NBD_OPTION_LEN 16U	 /* header of an option */
#define NBD_OPTION_REPLY_LEN 20U /* header of its reply */
#define NBD_NAME_MAX 4096U	 /* bytes of a name or a message */

/* Of the hello, and of the client's answer to it. */
#define NBD_FLAG_FIXED_NEWSTYLE (1U << 0)
#define NBD_FLAG_NO_ZEROES (1U << 1)

enum nbd_option_type {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
};

enum nbd_option_reply_type {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
};
#define NBD_REP_ERR (1U << 31)
#define NBD_REP_ERR_UNSUP (NBD_REP_ERR | 1U)
#define NBD_REP_ERR_POLICY (NBD_REP_ERR | 2U)
#define NBD_REP_ERR_INVALID (NBD_REP_ERR | 3U)
#define NBD_REP_ERR_TLS_REQD (NBD_REP_ERR | 5U)
#define NBD_REP_ERR_UNKNOWN (NBD_REP_ERR | 6U)

enum nbd_info_type { NBD_INFO_EXPORT = 0, NBD_INFO_BLOCK_SIZE = 3 };

struct nbd_option {
	uint32_t type; /* enum nbd_option_type, or another */
	uint32_t len;  /* bytes that follow */
};

struct nbd_option_reply {
	uint32_t option;
	uint32_t type; /* enum nbd_option_reply_type, or an error */
	uint32_t len;  /* bytes that follow */
};

/* What GO and INFO ask about. Which information is wanted is no promise of either side, and left aside. */
struct nbd_go {
	const uint8_t *name; /* in the message */
	uint32_t name_len;   /* bytes, at most NBD_NAME_MAX */
};

/* An export as its server describes it. */
struct nbd_export {
	uint64_t size;					/* bytes, at most INT64_MAX */
	uint16_t flags;					/* NBD_FLAG_HAS_FLAGS and more */
	uint32_t block_min, block_preferred, block_max; /* bytes; all 0: not said */
};

/* Transmission flags. */
#define NBD_FLAG_HAS_FLAGS (1U << 0)
#define NBD_FLAG_READ_ONLY (1U << 1)
#define NBD_FLAG_SEND_FLUSH (1U << 2)
#define NBD_FLAG_SEND_FUA (1U << 3)
#define NBD_FLAG_SEND_TRIM (1U << 5)
#define NBD_FLAG_SEND_WRITE_ZEROES (1U << 6)

[[nodiscard]] int nbd_hello_decode(const void *data, size_t len, uint16_t *ret_flags);
[[nodiscard]] int nbd_hello_encode(uint16_t flags, void *out, size_t cap);
[[nodiscard]] int nbd_client_flags_decode(const void *data, size_t len, uint32_t *ret_flags);
[[nodiscard]] int nbd_client_flags_encode(uint32_t flags, void *out, size_t cap);
[[nodiscard]] int nbd_option_decode(const void *data, size_t len, struct nbd_option *ret);
[[nodiscard]] int nbd_option_encode(const struct nbd_option *o, void *out, size_t cap);
[[nodiscard]] int nbd_option_reply_decode(const void *data, size_t len,
					  struct nbd_option_reply *ret);
[[nodiscard]] int nbd_option_reply_encode(const struct nbd_option_reply *r, void *out, size_t cap);
/* The data of GO and INFO. */
[[nodiscard]] int nbd_go_decode(const void *data, size_t len, struct nbd_go *ret);
/* Asks for the block sizes, too. */
[[nodiscard]] int nbd_go_encode(const char *name, size_t name_len, void *out, size_t cap);
/*
 * The data of one NBD_REP_INFO: its part of *export. An information that is not known is left aside.
 * -EBADMSG also for block sizes that are no powers of two, or in no order.
 */
[[nodiscard]] int nbd_info_decode(const void *data, size_t len, struct nbd_export *export);
[[nodiscard]] int nbd_info_encode(enum nbd_info_type type, const struct nbd_export *export,
				  void *out, size_t cap);

/* ---- transmission ---- */

#define NBD_REQUEST_LEN 28U
#define NBD_REPLY_LEN 16U

enum nbd_command {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1, /* its data follow */
	NBD_CMD_DISC = 2,  /* has no reply */
	NBD_CMD_FLUSH = 3,
	NBD_CMD_TRIM = 4,
	NBD_CMD_WRITE_ZEROES = 6,
};

#define NBD_CMD_FLAG_FUA (1U << 0)
#define NBD_CMD_FLAG_NO_HOLE (1U << 1)

struct nbd_request {
	uint16_t flags;
	uint16_t command; /* enum nbd_command, or another */
	uint64_t cookie;
	uint64_t offset; /* bytes */
	uint32_t len;	 /* bytes */
};

struct nbd_reply {
	uint32_t error; /* 0, or an NBD_E… */
	uint64_t cookie;
};

[[nodiscard]] int nbd_request_decode(const void *data, size_t len, struct nbd_request *ret);
[[nodiscard]] int nbd_request_encode(const struct nbd_request *r, void *out, size_t cap);
[[nodiscard]] int nbd_reply_decode(const void *data, size_t len, struct nbd_reply *ret);
[[nodiscard]] int nbd_reply_encode(const struct nbd_reply *r, void *out, size_t cap);

/* A negative errno, or 0, as the wire has it and back; what has no word of its own is EIO, and what
 * says that is no error of the list is -EIO. */
uint32_t nbd_error_of(int result);
int nbd_result_of(uint32_t error);

#endif

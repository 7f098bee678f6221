/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfio-user: the codec, pure (codec.c), and its I/O apart from it (channel.c).
 * Specification: "vfio-user Protocol Specification", libvfio-user docs/vfio-user.rst, version 0.9.
 */
#ifndef BULKHEAD_VFIO_USER_VFIO_USER_H
#define BULKHEAD_VFIO_USER_VFIO_USER_H

#include "lib/base/fd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum vfu_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_DEVICE_GET_INFO = 4,
	VFIO_USER_DEVICE_GET_REGION_INFO = 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
	VFIO_USER_DEVICE_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DEVICE_RESET = 13,
};

#define VFU_HEADER_LEN 16
#define VFU_FLAG_TYPE_COMMAND 0U
#define VFU_FLAG_TYPE_REPLY 1U
#define VFU_FLAG_TYPE_MASK 0xfU
#define VFU_FLAG_NO_REPLY (1U << 4)
#define VFU_FLAG_ERROR (1U << 5)

#define VFU_DATA_MAX 256    /* bytes of one region access that we send or accept */
#define VFU_JSON_MAX 256    /* bytes of VERSION's capabilities that we send or accept, with NUL */
#define VFU_PAYLOAD_MAX 512 /* bytes after the header; more is an error of the peer */
#define VFU_MAX_SPARSE 4    /* areas of a sparse-mmap capability */

/* flags of DEVICE_GET_INFO, REGION_INFO, IRQ_INFO, SET_IRQS and DMA_MAP: as <linux/vfio.h> */

/*
 * Our devices of one region have one more, 1, if their state outlives their process: a register of 4
 * bytes that tells a client that was cut off how far its accesses of region 0 and its resets came.
 * Bits 0 to 15: the message id of the last that was carried out; 16 to 23: the byte that it read; 24:
 * whether there is one.
 */
#define VFU_DONE_REGION 1
#define VFU_DONE_SIZE 4
#define VFU_DONE_VALUE_SHIFT 16
#define VFU_DONE_ANY (1U << 24)

struct vfu_sparse {
	uint64_t offset;
	uint64_t size;
};

struct vfu_msg {
	uint16_t id;
	uint16_t command; /* enum vfu_command */
	bool reply;
	bool no_reply;
	bool error; /* of a reply: error_no says which, there is no payload */
	uint32_t error_no;
	union {
		/* clang-format off */
		struct { uint16_t major, minor; char json[VFU_JSON_MAX]; } version;
		/* offset: of DMA_MAP only. The reply of DMA_UNMAP repeats the request. */
		struct { uint32_t flags; uint64_t offset, address, size; } dma;
		struct { uint32_t flags, num_regions, num_irqs; } device_info;
		/* clang-format on */
		struct {
			/* Of a request: bytes of reply payload that the client takes; 0 to encode says
			 * VFU_PAYLOAD_MAX. Of a reply: bytes that it would take in full; 0 to encode
			 * says what it takes. */
			uint32_t argsz;
			uint32_t flags, index;
			uint64_t size, offset;
			uint32_t n_sparse; /* of a reply; needs VFIO_REGION_INFO_FLAG_CAPS */
			struct vfu_sparse sparse[VFU_MAX_SPARSE];
		} region_info;
		/* clang-format off */
		struct { uint32_t flags, index, count; } io_fds; /* count: 0, we have none */
		struct { uint32_t flags, index, count; } irq_info;
		struct { uint32_t flags, index, start, count; } set_irqs; /* data: eventfds only */
		/* clang-format on */
		struct {
			uint64_t offset;
			uint32_t region;
			uint32_t count; /* bytes, at most VFU_DATA_MAX; a write's reply says any */
			uint8_t data[VFU_DATA_MAX]; /* of a write request and a read reply */
		} access;
	};
};

struct vfu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* bytes of the whole message with this header */
	uint32_t flags;
	uint32_t error_no;
};

/* -EBADMSG: size below the header or payload above VFU_PAYLOAD_MAX, unknown type or flag bits,
 * an error that is no reply, a reply that wants none.
 * -EOPNOTSUPP with *ret filled: a command that is not in the enum. */
[[nodiscard]] int vfu_decode_header(const uint8_t wire[VFU_HEADER_LEN], struct vfu_header *ret);
/*
 * Exact sizes: what the command, and whether it is a reply, call for; -EBADMSG otherwise. argsz must
 * cover the fixed part. Of a request, fields that only the reply fills must be 0. VERSION's data is
 * absent or one NUL-terminated string. A reply's capabilities: none, or one sparse mmap.
 */
[[nodiscard]] int vfu_decode(const struct vfu_header *h, const uint8_t *payload, size_t len,
			     struct vfu_msg *ret);
/* Bytes written (header and payload), or -EMSGSIZE, or -EINVAL for what decode would refuse. */
[[nodiscard]] int vfu_encode(const struct vfu_msg *m, uint8_t *out, size_t cap);

/* ---- I/O ---- */

/* One whole message. 1, 0 when the peer closed between messages, -EAGAIN, -EOPNOTSUPP (skipped;
 * id, command and no_reply valid), -EBADMSG. The caller closes the descriptors. Waits for the rest
 * of a message that has begun, a second at most for each piece. */
[[nodiscard]] int vfu_recv(int sock, struct vfu_msg *ret, int fds[MSG_MAX_FDS], size_t *ret_n_fds);
[[nodiscard]] int vfu_send(int sock, const struct vfu_msg *m, const int *fds, size_t n_fds);

#endif

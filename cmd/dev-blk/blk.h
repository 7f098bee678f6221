/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (VIRTIO 1.2, 5.2) over an image.
 *
 *   config.c   feature bits and configuration space
 *   request.c  one chain to one checked request: pure
 *   io.c       requests on their way, and answers
 *   state.c    the row of the state contract
 *
 * An image's errors become VIRTIO_BLK_S_IOERR. A request that cannot be (outside the disk, no whole
 * sectors, too many segments) becomes IOERR too, one of an unknown type UNSUPP. A chain that is not
 * even a request (no header, no room for the status) is the guest's error: NEEDS_RESET.
 */
#ifndef BULKHEAD_DEV_BLK_BLK_H
#define BULKHEAD_DEV_BLK_BLK_H

#include "lib/base/loop.h"
#include "lib/devkit/vu_device.h"
#include "lib/diskkit/options.h"
#include "lib/flight/flight.h"
#include "lib/image/image.h"
#include "lib/storagekit/throttle.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BLK_QUEUE_MAX 1024U
#define BLK_ID_LEN 20U		 /* bytes of GET_ID */
#define BLK_SEG_MAX 254U	 /* segments of a request that we offer */
#define BLK_SIZE_MAX (4U << 20)	 /* bytes of a segment that we offer */
#define BLK_RANGE_MAX (4U << 20) /* sectors of one discard or write-zeroes */

/* 5.2.3 */
#define VIRTIO_BLK_F_SIZE_MAX 1
#define VIRTIO_BLK_F_SEG_MAX 2
#define VIRTIO_BLK_F_GEOMETRY 4
#define VIRTIO_BLK_F_RO 5
#define VIRTIO_BLK_F_BLK_SIZE 6
#define VIRTIO_BLK_F_FLUSH 9
#define VIRTIO_BLK_F_TOPOLOGY 10
#define VIRTIO_BLK_F_CONFIG_WCE 11
#define VIRTIO_BLK_F_MQ 12
#define VIRTIO_BLK_F_DISCARD 13
#define VIRTIO_BLK_F_WRITE_ZEROES 14

/* 5.2.6 */
#define VIRTIO_BLK_T_IN 0U
#define VIRTIO_BLK_T_OUT 1U
#define VIRTIO_BLK_T_FLUSH 4U
#define VIRTIO_BLK_T_GET_ID 8U
#define VIRTIO_BLK_T_DISCARD 11U
#define VIRTIO_BLK_T_WRITE_ZEROES 13U
#define VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP 1U
#define VIRTIO_BLK_S_OK 0U
#define VIRTIO_BLK_S_IOERR 1U
#define VIRTIO_BLK_S_UNSUPP 2U
#define VIRTIO_BLK_HEADER_LEN 16U

#define VIRTIO_BLK_CONFIG_LEN 60U
#define VIRTIO_BLK_CONFIG_WRITEBACK 32U /* offset of the only field that the driver may write */

/* Where the image's format is read: in dev-blk, or in a storage process. */
enum blk_parser { BLK_TOGETHER, BLK_APART };

/* Where the image is. */
enum blk_place { BLK_FILE, BLK_NBD, BLK_NBD_TLS, BLK_ISCSI };

/* What a guest has it behind: virtio-blk, or an adapter of virtio-scsi, which dev-scsi is. */
enum blk_bus { BLK_VIRTIO, BLK_SCSI };

struct blk_options {
	struct disk_device_options disk; /* first, as it is of dev-scsi's */
	uint32_t bus;			 /* enum blk_bus */
	bool named;			 /* the address names who asks */
	uint32_t parser;		 /* enum blk_parser */
	uint32_t place;			 /* enum blk_place, as its name says */
	struct throttle_rates rates;
};

/* What requests are checked against. */
struct blk_disk {
	uint64_t capacity; /* bytes */
	uint32_t block;	   /* bytes, the physical one */
	uint32_t logical;  /* bytes; requests are of whole ones */
	uint16_t n_queues;
	uint64_t offered;  /* feature bits */
	uint64_t features; /* that the driver chose */
	bool writeback;	   /* the driver's choice, where it has one */
	char id[BLK_ID_LEN];
};

void blk_disk_init(struct blk_disk *disk, const struct blk_options *o, const struct image *image);
void blk_disk_reset(struct blk_disk *disk);
/* 5.2.5.2: whether a write completes before it is on stable storage. */
[[nodiscard]] bool blk_writes_back(const struct blk_disk *disk);
/* VIRTIO_BLK_CONFIG_LEN bytes. */
void blk_config_read(const struct blk_disk *disk, uint8_t *config);
[[nodiscard]] int blk_config_write(struct blk_disk *disk, uint32_t offset, const uint8_t *data,
				   uint32_t len);

enum blk_action {
	BLK_ANSWER, /* status is the answer already */
	BLK_GET_ID, /* the disk's id, then status */
	BLK_START,  /* io is to be done */
};

struct blk_request {
	enum blk_action action;
	uint8_t status;
	gpa_t status_gpa;   /* the last writable byte */
	uint64_t room;	    /* writable bytes before it */
	struct image_io io; /* without iov and handle */
};

/* 0, or -EBADMSG: not a request at all, or -EFAULT: header, range or status are not guest RAM. */
[[nodiscard]] int blk_parse(const struct blk_disk *disk, const struct virtq_chain *c,
			    struct blk_request *ret);

/* Of a request in flight, beside its slot. */
struct blk_answer {
	uint32_t written_ok; /* used length for success, and for failure */
	uint32_t written_bad;
	gpa_t status_gpa;
};

struct blk {
	struct vu_device dev;
	struct dev_spec spec;
	struct blk_disk disk;
	struct blk_request request;
	struct blk_answer answer[FLIGHT_SLOTS];
	struct flight flight;
};

/* Before the sandbox: the image is ready and outlives blk, which is all zeroes. sock is taken. */
[[nodiscard]] int blk_prepare(struct blk *blk, const struct blk_options *o, struct image *image,
			      struct loop *loop, int sock);
/* What the image's size and abilities are is known only now: an image behind a socket. Before anything is served. */
void blk_learn(struct blk *blk, const struct blk_options *o);
void blk_close(struct blk *blk);

extern const struct state_ops blk_state; /* object: struct blk */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-blk is; lib/kinds/kind.h. */
#include "cmd/dev-blk/blk.h"
#include "cmd/dev-blk/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/iscsi/uri.h"
#include "lib/nbd/uri.h"
#include "lib/storagekit/rates.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>

#define DISKS_MAX 64 /* of a VM */

static const char *const buses[] = { "virtio", "scsi", NULL };
static const char *const parsers[] = { "together", "apart", NULL };

static const struct option options[] = {
	DISK_DEVICE_OPTIONS(struct blk_options, disk, DISK_QUEUES_MAX),
	{ .name = "bus",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct blk_options, bus),
	  .choices = buses,
	  .initial = "virtio",
	  .value = "scsi",
	  .flags = OPTION_NOT_PASSED },
	{ .name = "parser",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct blk_options, parser),
	  .choices = parsers,
	  .initial = "together",
	  .value = "apart",
	  .flags = OPTION_NOT_PASSED },
	STORAGE_RATE_OPTIONS(struct blk_options, rates, OPTION_NOT_PASSED),
	DISK_SERIAL_OPTION(struct blk_options, disk),
};

static const struct kind_files beside[] = {
	{ .word = "backing",
	  .noun = "backing file",
	  .most = DISK_BACKING_MAX,
	  .only_read = true,
	  .each = "backing-format" },
	{ .word = "data-file", .noun = "data file", .most = 1 },
	{ .word = "tls-psk", .noun = "shared key", .most = 1, .only_read = true, .secret = true },
	{ .word = "tls-ca",
	  .noun = "trusted certificates",
	  .most = 1,
	  .only_read = true,
	  .secret = true },
	{ .word = "tls-cert",
	  .noun = "own certificate",
	  .most = 1,
	  .only_read = true,
	  .secret = true },
	{ .word = "tls-key", .noun = "private key", .most = 1, .only_read = true, .secret = true },
	{ .word = "chap", .noun = "secret of CHAP", .most = 1, .only_read = true, .secret = true },
	{ .word = "chap-target",
	  .noun = "target's secret of CHAP",
	  .most = 1,
	  .only_read = true,
	  .secret = true },
};
enum { BACKING, DATA, PSK, CA, CERT, KEY, CHAP, CHAP_TARGET };
_Static_assert(ARRAY_SIZE(beside) <= KIND_BESIDE_MAX, "room for what is said of them");
_Static_assert(1 + DISK_BACKING_MAX + 1 + 6 <= KIND_FILES_MAX, "room for them");

/* 0: that of the device, then the backing files'; a data file has none. */
static bool is_raw(const struct blk_options *o, unsigned int i)
{
	return i == 0 ? o->disk.image.format == DISK_RAW :
			i > DISK_BACKING_MAX || o->disk.image.backing[i - 1] == DISK_RAW + 1;
}

/* Only what is served byte by byte is cut into sectors. */
static uint64_t unit(const void *o, unsigned int i)
{
	const struct blk_options *b = o;

	if (i == 0)
		return is_raw(b, 0) ? disk_bytes(b->disk.image.logical) : 1;
	if (i > DISK_BACKING_MAX + 1)
		return 1; /* of keys and certificates */
	return is_raw(b, i) ? IMAGE_SECTOR : 1;
}

static int check_blocks(const struct blk_options *o, char *why, size_t cap)
{
	if (o->disk.physical == DISK_512 + 1 && o->disk.image.logical == DISK_4096) {
		snprintf(why, cap,
			 "physical_block_size=512 is smaller than logical_block_size=4096: say "
			 "4096, or leave it out");
		return -EINVAL;
	}
	if (o->disk.image.cache == DISK_NONE && o->disk.image.format != DISK_RAW) {
		snprintf(why, cap, "cache=none is for format=raw alone: say cache=writeback");
		return -EINVAL;
	}
	return 0;
}

static bool grows(const void *o)
{
	return !is_raw(o, 0);
}

/* Who has the image in dev-blk's place: a parser that stands apart, and what holds dev-blk to its rates. */
static const char *behind(const void *of)
{
	const struct blk_options *o = of;

	if (o->place != BLK_FILE)
		return o->place == BLK_ISCSI ? "storage-iscsi" : "storage-nbd";
	return o->parser == BLK_APART || throttle_rates_bound(&o->rates) ? "storage-file" : NULL;
}

static const char *instead(const void *o)
{
	return ((const struct blk_options *)o)->bus == BLK_SCSI ? "dev-scsi" : NULL;
}

/* One who asks by name has a secret. */
static int target(struct blk_options *o, const char *text, size_t len, const char **ret_why)
{
	struct iscsi_uri u;
	int r = iscsi_uri_parse(text, len, &u, ret_why);

	if (r < 0)
		return r;
	o->place = BLK_ISCSI;
	o->named = *u.user;
	return 1;
}

/* As QEMU has it, rbd:POOL/IMAGE, or with slashes. */
static bool rbd_is_meant(const char *text, size_t len)
{
	static const char scheme[] = "rbd:";

	return len >= sizeof(scheme) - 1 && memcmp(text, scheme, sizeof(scheme) - 1) == 0;
}

static int address(void *of, const char *text, size_t len, const char **ret_why)
{
	struct blk_options *o = of;
	struct nbd_uri u;
	int r;

	if (rbd_is_meant(text, len)) {
		*ret_why =
			"an image of a Ceph cluster comes by a gateway, which alone has the cluster's "
			"key: say its nbds:// address, as bulkhead(1) has it; a file of that name "
			"is ./rbd:...";
		return -EINVAL;
	}
	if (iscsi_uri_is_meant(text, len))
		return target(o, text, len, ret_why);
	if (!nbd_uri_is_meant(text, len))
		return 0;
	r = nbd_uri_parse(text, len, &u, ret_why);
	if (r < 0)
		return r;
	o->place = u.tls ? BLK_NBD_TLS : BLK_NBD;
	return 1;
}

/* Who the server is must be shown by one of the two, and who asks may be. */
static const char *wrong_tls(const unsigned int n[KIND_BESIDE_MAX])
{
	if (n[PSK] + n[CA] == 0)
		return "nbds:// wants tls-psk=NAME, a key shared with the server, or tls-ca=NAME, the "
		       "certificates trusted to say who it is; --secret NAME=FILE says the file";
	if (n[PSK] && n[CA] + n[CERT] + n[KEY])
		return "tls-psk= stands for all certificates: leave out the others";
	if (n[CERT] != n[KEY])
		return "tls-cert= and tls-key= come together";
	return NULL;
}

#define TLS_ALONE "tls-psk=, tls-ca=, tls-cert= and tls-key= are for nbds:// alone"
#define CHAP_ALONE "chap= and chap-target= are for iscsi:// alone"

static bool has_chap(const unsigned int n[KIND_BESIDE_MAX])
{
	return n[CHAP] || n[CHAP_TARGET];
}

static const char *wrong_chap(const struct blk_options *o, const unsigned int n[KIND_BESIDE_MAX])
{
	if (n[PSK] + n[CA] + n[CERT] + n[KEY])
		return TLS_ALONE;
	if (o->named != (n[CHAP] != 0))
		return "USER@ in the address and chap=NAME, a secret of USER, come together";
	return n[CHAP_TARGET] && !n[CHAP] ? "chap-target=NAME comes with chap=NAME" : NULL;
}

static const char *wrong_address(const struct blk_options *o, const unsigned int n[KIND_BESIDE_MAX])
{
	if (o->disk.image.format != DISK_RAW)
		return "what a server or target serves is format=raw: its own files' format is its to read";
	if (o->disk.image.cache != DISK_WRITEBACK)
		return "the cache of a server or target is its own: leave out cache=";
	if (n[BACKING] + n[DATA])
		return "the server or target has the files: leave out backing= and data-file=";
	if (o->place == BLK_ISCSI)
		return wrong_chap(o, n);
	if (has_chap(n))
		return CHAP_ALONE;
	if (o->place == BLK_NBD_TLS)
		return wrong_tls(n);
	return n[PSK] + n[CA] + n[CERT] + n[KEY] ? TLS_ALONE : NULL;
}

/* Those of an address, or of a file that has none of it. */
static int check_place(const struct blk_options *o, const unsigned int n[KIND_BESIDE_MAX],
		       char *why, size_t cap)
{
	const char *wrong = o->place != BLK_FILE	      ? wrong_address(o, n) :
			    n[PSK] + n[CA] + n[CERT] + n[KEY] ? TLS_ALONE :
			    has_chap(n)			      ? CHAP_ALONE :
								NULL;

	if (!wrong)
		return 0;
	snprintf(why, cap, "%s", wrong);
	return -EINVAL;
}

static int check(const struct kind_said *said, char *why, size_t cap)
{
	const struct blk_options *o = said->options;
	const unsigned int n = said->n_files[BACKING];

	if (check_place(o, said->n_files, why, cap) < 0 || check_blocks(o, why, cap) < 0)
		return -EINVAL;
	for (unsigned int i = 0; i < n; i++)
		if (is_raw(o, i)) {
			snprintf(
				why, cap,
				i ? "backing file %u is raw, and so has no backing file: leave out "
				    "what is behind it" :
				    "a raw image has no backing file: say format=qcow2, or leave "
				    "out backing=",
				i);
			return -EINVAL;
		}
	if (!said->n_files[DATA] || !is_raw(o, 0))
		return 0;
	snprintf(why, cap,
		 "a raw image has no data file: say format=qcow2, or leave out data-file=");
	return -EINVAL;
}

const struct device_kind blk_kind = {
	.word = "disk",
	.declared = &blk_declared,
	.number = KIND_MANY,
	.most = DISKS_MAX,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.unsaid = "the format is never guessed",
	.file = { .fd = DISK_FD_IMAGE,
		  .noun = "image",
		  .readonly_at = offsetof(struct blk_options, disk.image.readonly),
		  .more = beside,
		  .n_more = ARRAY_SIZE(beside),
		  .unit = unit,
		  .address = address,
		  .check = check },
	.feature = { "qcow2", grows },
	.state = { DISK_BOUND(grows), DISK_REDO(grows) },
	.virtio = { .id = VIRTIO_ID_BLOCK,
		    .name = "disk",
		    .class_code = 0x010000,
		    .n_queues = 1,
		    .queues_min = 1,
		    .config_len = 60, /* up to write_zeroes_may_unmap and its padding */
		    .features = BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) |
				BIT(VIRTIO_BLK_F_GEOMETRY) | BIT(VIRTIO_BLK_F_RO) |
				BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
				BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_CONFIG_WCE) |
				BIT(VIRTIO_BLK_F_MQ) | BIT(VIRTIO_BLK_F_DISCARD) |
				BIT(VIRTIO_BLK_F_WRITE_ZEROES),
		    .fd = BLK_FD_VHOST_USER },
	.behind = behind,
	.instead = instead,
	.foreign = true,
	.restartable = true,
	.attachable = true,
	DISK_TAKES,
};
_Static_assert(sizeof(struct blk_options) <= KIND_OPTIONS_BYTES, "room for them");

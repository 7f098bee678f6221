/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that storage-nbd is; lib/kinds/kind.h. Its options are those of a disk of the same name. */
#include "cmd/storage-nbd/policy.h"
#include "lib/base/cleanup.h"
#include "lib/nbd/uri.h"
#include "lib/storagekit/link.h"
#include "lib/storagekit/rates.h"
#include "lib/storagekit/server.h"
#include "lib/tls/tls.h"

static const char *const on_errors[] = { "retry", "report", "stop", NULL };

static const struct option options[] = {
	{ .name = "address",
	  .type = OPTION_TEXT,
	  OPTION_FIELD(struct storage_nbd_options, address),
	  .min = 1,
	  .max = NBD_URI_MAX,
	  .initial = "",
	  .flags = OPTION_INNER },
	{ .name = "readonly",
	  .type = OPTION_ONOFF,
	  OPTION_FIELD(struct storage_nbd_options, readonly),
	  .max = 1,
	  .initial = "off" },
	{ .name = "on-error",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct storage_nbd_options, on_error),
	  .choices = on_errors,
	  .initial = "retry",
	  .flags = OPTION_INNER },
	{ .name = "away",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct storage_nbd_options, away_s),
	  .min = 1,
	  .max = LINK_AWAY_MAX,
	  .initial = "30",
	  .flags = OPTION_INNER },
	STORAGE_RATE_OPTIONS(struct storage_nbd_options, rates, 0),
};

const struct device_kind storage_nbd_kind = {
	.word = "disk",
	.declared = &storage_nbd_declared,
	.number = KIND_BEHIND,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.file = { .fd = STORAGE_NBD_FD_DIALER,
		  .noun = "server",
		  .readonly_at = offsetof(struct storage_nbd_options, readonly) },
	.storage_fd = STORAGE_NBD_FD_CHANNEL,
	.dials = true,
	.restartable = true,
	/* its buffers, if all are used whole, what its server may lose, and libssl's memory */
	.memory = STORAGE_SLOTS * (uint64_t)STORAGE_DATA_MAX + JOURNAL_BYTES + TLS_ARENA,
};
_Static_assert(sizeof(struct storage_nbd_options) <= KIND_OPTIONS_BYTES, "room for them");

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a job is, as records of a pipe: u64 bytes done, u64 bytes in all, little-endian. The reader
 * believes nothing but that it is to be shown. A total of PROGRESS_UNKNOWN is not known.
 */
#ifndef BULKHEAD_IMAGEFILE_PROGRESS_H
#define BULKHEAD_IMAGEFILE_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#define PROGRESS_WIRE_LEN 16
#define PROGRESS_UNKNOWN UINT64_MAX

struct progress {
	uint64_t done;
	uint64_t total; /* at least done */
};

void progress_encode(const struct progress *p, uint8_t wire[PROGRESS_WIRE_LEN]);
/* 0, or -EBADMSG. */
[[nodiscard]] int progress_decode(const void *wire, size_t len, struct progress *ret);

/* What is shown of it, in one line without an end: "12.3%  45.6 MiB/s  1:02 left", or "3.1 GiB  45.6 MiB/s", where since_ns
 * is the time since the job began, and before the bytes that were done then. Returns its length. */
size_t progress_line(const struct progress *p, uint64_t before, uint64_t since_ns, char *out,
		     size_t cap);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a job is, as records of a pipe: u64 bytes done, u64 bytes in all, little-endian. The reader
 * believes nothing but that it is to be shown.
 */
#ifndef BULKHEAD_IMAGEFILE_PROGRESS_H
#define BULKHEAD_IMAGEFILE_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#define PROGRESS_WIRE_LEN 16

struct progress {
	uint64_t done;
	uint64_t total; /* at least done */
};

void progress_encode(const struct progress *p, uint8_t wire[PROGRESS_WIRE_LEN]);
/* 0, or -EBADMSG. */
[[nodiscard]] int progress_decode(const void *wire, size_t len, struct progress *ret);

/* What is shown of it, in one line without an end: "12.3%  45.6 MiB/s  1:02 left", where since_ns is the time since
 * the job began. Returns its length. */
size_t progress_line(const struct progress *p, uint64_t since_ns, char *out, size_t cap);

#endif

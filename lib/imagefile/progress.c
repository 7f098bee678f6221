/* SPDX-License-Identifier: Apache-2.0 */
/* How far a job is; see progress.h. */
#include "lib/imagefile/progress.h"

#include "lib/base/bytes.h"
#include "lib/base/units.h"

#include <errno.h>
#include <stdio.h>

#define DAYS_S 360000U /* from here on it is not counted */

void progress_encode(const struct progress *p, uint8_t wire[PROGRESS_WIRE_LEN])
{
	struct bytes_writer w = bytes_writer(wire, PROGRESS_WIRE_LEN);

	bytes_put64(&w, p->done);
	bytes_put64(&w, p->total);
}

int progress_decode(const void *wire, size_t len, struct progress *ret)
{
	struct bytes_reader r = bytes_reader(wire, len);
	struct progress p;

	p.done = bytes_get64(&r);
	p.total = bytes_get64(&r);
	if (bytes_finish(&r) < 0 || p.done > p.total)
		return -EBADMSG;
	*ret = p;
	return 0;
}

static size_t add_time(char *out, size_t cap, double seconds)
{
	uint64_t s = seconds < DAYS_S ? (uint64_t)(seconds + 0.5) : DAYS_S;
	int n;

	if (s >= DAYS_S)
		n = snprintf(out, cap, "  days left");
	else if (s >= 3600)
		n = snprintf(out, cap, "  %llu:%02llu:%02llu left", (unsigned long long)s / 3600,
			     (unsigned long long)s / 60 % 60, (unsigned long long)s % 60);
	else
		n = snprintf(out, cap, "  %llu:%02llu left", (unsigned long long)s / 60,
			     (unsigned long long)s % 60);
	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

static size_t add_part(const struct progress *p, char *out, size_t cap)
{
	double part = p->total ? (double)p->done / (double)p->total : 1;
	int n;

	if (p->total == PROGRESS_UNKNOWN)
		n = snprintf(out, cap, "%.1f MiB", (double)p->done / (double)MIB(1));
	else
		n = snprintf(out, cap, "%5.1f%%", part * 100);
	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

size_t progress_line(const struct progress *p, uint64_t before, uint64_t since_ns, char *out,
		     size_t cap)
{
	double seconds = (double)since_ns / 1e9;
	double moved = p->done > before ? (double)(p->done - before) : 0;
	double rate = seconds > 0 ? moved / seconds : 0;
	size_t len = add_part(p, out, cap);
	int n = snprintf(out + len, cap - len, "  %.1f MiB/s", rate / (double)MIB(1));

	len += n > 0 && (size_t)n < cap - len ? (size_t)n : 0;
	if (len && rate > 0 && p->done < p->total && p->total != PROGRESS_UNKNOWN)
		len += add_time(out + len, cap - len, (double)(p->total - p->done) / rate);
	return len;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What image-tool and image-import share; see process.h. */
#include "lib/imagekit/process.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/control/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES 16384

static struct {
	char text[TEXT_BYTES];
	size_t len;
	bool failed;
} output;

/* ---- beginning ---- */

static int adopt(const struct image_job *job)
{
	struct fd_row rows[2 * IMAGE_FILES_MAX + 3] = {
		{ FD_CONTROL, FD_SOCKET, false, "control channel" },
		{ IMAGE_FD_OUTPUT, FD_ANY, false, "output" },
		{ IMAGE_FD_PROGRESS, FD_ANY, false, "progress" },
	};
	const struct fd_row *bad = NULL;
	size_t n = 3;
	int r;

	for (size_t i = 0; i < job->n_nodes; i++) {
		const struct image_node *d = &job->nodes[i];

		rows[n++] = (struct fd_row){ d->fd, FD_ANY, false, "image" };
		if (d->data_fd >= 0)
			rows[n++] = (struct fd_row){ d->data_fd, FD_ANY, false, "data file" };
	}
	r = fds_adopt(rows, n, &bad);
	if (r < 0)
		image_fail(NULL, "descriptor %s: it is missing, or of another kind",
			   bad ? bad->name : "?");
	return r;
}

int image_process_open(int argc, char **argv, struct image_job *ret)
{
	const char *bad = "?";
	int r = image_job_parse(argc - 1, argv + 1, ret, &bad);

	if (r < 0) {
		image_fail(NULL, "the word %.200s is wrong", bad);
		return r;
	}
	return adopt(ret);
}

int image_process_enter(const struct sandbox_policy *policy)
{
	const char *what = "?";
	int r = sandbox_enter(policy, FD_CONTROL, &what);

	if (r < 0)
		image_fail(NULL, "%s cannot be confined: %s: %s", policy->name, what,
			   strerrordesc_np(-r));
	return r;
}

/* ---- lines ---- */

[[gnu::format(printf, 4, 0)]] static void join(char *out, size_t cap, const char *name,
					       const char *fmt, va_list ap)
{
	int n = name ? snprintf(out, cap, "%.150s: ", name) : 0;

	vsnprintf(out + n, cap - (size_t)n, fmt, ap);
}

int image_fail(const char *name, const char *fmt, ...)
{
	char text[CTL_TEXT_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	join(text, sizeof(text), name, fmt, ap);
	va_end(ap);
	(void)control_fail(FD_CONTROL, "%s", text);
	return IMAGE_EXIT_FAILED;
}

/* No strerror: it would look for a message catalogue. */
int image_fail_errno(const char *name, const char *what, int error)
{
	const char *reason = strerrordesc_np(error < 0 ? -error : error);

	if (error == -ENOSPC || error == -EDQUOT)
		return image_fail(name, "%s: no space is left where it is", what);
	return image_fail(name, "%s: %s", what, reason ? reason : "failed");
}

void image_warn(const char *name, const char *fmt, ...)
{
	struct control_msg m = { .type = CTL_LOG, .number = LOG_LEVEL_WARNING };
	va_list ap;

	va_start(ap, fmt);
	join(m.text, sizeof(m.text), name, fmt, ap);
	va_end(ap);
	m.text_len = strlen(m.text);
	(void)!control_send(FD_CONTROL, &m, -1);
}

/* ---- output ---- */

static void flush(void)
{
	size_t at = 0;

	while (at < output.len && !output.failed) {
		ssize_t n = write(IMAGE_FD_OUTPUT, output.text + at, output.len - at);

		if (n < 0 && errno != EINTR)
			output.failed = true;
		at += n > 0 ? (size_t)n : 0;
	}
	output.len = 0;
}

void image_print(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (output.len > TEXT_BYTES / 2)
		flush();
	va_start(ap, fmt);
	n = vsnprintf(output.text + output.len, TEXT_BYTES - output.len, fmt, ap);
	va_end(ap);
	if (n > 0)
		output.len += (size_t)n < TEXT_BYTES - output.len ? (size_t)n :
								    TEXT_BYTES - output.len - 1;
}

bool image_print_end(void)
{
	flush();
	return !output.failed;
}

void image_progress(uint64_t done, uint64_t total)
{
	const struct progress p = { done, total };
	uint8_t wire[PROGRESS_WIRE_LEN];

	progress_encode(&p, wire);
	(void)!write(IMAGE_FD_PROGRESS, wire, sizeof(wire));
}

const char *image_size_text(uint64_t bytes, char *out, size_t cap)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1000 && i + 1 < ARRAY_SIZE(units)) {
		v /= 1024;
		i++;
	}
	snprintf(out, cap, "%.3g %s", v, units[i]);
	return out;
}

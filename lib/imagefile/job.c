/* SPDX-License-Identifier: Apache-2.0 */
/* A job of `bulkhead image` as words; see job.h. */
#include "lib/imagefile/job.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/imagefile/fetched.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIZE_MOST INT64_MAX

const char *const image_formats[] = { "raw", "qcow2", "vmdk", "vhdx", "vpc", NULL };

static const char *const verbs[] = { "create",	 "info",   "check",   "convert", "resize",
				     "snapshot", "map",	   "compare", "import",	 "serve",
				     "fetch",	 "digest", NULL };
static const char *const hows[] = { "set", "add", "sub", "base", NULL };
static const char *const snapshots[] = { "list", "create", "apply", "delete", NULL };
static const char *const preallocs[] = { "off", "metadata", "falloc", "full", NULL };
static const char *const compressions[] = { "zlib", "zstd", NULL };
static const char *const compats[] = { "0.10", "1.1", NULL };
static const char *const repairs[] = { "none", "leaks", NULL };

#define CHOICE(n, field, list, first)                                                      \
	{                                                                                  \
		.name = (n), .type = OPTION_CHOICE, OPTION_FIELD(struct image_job, field), \
		.choices = (list), .initial = (first)                                      \
	}
#define ONOFF(n, field, first)                                                            \
	{                                                                                 \
		.name = (n), .type = OPTION_ONOFF, OPTION_FIELD(struct image_job, field), \
		.max = 1, .initial = (first)                                              \
	}
#define SIZE(n, field, least, most, first)                                               \
	{                                                                                \
		.name = (n), .type = OPTION_SIZE, OPTION_FIELD(struct image_job, field), \
		.min = (least), .max = (most), .initial = (first)                        \
	}
#define TEXT(n, field, most)                                                             \
	{                                                                                \
		.name = (n), .type = OPTION_PATH, OPTION_FIELD(struct image_job, field), \
		.max = (most)                                                            \
	}

const struct option image_options[] = {
	CHOICE("verb", verb, verbs, "info"),
	SIZE("size", size, 0, SIZE_MOST, "0"),
	CHOICE("size_how", size_how, hows, "set"),
	SIZE("from", from, 0, SIZE_MOST, "0"),
	ONOFF("shrink", shrink, "off"),
	SIZE("cluster_size", cluster_size, 512, MIB(2), "64K"),
	{ .name = "refcount_bits",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct image_job, refcount_bits),
	  .min = 1,
	  .max = 64,
	  .initial = "16" },
	CHOICE("compat", compat, compats, "1.1"),
	CHOICE("compression_type", compression, compressions, "zlib"),
	CHOICE("preallocation", prealloc, preallocs, "off"),
	ONOFF("lazy_refcounts", lazy_refcounts, "off"),
	ONOFF("extended_l2", extended_l2, "off"),
	TEXT("backing_file", backing_name, 1023),
	TEXT("backing_fmt", backing_format, 16),
	CHOICE("snapshot", snapshot, snapshots, "list"),
	TEXT("snapshot_name", snapshot_name, 255),
	CHOICE("repair", repair, repairs, "none"),
	ONOFF("compress", compress, "off"),
	ONOFF("json", json, "off"),
	ONOFF("progress", progress, "off"),
	ONOFF("strict", strict, "off"),
	ONOFF("sync", sync, "on"),
	SIZE("start", start, 0, SIZE_MOST, "0"),
	SIZE("length", length, 0, UINT64_MAX, "18446744073709551615"),
	{ .name = "threads",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct image_job, threads),
	  .min = 0,
	  .max = IMAGE_THREADS_MAX,
	  .initial = "0" },
	TEXT("url", url, URL_MAX),
	TEXT("validator", validator, VALIDATOR_MAX),
	SIZE("offset", offset, 0, SIZE_MOST, "0"),
	SIZE("max_size", most, 1, SIZE_MOST, "1T"),
	SIZE("room", room, 0, SIZE_MOST, "0"),
	{ .name = "timeout",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct image_job, patience_s),
	  .min = 1,
	  .max = 86400,
	  .initial = "60" },
	CHOICE("digest", digest, digest_names, "sha256"),
};
const size_t n_image_options = ARRAY_SIZE(image_options);

enum image_format image_format_find(const char *name)
{
	if (strcmp(name, "vhd") == 0)
		return FORMAT_VPC;
	for (enum image_format f = FORMAT_RAW; f < N_FORMATS; f++)
		if (strcmp(name, image_formats[f]) == 0)
			return f;
	return N_FORMATS;
}

static bool same_name(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (a[i] != (b[i] == '-' ? '_' : b[i]))
			return false;
	return a[len] == '\0';
}

const struct option *image_option(const char *name, size_t len)
{
	for (size_t i = 0; i < n_image_options; i++)
		if (strlen(image_options[i].name) == len &&
		    same_name(image_options[i].name, name, len))
			return &image_options[i];
	return NULL;
}

void image_job_init(struct image_job *job, enum image_verb verb)
{
	memset(job, 0, sizeof(*job));
	for (size_t i = 0; i < n_image_options; i++)
		option_init(&image_options[i], job);
	job->verb = verb;
}

/* ---- out ---- */

static int put(char **at, size_t *left, const char **argv, int n, const char *word, int len)
{
	if (n >= IMAGE_WORDS_MAX - 1 || len < 0 || (size_t)len >= *left)
		return -E2BIG;
	argv[n] = word;
	*at += len + 1;
	*left -= (size_t)len + 1;
	return 0;
}

int image_job_render(const struct image_job *job, const char **argv, char *text, size_t cap)
{
	char value[IMAGE_NAME_MAX + 1];
	int n = 0, r = 0;

	for (size_t i = 0; i < n_image_options && r == 0; i++) {
		if (!option_get(&image_options[i], job, value, sizeof(value)))
			continue;
		r = put(&text, &cap, argv, n++, text,
			snprintf(text, cap, "--%s=%s", image_options[i].name, value));
	}
	for (size_t i = 0; i < job->n_nodes && r == 0; i++) {
		const struct image_node *d = &job->nodes[i];

		r = put(&text, &cap, argv, n++, text,
			snprintf(text, cap, "%c,%s,%d,%d,%d,%d,%s", (char)d->role,
				 image_formats[d->format], d->fd, d->data_fd, d->readonly,
				 d->mapped, d->name));
	}
	if (r < 0)
		return r;
	argv[n] = NULL;
	return n;
}

/* ---- in ---- */

static int parse_option(const char *word, struct image_job *job)
{
	const char *equals = strchr(word, '=');
	const struct option *o = equals ? image_option(word, (size_t)(equals - word)) : NULL;
	const char *why;

	return o ? option_set(o, job, equals + 1, &why) : -EINVAL;
}

static int parse_node(const char *word, struct image_job *job)
{
	struct image_node *d = &job->nodes[job->n_nodes];
	char role = 0, format[8] = "";
	int readonly = 0, mapped = 0, at = 0;

	if (job->n_nodes == IMAGE_FILES_MAX)
		return -EINVAL;
	*d = (struct image_node){ .data_fd = -1 };
	if (sscanf(word, "%c,%7[a-z0-9],%d,%d,%d,%d,%n", &role, format, &d->fd, &d->data_fd,
		   &readonly, &mapped, &at) != 6 ||
	    at == 0 || d->fd < IMAGE_FD_FILES || image_format_find(format) == N_FORMATS)
		return -EINVAL;
	if (role != ROLE_SOURCE && role != ROLE_OTHER && role != ROLE_TARGET)
		return -EINVAL;
	d->role = (enum image_role)role;
	d->format = image_format_find(format);
	d->readonly = readonly;
	d->mapped = mapped;
	d->name = word + at;
	job->n_nodes++;
	return 0;
}

int image_job_parse(int argc, char **argv, struct image_job *ret, const char **ret_bad)
{
	image_job_init(ret, IMAGE_INFO);
	for (int i = 0; i < argc; i++) {
		int r = strncmp(argv[i], "--", 2) == 0 ? parse_option(argv[i] + 2, ret) :
							 parse_node(argv[i], ret);

		if (r < 0) {
			*ret_bad = argv[i];
			return r;
		}
	}
	return 0;
}

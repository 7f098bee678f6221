/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `bulkhead image`; see words.h. */
#include "cmd/bulkhead/image/flags.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	CREATE = 1 << IMAGE_CREATE,
	INFO = 1 << IMAGE_INFO,
	CHECK = 1 << IMAGE_CHECK,
	CONVERT = 1 << IMAGE_CONVERT,
	RESIZE = 1 << IMAGE_RESIZE,
	SNAPSHOT = 1 << IMAGE_SNAPSHOT,
	MAP = 1 << IMAGE_MAP,
	COMPARE = 1 << IMAGE_COMPARE,
	IMPORT = 1 << IMAGE_IMPORT,
	ALL = (1 << IMAGE_SERVE) - 1,
	READ_CHAIN = INFO | CONVERT | MAP | COMPARE | SNAPSHOT | RESIZE | CHECK,
};

int words_wrong(const struct parse *p, const char *what, const char *why)
{
	return complain(EXIT_WORDS, "image %s: %.200s: %.200s", p->w->verb, what, why);
}

/* ---- what options do ---- */

static int set_option(struct parse *p, const struct option *o, const char *said, const char *value)
{
	const char *why = NULL;
	char right[200];

	if (option_set(o, &p->w->job, value, &why) == 0)
		return 0;
	option_right(o, right, sizeof(right));
	return words_wrong(p, said, why ? why : right);
}

static int take_option(struct parse *p, const struct flag *f, const char *value)
{
	return set_option(p, image_option(f->option, strlen(f->option)), f->name, value);
}

static int take_switch(struct parse *p, const struct flag *f, const char *value)
{
	(void)value;
	return take_option(p, f, "on");
}

static int take_off(struct parse *p, const struct flag *f, const char *value)
{
	(void)value;
	return take_option(p, f, "off");
}

static int find_format(const struct parse *p, const char *said, const char *value,
		       enum image_format *ret)
{
	*ret = image_format_find(value);
	return *ret == N_FORMATS ?
		       words_wrong(p, said, "say raw, qcow2, vmdk, vhdx or vpc (a VHD file)") :
		       0;
}

static int take_format(struct parse *p, const struct flag *f, const char *value)
{
	struct image_words *w = p->w;

	if (w->job.verb == IMAGE_CREATE)
		return find_format(p, f->name, value, &w->target_format);
	w->source.file[0].format_said = true;
	return find_format(p, f->name, value, &w->source.file[0].format);
}

static int take_other_format(struct parse *p, const struct flag *f, const char *value)
{
	p->w->other.file[0].format_said = true;
	return find_format(p, f->name, value, &p->w->other.file[0].format);
}

static int take_target_format(struct parse *p, const struct flag *f, const char *value)
{
	p->w->target_format_said = true;
	return find_format(p, f->name, value, &p->w->target_format);
}

static int add_backing(struct parse *p, struct image_chain *c, const char *said, const char *value)
{
	if (c->n > IMAGE_BACKING_MAX)
		return words_wrong(p, said, "a chain has at most 31 files");
	c->file[c->n++].path = value;
	return 0;
}

static int take_backing(struct parse *p, const struct flag *f, const char *value)
{
	return add_backing(p, &p->w->source, f->name, value);
}

static int take_other_backing(struct parse *p, const struct flag *f, const char *value)
{
	return add_backing(p, &p->w->other, f->name, value);
}

static int last_format(struct parse *p, struct image_chain *c, const char *said, const char *value)
{
	struct image_backing *b = &c->file[c->n - 1];

	if (c->n < 2 || b->format_said)
		return words_wrong(p, said, "it belongs behind the --backing whose format it is");
	b->format_said = true;
	return find_format(p, said, value, &b->format);
}

static int take_backing_format(struct parse *p, const struct flag *f, const char *value)
{
	return last_format(p, &p->w->source, f->name, value);
}

static int take_other_backing_format(struct parse *p, const struct flag *f, const char *value)
{
	return last_format(p, &p->w->other, f->name, value);
}

static int take_data_file(struct parse *p, const struct flag *f, const char *value)
{
	(void)f;
	p->w->source.file[p->w->source.n - 1].data_file = value;
	return 0;
}

static int take_output(struct parse *p, const struct flag *f, const char *value)
{
	p->w->job.json = strcmp(value, "json") == 0;
	return p->w->job.json || strcmp(value, "human") == 0 ?
		       0 :
		       words_wrong(p, f->name, "say human or json");
}

static int take_quiet(struct parse *p, const struct flag *f, const char *value)
{
	(void)f;
	(void)value;
	p->w->quiet = true;
	return 0;
}

static int take_force_share(struct parse *p, const struct flag *f, const char *value)
{
	(void)f;
	(void)value;
	p->w->force_share = true;
	return 0;
}

static int take_nothing(struct parse *p, const struct flag *f, const char *value)
{
	(void)p;
	(void)f;
	(void)value;
	return 0;
}

/* qemu-img's cache modes, as far as they say whether the target is flushed at the end. */
static int take_cache(struct parse *p, const struct flag *f, const char *value)
{
	static const char *const modes[] = { "unsafe", "writeback", "none", "writethrough",
					     "directsync" };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(value, modes[i]) == 0) {
			p->w->job.sync = i > 0;
			return 0;
		}
	return words_wrong(p, f->name, "say writeback or unsafe");
}

/* KEY=VALUE[,KEY=VALUE]...: of an image that is made. */
static int take_pairs(struct parse *p, const struct flag *f, const char *value)
{
	static char text[1024];
	static size_t used;
	size_t len = strlen(value) + 1;
	char *at = text + used, *pair;

	if (len > sizeof(text) - used)
		return words_wrong(p, f->name, "too long");
	memcpy(at, value, len);
	used += len;
	while ((pair = strsep(&at, ","))) {
		char *equals = strchr(pair, '=');
		size_t name = equals ? (size_t)(equals - pair) : strlen(pair);
		static const char *const allowed[] = { "cluster_size",	"refcount_bits",
						       "compat",	"compression_type",
						       "preallocation", "lazy_refcounts",
						       "extended_l2" };
		const struct option *o = image_option(pair, name);
		bool ok = false;

		for (size_t i = 0; o && i < ARRAY_SIZE(allowed); i++)
			ok |= strcmp(o->name, allowed[i]) == 0;
		if (!ok)
			return words_wrong(
				p, pair,
				"no such option: there are cluster_size, refcount_bits, compat, "
				"compression_type, preallocation, lazy_refcounts and extended_l2");
		if (set_option(p, o, pair, equals ? equals + 1 : "on"))
			return EXIT_WORDS;
	}
	return 0;
}

static int take_action(struct parse *p, const struct flag *f, const char *value)
{
	p->w->job.snapshot_name = value;
	return set_option(p, image_option("snapshot", 8), f->name, f->option);
}

static int take_digest(struct parse *p, const struct flag *f, const char *value)
{
	const enum digest_kind kind = strcmp(f->option, "sha512") == 0 ? DIGEST_SHA512 :
									 DIGEST_SHA256;

	if (p->w->import.digest_said || p->w->import.checksums)
		return words_wrong(p, f->name, "one checksum is enough");
	p->w->import.digest_said = true;
	return digest_parse(kind, value, strlen(value), &p->w->import.digest) == 0 ?
		       0 :
		       words_wrong(p, f->name,
				   kind == DIGEST_SHA512 ? "it is 128 hexadecimal digits" :
							   "it is 64 hexadecimal digits");
}

static int take_checksums(struct parse *p, const struct flag *f, const char *value)
{
	if (p->w->import.digest_said || p->w->import.checksums)
		return words_wrong(p, f->name, "one checksum is enough");
	p->w->import.checksums = value;
	return 0;
}

static int take_ca(struct parse *p, const struct flag *f, const char *value)
{
	(void)f;
	p->w->import.ca = value;
	return 0;
}

static int take_force(struct parse *p, const struct flag *f, const char *value)
{
	(void)f;
	(void)value;
	p->w->import.force = true;
	return 0;
}

static int take_help(struct parse *p, const struct flag *f, const char *value)
{
	(void)f;
	(void)value;
	p->w->help = true;
	return 0;
}

static const struct flag flags[] = {
	{ 'f', "format", "FORMAT", ALL, take_format, NULL },
	{ 'F', "other-format", "FORMAT", COMPARE, take_other_format, NULL },
	{ 'O', "output-format", "FORMAT", CONVERT | IMPORT, take_target_format, NULL },
	{ 'b', "backing", "FILE", READ_CHAIN | CREATE, take_backing, NULL },
	{ 'F', "backing-format", "FORMAT", (READ_CHAIN | CREATE) & ~COMPARE, take_backing_format,
	  NULL },
	{ 0, "backing-format", "FORMAT", COMPARE, take_backing_format, NULL },
	{ 0, "other-backing", "FILE", COMPARE, take_other_backing, NULL },
	{ 0, "other-backing-format", "FORMAT", COMPARE, take_other_backing_format, NULL },
	{ 0, "data-file", "FILE", READ_CHAIN, take_data_file, NULL },
	{ 'o', "options", "KEY=VALUE,...", CREATE | CONVERT | IMPORT, take_pairs, NULL },
	{ 0, "cluster-size", "SIZE", CREATE | CONVERT, take_option, "cluster_size" },
	{ 'c', "compress", NULL, CONVERT | IMPORT, take_switch, "compress" },
	{ 'p', "progress", NULL, CONVERT | COMPARE | CHECK, take_nothing, NULL },
	{ 'q', "quiet", NULL, ALL, take_quiet, NULL },
	{ 'U', "force-share", NULL, ALL & ~(CREATE | RESIZE | IMPORT), take_force_share, NULL },
	{ 'm', "threads", "N", CONVERT | COMPARE, take_option, "threads" },
	{ 'W', "unordered", NULL, CONVERT, take_nothing, NULL },
	{ 'S', "sparse-size", "SIZE", CONVERT, take_nothing, NULL },
	{ 't', "cache", "MODE", CONVERT | CREATE | RESIZE | CHECK, take_cache, NULL },
	{ 'T', "source-cache", "MODE", CONVERT | COMPARE, take_nothing, NULL },
	{ 0, "no-sync", NULL, CONVERT, take_off, "sync" },
	{ 's', "strict", NULL, COMPARE, take_switch, "strict" },
	{ 's', "start-offset", "OFFSET", MAP, take_option, "start" },
	{ 'l', "max-length", "LENGTH", MAP, take_option, "length" },
	{ 'r', "repair", "leaks", CHECK, take_option, "repair" },
	{ 0, "shrink", NULL, RESIZE, take_switch, "shrink" },
	{ 'l', "list", NULL, SNAPSHOT, take_action, "list" },
	{ 'c', "create", "NAME", SNAPSHOT, take_action, "create" },
	{ 'a', "apply", "NAME", SNAPSHOT, take_action, "apply" },
	{ 'd', "delete", "NAME", SNAPSHOT, take_action, "delete" },
	{ 0, "output", "human|json", ALL & ~(CREATE | CONVERT | RESIZE | IMPORT), take_output,
	  NULL },
	{ 0, "json", NULL, ALL & ~(CREATE | CONVERT | RESIZE | IMPORT), take_switch, "json" },
	{ 0, "sha256", "HEX", IMPORT, take_digest, "sha256" },
	{ 0, "sha512", "HEX", IMPORT, take_digest, "sha512" },
	{ 0, "checksums", "FILE", IMPORT, take_checksums, NULL },
	{ 0, "ca", "FILE", IMPORT, take_ca, NULL },
	{ 0, "force", NULL, IMPORT, take_force, NULL },
	{ 0, "max-size", "SIZE", IMPORT, take_option, "max_size" },
	{ 0, "timeout", "SECONDS", IMPORT, take_option, "timeout" },
	{ 'h', "help", NULL, ALL, take_help, NULL },
};

const struct flag *flag_at(size_t i)
{
	return i < ARRAY_SIZE(flags) ? &flags[i] : NULL;
}

const struct flag *flag_find(const struct parse *p, const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].verbs & 1U << p->w->job.verb && strlen(flags[i].name) == len &&
		    strncmp(flags[i].name, name, len) == 0)
			return &flags[i];
	return NULL;
}

const struct flag *flag_find_letter(const struct parse *p, char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].verbs & 1U << p->w->job.verb && flags[i].letter == letter)
			return &flags[i];
	return NULL;
}

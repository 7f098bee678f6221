/* SPDX-License-Identifier: Apache-2.0 */
/* The words after `bulkhead image`; see words.h. Whatever means the same is called as qemu-img calls it. */
#include "cmd/bulkhead/image/flags.h"

#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/base/checked.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the words ---- */

/* value NULL: the next word is, if it takes one. */
static int take(struct parse *p, const struct flag *f, const char *said, const char *value,
		int argc, char **argv, int *i)
{
	if (!f)
		return words_wrong(p, said, "no such option: see bulkhead image --help");
	if (!f->value && value)
		return words_wrong(p, said, "it takes no value");
	if (f->value && !value) {
		if (*i + 1 >= argc) {
			char why[64];

			snprintf(why, sizeof(why), "%s is missing", f->value);
			return words_wrong(p, said, why);
		}
		value = argv[++*i];
	}
	return f->take(p, f, value);
}

/* `-f raw`, `-fraw`, and letters without values together: `-qU`. */
static int take_letters(struct parse *p, int argc, char **argv, int *i)
{
	const char *word = argv[*i];
	int r = 0;

	for (const char *c = word + 1; *c && r == 0; c++) {
		const struct flag *f = flag_find_letter(p, *c);

		if (f && f->value && c[1])
			return take(p, f, word, c + 1, argc, argv, i);
		r = take(p, f, word, NULL, argc, argv, i);
	}
	return r;
}

static bool is_option(const struct parse *p, const char *word)
{
	if (p->no_more_options || word[0] != '-' || !word[1])
		return false;
	/* a size to take off */
	return p->w->job.verb != IMAGE_RESIZE || word[1] < '0' || word[1] > '9';
}

static int take_word(struct parse *p, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *equals;

	if (strcmp(word, "--") == 0 && !p->no_more_options) {
		p->no_more_options = true;
		return 0;
	}
	if (is_option(p, word) && word[1] == '-') {
		equals = strchr(word, '=');
		return take(p,
			    flag_find(p, word + 2,
				      equals ? (size_t)(equals - word) - 2 : strlen(word + 2)),
			    word, equals ? equals + 1 : NULL, argc, argv, i);
	}
	if (is_option(p, word))
		return take_letters(p, argc, argv, i);
	if (p->n_words == ARRAY_SIZE(p->words))
		return words_wrong(p, word, "one word too many");
	p->words[p->n_words++] = word;
	return 0;
}

/* ---- what they mean ---- */

/* 10G, 1.5T: as qemu-img takes them. */
static int parse_size(const struct parse *p, const char *said, uint64_t *ret)
{
	static const char units[] = "bkmgtpe";
	uint64_t whole = 0, part = 0, scale = 1;
	unsigned int shift = 0;
	const char *at = said;

	for (; *at >= '0' && *at <= '9'; at++)
		if (!u64_mul(whole, 10, &whole) || !u64_add(whole, (uint64_t)(*at - '0'), &whole))
			return words_wrong(p, said, "the size is too large");
	if (at == said)
		return words_wrong(p, said, "say a size, for example 10G");
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9' && scale < 1000000; at++) {
			part = part * 10 + (uint64_t)(*at - '0');
			scale *= 10;
		}
	if (*at) {
		const char *unit = strchr(units, *at | 0x20);

		if (!unit || at[1])
			return words_wrong(p, said,
					   "say a size, for example 10G (K, M, G, T, P or E)");
		shift = 10 * (unsigned int)(unit - units);
	}
	if (!u64_mul(whole, UINT64_C(1) << shift, &whole) ||
	    !u64_add(whole, (uint64_t)((double)part / (double)scale * (double)(1ULL << shift)),
		     &whole) ||
	    whole > INT64_MAX)
		return words_wrong(p, said, "the size is too large");
	*ret = whole;
	return 0;
}

static int need_words(const struct parse *p, size_t least, size_t most, const char *which)
{
	if (p->n_words >= least && p->n_words <= most)
		return 0;
	return complain(EXIT_WORDS, "image %s: say %s", p->w->verb, which);
}

static int take_create(struct parse *p)
{
	struct image_words *w = p->w;

	if (need_words(p, 1, 2, "FILE SIZE, or FILE alone with --backing"))
		return EXIT_WORDS;
	w->target = p->words[0];
	if (p->n_words > 1)
		return parse_size(p, p->words[1], &w->job.size);
	w->job.size_how = SIZE_BASE;
	return w->source.n < 2 ? words_wrong(p, w->target, "say its size, for example 10G") : 0;
}

static int take_one(struct parse *p)
{
	p->w->source.file[0].path = p->words[0];
	return need_words(p, 1, 1, "one FILE");
}

static int take_two(struct parse *p)
{
	struct image_words *w = p->w;

	w->source.file[0].path = p->words[0];
	w->other.file[0].path = p->words[1];
	w->target = p->words[1];
	return need_words(p, 2, 2, w->job.verb == IMAGE_COMPARE ? "two FILEs" : "SOURCE TARGET");
}

static int take_import(struct parse *p)
{
	struct image_words *w = p->w;

	w->source.file[0].path = p->words[0];
	w->target = p->words[1];
	if (need_words(p, 2, 2, "URL or FILE, and the NAME that it gets"))
		return EXIT_WORDS;
	if (!w->import.digest_said && !w->import.checksums)
		return complain(EXIT_WORDS,
				"image import: say --sha256 HEX, --sha512 HEX or --checksums FILE: "
				"nothing that was not checked gets its name");
	if (w->target_format_said && !w->source.file[0].format_said)
		return complain(EXIT_WORDS, "image import: say --format, of what is downloaded: it "
					    "is never guessed");
	if (w->source.file[0].format_said && !w->target_format_said)
		return words_wrong(p, "--format",
				   "it is for what is converted: say --output-format, too");
	return 0;
}

static int take_resize(struct parse *p)
{
	struct image_words *w = p->w;
	const char *size = p->words[1];

	if (need_words(p, 2, 2, "FILE [+|-]SIZE"))
		return EXIT_WORDS;
	w->source.file[0].path = p->words[0];
	if (*size == '+' || *size == '-') {
		w->job.size_how = *size == '+' ? SIZE_ADD : SIZE_SUB;
		size++;
	}
	return parse_size(p, size, &w->job.size);
}

/* qemu-img's options, or list FILE, create FILE NAME, … */
static int take_snapshot(struct parse *p)
{
	struct image_words *w = p->w;
	bool named = w->job.snapshot != SNAPSHOT_LIST;
	uint64_t before = w->job.snapshot;

	if (p->n_words > 1 && !named &&
	    option_set(image_option("snapshot", 8), &w->job, p->words[0], &(const char *){ 0 }) ==
		    0) {
		named = w->job.snapshot != SNAPSHOT_LIST;
		w->source.file[0].path = p->words[1];
		w->job.snapshot_name = named ? p->words[2] : NULL;
		return need_words(p, named ? 3 : 2, named ? 3 : 2,
				  named ? "create, apply or delete, FILE and NAME" : "list FILE");
	}
	w->job.snapshot = (enum image_snapshot)before;
	w->source.file[0].path = p->words[0];
	return need_words(p, 1, 1, "list FILE, or create, apply or delete, FILE and NAME");
}

static const struct {
	const char *name;
	enum image_verb verb;
	int (*take)(struct parse *p);
} verbs[] = {
	{ "create", IMAGE_CREATE, take_create }, { "info", IMAGE_INFO, take_one },
	{ "check", IMAGE_CHECK, take_one },	 { "convert", IMAGE_CONVERT, take_two },
	{ "resize", IMAGE_RESIZE, take_resize }, { "snapshot", IMAGE_SNAPSHOT, take_snapshot },
	{ "map", IMAGE_MAP, take_one },		 { "compare", IMAGE_COMPARE, take_two },
	{ "import", IMAGE_IMPORT, take_import },
};

bool image_words_write(const struct image_words *w)
{
	switch (w->job.verb) {
	case IMAGE_RESIZE:
		return true;
	case IMAGE_CHECK:
		return w->job.repair != REPAIR_NONE;
	case IMAGE_SNAPSHOT:
		return w->job.snapshot != SNAPSHOT_LIST;
	default:
		return false;
	}
}

/* Of files that are made the format has a default, as in qemu-img; of others it is said. */
static int check_formats(const struct parse *p)
{
	const struct image_words *w = p->w;
	enum image_verb v = w->job.verb;

	if ((v == IMAGE_CREATE || v == IMAGE_CONVERT || v == IMAGE_IMPORT) &&
	    image_format_is_import(w->target_format))
		return words_wrong(p, image_formats[w->target_format],
				   "it is only read: a target is raw or qcow2");
	if (v != IMAGE_CREATE && v != IMAGE_INFO && v != IMAGE_CONVERT && v != IMAGE_MAP &&
	    v != IMAGE_COMPARE && v != IMAGE_IMPORT &&
	    image_format_is_import(w->source.file[0].format))
		return words_wrong(p, image_formats[w->source.file[0].format],
				   "it is only read: convert it to raw or qcow2");
	if (w->job.compress && w->target_format != FORMAT_QCOW2)
		return words_wrong(p, "--compress", "only a qcow2 target can be compressed");
	return 0;
}

int image_words_parse(int argc, char **argv, struct image_words *w)
{
	struct parse p = { .w = w };
	size_t v = 0;
	int r = 0;

	while (v < ARRAY_SIZE(verbs) && (argc == 0 || strcmp(verbs[v].name, argv[0]) != 0))
		v++;
	if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
		w->help = true;
		return 0;
	}
	if (v == ARRAY_SIZE(verbs))
		return complain(EXIT_WORDS,
				"image: say create, info, check, convert, resize, snapshot, map, "
				"compare or import: see bulkhead image --help");
	memset(w, 0, sizeof(*w));
	image_job_init(&w->job, verbs[v].verb);
	w->verb = verbs[v].name;
	w->source.n = w->other.n = 1;
	w->image_fd = w->data_fd = w->alive = -1;
	for (int i = 1; i < argc && r == 0 && !w->help; i++)
		r = take_word(&p, argc, argv, &i);
	if (r == 0 && !w->help)
		r = verbs[v].take(&p);
	return r == 0 && !w->help ? check_formats(&p) : r;
}

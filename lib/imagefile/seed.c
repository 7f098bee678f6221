/* SPDX-License-Identifier: Apache-2.0 */
/* The words of image-seed; see seed.h. */
#include "lib/imagefile/seed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	size_t most;
} inputs[] = {
	[SEED_USER_DATA] = { "--cloud-init user-data=", SEED_USER_DATA_MAX },
	[SEED_META_DATA] = { "--cloud-init meta-data=", SEED_META_DATA_MAX },
	[SEED_NETWORK_CONFIG] = { "--cloud-init network-config=", SEED_NETWORK_CONFIG_MAX },
	[SEED_PASSWORD_HASH] = { "", SEED_PASSWORD_HASH_MAX },
	[SEED_KEYS] = { "--ssh-key ", SEED_KEY_MAX },
};

static enum seed_input row_of(enum seed_input i)
{
	return i < SEED_KEYS ? i : SEED_KEYS;
}

size_t seed_input_max(enum seed_input i)
{
	return inputs[row_of(i)].most;
}

const char *seed_input_word(enum seed_input i)
{
	return inputs[row_of(i)].word;
}

/* ---- out ---- */

struct out {
	const char **argv;
	int n;
	char *text;
	size_t left;
	bool full;
};

static void put(struct out *o, const char *name, const char *value)
{
	int len;

	if (!value || o->full)
		return;
	len = snprintf(o->text, o->left, "%s=%s", name, value);
	if (len < 0 || (size_t)len >= o->left || o->n >= SEED_WORDS_MAX - 1) {
		o->full = true;
		return;
	}
	o->argv[o->n++] = o->text;
	o->text += len + 1;
	o->left -= (size_t)len + 1;
}

int seed_job_render(const struct seed_job *job, const char **argv, char *text, size_t cap)
{
	struct out o = { .argv = argv, .text = text, .left = cap };
	char number[8];

	put(&o, "vm", job->vm);
	put(&o, "user", job->user);
	put(&o, "hostname", job->hostname);
	for (int i = 0; i < SEED_INPUTS; i++) {
		snprintf(number, sizeof(number), "%d", i);
		put(&o, number, job->inputs[i]);
	}
	if (o.full)
		return -E2BIG;
	argv[o.n] = NULL;
	return o.n;
}

/* ---- in ---- */

static const char **field_of(struct seed_job *job, const char *name, size_t len)
{
	char text[16], again[16];
	int i = -1;

	if (len >= sizeof(text))
		return NULL;
	snprintf(text, sizeof(text), "%.*s", (int)len, name);
	if (strcmp(text, "vm") == 0)
		return &job->vm;
	if (strcmp(text, "user") == 0)
		return &job->user;
	if (strcmp(text, "hostname") == 0)
		return &job->hostname;
	if (sscanf(text, "%2d", &i) != 1 || i < 0 || i >= SEED_INPUTS)
		return NULL;
	snprintf(again, sizeof(again), "%d", i);
	return strcmp(text, again) == 0 ? &job->inputs[i] : NULL;
}

int seed_job_parse(int argc, char **argv, struct seed_job *ret, const char **ret_bad)
{
	struct seed_job job = { .vm = NULL };

	for (int i = 0; i < argc; i++) {
		const size_t len = strcspn(argv[i], "=");
		const char **field = argv[i][len] ? field_of(&job, argv[i], len) : NULL;

		*ret_bad = argv[i];
		if (!field || *field)
			return -EINVAL;
		*field = argv[i] + len + 1;
	}
	*ret_bad = "vm=";
	if (!job.vm)
		return -EINVAL;
	*ret = job;
	return 0;
}

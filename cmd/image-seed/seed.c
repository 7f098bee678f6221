/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a seed; see seed.h. */
#include "cmd/image-seed/seed.h"

#include "cmd/image-seed/hash.h"
#include "cmd/image-seed/sshkey.h"
#include "cmd/image-seed/text.h"
#include "cmd/image-seed/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INSTANCE_PREFIX "bulkhead-" /* before the VM's name */

const char *const seed_file_names[SEED_FILES] = {
	[SEED_FILE_USER] = "user-data",
	[SEED_FILE_META] = "meta-data",
	[SEED_FILE_NETWORK] = "network-config",
};

struct maker {
	const struct seed_job *job;
	const struct seed_inputs *in;
	char *why;
	size_t cap;
};

static int refuse(const struct maker *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(const struct maker *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->why, m->cap, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool has(const struct maker *m, int i)
{
	return m->in->of[i].at != NULL;
}

/* ---- what the user gave whole ---- */

static int check(const struct maker *m, enum seed_input i,
		 const char *(*wrong)(const uint8_t *at, size_t len))
{
	const char *why = has(m, i) ? wrong(m->in->of[i].at, m->in->of[i].len) : NULL;

	return why ? refuse(m, "%s%.150s: %s", seed_input_word(i), m->job->inputs[i], why) : 0;
}

/* ---- user-data from the short forms ---- */

static int refuse_private(const struct maker *m, int i)
{
	return refuse(m,
		      "--ssh-key %.100s: this is a PRIVATE key, which is nobody's but its owner's: "
		      "its public half is right, mostly %.100s.pub",
		      m->job->inputs[i], m->job->inputs[i]);
}

static int put_keys_of(const struct maker *m, struct bytes_writer *w, int i, const char *indent)
{
	const struct seed_bytes *file = &m->in->of[i];
	const char *why = "there is no key in it: a file as id_ed25519.pub is right";
	const uint8_t *key;
	size_t at = 0, len, n = 0;
	int r;

	if (sshkey_is_private(file->at, file->len))
		return refuse_private(m, i);
	while ((r = sshkey_next(file->at, file->len, &at, &key, &len, &why)) > 0) {
		yaml_put(w, indent);
		yaml_put(w, "- ");
		yaml_put_quoted(w, key, len);
		yaml_put(w, "\n");
		n++;
	}
	if (r < 0 || n == 0)
		return refuse(m, "--ssh-key %.150s: %s", m->job->inputs[i], why);
	return 0;
}

static int put_keys(const struct maker *m, struct bytes_writer *w, const char *indent)
{
	int r = 0;

	if (!has(m, SEED_KEYS))
		return 0;
	yaml_put(w, indent);
	yaml_put(w, "ssh_authorized_keys:\n");
	for (int i = SEED_KEYS; i < SEED_INPUTS && r == 0; i++)
		if (has(m, i))
			r = put_keys_of(m, w, i, indent);
	return r;
}

/* A file's last line ends. */
static int put_hash(const struct maker *m, struct bytes_writer *w)
{
	struct seed_bytes hash = m->in->of[SEED_PASSWORD_HASH];
	const char *why;

	if (!hash.at)
		return 0;
	while (hash.len && (hash.at[hash.len - 1] == '\n' || hash.at[hash.len - 1] == '\r'))
		hash.len--;
	why = hash_wrong(hash.at, hash.len);
	if (why)
		return refuse(m, "%.150s: %s", m->job->inputs[SEED_PASSWORD_HASH], why);
	yaml_put(w, "    lock_passwd: false\n    hashed_passwd: ");
	yaml_put_quoted(w, hash.at, hash.len);
	yaml_put(w, "\n");
	return 0;
}

/* The one user, who may do all; without a name keys are of the image's own. */
static int put_user(const struct maker *m, struct bytes_writer *w)
{
	int r;

	if (!m->job->user)
		return put_keys(m, w, "");
	if (strcmp(m->job->user, "root") == 0)
		yaml_put(w, "disable_root: false\n");
	yaml_put(w, "users:\n  - name: ");
	yaml_put_quoted(w, m->job->user, strlen(m->job->user));
	yaml_put(w, "\n    shell: \"/bin/bash\"\n");
	if (strcmp(m->job->user, "root") != 0)
		yaml_put(w, "    sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n");
	r = put_hash(m, w);
	return r < 0 ? r : put_keys(m, w, "    ");
}

static int write_user(const struct maker *m, struct seed_files *ret)
{
	struct bytes_writer w = bytes_writer(ret->user, sizeof(ret->user));
	int r;

	yaml_put(&w, "#cloud-config\n");
	r = put_user(m, &w);
	if (r < 0)
		return r;
	r = bytes_written(&w);
	if (r < 0)
		return refuse(m, "--ssh-key: the keys are too many: user-data has at most 1 MiB");
	ret->of[SEED_FILE_USER] = (struct seed_bytes){ ret->user, (size_t)r };
	return 0;
}

/* ---- meta-data ---- */

/*
 * A VM of the same name is the same instance, for which cloud-init does once what is to be done once. Its name is the
 * hostname, too, but for what that cannot have.
 */
static int write_meta(const struct maker *m, struct seed_files *ret)
{
	struct bytes_writer w = bytes_writer(ret->meta, sizeof(ret->meta));
	char id[160], host[80];
	int r;

	snprintf(id, sizeof(id), INSTANCE_PREFIX "%s", m->job->vm);
	snprintf(host, sizeof(host), "%s", m->job->hostname ? m->job->hostname : m->job->vm);
	for (char *c = host; !m->job->hostname && *c; c++)
		if (*c == '_')
			*c = '-';
	yaml_put(&w, "instance-id: ");
	yaml_put_quoted(&w, id, strlen(id));
	yaml_put(&w, "\nlocal-hostname: ");
	yaml_put_quoted(&w, host, strlen(host));
	yaml_put(&w, "\n");
	r = bytes_written(&w);
	if (r < 0)
		return refuse(m, "--hostname: it is too long");
	ret->of[SEED_FILE_META] = (struct seed_bytes){ ret->meta, (size_t)r };
	return 0;
}

int seed_make(const struct seed_job *job, const struct seed_inputs *in, struct seed_files *ret,
	      char *why, size_t cap)
{
	const struct maker m = { job, in, why, cap };
	int r = check(&m, SEED_USER_DATA, user_data_wrong);

	if (r == 0)
		r = check(&m, SEED_META_DATA, text_wrong);
	if (r == 0)
		r = check(&m, SEED_NETWORK_CONFIG, text_wrong);
	if (r < 0)
		return r;
	ret->of[SEED_FILE_USER] = in->of[SEED_USER_DATA];
	ret->of[SEED_FILE_META] = in->of[SEED_META_DATA];
	ret->of[SEED_FILE_NETWORK] = in->of[SEED_NETWORK_CONFIG];
	if (!ret->of[SEED_FILE_USER].at)
		r = write_user(&m, ret);
	if (r == 0 && !ret->of[SEED_FILE_META].at)
		r = write_meta(&m, ret);
	return r;
}

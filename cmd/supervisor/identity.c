/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest is told of itself, with secrets that go by no command line; see open.h. */
#include "cmd/supervisor/open.h"

#include "lib/base/cleanup.h"
#include "lib/files/files.h"
#include "lib/smbios/identity.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "guest-identity" /* as maps and audits show it */
/* systemd.system-credentials(7): a credential's bytes in base64 (RFC 4648). */
#define PREFIX "io.systemd.credential.binary:"
#define TEXTS_LEN (64U << 10)

/* With any name, in its structure, before its string's NUL and the last. */
static_assert(5 + sizeof(PREFIX) + CONFIG_NAME_MAX + 1 + (CONFIG_CREDENTIAL_MAX + 2UL) / 3 * 4 +
			      1 <=
		      SMBIOS_STRUCTURE_MAX,
	      "systemd reads all of it");

/* While it is put together: private memory that no core has, and that is gone afterwards. */
struct work {
	char texts[TEXTS_LEN]; /* of credentials */
	size_t at;
	uint8_t file[CONFIG_CREDENTIAL_MAX + 1];
	struct smbios_identity id;
};

static void *allocate(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, len, MADV_DONTDUMP);
	return p;
}

static void release(void *p, size_t len)
{
	explicit_bzero(p, len);
	munmap(p, len);
}

static void put_base64(char *out, const uint8_t *in, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		const size_t n = len - i < 3 ? len - i : 3;
		const uint32_t v = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
				   (n > 2 ? in[i + 2] : 0);

		for (size_t k = 0; k < 4; k++)
			*out++ = k <= n ? digits[v >> (18 - 6 * k) & 63] : '=';
	}
	*out = '\0';
}

static int complain_size(struct open_error *e)
{
	return open_complain(e, -E2BIG,
			     "--credential: with what they take in base64 and with --oem-string "
			     "they are more than the %u bytes that a guest is told",
			     SMBIOS_IDENTITY_MAX);
}

static int add_text(struct work *w, const struct config_secret *s, size_t len, struct open_error *e)
{
	const size_t needed = strlen(PREFIX) + s->name_len + 1 + (len + 2) / 3 * 4 + 1;
	char *text = w->texts + w->at;
	int n;

	if (needed > sizeof(w->texts) - w->at)
		return complain_size(e);
	n = snprintf(text, needed, PREFIX "%.*s=", (int)s->name_len, s->name);
	put_base64(text + n, w->file, len);
	w->id.strings[w->id.n_strings++] = text;
	w->at += needed;
	return 0;
}

static int add_credential(struct work *w, const struct config_secret *s, struct open_error *e)
{
	char what[32 + CONFIG_NAME_MAX];
	struct stat st = { 0 };
	_cleanup_(closep) int fd = -1;
	size_t len = 0;
	ssize_t n;

	snprintf(what, sizeof(what), "--credential %.*s", (int)s->name_len, s->name);
	fd = file_open(what, s->path, O_RDONLY, false, &st, e->text, sizeof(e->text));
	if (fd < 0)
		return fd;
	do {
		n = read(fd, w->file + len, sizeof(w->file) - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	if (n < 0)
		return open_complain(e, -errno, "%s: %s: %s", what, s->path, strerror(errno));
	if (len > CONFIG_CREDENTIAL_MAX)
		return open_complain(e, -EFBIG,
				     "%s: %s has more than the %u bytes that systemd reads of one",
				     what, s->path, CONFIG_CREDENTIAL_MAX);
	return add_text(w, s, len, e);
}

static int fill(struct work *w, const struct config_identity *c, struct open_error *e)
{
	int r = 0;

	memcpy(w->id.uuid, c->uuid, sizeof(w->id.uuid));
	w->id.serial = c->serial;
	for (size_t i = 0; i < c->n_oem; i++)
		w->id.strings[w->id.n_strings++] = c->oem[i];
	for (size_t i = 0; i < c->n_credentials && r == 0; i++)
		r = add_credential(w, &c->credentials[i], e);
	return r;
}

static int put(struct opened *o, const struct work *w, struct open_error *e)
{
	uint8_t *bytes = allocate(SMBIOS_IDENTITY_MAX);
	int n;

	if (!bytes)
		return open_complain(e, -ENOMEM, "the guest's identity: no memory");
	n = smbios_identity_put(&w->id, bytes, SMBIOS_IDENTITY_MAX);
	o->identity_map = (struct boot_file){ bytes, n < 0 ? 0 : (size_t)n };
	return n < 0 ? complain_size(e) : 0;
}

int identity_open(struct opened *o, const struct vm_config *c, struct open_error *e)
{
	struct work *w = allocate(sizeof(*w));
	int r;

	if (!w)
		return open_complain(e, -ENOMEM, "the guest's identity: no memory");
	r = fill(w, &c->identity, e);
	if (r == 0)
		r = put(o, w, e);
	release(w, sizeof(*w));
	return r;
}

int identity_seal(struct opened *o, struct open_error *e)
{
	struct boot_file *f = &o->identity_map;
	const int fd = boot_seal(NAME, f);

	if (fd < 0)
		return open_complain(e, fd, "the guest's identity: %s", strerror(-fd));
	release((void *)(uintptr_t)f->bytes, SMBIOS_IDENTITY_MAX);
	*f = (struct boot_file){ NULL, 0 };
	o->identity = fd;
	return 0;
}

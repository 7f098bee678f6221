/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-digest: says the checksum of one file, which it can only read, for `bulkhead image import`: whoever has written it is
 * another process, and has ended.
 * Trust: the file HOSTILE, argv trusted.
 * Holds: 3 control, 4 what it says, 5 progress, 6 the file.
 */
#include "cmd/image-digest/policy.h"
#include "lib/base/fd.h"
#include "lib/base/units.h"
#include "lib/imagefile/fetched.h"
#include "lib/imagekit/process.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 262144U
#define TELL_EVERY MIB(16)

static struct image_job job;
static uint64_t size;
static EVP_MD_CTX *hash;

static int prepare(void)
{
	const EVP_MD *md;
	struct stat st;

	if (job.verb != IMAGE_DIGEST || job.n_nodes != 1 || fstat(job.nodes[0].fd, &st) < 0)
		return image_fail(NULL, "the job is not for image-digest");
	size = (uint64_t)st.st_size;
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return image_fail(NULL, "libcrypto cannot be set up");
	md = job.digest == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256();
	hash = EVP_MD_CTX_new();
	return hash && EVP_DigestInit_ex(hash, md, NULL) == 1 ?
		       0 :
		       image_fail(NULL, "libcrypto cannot be set up");
}

static int read_all(void)
{
	static uint8_t piece[PIECE];
	const struct image_node *node = &job.nodes[0];
	uint64_t at = 0, told = 0;

	while (at < size) {
		ssize_t n = pread(node->fd, piece, sizeof(piece), (off_t)at);

		if (n < 0 && errno != EINTR)
			return image_fail_errno(node->name, "reading", -errno);
		if (n == 0)
			return image_fail(node->name, "it becomes smaller while it is read");
		if (n > 0 && EVP_DigestUpdate(hash, piece, (size_t)n) != 1)
			return image_fail(node->name, "libcrypto cannot go on");
		at += n > 0 ? (uint64_t)n : 0;
		if (job.progress && at - told >= TELL_EVERY) {
			image_progress(at, size);
			told = at;
		}
	}
	return 0;
}

static int run(void)
{
	uint8_t bytes[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int r = read_all();

	if (r)
		return r;
	if (EVP_DigestFinal_ex(hash, bytes, &len) != 1)
		return image_fail(job.nodes[0].name, "libcrypto cannot go on");
	image_print("%s ", said_words[SAID_DIGEST]);
	for (unsigned int i = 0; i < len; i++)
		image_print("%02x", bytes[i]);
	image_print("\n");
	return IMAGE_EXIT_OK;
}

int main(int argc, char **argv)
{
	int status;

	if (image_process_open(argc, argv, &job) < 0) /* 1 words, close others */
		return IMAGE_EXIT_FAILED;
	if (prepare()) /* 2 no hostile byte */
		return IMAGE_EXIT_FAILED;
	if (image_process_enter(&image_digest_policy) < 0) /* 3 no way back */
		return IMAGE_EXIT_FAILED;
	status = run(); /* 4 hostile from here */
	return image_print_end() ? status : IMAGE_EXIT_FAILED;
}

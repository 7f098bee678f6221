/* SPDX-License-Identifier: Apache-2.0 */
/* The NBD protocol's messages; see nbd.h. All numbers are big-endian. */
#include "lib/nbd/nbd.h"

#include "lib/base/bytes.h"
#include "lib/base/cleanup.h"

#include <errno.h>

#define MAGIC_HELLO 0x4e42444d41474943ULL  /* NBDMAGIC */
#define MAGIC_OPTION 0x49484156454f5054ULL /* IHAVEOPT */
#define MAGIC_OPTION_REPLY 0x0003e889045565a9ULL
#define MAGIC_REQUEST 0x25609513U
#define MAGIC_REPLY 0x67446698U
#define BLOCK_MIN_MAX 65536U /* the largest minimum */
#define BLOCK_UNBOUNDED 0xffffffffU

static uint16_t get16(struct bytes_reader *r)
{
	return __builtin_bswap16(bytes_get16(r));
}

static uint32_t get32(struct bytes_reader *r)
{
	return __builtin_bswap32(bytes_get32(r));
}

static uint64_t get64(struct bytes_reader *r)
{
	return __builtin_bswap64(bytes_get64(r));
}

static void put16(struct bytes_writer *w, uint16_t v)
{
	bytes_put16(w, __builtin_bswap16(v));
}

static void put32(struct bytes_writer *w, uint32_t v)
{
	bytes_put32(w, __builtin_bswap32(v));
}

static void put64(struct bytes_writer *w, uint64_t v)
{
	bytes_put64(w, __builtin_bswap64(v));
}

/* ---- negotiation ---- */

int nbd_hello_decode(const void *data, size_t len, uint16_t *ret_flags)
{
	struct bytes_reader r = bytes_reader(data, len);
	uint64_t magic = get64(&r), option = get64(&r);
	uint16_t flags = get16(&r);

	if (bytes_finish(&r) < 0 || magic != MAGIC_HELLO || option != MAGIC_OPTION)
		return -EBADMSG;
	*ret_flags = flags;
	return 0;
}

int nbd_hello_encode(uint16_t flags, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	put64(&w, MAGIC_HELLO);
	put64(&w, MAGIC_OPTION);
	put16(&w, flags);
	return bytes_written(&w);
}

int nbd_client_flags_decode(const void *data, size_t len, uint32_t *ret_flags)
{
	struct bytes_reader r = bytes_reader(data, len);
	uint32_t flags = get32(&r);

	if (bytes_finish(&r) < 0)
		return -EBADMSG;
	*ret_flags = flags;
	return 0;
}

int nbd_client_flags_encode(uint32_t flags, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	put32(&w, flags);
	return bytes_written(&w);
}

int nbd_option_decode(const void *data, size_t len, struct nbd_option *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	uint64_t magic = get64(&r);
	struct nbd_option o = { .type = get32(&r) };

	o.len = get32(&r);
	if (bytes_finish(&r) < 0 || magic != MAGIC_OPTION)
		return -EBADMSG;
	*ret = o;
	return 0;
}

int nbd_option_encode(const struct nbd_option *o, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	put64(&w, MAGIC_OPTION);
	put32(&w, o->type);
	put32(&w, o->len);
	return bytes_written(&w);
}

int nbd_option_reply_decode(const void *data, size_t len, struct nbd_option_reply *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	uint64_t magic = get64(&r);
	struct nbd_option_reply reply = { .option = get32(&r) };

	reply.type = get32(&r);
	reply.len = get32(&r);
	if (bytes_finish(&r) < 0 || magic != MAGIC_OPTION_REPLY)
		return -EBADMSG;
	*ret = reply;
	return 0;
}

int nbd_option_reply_encode(const struct nbd_option_reply *reply, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	put64(&w, MAGIC_OPTION_REPLY);
	put32(&w, reply->option);
	put32(&w, reply->type);
	put32(&w, reply->len);
	return bytes_written(&w);
}

int nbd_go_decode(const void *data, size_t len, struct nbd_go *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct nbd_go go = { .name_len = get32(&r) };
	uint16_t n;

	if (r.failed || go.name_len > NBD_NAME_MAX)
		return -EBADMSG;
	go.name = r.data + r.at;
	bytes_skip(&r, go.name_len);
	n = get16(&r);
	bytes_skip(&r, (size_t)n * 2);
	if (bytes_finish(&r) < 0)
		return -EBADMSG;
	*ret = go;
	return 0;
}

int nbd_go_encode(const char *name, size_t name_len, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	if (name_len > NBD_NAME_MAX)
		return -EMSGSIZE;
	put32(&w, (uint32_t)name_len);
	bytes_put(&w, name, name_len);
	put16(&w, 1);
	put16(&w, NBD_INFO_BLOCK_SIZE);
	return bytes_written(&w);
}

static bool is_power_of_2(uint32_t v)
{
	return v && !(v & (v - 1));
}

/* The largest need only be a multiple of the smallest. */
static bool sizes_fit(const struct nbd_export *e)
{
	return is_power_of_2(e->block_min) && e->block_min <= BLOCK_MIN_MAX &&
	       is_power_of_2(e->block_preferred) && e->block_preferred >= e->block_min &&
	       e->block_max >= e->block_min &&
	       (e->block_max == BLOCK_UNBOUNDED || e->block_max % e->block_min == 0);
}

static bool export_fits(const struct nbd_export *e)
{
	return e->size <= INT64_MAX && e->flags & NBD_FLAG_HAS_FLAGS;
}

int nbd_info_decode(const void *data, size_t len, struct nbd_export *export)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct nbd_export e = *export;
	uint16_t type = get16(&r);
	bool fits = true;

	if (type == NBD_INFO_EXPORT) {
		e.size = get64(&r);
		e.flags = get16(&r);
		fits = export_fits(&e);
	} else if (type == NBD_INFO_BLOCK_SIZE) {
		e.block_min = get32(&r);
		e.block_preferred = get32(&r);
		e.block_max = get32(&r);
		fits = sizes_fit(&e);
	} else {
		bytes_skip(&r, bytes_left(&r));
	}
	if (bytes_finish(&r) < 0 || !fits)
		return -EBADMSG;
	*export = e;
	return 0;
}

int nbd_info_encode(enum nbd_info_type type, const struct nbd_export *export, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	put16(&w, (uint16_t)type);
	if (type == NBD_INFO_EXPORT) {
		put64(&w, export->size);
		put16(&w, export->flags);
	} else {
		put32(&w, export->block_min);
		put32(&w, export->block_preferred);
		put32(&w, export->block_max);
	}
	return bytes_written(&w);
}

/* ---- transmission ---- */

int nbd_request_decode(const void *data, size_t len, struct nbd_request *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	uint32_t magic = get32(&r);
	struct nbd_request q = { .flags = get16(&r) };

	q.command = get16(&r);
	q.cookie = get64(&r);
	q.offset = get64(&r);
	q.len = get32(&r);
	if (bytes_finish(&r) < 0 || magic != MAGIC_REQUEST)
		return -EBADMSG;
	*ret = q;
	return 0;
}

int nbd_request_encode(const struct nbd_request *q, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	put32(&w, MAGIC_REQUEST);
	put16(&w, q->flags);
	put16(&w, q->command);
	put64(&w, q->cookie);
	put64(&w, q->offset);
	put32(&w, q->len);
	return bytes_written(&w);
}

int nbd_reply_decode(const void *data, size_t len, struct nbd_reply *ret)
{
	struct bytes_reader r = bytes_reader(data, len);
	uint32_t magic = get32(&r);
	struct nbd_reply reply = { .error = get32(&r) };

	reply.cookie = get64(&r);
	if (bytes_finish(&r) < 0 || magic != MAGIC_REPLY)
		return -EBADMSG;
	*ret = reply;
	return 0;
}

int nbd_reply_encode(const struct nbd_reply *reply, void *out, size_t cap)
{
	struct bytes_writer w = bytes_writer(out, cap);

	put32(&w, MAGIC_REPLY);
	put32(&w, reply->error);
	put64(&w, reply->cookie);
	return bytes_written(&w);
}

/* "Error values" of the specification, which are Linux's numbers; ESHUTDOWN is its own. */
static const int errors[] = { EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, EOPNOTSUPP, ESHUTDOWN };

uint32_t nbd_error_of(int result)
{
	if (result == 0)
		return 0;
	if (result == -EROFS)
		return EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i] == -result)
			return (uint32_t)errors[i];
	return EIO;
}

int nbd_result_of(uint32_t error)
{
	if (error == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if ((uint32_t)errors[i] == error)
			return -errors[i];
	return -EIO;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* swtpm's control messages; see ptm.h. */
#include "lib/tpm/ptm.h"

#include "lib/base/be.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdbool.h>

static const struct row {
	enum ptm_command command;
	bool has_value;
	size_t answer_len;
} rows[] = {
	{ PTM_GET_CAPABILITY, false, 8 },
	{ PTM_INIT, true, 4 },
	{ PTM_SET_BUFFERSIZE, true, 16 }, /* result, size, least, most */
};

static const struct row *row_of(enum ptm_command command)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].command == command)
			return &rows[i];
	return NULL;
}

size_t ptm_encode(enum ptm_command command, uint32_t value, uint8_t out[PTM_REQUEST_MAX])
{
	const struct row *row = row_of(command);

	put_be32(out, command);
	put_be32(out + 4, value);
	return row && row->has_value ? 8 : 4;
}

int ptm_decode(enum ptm_command command, const uint8_t *data, size_t len, uint64_t *ret)
{
	const struct row *row = row_of(command);

	if (!row || len != row->answer_len)
		return -EBADMSG;
	if (command == PTM_GET_CAPABILITY) {
		*ret = get_be64(data);
		return 0;
	}
	if (get_be32(data))
		return -EIO;
	*ret = len > 4 ? get_be32(data + 4) : 0;
	return 0;
}

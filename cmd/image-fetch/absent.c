/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Debian's libcurl.a is linked to and image-fetch never uses: HTTP/2, SSH, LDAP, RTMP, Kerberos, cookies' domains, names
 * that are not ASCII, decompression. None of it is in the program; these stand in its place. A download takes none
 * of their ways (transfer.c asks for HTTP/1.1 by http and https alone, without users, cookies and encodings); a
 * server that says that its body is compressed is told that there is no memory for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const char *zlibVersion(void);
int inflateInit_(void *stream, const char *version, int size);
int inflateInit2_(void *stream, int bits, const char *version, int size);
void *BrotliDecoderCreateInstance(void *allocate, void *release, void *owner);
void *ZSTD_createDStream(void);
int libssh2_init(int flags);
int __wrap_getpwuid_r(uid_t uid, struct passwd *pw, char *buf, size_t len, struct passwd **ret);
int __wrap_getsockname(int sock, struct sockaddr *address, socklen_t *len);
int __wrap_getpeername(int sock, struct sockaddr *address, socklen_t *len);
int __wrap_connect(int sock, const struct sockaddr *address, socklen_t len);
int __wrap_fcntl(int fd, int command, ...);
int __real_fcntl(int fd, int command, ...);
int __wrap_getsockopt(int sock, int level, int option, void *value, socklen_t *len);
int __real_getsockopt(int sock, int level, int option, void *value, socklen_t *len);
void absent(void);
extern const void *const GSS_C_NT_HOSTBASED_SERVICE;

#define Z_MEM_ERROR (-4)

const void *const GSS_C_NT_HOSTBASED_SERVICE = NULL;

const char *zlibVersion(void)
{
	return "1.2.13";
}

int inflateInit_(void *stream, const char *version, int size)
{
	(void)stream;
	(void)version;
	(void)size;
	return Z_MEM_ERROR;
}

int inflateInit2_(void *stream, int bits, const char *version, int size)
{
	(void)stream;
	(void)bits;
	(void)version;
	(void)size;
	return Z_MEM_ERROR;
}

void *BrotliDecoderCreateInstance(void *allocate, void *release, void *owner)
{
	(void)allocate;
	(void)release;
	(void)owner;
	return NULL;
}

void *ZSTD_createDStream(void)
{
	return NULL;
}

/* At libcurl's start, for all of its protocols. */
int libssh2_init(int flags)
{
	(void)flags;
	return 0;
}

/* Whose password file? */
int __wrap_getpwuid_r(uid_t uid, struct passwd *pw, char *buf, size_t len, struct passwd **ret)
{
	(void)uid;
	(void)pw;
	(void)buf;
	(void)len;
	*ret = NULL;
	return ENOENT;
}

/* Between whom the connection is: libcurl would only note it. */
static int nowhere(struct sockaddr *address, socklen_t *len)
{
	const struct sockaddr_in none = { .sin_family = AF_INET };

	if (*len < sizeof(none))
		return -1;
	memcpy(address, &none, sizeof(none));
	*len = sizeof(none);
	return 0;
}

int __wrap_getsockname(int sock, struct sockaddr *address, socklen_t *len)
{
	(void)sock;
	return nowhere(address, len);
}

int __wrap_getpeername(int sock, struct sockaddr *address, socklen_t *len)
{
	(void)sock;
	return nowhere(address, len);
}

/* libcurl 7.88 calls it for a socket that is connected, too, which is all that there is. */
int __wrap_connect(int sock, const struct sockaddr *address, socklen_t len)
{
	(void)sock;
	(void)address;
	(void)len;
	return 0;
}

/* It does not block, and is without an error: the command has seen to that. */
int __wrap_fcntl(int fd, int command, ...)
{
	va_list ap;
	long argument;

	if (command == F_GETFL)
		return O_RDWR | O_NONBLOCK;
	if (command == F_SETFL)
		return 0;
	va_start(ap, command);
	argument = va_arg(ap, long);
	va_end(ap);
	return __real_fcntl(fd, command, argument);
}

int __wrap_getsockopt(int sock, int level, int option, void *value, socklen_t *len)
{
	if (level != SOL_SOCKET || option != SO_ERROR)
		return __real_getsockopt(sock, level, option, value, len);
	memset(value, 0, *len);
	return 0;
}

/* The rest: our mistake, if it is ever called. */
void absent(void)
{
	abort();
}

#define ABSENT(name) void name(void) __attribute__((alias("absent")))

ABSENT(BrotliDecoderDecompressStream);
ABSENT(BrotliDecoderDestroyInstance);
ABSENT(BrotliDecoderGetErrorCode);
ABSENT(RTMP_Alloc);
ABSENT(RTMP_Close);
ABSENT(RTMP_Connect1);
ABSENT(RTMP_ConnectStream);
ABSENT(RTMP_Free);
ABSENT(RTMP_Init);
ABSENT(RTMP_Read);
ABSENT(RTMP_SetBufferMS);
ABSENT(RTMP_SetupURL);
ABSENT(RTMP_Write);
ABSENT(ZSTD_decompressStream);
ABSENT(ZSTD_freeDStream);
ABSENT(ZSTD_isError);
ABSENT(ber_bvfree);
ABSENT(ber_free);
ABSENT(ber_memfree);
ABSENT(ber_sockbuf_add_io);
ABSENT(gss_delete_sec_context);
ABSENT(gss_display_name);
ABSENT(gss_display_status);
ABSENT(gss_import_name);
ABSENT(gss_init_sec_context);
ABSENT(gss_inquire_context);
ABSENT(gss_release_buffer);
ABSENT(gss_release_name);
ABSENT(gss_unwrap);
ABSENT(gss_wrap);
ABSENT(idn2_check_version);
ABSENT(idn2_free);
ABSENT(idn2_lookup_ul);
ABSENT(inflate);
ABSENT(inflateEnd);
ABSENT(ldap_abandon_ext);
ABSENT(ldap_err2string);
ABSENT(ldap_free_urldesc);
ABSENT(ldap_get_attribute_ber);
ABSENT(ldap_get_dn_ber);
ABSENT(ldap_get_option);
ABSENT(ldap_init_fd);
ABSENT(ldap_memfree);
ABSENT(ldap_msgfree);
ABSENT(ldap_msgtype);
ABSENT(ldap_parse_result);
ABSENT(ldap_parse_sasl_bind_result);
ABSENT(ldap_pvt_url_scheme2proto);
ABSENT(ldap_result);
ABSENT(ldap_sasl_bind);
ABSENT(ldap_search_ext);
ABSENT(ldap_set_option);
ABSENT(ldap_start_tls);
ABSENT(ldap_unbind_ext);
ABSENT(ldap_url_parse);
ABSENT(libssh2_agent_connect);
ABSENT(libssh2_agent_disconnect);
ABSENT(libssh2_agent_free);
ABSENT(libssh2_agent_get_identity);
ABSENT(libssh2_agent_init);
ABSENT(libssh2_agent_list_identities);
ABSENT(libssh2_agent_userauth);
ABSENT(libssh2_channel_free);
ABSENT(libssh2_channel_read_ex);
ABSENT(libssh2_channel_send_eof);
ABSENT(libssh2_channel_wait_closed);
ABSENT(libssh2_channel_wait_eof);
ABSENT(libssh2_channel_write_ex);
ABSENT(libssh2_exit);
ABSENT(libssh2_hostkey_hash);
ABSENT(libssh2_knownhost_add);
ABSENT(libssh2_knownhost_checkp);
ABSENT(libssh2_knownhost_del);
ABSENT(libssh2_knownhost_free);
ABSENT(libssh2_knownhost_get);
ABSENT(libssh2_knownhost_init);
ABSENT(libssh2_knownhost_readfile);
ABSENT(libssh2_knownhost_writefile);
ABSENT(libssh2_scp_recv2);
ABSENT(libssh2_scp_send64);
ABSENT(libssh2_session_abstract);
ABSENT(libssh2_session_block_directions);
ABSENT(libssh2_session_callback_set);
ABSENT(libssh2_session_disconnect_ex);
ABSENT(libssh2_session_flag);
ABSENT(libssh2_session_free);
ABSENT(libssh2_session_handshake);
ABSENT(libssh2_session_hostkey);
ABSENT(libssh2_session_init_ex);
ABSENT(libssh2_session_last_errno);
ABSENT(libssh2_session_last_error);
ABSENT(libssh2_session_method_pref);
ABSENT(libssh2_session_set_blocking);
ABSENT(libssh2_sftp_close_handle);
ABSENT(libssh2_sftp_init);
ABSENT(libssh2_sftp_last_error);
ABSENT(libssh2_sftp_mkdir_ex);
ABSENT(libssh2_sftp_open_ex);
ABSENT(libssh2_sftp_read);
ABSENT(libssh2_sftp_readdir_ex);
ABSENT(libssh2_sftp_rename_ex);
ABSENT(libssh2_sftp_rmdir_ex);
ABSENT(libssh2_sftp_seek64);
ABSENT(libssh2_sftp_shutdown);
ABSENT(libssh2_sftp_stat_ex);
ABSENT(libssh2_sftp_statvfs);
ABSENT(libssh2_sftp_symlink_ex);
ABSENT(libssh2_sftp_unlink_ex);
ABSENT(libssh2_sftp_write);
ABSENT(libssh2_userauth_authenticated);
ABSENT(libssh2_userauth_keyboard_interactive_ex);
ABSENT(libssh2_userauth_list);
ABSENT(libssh2_userauth_password_ex);
ABSENT(libssh2_userauth_publickey_fromfile_ex);
ABSENT(libssh2_version);
ABSENT(nghttp2_http2_strerror);
ABSENT(nghttp2_is_fatal);
ABSENT(nghttp2_option_del);
ABSENT(nghttp2_option_new);
ABSENT(nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation);
ABSENT(nghttp2_pack_settings_payload);
ABSENT(nghttp2_priority_spec_init);
ABSENT(nghttp2_session_callbacks_del);
ABSENT(nghttp2_session_callbacks_new);
ABSENT(nghttp2_session_callbacks_set_error_callback);
ABSENT(nghttp2_session_callbacks_set_on_begin_headers_callback);
ABSENT(nghttp2_session_callbacks_set_on_data_chunk_recv_callback);
ABSENT(nghttp2_session_callbacks_set_on_frame_recv_callback);
ABSENT(nghttp2_session_callbacks_set_on_header_callback);
ABSENT(nghttp2_session_callbacks_set_on_stream_close_callback);
ABSENT(nghttp2_session_callbacks_set_send_callback);
ABSENT(nghttp2_session_check_request_allowed);
ABSENT(nghttp2_session_client_new2);
ABSENT(nghttp2_session_del);
ABSENT(nghttp2_session_get_remote_settings);
ABSENT(nghttp2_session_get_remote_window_size);
ABSENT(nghttp2_session_get_stream_remote_window_size);
ABSENT(nghttp2_session_get_stream_user_data);
ABSENT(nghttp2_session_mem_recv);
ABSENT(nghttp2_session_resume_data);
ABSENT(nghttp2_session_send);
ABSENT(nghttp2_session_set_local_window_size);
ABSENT(nghttp2_session_set_stream_user_data);
ABSENT(nghttp2_session_upgrade2);
ABSENT(nghttp2_session_want_read);
ABSENT(nghttp2_session_want_write);
ABSENT(nghttp2_strerror);
ABSENT(nghttp2_submit_ping);
ABSENT(nghttp2_submit_priority);
ABSENT(nghttp2_submit_request);
ABSENT(nghttp2_submit_rst_stream);
ABSENT(nghttp2_submit_settings);
ABSENT(nghttp2_version);
ABSENT(psl_builtin);
ABSENT(psl_free);
ABSENT(psl_is_cookie_domain_acceptable);
ABSENT(psl_latest);
